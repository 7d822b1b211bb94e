//! What is reached of AWS, and nothing else: `https://sns.REGION.amazonaws.com`, and the same in China.

use camshaft_sdk::prelude::*;
use std::time::Duration;

/// Origins that an operator grants.
pub(crate) const HOSTS: [&str; 2] = ["https://sns.*.amazonaws.com", "https://sns.*.amazonaws.com.cn"];
/// Less than the 15 s that SNS waits for its own answer, for both requests of a confirmation.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A certificate has its own URL: what changes is whether it is still there.
const KEPT: Duration = Duration::from_secs(60 * 60);
/// Shortest name of a region, as AWS's own libraries have it.
const REGION_CHARS_MIN: usize = 3;

/// The path of a URL at SNS, with its query; none where the URL leads anywhere else. A port, a user or a host that only looks
/// like it is anywhere else.
pub(crate) fn path(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://")?;
    let (host, path) = rest.split_at(rest.find('/')?);
    let name = host.strip_suffix(".cn").unwrap_or(host);
    let region = name.strip_prefix("sns.")?.strip_suffix(".amazonaws.com")?;
    let plain = region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let visible = path.bytes().all(|byte| byte.is_ascii_graphic());
    (region.len() >= REGION_CHARS_MIN && plain && visible).then_some(path)
}

/// Fetches a certificate at a URL that [`path`] knows, or is given the one that was fetched before. Redirects are not followed.
pub(crate) fn certificate(url: &str) -> Result<http::Response, Rejection> {
    Ok(http::get(url).timeout(TIMEOUT).keep_for(KEPT).send()?)
}

/// Confirms a subscription, by the link that AWS has signed.
pub(crate) fn confirm(link: &str) -> Result<(), Rejection> {
    if path(link).is_none() {
        return Err(Rejection::Unauthorized("`SubscribeURL` does not lead to Amazon SNS".to_owned()));
    }
    let answer = http::get(link).timeout(TIMEOUT).send()?;
    if answer.is_success() {
        return Ok(());
    }
    Err(Rejection::Unavailable(format!("Amazon SNS answers {} to the confirmation", answer.status)))
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn only_sns_itself_is_sns() {
        for (url, expected) in [
            ("https://sns.us-east-1.amazonaws.com/a.pem", "/a.pem"),
            ("https://sns.cn-north-1.amazonaws.com.cn/a.pem", "/a.pem"),
            ("https://sns.us-gov-west-1.amazonaws.com/?Action=b&c=d", "/?Action=b&c=d"),
        ] {
            assert_eq!(path(url), Some(expected), "{url}");
        }
        for url in [
            "",
            "https://",
            "http://sns.us-east-1.amazonaws.com/a.pem",
            "HTTPS://sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com",
            "https://sns.us-east-1.amazonaws.com?a.pem",
            "https://sns.us-east-1.amazonaws.com#/a.pem",
            "https://sns.us-east-1.amazonaws.com:443/a.pem",
            "https://sns.us-east-1.amazonaws.com./a.pem",
            "https://sns.us-east-1.amazonaws.com.evil.com/a.pem",
            "https://sns.us-east-1.amazonaws.com@evil.com/a.pem",
            "https://user@sns.us-east-1.amazonaws.com/a.pem",
            "https://evil.com/https://sns.us-east-1.amazonaws.com/a.pem",
            "https://evil.com\\.sns.us-east-1.amazonaws.com/a.pem",
            "https://sns..amazonaws.com/a.pem",
            "https://sns.us.amazonaws.com/a.pem",
            "https://sns.amazonaws.com/a.pem",
            "https://sns.a.b.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com.cn.cn/a.pem",
            "https://sns.us-east-1.amazonaws.org/a.pem",
            "https://sns.us-east-1.xamazonaws.com/a.pem",
            "https://xsns.us-east-1.amazonaws.com/a.pem",
            "https://s3.us-east-1.amazonaws.com/a.pem",
            "https://sns.us_east_1.amazonaws.com/a.pem",
            "https://sns.us-eäst-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com/a b.pem",
            "https://sns.us-east-1.amazonaws.com/a\r\n.pem",
            " https://sns.us-east-1.amazonaws.com/a.pem",
        ] {
            assert_eq!(path(url), None, "{url}");
        }
    }
}
