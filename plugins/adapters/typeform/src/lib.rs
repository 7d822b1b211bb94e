//! The adapter `typeform`: Typeform's webhooks.
//!
//! Source: <https://www.typeform.com/developers/webhooks/secure-your-webhooks/>.

use camshaft_sdk::adapter::{self, NoConfig};
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::Signed;

const SIGNED: Signed = Signed::sha256("Typeform-Signature").prefix("sha256=").base64();
const EVENTS: &[(&str, &str, &str)] = &[
    ("form_response", "somebody has filled in a form", include_str!("../samples/form_response.json")),
    ("form_response_partial", "somebody has begun to", include_str!("../samples/form_response_partial.json")),
];

/// Typeform's webhooks.
pub struct Typeform;

#[adapter]
impl Adapter for Typeform {
    fn describe() -> Description {
        Description::new("Typeform", "Takes the answers to a form.")
            .docs("https://www.typeform.com/developers/webhooks/")
            .signing_secret("The webhook's Secret: the form, Connect, Webhooks, Edit.")
            .events(EVENTS)
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        request.only("POST")?;
        SIGNED.verify(request, integration, &[&request.body])?;
        let [kind, id, subject, time] =
            request.texts(["event_type", "event_id", "form_response.form_id", "form_response.submitted_at"])?;
        let kind = kind.ok_or_else(|| Rejection::missing("event_type"))?;
        let time_ms = time.and_then(|time| adapter::rfc3339(&time));
        Ok(Event { id, subject, time_ms, ..Event::new(kind) }.into())
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        let sample = sample.with_id_at("event_id");
        SIGNED.sign(sample.delivery(&[]), integration, &[&sample.body])
    }
}

#[cfg(test)]
mod tests;
