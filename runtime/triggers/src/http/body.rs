//! `$.event.body`: the request's body, parsed after its content type.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use camshaft_model::{Value, limits};

use super::{form, xml};

/// Deepest nesting of a body. Less than what serde_json reads: the event becomes part of journal entries and of steps'
/// inputs, each of which nests it deeper, and all of them must be read again.
pub(crate) const DEPTH_MAX: usize = limits::JSON_DEPTH_MAX - 28;

/// A parsed body.
#[derive(Debug, Clone, Default, PartialEq)]
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

#[cfg(test)]
mod tests {
    use super::*;
    use camshaft_model::json;
    use proptest::prelude::*;

    const JSON: &str = "application/json";
    const FORM: &str = "application/x-www-form-urlencoded";

    #[test]
    fn bodies_are_parsed_after_their_content_type() {
        for (content_type, body, value) in [
            (Some(JSON), "{\"a\":[1,-2.5e3,true,null,\"\\u00e4\"]}", json!({"a": [1, -2500.0, true, null, "ä"]})),
            (Some("Application/JSON;charset=UTF-8"), " [1] ", json!([1])),
            (Some("text/json"), "1", json!(1)),
            (Some("application/vnd.github+json"), "\"x\"", json!("x")),
            (Some(JSON), "\u{feff}{}", json!({})),
            (Some(JSON), "{\"a\":1,\"a\":2}", json!({"a": 2})),
            (Some(JSON), "", json!(null)),
            (Some("application/xml"), "", json!(null)),
            (Some("+json"), "{", json!("{")),
            (Some("application/json5"), "{}", json!("{}")),
            (Some("text/plain"), "{\"a\":1}", json!("{\"a\":1}")),
            (Some("application/x-ndjson"), "{}\n{}", json!("{}\n{}")),
            (None, "{\"a\":1}", json!({"a": 1})),
            (Some(" "), "[1]", json!([1])),
            (None, "{\"a\":", json!("{\"a\":")),
            (None, "12", json!("12")),
            (None, "a=1", json!("a=1")),
            (Some(FORM), "a=1&b=x+y&c=%C3%A4&d&=e", json!({"a": "1", "b": "x y", "c": "ä", "d": "", "": "e"})),
            (Some(FORM), "a=1&b=2&a=3&a=", json!({"a": ["1", "3", ""], "b": "2"})),
            (Some(FORM), "payload=%7B%22a%22%3A1%7D", json!({"payload": "{\"a\":1}"})),
            (Some(FORM), "a=%ff", json!({"a": "\u{fffd}"})),
            (Some(FORM), "{\"body\": [1]}", json!({"body": [1]})),
            (Some(FORM), "{broken=1", json!({"{broken": "1"})),
            (Some("application/xml"), "<a><b>1</b></a>", json!({"a": {"b": "1"}})),
            (Some("application/soap+xml; charset=utf-8"), "\u{feff}<a/>", json!({"a": null})),
        ] {
            let parsed = parse(content_type, body.as_bytes()).unwrap();
            assert_eq!(parsed, Parsed { value, is_base64: false }, "{content_type:?} {body}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_base64() {
        for content_type in [None, Some("text/plain"), Some("application/octet-stream"), Some("text/xml")] {
            let parsed = parse(content_type, b"\xff\x00\xfe").unwrap();
            assert_eq!(parsed, Parsed { value: json!("/wD+"), is_base64: true }, "{content_type:?}");
        }
    }

    #[test]
    fn broken_json_is_refused_with_its_place() {
        for (body, says) in [
            ("{\"a\":\n\n }", "line 3 column 2"),
            ("{} {}", "trailing characters at line 1 column 4"),
            ("nul", "line 1 column 3"),
            ("\"\\ud800\"", "line 1"),
            ("1e999", "number out of range"),
            ("{a:1}", "key must be a string at line 1 column 2"),
        ] {
            let error = parse(Some(JSON), body.as_bytes()).unwrap_err();
            assert!(error.starts_with("the body is no JSON: ") && error.contains(says), "{error}");
        }
        assert!(parse(Some(JSON), b"\"\xff\"").unwrap_err().contains("invalid unicode"));
    }

    #[test]
    fn nesting_is_held_to_its_bound_and_one_past_it() {
        let json = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let xml = |depth: usize| format!("{}x{}", "<a>".repeat(depth), "</a>".repeat(depth));
        let nested = |content_type, body: String| parse(Some(content_type), body.as_bytes());
        assert!(nested(JSON, json(DEPTH_MAX)).is_ok());
        assert!(nested(JSON, json(DEPTH_MAX + 1)).unwrap_err().contains("deeper than 100"));
        assert!(nested(JSON, json(100_000)).is_err());
        assert!(nested("text/xml", xml(DEPTH_MAX - 1)).is_ok());
        assert!(nested("text/xml", xml(DEPTH_MAX)).unwrap_err().contains("deeper than 100"));
        assert!(nested("text/xml", xml(100_000)).is_err());
        assert!(matches!(nested(FORM, json(DEPTH_MAX + 1)).unwrap().value, Value::Object(_)));
    }

    fn content_types() -> impl Strategy<Value = Option<&'static str>> {
        proptest::sample::select(vec![
            None,
            Some(JSON),
            Some(FORM),
            Some("text/xml"),
            Some("text/plain"),
            Some("+xml;"),
        ])
    }

    /// Bytes that often get far into a parser.
    fn bodies() -> impl Strategy<Value = Vec<u8>> {
        let pieces = vec![
            "<a>",
            "</a>",
            "<b x='1'>",
            "</b>",
            "<c/>",
            "<!--",
            "-->",
            "<![CDATA[",
            "]]>",
            "<?xml version='1.0'?>",
            "&amp;",
            "&#x41;",
            "&#0;",
            "&x;",
            "<!DOCTYPE a [<!ENTITY x 'y'>]>",
            "<a y=\"&lt;\" y=\"2\">",
            "{",
            "}",
            "[",
            "]",
            "\"k\":",
            "\"v\"",
            ",",
            "1e308",
            "null",
            "\\ud800",
            "a=1&",
            "%C3",
            "+",
            " ",
            "\n",
            "ä",
            "\u{feff}",
            "text",
        ];
        let pieces = proptest::collection::vec(proptest::sample::select(pieces), 0..24)
            .prop_map(|pieces| pieces.concat().into_bytes());
        prop_oneof![pieces, proptest::collection::vec(any::<u8>(), 0..64)]
    }

    /// Any JSON value, shallow enough to keep.
    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 48, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(".{0,4}", inner, 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_body_breaks_a_parser_and_what_is_read_can_be_read_again(
            content_type in content_types(),
            body in bodies(),
        ) {
            if let Ok(parsed) = parse(content_type, &body) {
                let text = parsed.value.to_string();
                prop_assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), &parsed.value);
                if parsed.is_base64 {
                    prop_assert_eq!(STANDARD.decode(parsed.value.as_str().unwrap()).unwrap(), body);
                }
            }
        }

        #[test]
        fn json_is_read_as_it_was_written(value in values()) {
            let body = value.to_string();
            prop_assert_eq!(parse(Some(JSON), body.as_bytes()).unwrap().value, value);
        }

        #[test]
        fn forms_are_read_as_they_were_written(
            fields in proptest::collection::btree_map(".{0,6}", proptest::collection::vec(".{0,6}", 1..4), 1..5),
        ) {
            let mut form = form_urlencoded::Serializer::new(String::new());
            let pairs = fields.iter().flat_map(|(key, values)| values.iter().map(move |value| (key, value)));
            form.extend_pairs(pairs);
            let want: Value = fields
                .iter()
                .map(|(key, values)| {
                    (key.clone(), match values.as_slice() { [one] => json!(one), several => json!(several) })
                })
                .collect::<camshaft_model::Map<_, _>>()
                .into();
            prop_assert_eq!(parse(Some(FORM), form.finish().as_bytes()).unwrap().value, want);
        }
    }
}
