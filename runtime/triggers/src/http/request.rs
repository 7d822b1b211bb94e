//! What is read of a request before anybody looks at its meaning: the environment, the preferences, the key that the
//! caller chose, and the body within its bound.

use std::error::Error;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts as Head;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use bytes::Bytes;
use camshaft_model::ids::{Malformed, Name};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::refused::Refused;

/// Longest `Idempotency-Key`, bytes.
const KEY_BYTES_MAX: usize = 255;

/// Characters of a bad value that are shown.
const SHOWN_CHARS_MAX: usize = 80;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REQUEST_ID: &str = "x-request-id";
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// Headers in which vendors name a delivery, the surest first. They are only for people who look for a delivery in a
/// log; what counts for repeated deliveries is what the adapter says, once it has verified.
const DELIVERY_HEADERS: [&str; 13] = [
    "x-github-delivery",
    "webhook-id",
    "svix-id",
    "x-gitlab-event-uuid",
    "x-request-uuid",
    "x-shopify-webhook-id",
    "i-twilio-idempotency-token",
    "x-atlassian-webhook-identifier",
    "linear-delivery",
    "ce-id",
    "request-id",
    "idempotency-key",
    "x-request-id",
];

/// The values of `X-Request-Id` that a request came with, beside the request, where it has one of ours in their place. Adapters and events
/// see what was sent.
#[derive(Debug, Clone)]
pub struct SentRequestIds(pub Vec<HeaderValue>);

/// The headers as they were sent.
pub(crate) fn sent_headers(head: &Head) -> Vec<(String, Vec<u8>)> {
    let replaced = head.extensions.get::<SentRequestIds>();
    let kept = head.headers.iter().filter(|(name, _)| replaced.is_none() || *name != REQUEST_ID);
    let kept = kept.map(|(name, value)| (name.as_str(), value));
    let ids = replaced.into_iter().flat_map(|SentRequestIds(ids)| ids).map(|id| (REQUEST_ID, id));
    kept.chain(ids).map(|(name, value)| (name.to_owned(), value.as_bytes().to_owned())).collect()
}

/// The delivery's id as its headers have it, unverified.
pub(crate) fn delivery_id(headers: &HeaderMap) -> Option<String> {
    DELIVERY_HEADERS.iter().find_map(|name| headers.get(*name)).map(|value| shown(value.as_bytes()))
}

/// A header that must be readable.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refused> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Ok(Some(text.trim())),
        Err(_) => Err(bad(name, value.as_bytes(), "it is not UTF-8")),
    }
}

/// `?environment=`, where it is given.
pub(crate) fn environment(uri: &Uri) -> Result<Option<Name>, Refused> {
    let query = uri.query().unwrap_or_default();
    let Some((_, environment)) = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "environment") else {
        return Ok(None);
    };
    Name::new(&environment).map(Some).map_err(|malformed| Malformed { what: "environment", ..malformed }.into())
}

/// `Idempotency-Key`, where there is one.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    match text(headers, &IDEMPOTENCY_KEY)? {
        Some(key) if key.is_empty() || key.len() > KEY_BYTES_MAX => {
            Err(bad(&IDEMPOTENCY_KEY, key.as_bytes(), "a key has 1 to 255 bytes"))
        }
        key => Ok(key),
    }
}

/// `Prefer: wait=N` (RFC 7240), in whole seconds. Preferences that we do not know are ignored, as the RFC wants; a `wait`
/// that is no number is refused, because its caller would wait for the whole window instead and not know why.
pub(crate) fn wait(headers: &HeaderMap) -> Result<Option<Duration>, Refused> {
    for value in headers.get_all(&PREFER) {
        let text =
            std::str::from_utf8(value.as_bytes()).map_err(|_| bad(&PREFER, value.as_bytes(), "it is not UTF-8"))?;
        for preference in text.split(',') {
            let preference = preference.split(';').next().unwrap_or_default();
            let (name, seconds) = preference.split_once('=').unwrap_or((preference, ""));
            if !name.trim().eq_ignore_ascii_case("wait") {
                continue;
            }
            let seconds = seconds.trim().trim_matches('"');
            // Only digits: `parse` would take a plus sign. More than fits is longer than any window.
            if seconds.is_empty() || !seconds.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(bad(&PREFER, value.as_bytes(), "`wait` is a whole number of seconds"));
            }
            return Ok(Some(Duration::from_secs(seconds.parse().unwrap_or(u64::MAX))));
        }
    }
    Ok(None)
}

/// The body, untouched. Refused as soon as it is known to be too large: by what `Content-Length` says, or by what comes.
pub(crate) async fn body(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Bytes, Refused> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > bytes_max as u64) {
        return Err(Refused::TooLarge(bytes_max));
    }
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if is_too_large(&*error) => Err(Refused::TooLarge(bytes_max)),
        Err(error) if is_too_slow(&*error) => Err(Refused::TooSlow),
        Err(_) => Err(Refused::Malformed("the body broke off before its end".to_owned())),
    }
}

/// The limit may be ours or one around us.
fn is_too_large(error: &(dyn Error + 'static)) -> bool {
    error.is::<LengthLimitError>() || error.source().is_some_and(is_too_large)
}

/// Whoever hands the bytes through has a patience of their own.
fn is_too_slow(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut)
        || error.source().is_some_and(is_too_slow)
}

fn bad(name: &HeaderName, value: &[u8], rule: &str) -> Refused {
    Refused::Malformed(format!("header `{name}` has the value `{}`: {rule}", shown(value)))
}

fn shown(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}
