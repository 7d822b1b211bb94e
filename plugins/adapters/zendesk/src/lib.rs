//! The adapter `zendesk`: Zendesk's webhooks. What they send is up to who makes them: any method, any body, or none.
//!
//! Source: <https://developer.zendesk.com/documentation/webhooks/verifying/>.

use camshaft_sdk::adapter::{self, NoConfig};
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::{Signed, Unit};
use std::time::Duration;

const SIGNED: Signed = Signed::sha256("X-Zendesk-Webhook-Signature").base64();
const TOLERANCE: Duration = Duration::from_secs(5 * 60);
/// The type of an event whose body names none: webhooks of triggers and automations.
const TYPE_DEFAULT: &str = "webhook";
const EVENTS: &[(&str, &str, &str)] = &[
    ("zen:event-type:ticket.created", "a ticket was created", include_str!("../samples/ticket.created.json")),
    ("zen:event-type:user.created", "a user was created", include_str!("../samples/user.created.json")),
    (
        TYPE_DEFAULT,
        "a trigger or an automation ran: the body is what you made it",
        include_str!("../samples/trigger.json"),
    ),
];

/// Zendesk's webhooks.
pub struct Zendesk;

#[adapter]
impl Adapter for Zendesk {
    fn describe() -> Description {
        Description::new("Zendesk", "Takes Zendesk's webhooks, of events, triggers and automations.")
            .docs("https://developer.zendesk.com/documentation/webhooks/")
            .signing_secret("The webhook's signing secret: Admin Center, Webhooks, the webhook, Reveal secret.")
            .events(EVENTS)
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        let time = verify::stamped(request, "X-Zendesk-Webhook-Signature-Timestamp", Unit::Rfc3339, TOLERANCE)?;
        SIGNED.verify(request, integration, &[time.as_bytes(), &request.body])?;
        let delivery = request.header("X-Zendesk-Webhook-Invocation-Id")?.map(str::to_owned);
        if !request.is("application/json") || request.body.is_empty() {
            return Ok(Event { id: delivery, ..Event::new(TYPE_DEFAULT) }.into());
        }
        let [kind, id, source, subject, time] = request.texts(["type", "id", "account_id", "subject", "time"])?;
        // What people write into a trigger's body may have an `id`, of a ticket for example, which is none of the delivery.
        let id = if kind.is_some() { id.or(delivery) } else { delivery };
        let kind = kind.unwrap_or_else(|| TYPE_DEFAULT.to_owned());
        let time_ms = time.and_then(|time| adapter::rfc3339(&time));
        Ok(Event { id, source, subject, time_ms, ..Event::new(kind) }.into())
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        // What people write into a trigger's body has no id of the delivery.
        let sample = if sample.kind == TYPE_DEFAULT { sample } else { sample.with_id_at("id") };
        let time = adapter::rfc3339_of(sample.time_ms);
        let headers =
            [("X-Zendesk-Webhook-Signature-Timestamp", time.as_str()), ("X-Zendesk-Webhook-Invocation-Id", &sample.id)];
        SIGNED.sign(sample.delivery(&headers), integration, &[time.as_bytes(), &sample.body])
    }
}

#[cfg(test)]
mod tests;
