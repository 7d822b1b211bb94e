//! Message authentication codes: what nearly every vendor signs with.

use crate::adapter::Rejection;
use ::hmac::{Hmac, KeyInit, Mac};
use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::Digest;

/// Vendors differ in whether they pad.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The hash below an HMAC. What takes one is inlined, so that a component that names one has the code of no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// SHA-1: old, and still sound inside an HMAC.
    Sha1,
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Hexadecimal, either case.
    #[default]
    Hex,
    /// Base64 with the standard alphabet.
    Base64,
}

impl Encoding {
    /// The bytes behind a text, if it is one.
    #[inline(never)]
    pub fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => hex::decode(text).ok(),
            Self::Base64 => BASE64.decode(text).ok(),
        }
    }

    /// The text of some bytes: hexadecimal in lower case, base64 with its padding.
    #[inline(always)]
    pub fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => hex::encode(bytes),
            Self::Base64 => BASE64.encode(bytes),
        }
    }
}

/// Reads a signature as a vendor writes it: an optional prefix such as `sha256=`, then the encoded bytes.
///
/// # Errors
/// `unauthorized` where it is not written that way.
pub fn signature(text: &str, prefix: &str, encoding: Encoding) -> Result<Vec<u8>, Rejection> {
    let decoded = text.strip_prefix(prefix).and_then(|rest| encoding.decode(rest)).filter(|bytes| !bytes.is_empty());
    decoded.ok_or_else(|| Rejection::Unauthorized("the signature is not written as it should be".to_owned()))
}

/// Verifies an HMAC of the parts, one after the other, against each key: any of them will do, so keys can rotate.
///
/// # Errors
/// `unauthorized` where no key made this signature.
#[inline(always)]
pub fn hmac(
    algorithm: Algorithm,
    keys: &[impl AsRef<[u8]>],
    parts: &[&[u8]],
    signature: &[u8],
) -> Result<(), Rejection> {
    for key in keys {
        let key = key.as_ref();
        if super::same(&hmac_of(algorithm, key, parts), signature) {
            return Ok(());
        }
    }
    Err(Rejection::Unauthorized("the signature does not match the body".to_owned()))
}

/// The HMAC of the parts: what a vendor would send, for samples and for answers that have to be signed.
#[inline(always)]
pub fn hmac_of(algorithm: Algorithm, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    match algorithm {
        Algorithm::Sha1 => made::<Hmac<sha1::Sha1>>(key, parts),
        Algorithm::Sha256 => made::<Hmac<sha2::Sha256>>(key, parts),
        Algorithm::Sha512 => made::<Hmac<sha2::Sha512>>(key, parts),
    }
}

/// SHA-256, for vendors that hash without a MAC.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    sha2::Sha256::digest(bytes).into()
}

/// Once in a component, whether it verifies or signs.
#[inline(never)]
fn made<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("an HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2 (and RFC 2202 for SHA-1).
    const KEY: &[u8] = b"Jefe";
    const PARTS: &[&[u8]] = &[b"what do ya want ", b"for nothing?"];

    #[test]
    fn the_published_vectors_hold() {
        let expected = [
            (Algorithm::Sha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (Algorithm::Sha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                Algorithm::Sha512,
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
        ];
        for (algorithm, hex) in expected {
            assert_eq!(hex::encode(hmac_of(algorithm, KEY, PARTS)), hex);
            assert!(hmac(algorithm, &[KEY], PARTS, &hex::decode(hex).unwrap()).is_ok());
        }
    }

    #[test]
    fn any_of_several_keys_will_do_and_no_key_never_does() {
        let signature = hmac_of(Algorithm::Sha256, KEY, PARTS);
        assert!(hmac(Algorithm::Sha256, &["other".as_bytes(), KEY], PARTS, &signature).is_ok());
        assert!(hmac(Algorithm::Sha256, &["other".as_bytes()], PARTS, &signature).is_err());
        assert!(hmac(Algorithm::Sha256, &[] as &[&[u8]], PARTS, &signature).is_err());
    }

    #[test]
    fn a_shortened_signature_does_not_match() {
        let signature = hmac_of(Algorithm::Sha256, KEY, PARTS);
        assert!(hmac(Algorithm::Sha256, &[KEY], PARTS, &signature[..31]).is_err());
    }

    #[test]
    fn signatures_are_read_with_prefix_and_encoding() {
        assert_eq!(signature("sha256=00fF", "sha256=", Encoding::Hex).unwrap(), [0, 255]);
        assert_eq!(signature("AP8=", "", Encoding::Base64).unwrap(), [0, 255]);
        assert_eq!(signature("AP8", "", Encoding::Base64).unwrap(), [0, 255]);
        for bad in ["00ff", "sha256=", "sha256=0", "sha256=zz", "sha1=00ff"] {
            assert!(signature(bad, "sha256=", Encoding::Hex).is_err(), "{bad}");
        }
    }
}
