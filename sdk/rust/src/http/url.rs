//! Outbound URLs: just enough of RFC 3986 to say where a request goes, and to refuse what is ambiguous.

use super::HttpError;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

/// What may not stand in a path or query as it is. Percent signs may: the text is already encoded.
const PATH: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'{').add(b'}').add(b'|').add(b'\\').add(b'^');
/// What may stand in a name or value of a query: RFC 3986's unreserved characters.
const QUERY_PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) secure: bool,
    /// Host and port.
    pub(crate) authority: String,
    /// Path and query, percent-encoded.
    pub(crate) path_and_query: String,
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self, HttpError> {
        let refused = |why: &str| HttpError::Invalid(format!("`{url}` is not a URL to call: {why}"));
        let (scheme, rest) = url.trim().split_once("://").ok_or_else(|| refused("it has no scheme"))?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(refused("only http and https can be called")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let split = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(split);
        if authority.contains('@') {
            // Not named: the password would be in the message.
            let why = "a URL with credentials is not called; they belong into a header";
            return Err(HttpError::Invalid(why.to_owned()));
        }
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-._~:[]".contains(letter);
        if authority.is_empty() || authority.starts_with(':') || !authority.chars().all(plain) {
            return Err(refused("its host is not a host name"));
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        let path_and_query = format!("{slash}{}", utf8_percent_encode(path, PATH));
        Ok(Self { secure, authority: authority.to_owned(), path_and_query })
    }

    pub(crate) fn add_query(&mut self, name: &str, value: &str) {
        let mark = if self.path_and_query.contains('?') { '&' } else { '?' };
        self.path_and_query.push(mark);
        self.path_and_query.extend(utf8_percent_encode(name, QUERY_PART));
        self.path_and_query.push('=');
        self.path_and_query.extend(utf8_percent_encode(value, QUERY_PART));
    }

    /// Scheme, host and port: what is granted.
    pub(crate) fn origin(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> String {
        let target = Target::parse(url).unwrap();
        format!("{} {}", target.origin(), target.path_and_query)
    }

    #[test]
    fn a_url_is_split() {
        assert_eq!(parsed("https://shop.example:8443/a/b?c=d#e"), "https://shop.example:8443 /a/b?c=d");
        assert_eq!(parsed("HTTP://shop.example"), "http://shop.example /");
        assert_eq!(parsed("http://[::1]:80?x"), "http://[::1]:80 /?x");
    }

    #[test]
    fn what_may_not_stand_in_a_path_is_encoded_and_what_is_encoded_stays() {
        assert_eq!(parsed("http://a/ü b%20c"), "http://a /%C3%BC%20b%20c");
    }

    #[test]
    fn a_query_is_added_and_encoded() {
        let mut target = Target::parse("https://a/b").unwrap();
        target.add_query("q", "a&b=c d");
        target.add_query("page", "2");
        assert_eq!(target.path_and_query, "/b?q=a%26b%3Dc%20d&page=2");
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        let error = Target::parse("https://ada:s3cret@example.com/").unwrap_err();
        assert_eq!(error.to_string(), "a URL with credentials is not called; they belong into a header");
    }

    #[test]
    fn what_is_no_http_url_is_refused_and_named() {
        for url in ["example.com/a", "ftp://example.com", "https://", "https://ex ample.com", "https://:80/"] {
            let error = Target::parse(url).unwrap_err();
            assert!(error.to_string().contains(url), "{error}");
        }
    }
}
