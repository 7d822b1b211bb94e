//! The keys of an integration, as the specification writes them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::PublicKey;

/// Keys to verify with: for `v1` and for `v1a`.
pub(crate) struct Keys {
    pub(crate) shared: Vec<Vec<u8>>,
    pub(crate) public: Vec<PublicKey>,
}

impl Keys {
    /// `whpk_…` is a public key; `whsec_…`, or the base64 alone, a shared one.
    pub(crate) fn parse(secrets: &[&str]) -> Result<Self, Rejection> {
        let mut keys = Self { shared: Vec::new(), public: Vec::new() };
        for secret in secrets {
            if secret.starts_with("whpk_") {
                keys.public.push(PublicKey::parse(secret)?);
                continue;
            }
            let encoded = secret.strip_prefix("whsec_").unwrap_or(secret);
            let key = STANDARD.decode(encoded.trim()).ok().filter(|key| !key.is_empty());
            let broken = || {
                Rejection::Unauthorized("the integration's `signing_secret` is not base64 after `whsec_`".to_owned())
            };
            keys.shared.push(key.ok_or_else(broken)?);
        }
        Ok(keys)
    }
}
