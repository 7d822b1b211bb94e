//! The adapter `hubspot`: webhooks of a HubSpot app. A delivery is a batch: an event for each change.
//!
//! Source: <https://developers.hubspot.com/docs/api/webhooks/validating-requests>.

mod signature;

use camshaft_sdk::adapter;
use camshaft_sdk::prelude::*;
use signature::Version;

const EVENTS: &[(&str, &str, &str)] = &[
    ("contact.creation", "a contact was created", include_str!("../samples/contact.creation.json")),
    ("deal.propertyChange", "a property of a deal was changed", include_str!("../samples/deal.propertyChange.json")),
];

/// Which signature is expected. HubSpot sends an older one beside v3, which has no time in it, so only one of them counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `v3`, unless what sends the webhooks does not have it.
    pub signature: Version,
}

/// HubSpot's webhooks.
pub struct HubSpot;

#[adapter]
impl Adapter for HubSpot {
    type Config = Config;

    fn describe() -> Description {
        Description::new("HubSpot", "Takes webhooks of a HubSpot app, an event for each change of a batch.")
            .docs("https://developers.hubspot.com/docs/api/webhooks")
            .signing_secret("The app's Client secret: the app, Auth.")
            .events(EVENTS)
    }

    fn config_schema() -> Value {
        adapter::written_schema(include_str!("../config.schema.json"))
    }

    fn receive(request: &Request, integration: &Integration<Config>) -> Result<Receipt, Rejection> {
        request.only("POST")?;
        integration.config.signature.verify(request, &integration.required_secret("signing_secret")?)?;
        let batch = match request.json()? {
            Value::Array(batch) => batch,
            single @ Value::Object(_) => vec![single],
            _ => return Err(Rejection::Malformed("the body is neither a list nor an object".to_owned())),
        };
        Ok(batch.into_iter().map(event).collect::<Vec<_>>().into())
    }

    fn sign(sample: Sample, integration: &Integration<Config>) -> Result<Request, Rejection> {
        let sample = fresh(sample);
        integration.config.signature.sign(&sample, integration.first_secret(Secret::SIGNING)?)
    }
}

/// Webhooks of a workflow at HubSpot are what their author makes them, without a type.
fn event(body: Value) -> Event {
    let text = |name: &str| match &body[name] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let kind = text("subscriptionType").unwrap_or_else(|| "webhook".to_owned());
    let (id, source, subject) = (text("eventId"), text("portalId"), text("objectId"));
    Event { id, source, subject, time_ms: body["occurredAt"].as_u64(), body: Some(body), ..Event::new(kind) }
}

/// Each change with an id of its own: the ids are numbers.
fn fresh(sample: Sample) -> Sample {
    let Some(mut batch) = sample.json::<Value>() else { return sample };
    let number = sample.number();
    let changes = match &mut batch {
        Value::Array(changes) => changes.as_mut_slice(),
        single => std::slice::from_mut(single),
    };
    for (id, change) in (number..).zip(changes) {
        if change["eventId"].is_number() {
            change["eventId"] = json!(id);
        }
    }
    sample.with_json(&batch)
}

#[cfg(test)]
mod tests;
