//! Header lines, an empty line, a body: read as CloudEvents. An event that is read is the same when it is written in the JSON
//! format and read again.

use camshaft_model::{Map, Value};
use camshaft_triggers::cloudevents::{CloudEvent, read};
use http::{HeaderMap, HeaderName, HeaderValue, header};

pub(crate) fn run(input: &[u8]) {
    let (head, body) = match input.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => (&input[..end], &input[end + 2..]),
        None => (&b"content-type: application/cloudevents+json"[..], input),
    };
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let value = line[colon + 1..].trim_ascii();
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    let Ok(events) = read(&headers, body) else { return };
    for event in events {
        let mut json = HeaderMap::new();
        json.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/cloudevents+json"));
        let text = written(&event).to_string();
        let again = read(&json, text.as_bytes()).unwrap_or_else(|error| panic!("{text} is not read again: {error}"));
        // Times are written to the millisecond.
        assert_eq!(again, [CloudEvent { time: again[0].time, ..event }], "{text}");
    }
}

fn written(event: &CloudEvent) -> Value {
    let mut written = Map::new();
    let mut put = |key: &str, text: &str| written.insert(key.to_owned(), Value::String(text.to_owned()));
    put("specversion", "1.0");
    put("id", &event.id);
    put("source", &event.source);
    put("type", &event.kind);
    for (key, text) in
        [("subject", &event.subject), ("datacontenttype", &event.content_type), ("dataschema", &event.schema)]
    {
        text.as_ref().map(|text| put(key, text));
    }
    event.time.map(|time| put("time", &time.to_string()));
    written.extend(event.extensions.clone());
    if !event.data.is_null() {
        let key = if event.is_base64 { "data_base64" } else { "data" };
        written.insert(key.to_owned(), event.data.clone());
    }
    Value::Object(written)
}
