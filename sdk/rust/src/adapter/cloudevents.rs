//! CloudEvents 1.0 as JSON, which many vendors' streams are.
//!
//! Source: <https://github.com/cloudevents/spec/blob/main/cloudevents/formats/json-format.md>.

use super::{Event, Rejection, rfc3339};
use serde_json::Value;

/// An event of a CloudEvent: its data is the body, and its source and id together are the id.
///
/// # Errors
/// `malformed` where an attribute is missing that every CloudEvent has, or the version is not 1.0.
pub fn cloudevent(mut envelope: Value) -> Result<Event, Rejection> {
    let text = |name: &str| envelope[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let needed = |name: &str| {
        text(name).ok_or_else(|| Rejection::Malformed(format!("the CloudEvent has no attribute `{name}`")))
    };
    let version = needed("specversion")?;
    if version != "1.0" {
        return Err(Rejection::Malformed(format!("the CloudEvent's `specversion` is `{version}`, not `1.0`")));
    }
    let (source, id, kind) = (needed("source")?, needed("id")?, needed("type")?);
    let time_ms = text("time").and_then(|time| rfc3339(&time));
    let subject = text("subject");
    let name = if envelope.get("data").is_some() { "data" } else { "data_base64" };
    let body = Some(envelope.get_mut(name).map(Value::take).unwrap_or_default());
    Ok(Event { id: Some(format!("{source} {id}")), source: Some(source), subject, time_ms, body, ..Event::new(kind) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_no_cloudevent_of_this_version_is_malformed() {
        let good = json!({ "specversion": "1.0", "id": "1", "source": "/s", "type": "t" });
        assert_eq!(cloudevent(good.clone()).unwrap().body, Some(Value::Null));
        for (name, value) in [("specversion", "0.3"), ("id", ""), ("source", ""), ("type", "")] {
            let mut bad = good.clone();
            bad[name] = json!(value);
            assert!(matches!(cloudevent(bad), Err(Rejection::Malformed(_))), "{name}");
        }
        for bad in [json!([]), json!(null), json!(7), json!({})] {
            assert!(cloudevent(bad).is_err());
        }
    }
}
