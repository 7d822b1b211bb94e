//! The adapter `github`: verifies GitHub's webhooks and names their events as `issues.opened`.
//!
//! Source: <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>.

mod describe;
mod payload;

use camshaft_sdk::adapter::NoConfig;
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::Signed;
use payload::Payload;

const SIGNED: Signed = Signed::sha256("X-Hub-Signature-256").prefix("sha256=");

/// GitHub's webhooks.
pub struct GitHub;

#[adapter]
impl Adapter for GitHub {
    fn describe() -> Description {
        describe::description()
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        request.only("POST")?;
        SIGNED.verify(request, integration, &[&request.body])?;
        let event = request.word("X-GitHub-Event")?;
        let delivery = request.required_header("X-GitHub-Delivery")?;
        let (payload, body) = Payload::read(request)?;
        if event == "ping" {
            return Ok(
                Response::json(200, &json!({ "status": "ok", "zen": payload.zen, "hook_id": payload.hook_id })).into()
            );
        }
        let kind = match &payload.action {
            Some(action) => format!("{event}.{action}"),
            None => event.to_owned(),
        };
        let (source, subject) = (payload.source(), payload.subject());
        Ok(Event { id: Some(delivery.to_owned()), kind, source, subject, time_ms: None, body }.into())
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        let event = sample.kind.split('.').next().unwrap_or_default();
        let delivery = sample.delivery(&[("X-GitHub-Event", event), ("X-GitHub-Delivery", &sample.id)]);
        SIGNED.sign(delivery, integration, &[&sample.body])
    }
}

#[cfg(test)]
mod tests;
