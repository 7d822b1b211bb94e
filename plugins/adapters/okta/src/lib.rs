//! The adapter `okta`: Okta's event hooks. A delivery is a batch: an event for each entry of the log.
//!
//! Source: <https://developer.okta.com/docs/concepts/event-hooks/>.

use camshaft_sdk::adapter::{self, NoConfig};
use camshaft_sdk::prelude::*;

/// The secret that Okta sends along; it does not sign.
const SECRET: &str = "header_value";
const EVENTS: &[(&str, &str, &str)] = &[
    ("user.lifecycle.create", "a user was created", include_str!("../samples/user.lifecycle.create.json")),
    ("user.session.start", "somebody signed in", include_str!("../samples/user.session.start.json")),
];

/// Okta's event hooks.
pub struct Okta;

#[adapter]
impl Adapter for Okta {
    fn describe() -> Description {
        Description::new("Okta", "Takes Okta's event hooks, an event for each entry of the log.")
            .docs("https://developer.okta.com/docs/concepts/event-hooks/")
            .secret(Secret::required(
                SECRET,
                "The Authentication secret of the hook, which it sends as `Authorization`.",
            ))
            .events(EVENTS)
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        // Who knows the challenge already learns nothing by getting it back, so it need not prove anything.
        if request.method == "GET" {
            let challenge = request.required_header("X-Okta-Verification-Challenge")?;
            return Ok(Response::json(200, &json!({ "verification": challenge })).into());
        }
        request.only("POST")?;
        verify::header_is(request, "Authorization", integration, SECRET)?;
        let Body { source, data: Data { events } } = request.json()?;
        let event = |body: Value| {
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let kind = text(&body["eventType"]).ok_or_else(|| Rejection::missing("data.events.eventType"))?;
            let (id, subject) = (text(&body["uuid"]), text(&body["target"][0]["id"]));
            let time_ms = body["published"].as_str().and_then(adapter::rfc3339);
            Ok(Event { id, source: source.clone(), subject, time_ms, body: Some(body), ..Event::new(kind) })
        };
        events.into_iter().map(event).collect::<Result<Vec<_>, _>>().map(Receipt::from)
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        let sample = sample.with_id_at("data.events.0.uuid");
        Ok(sample.delivery(&[("Authorization", integration.first_secret(SECRET)?)]))
    }
}

#[derive(Deserialize)]
struct Body {
    source: Option<String>,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    events: Vec<Value>,
}

#[cfg(test)]
mod tests;
