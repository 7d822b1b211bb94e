//! The adapter `docusign`: events of DocuSign Connect, sent as JSON.
//!
//! Source: <https://developers.docusign.com/platform/webhooks/connect/validate/>.

use camshaft_sdk::adapter::{self, NoConfig};
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::{Algorithm, Encoding, Signed};

const SIGNED: Signed = Signed::sha256("X-DocuSign-Signature-1").base64();
/// DocuSign signs with each key of an account, the first in `X-DocuSign-Signature-1`.
const SIGNATURES_MAX: usize = 16;
const EVENTS: &[(&str, &str, &str)] = &[
    ("envelope-completed", "everybody has signed", include_str!("../samples/envelope-completed.json")),
    ("envelope-sent", "an envelope was sent", include_str!("../samples/envelope-sent.json")),
    ("recipient-completed", "one of the recipients has signed", include_str!("../samples/recipient-completed.json")),
];

/// Events of DocuSign Connect.
pub struct DocuSign;

#[adapter]
impl Adapter for DocuSign {
    fn describe() -> Description {
        Description::new("DocuSign", "Takes events of DocuSign Connect: envelopes, recipients, templates.")
            .docs("https://developers.docusign.com/platform/webhooks/connect/")
            .signing_secret("A key of the account: Settings, Connect, Connect Keys.")
            .events(EVENTS)
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        request.only("POST")?;
        let keys = integration.required_secret("signing_secret")?;
        verify::header(request, "X-DocuSign-Signature-1")?;
        let mut signatures = Vec::new();
        for number in 1..=SIGNATURES_MAX {
            let Some(text) = request.header(&format!("X-DocuSign-Signature-{number}"))? else { break };
            signatures.extend(Encoding::Base64.decode(text));
        }
        verify::any_hmac(Algorithm::Sha256, &keys, &[&request.body], signatures)?;

        let [kind, time, source, envelope, recipient] =
            request.texts(["event", "generatedDateTime", "data.accountId", "data.envelopeId", "data.recipientId"])?;
        let kind = kind.ok_or_else(|| Rejection::missing("event"))?;
        // An envelope has many events, some more than once, and none has an id: it is which, of what, and when.
        let parts = [Some(&kind), envelope.as_ref(), recipient.as_ref(), time.as_ref()];
        let id =
            envelope.is_some().then(|| parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join("/"));
        let time_ms = time.and_then(|time| adapter::rfc3339(&time));
        Ok(Event { id, source, subject: envelope, time_ms, ..Event::new(kind) }.into())
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        // Of what an event is known by, only the envelope can be another one.
        let sample = sample.with_id_at("data.envelopeId");
        SIGNED.sign(sample.delivery(&[]), integration, &[&sample.body])
    }
}

#[cfg(test)]
mod tests;
