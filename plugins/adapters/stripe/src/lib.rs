//! The adapter `stripe`: Stripe's webhooks.
//!
//! Source: <https://docs.stripe.com/webhooks/signature>.

use camshaft_sdk::adapter::NoConfig;
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::{self, Algorithm, Encoding, Unit};
use std::time::Duration;

const HEADER: &str = "Stripe-Signature";
const TOLERANCE: Duration = Duration::from_secs(5 * 60);
const EVENTS: &[(&str, &str, &str)] = &[
    ("payment_intent.succeeded", "a payment went through", include_str!("../samples/payment_intent.succeeded.json")),
    (
        "checkout.session.completed",
        "a checkout was completed",
        include_str!("../samples/checkout.session.completed.json"),
    ),
    ("invoice.payment_failed", "an invoice could not be paid", include_str!("../samples/invoice.payment_failed.json")),
];

/// Stripe's webhooks.
pub struct Stripe;

#[adapter]
impl Adapter for Stripe {
    fn describe() -> Description {
        Description::new("Stripe", "Takes Stripe's webhooks, of an account or of connected ones.")
            .docs("https://docs.stripe.com/webhooks")
            .signing_secret("The endpoint's signing secret, `whsec_…`: Workbench, Webhooks, the endpoint.")
            .events(EVENTS)
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        request.only("POST")?;
        verify_signature(request, integration)?;
        let [kind, id, source, subject, created] =
            request.texts(["type", "id", "account", "data.object.id", "created"])?;
        let kind = kind.ok_or_else(|| Rejection::missing("type"))?;
        let time_ms = created.and_then(|seconds| Unit::Seconds.ms(&seconds));
        Ok(Event { id, source, subject, time_ms, ..Event::new(kind) }.into())
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        let sample = sample.with_id_at("id");
        let key = integration.first_secret(Secret::SIGNING)?;
        let time = sample.seconds();
        let mac = verify::hmac_of(Algorithm::Sha256, key.as_bytes(), &[time.as_bytes(), b".", &sample.body]);
        let header = ["t=", &time, ",v1=", &Encoding::Hex.encode(&mac)].concat();
        Ok(sample.delivery(&[(HEADER, &header)]))
    }
}

/// The header is `t=1492774577,v1=…,v1=…`: several while the secret changes. The whole secret is the key, `whsec_` too.
fn verify_signature(request: &Request, integration: &Integration<NoConfig>) -> Result<(), Rejection> {
    let keys = integration.required_secret("signing_secret")?;
    let header = verify::header(request, HEADER)?;
    let parts = |name: &'static str| {
        header.split(',').filter_map(|part| part.trim().split_once('=')).filter(move |(key, _)| *key == name)
    };
    let not_written = || Rejection::Unauthorized(format!("the header `{HEADER}` does not hold one timestamp"));
    let mut times = parts("t").map(|(_, time)| time);
    let (Some(time), None) = (times.next(), times.next()) else { return Err(not_written()) };
    verify::fresh(Unit::Seconds.ms(time).ok_or_else(not_written)?, request.received_at_ms, TOLERANCE)?;
    let signatures = parts("v1").filter_map(|(_, signature)| Encoding::Hex.decode(signature));
    verify::any_hmac(Algorithm::Sha256, &keys, &[time.as_bytes(), b".", &request.body], signatures)
}

#[cfg(test)]
mod tests;
