//! The adapter `intercom`: Intercom's webhooks.
//!
//! Source: <https://developers.intercom.com/docs/webhooks/setting-up-webhooks>.

use camshaft_sdk::adapter::NoConfig;
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::{Signed, Unit};

const SIGNED: Signed = Signed::sha1("X-Hub-Signature").prefix("sha1=");
const EVENTS: &[(&str, &str, &str)] = &[
    (
        "conversation.user.created",
        "somebody began a conversation",
        include_str!("../samples/conversation.user.created.json"),
    ),
    ("contact.created", "a contact was created", include_str!("../samples/contact.created.json")),
];

/// Intercom's webhooks.
pub struct Intercom;

#[adapter]
impl Adapter for Intercom {
    fn describe() -> Description {
        Description::new("Intercom", "Takes Intercom's webhooks of conversations, contacts and tickets.")
            .docs("https://developers.intercom.com/docs/references/webhooks")
            .signing_secret("The app's Client secret: Developer Hub, the app, Basic information.")
            .events(EVENTS)
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        // Intercom looks whether the URL is there before it keeps it.
        if request.method == "HEAD" {
            return Ok(Response { status: 200, headers: Vec::new(), body: Vec::new() }.into());
        }
        request.only("POST")?;
        SIGNED.verify(request, integration, &[&request.body])?;
        let kind = request.text("topic")?;
        if kind == "ping" {
            return Ok(Response::json(200, &json!({ "status": "ok" })).into());
        }
        let [id, source, subject, time] = request.texts(["id", "app_id", "data.item.id", "created_at"])?;
        let time_ms = time.and_then(|time| Unit::Seconds.ms(&time));
        Ok(Event { id, source, subject, time_ms, ..Event::new(kind) }.into())
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        let sample = sample.with_id_at("id");
        SIGNED.sign(sample.delivery(&[]), integration, &[&sample.body])
    }
}

#[cfg(test)]
mod tests;
