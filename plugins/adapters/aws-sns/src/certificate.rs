//! The certificate that a message was signed with: where it may be, whether it is valid, and its key.
//!
//! Whose it is, TLS has shown: it comes from SNS. AWS's own libraries do not follow its chain either.

use crate::aws;
use crate::message::{Hash, Proof};
use camshaft_sdk::prelude::*;
use rsa::RsaPublicKey;
use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::traits::PublicKeyParts;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::der::DecodePem;
use x509_cert::spki::der::referenced::OwnedToRef;

/// AWS's have some 2,000.
const CERTIFICATE_BYTES_MAX: usize = 16 << 10;
/// 2048 bits, as AWS's have.
const KEY_BYTES_MIN: usize = 256;

/// The key of a certificate.
pub(crate) struct Key(RsaPublicKey);

/// Fetches a certificate and gives its key. Nobody is called for a URL that does not lead to SNS.
pub(crate) fn key(url: &str, received_at_ms: u64) -> Result<Key, Rejection> {
    let refused = |why: &str| Rejection::Unauthorized(format!("the certificate at `{url}` {why}"));
    let path = aws::path(url).filter(|path| path.ends_with(".pem") && !path.contains(['?', '#']));
    if path.is_none() {
        return Err(Rejection::Unauthorized(
            "`SigningCertURL` does not lead to a certificate of Amazon SNS".to_owned(),
        ));
    }
    let answer = aws::get(url)?;
    match answer.status {
        200 => {}
        400..=499 => return Err(refused(&format!("is not there: the answer is {}", answer.status))),
        status => return Err(Rejection::Unavailable(format!("`{url}` answers {status}"))),
    }
    if answer.body.len() > CERTIFICATE_BYTES_MAX {
        let bytes = answer.body.len();
        return Err(refused(&format!("has {bytes} bytes; {CERTIFICATE_BYTES_MAX} are allowed")));
    }
    let certificate = Certificate::from_pem(&answer.body).map_err(|_| refused("cannot be read"))?;
    let certificate = certificate.tbs_certificate();
    let (begin, end) = (certificate.validity().not_before, certificate.validity().not_after);
    let ms = |time: x509_cert::time::Time| time.to_unix_duration().as_millis();
    if !(ms(begin)..=ms(end)).contains(&u128::from(received_at_ms)) {
        return Err(refused(&format!("is valid from {begin} to {end} only")));
    }
    let key = RsaPublicKey::try_from(certificate.subject_public_key_info().owned_to_ref())
        .ok()
        .filter(|key| key.size() >= KEY_BYTES_MIN)
        .ok_or_else(|| refused("has no RSA key of 2048 bits or more"))?;
    Ok(Key(key))
}

impl Key {
    /// Verifies a signature (RSASSA-PKCS1-v1_5, RFC 8017 8.2).
    pub(crate) fn verify(&self, proof: &Proof) -> Result<(), Rejection> {
        let Proof { hash, signed, signature } = proof;
        let verified = match hash {
            Hash::Sha1 => self.0.verify(Pkcs1v15Sign::new::<Sha1>(), &Sha1::digest(signed), signature),
            Hash::Sha256 => self.0.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(signed), signature),
        };
        verified.map_err(|_| Rejection::Unauthorized("the signature does not match the message".to_owned()))
    }
}
