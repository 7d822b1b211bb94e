//! The adapter `linear`: Linear's webhooks.
//!
//! Source: <https://linear.app/developers/webhooks>.

use camshaft_sdk::adapter::{self, NoConfig};
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::{self, Signed, Unit};
use std::time::Duration;

const SIGNED: Signed = Signed::sha256("Linear-Signature");
const TOLERANCE: Duration = Duration::from_secs(60);
const EVENTS: &[(&str, &str, &str)] = &[
    ("Issue.create", "an issue was created", include_str!("../samples/issue-create.json")),
    (
        "Issue.update",
        "an issue was changed; `updatedFrom` has the former values",
        include_str!("../samples/issue-update.json"),
    ),
    ("Comment.create", "somebody commented", include_str!("../samples/comment-create.json")),
];

/// Linear's webhooks.
pub struct Linear;

#[adapter]
impl Adapter for Linear {
    fn describe() -> Description {
        Description::new("Linear", "Takes Linear's webhooks of issues, comments, projects and all else.")
            .docs("https://linear.app/developers/webhooks")
            .signing_secret("The webhook's signing secret: Settings, API, the webhook.")
            .events(EVENTS)
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        request.only("POST")?;
        SIGNED.verify(request, integration, &[&request.body])?;
        let [kind, action, sent] = request.texts(["type", "action", "webhookTimestamp"])?;
        // The time of sending is in the body, so it is read once the body is known to be Linear's.
        let sent =
            sent.and_then(|sent| Unit::Milliseconds.ms(&sent)).ok_or_else(|| Rejection::missing("webhookTimestamp"))?;
        verify::fresh(sent, request.received_at_ms, TOLERANCE)?;
        let kind = kind.ok_or_else(|| Rejection::missing("type"))?;
        let kind = action.map_or_else(|| kind.clone(), |action| format!("{kind}.{action}"));
        let id = Some(request.required_header("Linear-Delivery")?.to_owned());
        let [source, subject, time] = request.texts(["organizationId", "data.id", "createdAt"])?;
        let time_ms = time.and_then(|time| adapter::rfc3339(&time));
        Ok(Event { id, source, subject, time_ms, ..Event::new(kind) }.into())
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        let time = sample.time_ms.to_string();
        let sample = sample.with("webhookTimestamp", &time);
        SIGNED.sign(sample.delivery(&[("Linear-Delivery", &sample.id)]), integration, &[&sample.body])
    }
}

#[cfg(test)]
mod tests;
