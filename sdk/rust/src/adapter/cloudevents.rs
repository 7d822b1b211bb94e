//! CloudEvents as JSON, which many vendors' streams are, and as headers: 1.0, and 0.3 of old senders.
//!
//! Source: <https://github.com/cloudevents/spec/blob/main/cloudevents/formats/json-format.md>.

use super::{Event, Rejection, Request, rfc3339};
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// An event of a CloudEvent: its data is the body, and its source and id together are the id.
///
/// # Errors
/// `malformed` where an attribute is missing that every CloudEvent has, or the version is neither 1.0 nor 0.3.
pub fn cloudevent(mut envelope: Value) -> Result<Event, Rejection> {
    let name = if envelope.get("data").is_some() { "data" } else { "data_base64" };
    let body = Some(envelope.get_mut(name).map(Value::take).unwrap_or_default());
    Ok(Event { body, ..event(|name| Ok(envelope[name].as_str().map(str::to_owned)))? })
}

/// An event of a CloudEvent in binary mode: its attributes are headers, and the body is its data.
///
/// # Errors
/// `malformed` as [`cloudevent`], and where a header comes twice or is not percent-encoded UTF-8.
pub fn binary_cloudevent(request: &Request) -> Result<Event, Rejection> {
    event(|name| {
        let header = format!("ce-{name}");
        let Some(value) = request.header(&header)? else { return Ok(None) };
        // HTTP protocol binding 1.0, 3.1.3.2: what is not printable ASCII is percent-encoded UTF-8.
        let text = percent_decode_str(value).decode_utf8();
        let text =
            text.map_err(|_| Rejection::Malformed(format!("the header `{header}` is not percent-encoded UTF-8")))?;
        Ok(Some(text.into_owned()))
    })
}

fn event(attribute: impl Fn(&str) -> Result<Option<String>, Rejection>) -> Result<Event, Rejection> {
    let given = |name: &str| attribute(name).map(|text| text.filter(|text| !text.is_empty()));
    let needed = |name: &str| {
        given(name)?.ok_or_else(|| Rejection::Malformed(format!("the CloudEvent has no attribute `{name}`")))
    };
    let version = needed("specversion")?;
    if !["1.0", "0.3"].contains(&version.as_str()) {
        let message = format!("the CloudEvent's `specversion` is `{version}`; 1.0 and 0.3 are understood");
        return Err(Rejection::Malformed(message));
    }
    let (source, id) = (needed("source")?, needed("id")?);
    let (subject, time_ms) = (given("subject")?, given("time")?.and_then(|time| rfc3339(&time)));
    let id = Some(format!("{source} {id}"));
    Ok(Event { id, source: Some(source), subject, time_ms, ..Event::new(needed("type")?) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_versions_are_understood_in_both_ways() {
        for version in ["1.0", "0.3"] {
            let (id, source) = ("1", "/gr%C3%BC%C3%9Fe%25");
            let headers = [("ce-specversion", version), ("ce-id", id), ("CE-Source", source), ("ce-type", "t")];
            let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).to_vec();
            let binary = binary_cloudevent(&Request { headers, ..Request::default() }).unwrap();
            let envelope = json!({ "specversion": version, "id": id, "source": "/grüße%", "type": "t" });
            assert_eq!(Event { body: None, ..cloudevent(envelope).unwrap() }, binary);
        }
    }

    #[test]
    fn what_is_no_cloudevent_of_this_version_is_malformed() {
        let good = json!({ "specversion": "1.0", "id": "1", "source": "/s", "type": "t" });
        assert_eq!(cloudevent(good.clone()).unwrap().body, Some(Value::Null));
        for (name, value) in [("specversion", "0.2"), ("id", ""), ("source", ""), ("type", "")] {
            let mut bad = good.clone();
            bad[name] = json!(value);
            assert!(matches!(cloudevent(bad), Err(Rejection::Malformed(_))), "{name}");
        }
        for bad in [json!([]), json!(null), json!(7), json!({})] {
            assert!(cloudevent(bad).is_err());
        }
    }
}
