//! `$.event`: a delivery and what its adapter says of it, in the shape that workflows read.

use std::sync::Arc;

use axum::http::Uri;
use camshaft_model::event::Event;
use camshaft_model::seams::{AdapterEvent, Integration, WebhookRequest};
use camshaft_model::{Map, Value};

use super::body::{self, Parsed};
use super::form;
use super::refused::Refused;
use super::secrets::{CREDENTIAL_HEADERS, MASK, Secrets};

/// The events of a delivery, each with everything that workflows may ask of it. The request's own body is parsed once, and
/// only if an event has none of its own.
pub(crate) fn normalise(
    integration: &Integration,
    uri: &Uri,
    content_type: Option<&str>,
    request: &WebhookRequest,
    events: Vec<AdapterEvent>,
) -> Result<Vec<Event>, Refused> {
    let secrets = Secrets(&integration.secrets);
    let mut headers = headers(&request.headers, &secrets);
    let mut query = query(&request.query, &secrets);
    let mut shared = if events.iter().any(|event| event.body.is_none()) {
        let mut parsed = body::parse(content_type, &request.body).map_err(Refused::Malformed)?;
        secrets.mask_parsed(&mut parsed.value, &request.body);
        parsed
    } else {
        Parsed::default()
    };

    let count = events.len();
    let mut normalised = Vec::with_capacity(count);
    for (index, event) in events.into_iter().enumerate() {
        let is_last = index + 1 == count;
        let body = match event.body {
            Some(mut value) => {
                body::check_depth(&value).map_err(Refused::Malformed)?;
                // The host has masked what stands within, as in everything that an adapter hands back.
                secrets.mask(&mut value);
                Parsed { value, is_base64: false }
            }
            None => take(&mut shared, is_last),
        };
        let time = event.time.unwrap_or(request.received_at);
        let text = |text: Option<String>| text.map_or(Value::Null, Value::String);
        let mut value = Map::with_capacity(12);
        let mut put = |key: &str, field: Value| value.insert(key.to_owned(), field);
        put("id", text(event.id.clone()));
        put("type", Value::String(event.kind.clone()));
        put("source", text(event.source));
        put("subject", text(event.subject));
        put("time", Value::String(time.to_string()));
        put("integration", Value::String(integration.name.as_str().to_owned()));
        put("http_method", Value::String(request.method.clone()));
        put("path", Value::String(uri.path().to_owned()));
        put("query", take(&mut query, is_last));
        put("headers", take(&mut headers, is_last));
        put("body", body.value);
        if body.is_base64 {
            put("body_encoding", Value::String("base64".to_owned()));
        }
        normalised.push(Event { id: event.id, kind: event.kind, time, value: Arc::new(Value::Object(value)) });
    }
    Ok(normalised)
}

/// What every event of a delivery shares. The last one, mostly the only one, gets it without a copy.
fn take<T: Clone + Default>(shared: &mut T, is_last: bool) -> T {
    if is_last { std::mem::take(shared) } else { shared.clone() }
}

/// Names in canonical form, each with the list of its values. Bytes that are not UTF-8 are replaced.
fn headers(headers: &[(String, Vec<u8>)], secrets: &Secrets<'_>) -> Value {
    let mut fields = Map::with_capacity(headers.len());
    for (name, value) in headers {
        if CREDENTIAL_HEADERS.iter().any(|credential| name.eq_ignore_ascii_case(credential)) {
            continue;
        }
        let value = String::from_utf8_lossy(value);
        let value = if secrets.is_within(&value) { MASK.to_owned() } else { value.into_owned() };
        match fields.entry(canonical(name)).or_insert_with(|| Value::Array(Vec::with_capacity(1))) {
            Value::Array(values) => values.push(Value::String(value)),
            _ => unreachable!("every header is a list"),
        }
    }
    Value::Object(fields)
}

/// `x-github-event` and `X-GitHub-Event` are both `X-Github-Event`: names are the same whatever their case (RFC 9110 5.1),
/// and HTTP/2 sends them all in lower case, so that only one spelling can be relied on.
fn canonical(name: &str) -> String {
    let mut begins = true;
    name.chars()
        .map(|c| {
            let c = if begins { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            begins = c == '-';
            c
        })
        .collect()
}

fn query(query: &str, secrets: &Secrets<'_>) -> Value {
    let mut fields = Map::new();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let shown = |text: &str| if secrets.is_within(text) { MASK.to_owned() } else { text.to_owned() };
        form::put(&mut fields, shown(&key), Value::String(shown(&value)));
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_names_have_one_spelling() {
        for (name, is) in [
            ("x-github-event", "X-Github-Event"),
            ("X-GITHUB-EVENT", "X-Github-Event"),
            ("content-type", "Content-Type"),
            ("etag", "Etag"),
            ("x--a", "X--A"),
            ("x-1a", "X-1a"),
        ] {
            assert_eq!(canonical(name), is);
        }
    }
}
