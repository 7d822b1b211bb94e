//! What the task gives.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use camshaft_sdk::prelude::*;
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

/// An answer.
#[derive(Serialize, JsonSchema)]
pub struct HttpAnswer {
    /// The status; 0 in a dry run that sends nothing.
    pub status: u16,
    /// Headers by canonical name (`Content-Type`), each with the list of its values.
    pub headers: BTreeMap<String, Vec<String>>,
    /// The body: JSON where the answer says so, else text, else `{"$base64": "…"}`; null where it is empty.
    pub body: Box<RawValue>,
    /// True where a dry run has sent nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl HttpAnswer {
    pub(crate) fn of(response: http::Response) -> Result<Self, Failure> {
        let json = response.header("content-type").is_some_and(is_json);
        let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in &response.headers {
            headers.entry(canonical(name)).or_default().push(String::from_utf8_lossy(value).into_owned());
        }
        let body = body(response.body, json)
            .map_err(|error| Failure::failed(format!("the body of the answer cannot be given on: {error}")))?;
        Ok(Self { status: response.status, headers, body, dry_run: false })
    }

    pub(crate) fn of_dry_run() -> Self {
        Self { status: 0, headers: BTreeMap::new(), body: RawValue::NULL.to_owned(), dry_run: true }
    }
}

/// JSON goes on digit by digit. What is said to be JSON and is none goes on as text, since a status may matter more than a body.
fn body(bytes: Vec<u8>, json: bool) -> serde_json::Result<Box<RawValue>> {
    if bytes.is_empty() {
        return Ok(RawValue::NULL.to_owned());
    }
    match String::from_utf8(bytes) {
        Ok(text) if json => RawValue::from_string(text.clone()).or_else(|_| to_raw_value(&text)),
        Ok(text) => to_raw_value(&text),
        Err(binary) => to_raw_value(&json!({ "$base64": STANDARD.encode(binary.as_bytes()) })),
    }
}

/// `application/json`, and types such as `application/problem+json`.
fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json" || media_type.ends_with("+json")
}

/// `content-type` as `Content-Type`.
fn canonical(name: &str) -> String {
    let mut start = true;
    let letter = |letter: char| {
        let letter = if start { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() };
        start = letter == '-';
        letter
    };
    name.chars().map(letter).collect()
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
pub(crate) fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value.trim()).ok()?;
    let now = UNIX_EPOCH + Duration::from_millis(clock::now_ms());
    Some(date.duration_since(now).unwrap_or_default())
}
