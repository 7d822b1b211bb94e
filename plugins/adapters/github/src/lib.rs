//! The adapter `github`: verifies GitHub's webhooks and names their events as `issues.opened`.
//!
//! Source: <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>.

mod describe;
mod payload;

use camshaft_sdk::adapter::NoConfig;
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::{Algorithm, Encoding};
use payload::Payload;

/// GitHub's webhooks.
pub struct GitHub;

#[adapter]
impl Adapter for GitHub {
    fn describe() -> Description {
        describe::description()
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        if request.method != "POST" {
            return Err(Rejection::Unsupported(format!("GitHub sends POST, not {}", request.method)));
        }
        let keys = integration.required_secret("signing_secret")?;
        let signature = verify::header(request, "X-Hub-Signature-256")?;
        let signature = verify::signature(signature, "sha256=", Encoding::Hex)?;
        verify::hmac(Algorithm::Sha256, &keys, &[&request.body], &signature)?;

        let event = word("X-GitHub-Event", request.required_header("X-GitHub-Event")?)?;
        let delivery = request.required_header("X-GitHub-Delivery")?;
        let (payload, body) = Payload::read(request)?;
        if event == "ping" {
            return Ok(
                Response::json(200, &json!({ "status": "ok", "zen": payload.zen, "hook_id": payload.hook_id })).into()
            );
        }
        let kind = match &payload.action {
            Some(action) => format!("{event}.{}", word("action", action)?),
            None => event.to_owned(),
        };
        let (source, subject) = (payload.source(), payload.subject());
        Ok(Event { id: Some(delivery.to_owned()), kind, source, subject, time_ms: None, body }.into())
    }
}

/// The event's name is not under the signature, so it is only ever a plain word.
fn word<'a>(what: &str, text: &'a str) -> Result<&'a str, Rejection> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !text.is_empty() && text.len() <= 64 && text.bytes().all(plain) {
        return Ok(text);
    }
    Err(Rejection::Malformed(format!("`{what}` is not the name of an event")))
}

#[cfg(test)]
mod tests;
