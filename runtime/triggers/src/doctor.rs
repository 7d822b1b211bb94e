//! Why a delivery was refused. It is shown to its adapter again, each time with one circumstance changed: what makes the adapter
//! accept it is what was wrong. So this knows nothing of any vendor. Nobody outside hears of it.

use std::io;

use bytes::Bytes;
use camshaft_model::Value;
use camshaft_model::seams::{Integration, Plugins, Refusal, WebhookRequest};
use camshaft_model::time::Timestamp;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

/// Times that a delivery may be dated with; what looks like more is not tried.
const TIMES_TRIED: usize = 16;
/// The shortest time of RFC 3339: `2023-11-14T22:13:20Z`.
const RFC_3339_BYTES: usize = 20;
/// Microseconds of a second.
const SECOND: u64 = 1_000_000;

/// What was wrong with a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// It would be accepted now: secrets or configuration have changed since.
    Mended,
    /// It is dated with this time, which is too far from when it came.
    Clock(Timestamp),
    /// Its sender signed this URL, and not the one that the server saw.
    Url(String),
    /// Its body was changed on the way.
    Body(&'static str),
    /// Nothing of that: the secret is another one, or the sender.
    Unknown,
    /// Its adapter asks somebody outside before it believes it, so it cannot be shown again.
    AsksOthers,
}

/// What was wrong with a delivery that the adapter did not believe.
pub async fn cause(plugins: &dyn Plugins, integration: &Integration, refused: &WebhookRequest) -> Cause {
    let accepts = async |request: WebhookRequest| plugins.examine(integration, &request).await.is_ok();
    match plugins.examine(integration, refused).await {
        Ok(_) => return Cause::Mended,
        Err(Refusal::Unavailable(_)) => return Cause::AsksOthers,
        Err(_) => {}
    }
    for time in times(refused) {
        if accepts(WebhookRequest { received_at: time, ..refused.clone() }).await {
            return Cause::Clock(time);
        }
    }
    for url in urls(refused) {
        if accepts(WebhookRequest { public_url: url.clone(), ..refused.clone() }).await {
            return Cause::Url(url);
        }
    }
    for (change, body) in bodies(&refused.body) {
        if accepts(WebhookRequest { body: body.into(), ..refused.clone() }).await {
            return Cause::Body(change);
        }
    }
    Cause::Unknown
}

/// What may be the time that a delivery is dated with: seconds or milliseconds since 1970, or RFC 3339, as vendors write them into
/// headers, queries and bodies.
fn times(request: &WebhookRequest) -> Vec<Timestamp> {
    let mut times = Vec::new();
    let texts = request.headers.iter().map(|(_, value)| value.as_slice());
    for text in texts.chain([request.query.as_bytes(), &request.body]) {
        let numbers = text.split(|byte| !byte.is_ascii_digit()).map(number);
        let written =
            text.split(|byte| !matches!(byte, b'0'..=b'9' | b'T' | b'Z' | b':' | b'.' | b'+' | b'-')).map(written);
        for time in numbers.chain(written) {
            if let Some(time) = time.filter(|time| !times.contains(time)) {
                times.push(time);
            }
            if times.len() == TIMES_TRIED {
                return times;
            }
        }
    }
    times
}

/// `1700000000`, `1700000000000`
fn number(digits: &[u8]) -> Option<Timestamp> {
    let unit = match digits.len() {
        10 => SECOND,
        13 => SECOND / 1000,
        _ => return None,
    };
    let number = std::str::from_utf8(digits).ok()?.parse::<u64>().ok()?;
    Some(Timestamp(number * unit))
}

/// `2023-11-14T22:13:20Z`
fn written(text: &[u8]) -> Option<Timestamp> {
    let is_likely = text.len() >= RFC_3339_BYTES && text[4] == b'-' && text[10] == b'T';
    std::str::from_utf8(text).ok().filter(|_| is_likely)?.parse().ok()
}

/// The URL as somebody else may have seen it: behind a proxy that tells of it without being trusted, or that tells nothing.
fn urls(request: &WebhookRequest) -> Vec<String> {
    let Some((scheme, rest)) = request.public_url.split_once("://") else { return Vec::new() };
    let (host, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let header = |name: &str| {
        let found = request.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| std::str::from_utf8(value).ok()).map(str::trim)
    };
    let mut hosts = vec![host];
    hosts.extend(header("x-forwarded-host"));
    hosts.extend(header("host"));
    hosts.extend(host.rsplit_once(':').map(|(name, _)| name));
    let other = if scheme == "https" { "http" } else { "https" };
    let mut urls = Vec::new();
    for host in hosts {
        for scheme in [scheme, other] {
            let bare = path.strip_suffix('/');
            let paths = [path.to_owned(), bare.map_or_else(|| format!("{path}/"), str::to_owned)];
            for path in paths {
                let url = format!("{scheme}://{host}{path}");
                if url != request.public_url && !urls.contains(&url) {
                    urls.push(url);
                }
            }
        }
    }
    urls
}

/// The body as it may have been before it was changed, with what was done to it.
fn bodies(body: &Bytes) -> Vec<(&'static str, Vec<u8>)> {
    let mut bodies = Vec::new();
    if let Some(inner) = body.strip_suffix(b"\r\n").or_else(|| body.strip_suffix(b"\n")) {
        bodies.push(("a line break was put behind it", inner.to_vec()));
    }
    bodies.push(("the line break at its end was taken off", [body, b"\n".as_slice()].concat()));
    if let Some(inner) = body.strip_prefix(b"\xef\xbb\xbf") {
        bodies.push(("a byte order mark was put before it", inner.to_vec()));
    }
    let Ok(text) = std::str::from_utf8(body) else { return bodies };
    if text.contains('\n') {
        let unix = text.replace("\r\n", "\n");
        bodies.push(("its line breaks were changed from CRLF to LF", unix.replace('\n', "\r\n").into_bytes()));
        bodies.push(("its line breaks were changed from LF to CRLF", unix.into_bytes()));
    }
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        bodies.push(("its JSON was spread over lines", value.to_string().into_bytes()));
        if let Ok(pretty) = serde_json::to_vec_pretty(&value) {
            bodies.push(("its JSON was put into one line", pretty));
        }
        let mut spaced = Vec::new();
        if value.serialize(&mut Serializer::with_formatter(&mut spaced, Spaced)).is_ok() {
            bodies.push(("the spaces of its JSON were taken out", spaced));
        }
    }
    bodies
}

/// A space behind every comma and colon, as Python writes JSON.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, is_first: bool) -> io::Result<()> {
        if is_first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, is_first: bool) -> io::Result<()> {
        if is_first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use camshaft_model::ids::{Digest, Name, ResourceId};
    use camshaft_model::json;
    use camshaft_model::plugin::PluginPin;
    use camshaft_model::seams::{Receipt, TaskCall, TaskDone};
    use futures::FutureExt;
    use futures::future::BoxFuture;

    use super::*;

    /// Believes a delivery for which this holds.
    struct Adapter<F>(F);

    impl<F: Fn(&WebhookRequest) -> bool + Send + Sync> Plugins for Adapter<F> {
        fn call(&self, _: TaskCall) -> BoxFuture<'_, TaskDone> {
            unreachable!("no task is called here")
        }

        fn receive<'a>(&'a self, _: &'a Integration, _: &'a WebhookRequest) -> BoxFuture<'a, Result<Receipt, Refusal>> {
            unreachable!("somebody outside would hear of it")
        }

        fn examine<'a>(
            &'a self,
            _: &'a Integration,
            request: &'a WebhookRequest,
        ) -> BoxFuture<'a, Result<Receipt, Refusal>> {
            let believed = (self.0)(request);
            async move {
                match believed {
                    true => Ok(Receipt { events: Vec::new(), respond: None }),
                    false => Err(Refusal::Unauthorized("the signature does not fit".to_owned())),
                }
            }
            .boxed()
        }
    }

    async fn cause_of(request: &WebhookRequest, believes: impl Fn(&WebhookRequest) -> bool + Send + Sync) -> Cause {
        let name = Name::new("shop").unwrap();
        let version = "1.0.0".parse().unwrap();
        let integration = Integration {
            id: ResourceId::from_bytes([1; 16]),
            name: name.clone(),
            workspace: name.clone(),
            adapter: PluginPin { name, version, digest: Digest([0; 32]), observable: false },
            config: json!({}),
            secrets: Vec::new(),
            enabled: true,
        };
        cause(&Adapter(believes), &integration, request).await
    }

    fn request(headers: &[(&str, &str)], body: &str) -> WebhookRequest {
        WebhookRequest {
            method: "POST".into(),
            path: String::new(),
            query: "a=1".into(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            remote_address: None,
            received_at: Timestamp(1_800_000_000 * SECOND),
            public_url: "http://10.0.0.7:7400/v1/webhooks/shop?a=1".into(),
        }
    }

    #[tokio::test]
    async fn a_time_is_found_in_headers_and_bodies_in_seconds_in_milliseconds_and_written() {
        let in_header = request(&[("Stripe-Signature", "t=1700000000,v1=00")], "{}");
        let at = |seconds: u64| move |request: &WebhookRequest| request.received_at == Timestamp(seconds * SECOND);
        assert_eq!(cause_of(&in_header, at(1_700_000_000)).await, Cause::Clock(Timestamp(1_700_000_000 * SECOND)));
        let in_body = request(&[], r#"{"webhookTimestamp":1700000000000}"#);
        assert_eq!(cause_of(&in_body, at(1_700_000_000)).await, Cause::Clock(Timestamp(1_700_000_000 * SECOND)));
        for time in ["2023-11-14T22:13:20Z", "2023-11-14T22:13:20.000Z", "2023-11-14T23:13:20+01:00"] {
            let in_header = request(&[("X-Zendesk-Webhook-Signature-Timestamp", time)], "{}");
            assert_eq!(cause_of(&in_header, at(1_700_000_000)).await, Cause::Clock(Timestamp(1_700_000_000 * SECOND)));
        }
        assert_eq!(cause_of(&request(&[], "{}"), at(1_700_000_000)).await, Cause::Unknown);
        let crowd = (1_600_000_000..1_600_000_100).map(|time| format!("{time} ")).collect::<String>();
        assert_eq!(times(&request(&[], &crowd)).len(), TIMES_TRIED);
    }

    #[tokio::test]
    async fn the_url_that_a_proxy_tells_of_is_found() {
        let came = request(&[("X-Forwarded-Host", "hooks.example"), ("Host", "10.0.0.7:7400")], "{}");
        for signed in ["https://hooks.example/v1/webhooks/shop?a=1", "https://10.0.0.7/v1/webhooks/shop?a=1"] {
            let cause = cause_of(&came, |request| request.public_url == signed).await;
            assert_eq!(cause, Cause::Url(signed.to_owned()));
        }
    }

    #[tokio::test]
    async fn the_usual_changes_of_a_body_are_found() {
        let signed = "{\"a\":1,\n \"b\":[1.50]}";
        for (came, told) in [
            ("{\"a\":1,\n \"b\":[1.50]}\n", "put behind it"),
            ("\u{feff}{\"a\":1,\n \"b\":[1.50]}", "byte order mark"),
            ("{\"a\":1,\r\n \"b\":[1.50]}", "from LF to CRLF"),
        ] {
            let cause = cause_of(&request(&[], came), |request| request.body == signed).await;
            assert!(matches!(cause, Cause::Body(change) if change.contains(told)), "{came:?}: {cause:?}");
        }
        let compact = cause_of(&request(&[], "{\n  \"a\": 1\n}"), |request| request.body == "{\"a\":1}").await;
        assert_eq!(compact, Cause::Body("its JSON was spread over lines"));
        let pretty = cause_of(&request(&[], "{\"a\":1}"), |request| request.body == "{\n  \"a\": 1\n}").await;
        assert_eq!(pretty, Cause::Body("its JSON was put into one line"));
        let spaced = "{\"a\": [1, {}], \"b\": \"x\"}";
        let compact = cause_of(&request(&[], "{\"a\":[1,{}],\"b\":\"x\"}"), |request| request.body == spaced).await;
        assert_eq!(compact, Cause::Body("the spaces of its JSON were taken out"));
    }

    #[tokio::test]
    async fn what_would_be_accepted_now_is_mended_and_what_never_would_has_another_secret() {
        assert_eq!(cause_of(&request(&[], "{}"), |_| true).await, Cause::Mended);
        assert_eq!(cause_of(&request(&[("t", "1700000000")], "{}"), |_| false).await, Cause::Unknown);
    }
}
