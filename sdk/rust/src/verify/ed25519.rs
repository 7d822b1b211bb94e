//! Ed25519 (RFC 8032): signatures that only the vendor can make, checked with a public key.

use crate::adapter::Rejection;
use crate::verify::Encoding;
use ed25519_dalek::{Signature, VerifyingKey};

/// A vendor's public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads a key as vendors write them: 32 bytes in hexadecimal or base64, the latter with or without `whpk_` before it.
    ///
    /// # Errors
    /// `unauthorized` where it is no key: the message says so without showing it.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let encoded = text.trim();
        let encoded = encoded.strip_prefix("whpk_").unwrap_or(encoded);
        let encoding = if encoded.len() == 64 { Encoding::Hex } else { Encoding::Base64 };
        let key = encoding
            .decode(encoded)
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
            .filter(|key| !key.is_weak());
        key.map(Self)
            .ok_or_else(|| Rejection::Unauthorized("the integration's key is not an Ed25519 public key".to_owned()))
    }
}

/// Verifies a signature of the message with each key: any of them will do.
///
/// # Errors
/// `unauthorized` where no key's owner made it.
pub fn ed25519(keys: &[PublicKey], message: &[u8], signature: &[u8]) -> Result<(), Rejection> {
    let made = |signature: Signature| keys.iter().any(|PublicKey(key)| key.verify_strict(message, &signature).is_ok());
    if Signature::from_slice(signature).is_ok_and(made) {
        return Ok(());
    }
    Err(Rejection::Unauthorized("the signature does not match the body".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 2.
    const KEY: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    const OTHER: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    const MESSAGE: &[u8] = &[0x72];
    const SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

    fn check(keys: &[&str], message: &[u8], signature: &str) -> bool {
        let keys: Vec<_> = keys.iter().map(|key| PublicKey::parse(key).unwrap()).collect();
        ed25519(&keys, message, &hex::decode(signature).unwrap()).is_ok()
    }

    #[test]
    fn the_published_vector_holds_and_nothing_near_it() {
        assert!(check(&[KEY], MESSAGE, SIGNATURE));
        assert!(check(&[OTHER, KEY], MESSAGE, SIGNATURE), "keys rotate");
        assert!(!check(&[OTHER], MESSAGE, SIGNATURE));
        assert!(!check(&[KEY], &[0x73], SIGNATURE));
        assert!(!check(&[KEY], MESSAGE, &SIGNATURE[..126]));
        assert!(!check(&[], MESSAGE, SIGNATURE));
    }

    #[test]
    fn a_key_is_read_in_either_spelling() {
        let base64 = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";
        assert_eq!(PublicKey::parse(base64), PublicKey::parse(KEY));
        assert_eq!(PublicKey::parse(&format!("whpk_{base64}")), PublicKey::parse(KEY));
        for bad in ["", "whpk_", "00", &"0".repeat(64), &KEY[..62]] {
            assert!(PublicKey::parse(bad).is_err(), "{bad}");
        }
    }
}
