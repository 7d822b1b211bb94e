//! The adapter `square`: Square's webhooks, whose signature covers the URL.
//!
//! Source: <https://developer.squareup.com/docs/webhooks/step3validate>.

use camshaft_sdk::adapter::{self, NoConfig};
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::Signed;

const SIGNED: Signed = Signed::sha256("x-square-hmacsha256-signature").base64();
const EVENTS: &[(&str, &str, &str)] = &[
    ("payment.updated", "a payment changed its status", include_str!("../samples/payment.updated.json")),
    ("order.created", "an order was placed", include_str!("../samples/order.created.json")),
];

/// Square's webhooks.
pub struct Square;

#[adapter]
impl Adapter for Square {
    fn describe() -> Description {
        Description::new("Square", "Takes Square's webhooks of payments, orders, customers and all else.")
            .docs("https://developer.squareup.com/docs/webhooks/overview")
            .signing_secret("The subscription's Signature Key: Developer Console, Webhooks, Subscriptions.")
            .events(EVENTS)
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        request.only("POST")?;
        SIGNED.verify(request, integration, &[request.public_url.as_bytes(), &request.body])?;
        let [kind, id, source, subject, time] =
            request.texts(["type", "event_id", "merchant_id", "data.id", "created_at"])?;
        let kind = kind.ok_or_else(|| Rejection::missing("type"))?;
        let time_ms = time.and_then(|time| adapter::rfc3339(&time));
        Ok(Event { id, source, subject, time_ms, ..Event::new(kind) }.into())
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        let sample = sample.with_id_at("event_id");
        SIGNED.sign(sample.delivery(&[]), integration, &[sample.public_url.as_bytes(), &sample.body])
    }
}

#[cfg(test)]
mod tests;
