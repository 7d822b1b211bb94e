//! `$.event.body`: the request's body, parsed after its content type.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use camshaft_model::{Value, limits};

use super::{form, xml};

/// Deepest nesting of a body. Less than what serde_json reads: the event becomes part of journal entries and of steps'
/// inputs, each of which nests it deeper, and all of them must be read again.
pub(crate) const DEPTH_MAX: usize = limits::JSON_DEPTH_MAX - 28;

/// A parsed body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parsed {
    /// The value.
    pub(crate) value: Value,
    /// Whether it is base64 of bytes that are no text.
    pub(crate) is_base64: bool,
}

enum Format {
    Json,
    Xml,
    Form,
    Other,
    Unsaid,
}

/// Parses a body. No body is null. JSON is read as RFC 8259 says; where an object has a key twice, the last counts.
/// Errors name what is broken with line and column.
pub(crate) fn parse(content_type: Option<&str>, body: &[u8]) -> Result<Parsed, String> {
    if body.is_empty() {
        return Ok(plain(Value::Null));
    }
    match format(content_type) {
        Format::Json => json(body).map(plain),
        Format::Xml => match std::str::from_utf8(body) {
            Ok(document) => xml::parse(without_mark(document), DEPTH_MAX)
                .map(plain)
                .map_err(|what| format!("the body is no XML: {what}")),
            // In another encoding, which the document's author knows and we need not.
            Err(_) => Ok(text(body)),
        },
        // What `curl -d '{…}'` sends is JSON under a form's name. No form begins with a bare bracket: it would be escaped.
        Format::Form => match sniffed(body) {
            Some(value) => Ok(plain(value)),
            None => Ok(plain(Value::Object(form::parse(body)))),
        },
        Format::Unsaid => Ok(sniffed(body).map_or_else(|| text(body), plain)),
        Format::Other => Ok(text(body)),
    }
}

fn format(content_type: Option<&str>) -> Format {
    let Some(content_type) = content_type else { return Format::Unsaid };
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let is = |other: &str| media_type.eq_ignore_ascii_case(other);
    let ends = |end: &str| {
        media_type.len() > end.len()
            && media_type.as_bytes()[media_type.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes())
    };
    if is("") {
        Format::Unsaid
    } else if is("application/json") || is("text/json") || ends("+json") {
        Format::Json
    } else if is("application/xml") || is("text/xml") || ends("+xml") {
        Format::Xml
    } else if is("application/x-www-form-urlencoded") {
        Format::Form
    } else {
        Format::Other
    }
}

fn json(body: &[u8]) -> Result<Value, String> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let value: Value = serde_json::from_slice(body).map_err(|error| format!("the body is no JSON: {error}"))?;
    check_depth(&value)?;
    Ok(value)
}

/// Refuses what is nested too deep to be kept.
pub(crate) fn check_depth(value: &Value) -> Result<(), String> {
    fn within(value: &Value, left: usize) -> bool {
        match value {
            Value::Array(items) => left > 0 && items.iter().all(|item| within(item, left - 1)),
            Value::Object(fields) => left > 0 && fields.values().all(|field| within(field, left - 1)),
            _ => true,
        }
    }
    if within(value, DEPTH_MAX) { Ok(()) } else { Err(format!("the body is nested deeper than {DEPTH_MAX}")) }
}

/// An object or array of JSON, where that is what the bytes are though nobody says so.
fn sniffed(body: &[u8]) -> Option<Value> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace())?;
    if matches!(first, b'{' | b'[') { json(body).ok() } else { None }
}

fn text(body: &[u8]) -> Parsed {
    match std::str::from_utf8(body) {
        Ok(text) => plain(Value::String(text.to_owned())),
        Err(_) => Parsed { value: Value::String(STANDARD.encode(body)), is_base64: true },
    }
}

fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn plain(value: Value) -> Parsed {
    Parsed { value, is_base64: false }
}
