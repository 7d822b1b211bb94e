//! Signatures by Standard Webhooks 1.0: `v1,` and the HMAC-SHA256 of id, time and body.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::vault;

/// What a secret begins with.
const PREFIX: &str = "whsec_";

/// A fresh secret.
pub fn secret() -> Result<String> {
    Ok(format!("{PREFIX}{}", BASE64.encode(vault::random::<32>()?)))
}

/// The value of `webhook-signature`: one for each secret, separated by spaces, so that a receiver may have either.
pub fn signature(secrets: &[String], id: &str, sent_s: u64, body: &[u8]) -> Result<String> {
    let sign = |secret: &String| {
        let key = secret.strip_prefix(PREFIX).and_then(|key| BASE64.decode(key).ok());
        let key = key.context("a signing secret is not `whsec_` and base64")?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).context("a signing secret cannot be a key")?;
        mac.update(format!("{id}.{sent_s}.").as_bytes());
        mac.update(body);
        Ok(format!("v1,{}", BASE64.encode(mac.finalize().into_bytes())))
    };
    let signatures: Result<Vec<_>> = secrets.iter().map(sign).collect();
    Ok(signatures?.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_that_is_published_with_the_reference_libraries() {
        let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".to_owned();
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        let sign =
            |secrets: &[String]| signature(secrets, "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body).unwrap();
        let expected = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
        assert_eq!(sign(std::slice::from_ref(&secret)), expected);
        let fresh = super::secret().unwrap();
        let both = sign(&[fresh.clone(), secret]);
        assert_eq!(both.split(' ').nth(1), Some(expected));
        assert_ne!(both.split(' ').next(), Some(expected));
        assert_eq!(BASE64.decode(fresh.strip_prefix("whsec_").unwrap()).unwrap().len(), 32);
    }
}
