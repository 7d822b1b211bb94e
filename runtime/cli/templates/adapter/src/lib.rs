//! The adapter `{{ name }}`: {{ title }}'s webhooks.
//!
//! Source: <https://example.com/docs/webhooks>.

use camshaft_sdk::adapter::NoConfig;
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::{Signed, Unit};
use std::time::Duration;

/// Where the signature is, and how it is written: an HMAC-SHA256 in hexadecimal behind `v1=`.
const SIGNED: Signed = Signed::sha256("{{ header }}-Signature").prefix("v1=");
/// The header with the time of sending, and how far that may be from the time of receipt.
const TIME: &str = "{{ header }}-Timestamp";
const TOLERANCE: Duration = Duration::from_secs(5 * 60);
/// Types of events: name, when they come, a sample of the body.
const EVENTS: &[(&str, &str, &str)] =
    &[("order.paid", "an order was paid", include_str!("../samples/order.paid.json"))];

/// {{ title }}'s webhooks.
pub struct {{ type_name }};

#[adapter]
impl Adapter for {{ type_name }} {
    fn describe() -> Description {
        Description::new("{{ title }}", "Takes {{ title }}'s webhooks.")
            .docs("https://example.com/docs/webhooks")
            .signing_secret("Where to find it: Settings, Webhooks, Secret.")
            .events(EVENTS)
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        request.only("POST")?;
        let time = verify::stamped(request, TIME, Unit::Seconds, TOLERANCE)?;
        SIGNED.verify(request, integration, &[time.as_bytes(), b".", &request.body])?;
        // From here on the body is the vendor's.
        let [id, subject] = request.texts(["id", "order.id"])?;
        Ok(Event { id, subject, ..Event::new(request.text("type")?) }.into())
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        let sample = sample.with_id_at("id");
        let time = sample.seconds();
        SIGNED.sign(sample.delivery(&[(TIME, &time)]), integration, &[time.as_bytes(), b".", &sample.body])
    }
}

#[cfg(test)]
mod tests;
