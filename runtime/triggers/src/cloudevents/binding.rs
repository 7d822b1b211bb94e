//! From bytes to events: the HTTP protocol binding and the JSON format of CloudEvents 1.0, and of 0.3 for old senders.
//!
//! Ours, because a sender reads in the answer which attribute is wrong and why.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use camshaft_model::time::Timestamp;
use camshaft_model::{Map, Value, limits};
use percent_encoding::percent_decode;
use serde_json::json;

/// Longest attribute, bytes; the specification wants no more than a whole event of 64 KiB to be forwarded.
const ATTRIBUTE_BYTES_MAX: usize = 4_096;
/// Longest name of an attribute, bytes.
const NAME_BYTES_MAX: usize = 64;
/// Attributes that the specification names, of either version.
const NAMED: [&str; 9] =
    ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "schemaurl"];

/// What is wrong with a delivery, or with one attribute of an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}{what}")]
pub struct Malformed {
    /// `event 3: `, where there are several.
    place: String,
    what: String,
}

impl Malformed {
    fn new(what: impl Into<String>) -> Self {
        Self { place: String::new(), what: what.into() }
    }

    fn attribute(name: &str, value: &str, rule: &str) -> Self {
        let shown: String = value.chars().take(80).collect();
        Self::new(format!("attribute `{name}` is {shown:?}: {rule}"))
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct CloudEvent {
    /// With the source, its identity.
    pub id: String,
    /// Where it happened.
    pub source: String,
    /// Its type.
    pub kind: String,
    /// What it happened to.
    pub subject: Option<String>,
    /// When it happened.
    pub time: Option<Timestamp>,
    /// Of the data.
    pub content_type: Option<String>,
    /// Of the data; a URI.
    pub schema: Option<String>,
    /// Further attributes.
    pub extensions: Map<String, Value>,
    /// The data: JSON as it is, other text as text, other bytes as base64.
    pub data: Value,
    /// Whether `data` is the base64 of bytes.
    pub is_base64: bool,
}

impl CloudEvent {
    /// What executions wait for: the extension `topic`, or else the type.
    pub fn topic(&self) -> &str {
        let topic = self.extensions.get("topic").and_then(Value::as_str);
        topic.filter(|topic| (1..=limits::KEY_BYTES_MAX).contains(&topic.len())).unwrap_or(&self.kind)
    }

    /// `$.event`; an event without a time is of the time when it came.
    pub fn value(&self, now: Timestamp) -> Value {
        let mut value = json!({
            "id": self.id,
            "type": self.kind,
            "topic": self.topic(),
            "source": self.source,
            "subject": self.subject,
            "time": self.time.unwrap_or(now).to_string(),
            "data_content_type": self.content_type,
            "data_schema": self.schema,
            "extensions": self.extensions,
            "data": self.data,
        });
        if self.is_base64 {
            value["data_encoding"] = json!("base64");
        }
        value
    }
}

/// The events of a request, in whichever mode its `Content-Type` says.
pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<Vec<CloudEvent>, Malformed> {
    let content_type = headers.get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let media_type = content_type.as_deref().map(essence);
    match media_type.as_deref() {
        Some("application/cloudevents+json") => Ok(vec![structured(json_of(body)?)?]),
        Some("application/cloudevents-batch+json") => {
            let Value::Array(events) = json_of(body)? else {
                return Err(Malformed::new("a batch is a JSON array of events"));
            };
            let one = |(index, event)| {
                structured(event).map_err(|malformed| Malformed { place: format!("event {index}: "), ..malformed })
            };
            events.into_iter().enumerate().map(one).collect()
        }
        Some(other) if other.starts_with("application/cloudevents") => {
            Err(Malformed::new(format!("Content-Type is `{other}`: events come as JSON, or with `ce-` headers")))
        }
        _ => Ok(vec![binary(headers, content_type.as_deref(), body)?]),
    }
}

/// A media type without its parameters, in lower case.
fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type == "text/json" || media_type.ends_with("+json")
}

fn json_of(body: &[u8]) -> Result<Value, Malformed> {
    serde_json::from_slice(body).map_err(|error| Malformed::new(format!("the body is no JSON: {error}")))
}

/// Attributes as headers, data as body.
fn binary(headers: &HeaderMap, content_type: Option<&str>, body: &[u8]) -> Result<CloudEvent, Malformed> {
    let mut attributes = Map::new();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix("ce-") else { continue };
        // HTTP protocol binding 1.0, 3.1.3.2: what is not printable ASCII is percent-encoded UTF-8.
        let text = percent_decode(value.as_bytes()).decode_utf8();
        let text = text.map_err(|_| {
            Malformed::attribute(name, &String::from_utf8_lossy(value.as_bytes()), "it is not percent-encoded UTF-8")
        })?;
        if attributes.insert(name.to_owned(), Value::String(text.trim().to_owned())).is_some() {
            return Err(Malformed::new(format!("attribute `{name}` comes twice")));
        }
    }
    if attributes.is_empty() {
        let what = "the request is no CloudEvent: send `ce-specversion`, `ce-id`, `ce-source` and `ce-type` headers, or the \
                    Content-Type application/cloudevents+json";
        return Err(Malformed::new(what));
    }
    let media_type = content_type.map(essence);
    let (data, is_base64) = match std::str::from_utf8(body) {
        _ if body.is_empty() => (Value::Null, false),
        _ if media_type.as_deref().is_some_and(is_json) => (json_of(body)?, false),
        Ok(text) => (Value::String(text.to_owned()), false),
        Err(_) => (Value::String(STANDARD.encode(body)), true),
    };
    if let Some(content_type) = content_type {
        attributes.insert("datacontenttype".to_owned(), Value::String(content_type.to_owned()));
    }
    event(attributes, data, is_base64)
}

/// Attributes and data in one JSON object.
fn structured(value: Value) -> Result<CloudEvent, Malformed> {
    let Value::Object(mut attributes) = value else {
        return Err(Malformed::new("an event is a JSON object"));
    };
    let old = attributes.get("specversion").and_then(Value::as_str) == Some("0.3");
    let media_type = attributes.get("datacontenttype").and_then(Value::as_str).map(essence);
    let wants_json = media_type.as_deref().is_none_or(is_json);
    let data = attributes.remove("data");
    let encoded = attributes.remove("data_base64");
    // 0.3 says so beside the data.
    let is_encoded = old && attributes.remove("datacontentencoding").is_some_and(|encoding| encoding == "base64");
    let encoded = match (encoded, &data) {
        (Some(_), Some(_)) => return Err(Malformed::new("an event has `data` or `data_base64`, not both")),
        (None, Some(data)) if is_encoded => Some(data.clone()),
        (encoded, _) => encoded,
    };
    let (data, is_base64) = match (encoded, data) {
        (Some(encoded), _) => {
            let wrong = || Malformed::attribute("data_base64", &encoded.to_string(), "it is the base64 of the data");
            let bytes = STANDARD.decode(encoded.as_str().ok_or_else(wrong)?).map_err(|_| wrong())?;
            match std::str::from_utf8(&bytes) {
                Ok(text) if media_type.as_deref().is_some_and(is_json) => (json_of(text.as_bytes())?, false),
                Ok(text) if media_type.as_deref().is_some_and(|media| media.starts_with("text/")) => {
                    (Value::String(text.to_owned()), false)
                }
                _ => (encoded, true),
            }
        }
        (None, Some(data)) => {
            if !wants_json && !data.is_string() {
                return Err(Malformed::new("`data` of a type that is not JSON is a string"));
            }
            (data, false)
        }
        (None, None) => (Value::Null, false),
    };
    attributes.retain(|_, value| !value.is_null());
    event(attributes, data, is_base64)
}

fn event(mut attributes: Map<String, Value>, data: Value, is_base64: bool) -> Result<CloudEvent, Malformed> {
    let version = required(&mut attributes, "specversion")?;
    let schema = match version.as_str() {
        "1.0" => "dataschema",
        "0.3" => "schemaurl",
        other => return Err(Malformed::attribute("specversion", other, "1.0 and 0.3 are understood")),
    };
    let (id, source, kind) =
        (required(&mut attributes, "id")?, required(&mut attributes, "source")?, required(&mut attributes, "type")?);
    if !is_reference(&source) {
        return Err(Malformed::attribute("source", &source, "it is a URI reference (RFC 3986)"));
    }
    let subject = optional(&mut attributes, "subject")?;
    let time = match optional(&mut attributes, "time")? {
        Some(time) => {
            let wrong = |_| Malformed::attribute("time", &time, "it is a time such as 2026-11-21T09:30:00Z (RFC 3339)");
            Some(time.parse().map_err(wrong)?)
        }
        None => None,
    };
    let content_type = optional(&mut attributes, "datacontenttype")?;
    if let Some(found) = content_type.as_ref().filter(|found| !essence(found).contains('/')) {
        return Err(Malformed::attribute("datacontenttype", found, "it is a media type such as application/json"));
    }
    let schema = match optional(&mut attributes, schema)? {
        Some(found) if !is_reference(&found) => {
            return Err(Malformed::attribute(schema, &found, "it is a URI (RFC 3986)"));
        }
        found => found,
    };
    for (name, value) in &attributes {
        let is_name =
            name.len() <= NAME_BYTES_MAX && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if !is_name || name.is_empty() || NAMED.contains(&name.as_str()) {
            return Err(Malformed::attribute(
                name,
                &text_of(value),
                "an extension's name has a-z and 0-9, and is none of the named",
            ));
        }
        match value {
            Value::String(text) => check(name, text)?,
            Value::Bool(_) => {}
            Value::Number(number) if number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()) => {}
            other => {
                let rule = "it is a string, a boolean or a whole number of 32 bits";
                return Err(Malformed::attribute(name, &other.to_string(), rule));
            }
        }
    }
    Ok(CloudEvent { id, source, kind, subject, time, content_type, schema, extensions: attributes, data, is_base64 })
}

fn required(attributes: &mut Map<String, Value>, name: &str) -> Result<String, Malformed> {
    optional(attributes, name)?.ok_or_else(|| Malformed::new(format!("attribute `{name}` is missing")))
}

fn optional(attributes: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Malformed> {
    match attributes.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => {
            check(name, &text)?;
            if text.is_empty() {
                return Err(Malformed::attribute(name, &text, "it is not empty"));
            }
            Ok(Some(text))
        }
        Some(other) => Err(Malformed::attribute(name, &other.to_string(), "it is a string")),
    }
}

/// A string of CloudEvents 1.0, 3.1.1.
fn check(name: &str, text: &str) -> Result<(), Malformed> {
    if text.len() > ATTRIBUTE_BYTES_MAX {
        let rule = format!("it has {} bytes; {ATTRIBUTE_BYTES_MAX} is the limit", text.len());
        return Err(Malformed::attribute(name, text, &rule));
    }
    if text.chars().any(char::is_control) {
        return Err(Malformed::attribute(name, text, "it has no control characters"));
    }
    Ok(())
}

/// Whether the characters are those of a URI reference; what it means is its sender's business.
fn is_reference(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b))
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        fields.iter().map(field).collect()
    }

    const HEAD: [(&str, &str); 4] =
        [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/shop"), ("ce-type", "order.created")];

    fn binary_with(further: &[(&str, &str)], body: &[u8]) -> Result<CloudEvent, String> {
        let fields: Vec<_> = HEAD.iter().chain(further).copied().collect();
        read(&headers(&fields), body).map(|mut events| events.remove(0)).map_err(|error| error.to_string())
    }

    fn structured_of(event: &Value) -> Result<CloudEvent, String> {
        let headers = headers(&[("content-type", "application/cloudevents+json; charset=utf-8")]);
        let read = read(&headers, event.to_string().as_bytes());
        read.map(|mut events| events.remove(0)).map_err(|error| error.to_string())
    }

    fn plain() -> Value {
        json!({"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.created"})
    }

    fn with(key: &str, value: Value) -> Value {
        let mut event = plain();
        event[key] = value;
        event
    }

    #[test]
    fn the_same_event_is_the_same_in_every_mode() {
        let json = [("content-type", "application/json"), ("ce-time", "2026-11-21T09:30:00Z"), ("ce-topic", "orders")];
        let one = binary_with(&json, br#"{"total": 3}"#).unwrap();
        let mut event = plain();
        for (key, value) in [
            ("datacontenttype", json!("application/json")),
            ("time", json!("2026-11-21T09:30:00Z")),
            ("topic", json!("orders")),
            ("data", json!({"total": 3})),
        ] {
            event[key] = value;
        }
        assert_eq!(structured_of(&event).unwrap(), one);
        let batch = headers(&[("content-type", "application/cloudevents-batch+json")]);
        assert_eq!(read(&batch, json!([event, event]).to_string().as_bytes()).unwrap(), [one.clone(), one.clone()]);
        assert_eq!(read(&batch, b"[]").unwrap(), []);
        assert_eq!(one.topic(), "orders");
        assert_eq!(one.value(Timestamp(0))["time"], "2026-11-21T09:30:00.000Z");
        assert_eq!(one.value(Timestamp(0))["data"], json!({"total": 3}));
    }

    #[test]
    fn data_of_any_kind_is_there_as_workflows_read_it() {
        for (content_type, body, data, is_base64) in [
            ("application/vnd.shop+json", b"[1]".as_slice(), json!([1]), false),
            ("text/plain", b"a b".as_slice(), json!("a b"), false),
            ("application/octet-stream", b"\xff\x00".as_slice(), json!("/wA="), true),
            ("application/json", b"".as_slice(), json!(null), false),
        ] {
            let event = binary_with(&[("content-type", content_type)], body).unwrap();
            assert_eq!((&event.data, event.is_base64), (&data, is_base64), "{content_type}");
        }
        for (event, data, is_base64) in [
            (with("data_base64", json!("/wA=")), json!("/wA="), true),
            (with("data", json!("text")), json!("text"), false),
            (plain(), json!(null), false),
        ] {
            let event = structured_of(&event).unwrap();
            assert_eq!((&event.data, event.is_base64), (&data, is_base64));
        }
        let mut coded = with("data_base64", json!("eyJhIjoxfQ=="));
        coded["datacontenttype"] = json!("application/json");
        assert_eq!(structured_of(&coded).unwrap().data, json!({"a": 1}));
        assert!(binary_with(&[("content-type", "application/json")], b"{").unwrap_err().contains("no JSON"));
    }

    #[test]
    fn an_old_sender_is_understood() {
        let mut old = with("schemaurl", json!("https://shop.example/order.json"));
        old["specversion"] = json!("0.3");
        old["datacontentencoding"] = json!("base64");
        old["datacontenttype"] = json!("text/plain");
        old["data"] = json!("YQ==");
        let event = structured_of(&old).unwrap();
        assert_eq!((event.schema.as_deref(), &event.data), (Some("https://shop.example/order.json"), &json!("a")));
    }

    #[test]
    fn headers_are_percent_decoded() {
        let event = binary_with(&[("ce-subject", "caf%C3%A9%20%25"), ("ce-comment", "a \u{e9}")], b"").unwrap();
        assert_eq!(event.subject.as_deref(), Some("café %"));
        assert_eq!(event.extensions["comment"], "a é");
        let wrong = binary_with(&[("ce-subject", "%ff")], b"").unwrap_err();
        assert!(wrong.contains("`subject`") && wrong.contains("percent"), "{wrong}");
    }

    #[test]
    fn the_attribute_that_is_wrong_is_named_with_its_value() {
        for (key, value, named) in [
            ("specversion", json!("2.0"), &["`specversion`", "\"2.0\""][..]),
            ("specversion", json!(1.0), &["`specversion`", "1.0"]),
            ("id", json!(""), &["`id`", "not empty"]),
            ("id", json!(7), &["`id`", "\"7\"", "string"]),
            ("id", json!(null), &["`id`", "missing"]),
            ("source", json!("a b"), &["`source`", "\"a b\"", "URI"]),
            ("type", json!("a\nb"), &["`type`", "control"]),
            ("type", json!("x".repeat(4_097)), &["`type`", "4097"]),
            ("time", json!("yesterday"), &["`time`", "\"yesterday\"", "RFC 3339"]),
            ("datacontenttype", json!("json"), &["`datacontenttype`", "\"json\""]),
            ("dataschema", json!("a b"), &["`dataschema`"]),
            ("data_base64", json!("?"), &["`data_base64`"]),
            ("My-Extension", json!("a"), &["`My-Extension`"]),
            ("count", json!(3_000_000_000_u64), &["`count`", "3000000000", "32 bits"]),
            ("object", json!({}), &["`object`", "{}"]),
        ] {
            let wrong = structured_of(&with(key, value)).unwrap_err();
            assert!(named.iter().all(|text| wrong.contains(text)), "{key}: {wrong}");
        }
        assert!(structured_of(&with("type", json!("x".repeat(4_096)))).is_ok());
        assert!(structured_of(&with("count", json!(-2_147_483_648))).is_ok());
        let mut both = with("data", json!(1));
        both["data_base64"] = json!("YQ==");
        assert!(structured_of(&both).unwrap_err().contains("not both"));

        let batch = headers(&[("content-type", "application/cloudevents-batch+json")]);
        let wrong = read(&batch, json!([plain(), with("id", json!(""))]).to_string().as_bytes()).unwrap_err();
        assert!(wrong.to_string().starts_with("event 1: attribute `id`"), "{wrong}");
        assert!(read(&batch, b"{}").unwrap_err().to_string().contains("array"));
        let none = read(&headers(&[("content-type", "application/json")]), b"{}").unwrap_err();
        assert!(none.to_string().contains("no CloudEvent"), "{none}");
        let xml = read(&headers(&[("content-type", "application/cloudevents+xml")]), b"<a/>").unwrap_err();
        assert!(xml.to_string().contains("cloudevents+xml"), "{xml}");
        let mut appended = headers(&HEAD);
        appended.append("ce-id", HeaderValue::from_static("2"));
        assert!(read(&appended, b"").unwrap_err().to_string().contains("`id` comes twice"));
    }
}
