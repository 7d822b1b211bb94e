//! Standard Webhooks, which many vendors sign after.
//!
//! Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use super::signed::{SIGNATURES_MAX, any_hmac};
use super::{Algorithm, Encoding, PublicKey, Unit, ed25519, header, hmac_of, stamped};
use crate::adapter::{Integration, Rejection, Request, Sample, Secret};
use std::time::Duration;

/// How far the timestamp may be from the time of receipt, as the specification's libraries have it.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// Verifies a delivery after the specification, or Svix's headers of the same meaning, and gives the message's id.
///
/// # Errors
/// `unauthorized` where a header is missing, too old, or no signature fits; `malformed` where one is repeated.
pub fn standard<'a, C>(request: &'a Request, integration: &Integration<C>) -> Result<&'a str, Rejection> {
    let keys = Keys::parse(&integration.required_secret(Secret::SIGNING)?)?;
    // One set of headers or the other, never a mixture.
    let svix = request.header("webhook-signature")?.is_none() && request.header("svix-signature")?.is_some();
    let named = |part: &str| if svix { format!("svix-{part}") } else { format!("webhook-{part}") };
    let id = header(request, &named("id"))?;
    let timestamp = stamped(request, &named("timestamp"), Unit::Seconds, TOLERANCE)?;
    let signatures = header(request, &named("signature"))?;

    let signed: &[&[u8]] = &[id.as_bytes(), b".", timestamp.as_bytes(), b".", &request.body];
    let (mut shared, mut public) = (Vec::new(), Vec::new());
    for signature in signatures.split(' ').take(SIGNATURES_MAX) {
        let Some((version, encoded)) = signature.split_once(',') else { continue };
        let of_version = match version {
            "v1" => &mut shared,
            "v1a" => &mut public,
            _ => continue,
        };
        of_version.extend(Encoding::Base64.decode(encoded));
    }
    let message = if keys.public.is_empty() { Vec::new() } else { signed.concat() };
    if !public.iter().any(|signature| ed25519(&keys.public, &message, signature).is_ok()) {
        any_hmac(Algorithm::Sha256, &keys.shared, signed, shared)?;
    }
    Ok(id)
}

/// The delivery of a sample after the specification, with `v1`.
///
/// # Errors
/// `unauthorized` where the secret is missing or not base64; `unsupported` where it is a public key, which only verifies.
pub fn standard_signed<C>(sample: &Sample, integration: &Integration<C>) -> Result<Request, Rejection> {
    let keys = Keys::parse(&[integration.first_secret(Secret::SIGNING)?])?;
    let Some(key) = keys.shared.first() else {
        let message = "the integration's first `signing_secret` is a public key, which verifies and cannot sign";
        return Err(Rejection::Unsupported(message.to_owned()));
    };
    let (id, time) = (sample.id.as_str(), sample.seconds());
    let mac = hmac_of(Algorithm::Sha256, key, &[id.as_bytes(), b".", time.as_bytes(), b".", &sample.body]);
    let signature = ["v1,", &Encoding::Base64.encode(&mac)].concat();
    let headers = [("webhook-id", id), ("webhook-timestamp", &time), ("webhook-signature", &signature)];
    Ok(sample.delivery(&headers))
}

/// Keys to verify with: for `v1` and for `v1a`.
struct Keys {
    shared: Vec<Vec<u8>>,
    public: Vec<PublicKey>,
}

impl Keys {
    /// `whpk_…` is a public key; `whsec_…`, or the base64 alone, a shared one.
    fn parse(secrets: &[&str]) -> Result<Self, Rejection> {
        let mut keys = Self { shared: Vec::new(), public: Vec::new() };
        for secret in secrets {
            if secret.starts_with("whpk_") {
                keys.public.push(PublicKey::parse(secret)?);
                continue;
            }
            let encoded = secret.strip_prefix("whsec_").unwrap_or(secret);
            keys.shared.extend(Encoding::Base64.decode(encoded.trim()).filter(|key| !key.is_empty()));
        }
        if keys.shared.is_empty() && keys.public.is_empty() {
            let message = "the integration's `signing_secret` is not base64 after `whsec_`";
            return Err(Rejection::Unauthorized(message.to_owned()));
        }
        Ok(keys)
    }
}
