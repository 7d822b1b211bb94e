//! The adapter `standard-webhooks`: every vendor that follows the specification, and Svix.
//!
//! Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

mod keys;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use camshaft_sdk::adapter::NoConfig;
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::Algorithm;
use keys::Keys;
use std::time::Duration;

/// How far the timestamp may be from the time of receipt, as the specification's libraries have it.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// The type of an event whose body names none; the specification only recommends one.
const TYPE_DEFAULT: &str = "event";

/// Webhooks after the Standard Webhooks specification.
pub struct StandardWebhooks;

#[adapter]
impl Adapter for StandardWebhooks {
    fn describe() -> Description {
        Description::new(
            "Standard Webhooks",
            "Takes webhooks after the Standard Webhooks specification, and those of Svix.",
        )
        .docs("https://www.standardwebhooks.com")
        .secret(Secret::required(
            "signing_secret",
            "The vendor's signing secret, `whsec_…`, or its public key, `whpk_…`; both while you change it.",
        ))
        .event(
            EventType::new("contact.created", "whatever the vendor calls `type` in the body").sample(
                r#"{"type":"contact.created","timestamp":"2022-11-03T20:26:10.344522Z","data":{"id":"1f81eb52"}}"#,
            ),
        )
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        if request.method != "POST" {
            return Err(Rejection::Unsupported(format!("webhooks come by POST, not {}", request.method)));
        }
        let keys = Keys::parse(&integration.required_secret("signing_secret")?)?;
        // One set of headers or the other, never a mixture.
        let svix = request.header("webhook-signature")?.is_none() && request.header("svix-signature")?.is_some();
        let named = |part: &str| if svix { format!("svix-{part}") } else { format!("webhook-{part}") };
        let id = verify::header(request, &named("id"))?;
        let timestamp = verify::header(request, &named("timestamp"))?;
        let signatures = verify::header(request, &named("signature"))?;

        let sent: u64 = timestamp.parse().map_err(|_| {
            Rejection::Unauthorized(format!("the header `{}` is not a number of seconds", named("timestamp")))
        })?;
        verify::fresh(sent.saturating_mul(1000), request.received_at_ms, TOLERANCE)?;
        check(&keys, id, timestamp, &request.body, signatures)?;

        let body: Body = request.json()?;
        Ok(Event {
            id: Some(id.to_owned()),
            kind: body.kind.unwrap_or_else(|| TYPE_DEFAULT.to_owned()),
            ..Event::default()
        }
        .into())
    }
}

/// What the specification recommends every body to have.
#[derive(Deserialize)]
struct Body {
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// The header holds several signatures while the vendor changes keys: any that fits will do.
fn check(keys: &Keys, id: &str, timestamp: &str, body: &[u8], signatures: &str) -> Result<(), Rejection> {
    let signed: &[&[u8]] = &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    let fits = |signature: &str| {
        let Some((version, encoded)) = signature.split_once(',') else { return false };
        let Ok(bytes) = STANDARD.decode(encoded) else { return false };
        match version {
            "v1" => verify::hmac(Algorithm::Sha256, &keys.shared, signed, &bytes).is_ok(),
            "v1a" => verify::ed25519(&keys.public, &signed.concat(), &bytes).is_ok(),
            _ => false,
        }
    };
    // Bounded: each one costs a hash of the whole body.
    if signatures.split(' ').take(SIGNATURES_MAX).any(fits) {
        return Ok(());
    }
    Err(Rejection::Unauthorized("none of the signatures matches the body".to_owned()))
}

/// Signatures that are looked at in one header.
const SIGNATURES_MAX: usize = 16;

#[cfg(test)]
mod tests;
