//! The adapter `pagerduty`: PagerDuty's webhooks, version 3.
//!
//! Source: <https://developer.pagerduty.com/docs/verifying-webhook-signatures>.

use camshaft_sdk::adapter::{self, NoConfig};
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::Signed;

const SIGNED: Signed = Signed::sha256("X-PagerDuty-Signature").prefix("v1=").listed();
const EVENTS: &[(&str, &str, &str)] = &[
    ("incident.triggered", "an incident began", include_str!("../samples/incident.triggered.json")),
    ("incident.acknowledged", "somebody took an incident on", include_str!("../samples/incident.acknowledged.json")),
    ("incident.resolved", "an incident is over", include_str!("../samples/incident.resolved.json")),
];

/// PagerDuty's webhooks.
pub struct PagerDuty;

#[adapter]
impl Adapter for PagerDuty {
    fn describe() -> Description {
        Description::new("PagerDuty", "Takes PagerDuty's webhooks of incidents and services.")
            .docs("https://developer.pagerduty.com/docs/webhooks-overview")
            .signing_secret("The subscription's secret, which PagerDuty shows once, when it is made.")
            .events(EVENTS)
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        request.only("POST")?;
        SIGNED.verify(request, integration, &[&request.body])?;
        let kind = request.text("event.event_type")?;
        if kind == "pagey.ping" {
            return Ok(Response::json(200, &json!({ "status": "ok" })).into());
        }
        let [id, source, subject, time] =
            request.texts(["event.id", "event.data.service.id", "event.data.id", "event.occurred_at"])?;
        let time_ms = time.and_then(|time| adapter::rfc3339(&time));
        Ok(Event { id, source, subject, time_ms, ..Event::new(kind) }.into())
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        let sample = sample.with_id_at("event.id");
        SIGNED.sign(sample.delivery(&[]), integration, &[&sample.body])
    }
}

#[cfg(test)]
mod tests;
