//! How a vendor signs, as one value: the header, the hash, and how the signature is written there.

use super::mac::{self, Algorithm, Encoding};
use crate::adapter::{Integration, Rejection, Request, Secret};

/// Signatures that are looked at in one delivery.
pub(super) const SIGNATURES_MAX: usize = 16;

/// An HMAC in a header, made with the secret `signing_secret`.
///
/// ```
/// use camshaft_sdk::prelude::*;
/// use camshaft_sdk::verify::Signed;
///
/// const SIGNED: Signed = Signed::sha256("X-Hub-Signature-256").prefix("sha256=");
///
/// fn check(request: &Request, integration: &Integration<()>) -> Result<(), Rejection> {
///     SIGNED.verify(request, integration, &[&request.body])
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed {
    header: &'static str,
    algorithm: Algorithm,
    encoding: Encoding,
    prefix: &'static str,
    listed: bool,
}

impl Signed {
    /// HMAC-SHA256 in hexadecimal.
    pub const fn sha256(header: &'static str) -> Self {
        Self { header, algorithm: Algorithm::Sha256, encoding: Encoding::Hex, prefix: "", listed: false }
    }

    /// HMAC-SHA1 in hexadecimal.
    pub const fn sha1(header: &'static str) -> Self {
        Self { algorithm: Algorithm::Sha1, ..Self::sha256(header) }
    }

    /// In base64 instead.
    pub const fn base64(self) -> Self {
        Self { encoding: Encoding::Base64, ..self }
    }

    /// What stands before the signature, such as `sha256=`.
    pub const fn prefix(self, prefix: &'static str) -> Self {
        Self { prefix, ..self }
    }

    /// Several of them with commas between, of which any may fit: the vendor's keys change.
    pub const fn listed(self) -> Self {
        Self { listed: true, ..self }
    }

    /// Verifies what is signed, given in parts.
    ///
    /// # Errors
    /// `unauthorized` where the secret or the header is missing, or no signature fits; `malformed` where the header is repeated.
    #[inline(always)]
    pub fn verify<C>(&self, request: &Request, integration: &Integration<C>, parts: &[&[u8]]) -> Result<(), Rejection> {
        let keys = integration.required_secret(Secret::SIGNING)?;
        let value = super::header(request, self.header)?;
        if !self.listed {
            return mac::hmac(self.algorithm, &keys, parts, &mac::signature(value, self.prefix, self.encoding)?);
        }
        let signatures = value.split(',').filter_map(|one| mac::signature(one.trim(), self.prefix, self.encoding).ok());
        any_hmac(self.algorithm, &keys, parts, signatures)
    }

    /// The delivery with the signature that [`Self::verify`] takes, of the same parts.
    ///
    /// # Errors
    /// `unauthorized` where the secret is missing.
    #[inline(always)]
    pub fn sign<C>(
        &self,
        delivery: Request,
        integration: &Integration<C>,
        parts: &[&[u8]],
    ) -> Result<Request, Rejection> {
        let key = integration.first_secret(Secret::SIGNING)?;
        let signature = self.encoding.encode(&mac::hmac_of(self.algorithm, key.as_bytes(), parts));
        Ok(delivery.with_header(self.header, &[self.prefix, &signature].concat()))
    }
}

/// Verifies an HMAC of the parts against each key and each of several signatures, of which the first 16 are looked at.
///
/// # Errors
/// `unauthorized` where no key made any of them.
#[inline(always)]
pub fn any_hmac(
    algorithm: Algorithm,
    keys: &[impl AsRef<[u8]>],
    parts: &[&[u8]],
    signatures: impl IntoIterator<Item = Vec<u8>>,
) -> Result<(), Rejection> {
    // The body is hashed once a key, not once a signature.
    let mut made = Vec::new();
    for key in keys {
        made.push(mac::hmac_of(algorithm, key.as_ref(), parts));
    }
    let mut signatures = signatures.into_iter().take(SIGNATURES_MAX);
    if signatures.any(|signature| made.iter().any(|made| super::same(made, &signature))) {
        return Ok(());
    }
    Err(Rejection::Unauthorized("none of the signatures matches the body".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"Hello, World!";
    const FITS: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn check(scheme: Signed, value: &str) -> bool {
        let request = Request { headers: vec![("X-Sig".into(), value.as_bytes().to_vec())], ..Request::default() };
        let keys = vec!["next".to_owned(), "It's a Secret to Everybody".to_owned()];
        let integration =
            Integration { name: "test".into(), config: (), secrets: vec![("signing_secret".into(), keys)] };
        scheme.verify(&request, &integration, &[BODY]).is_ok()
    }

    #[test]
    fn one_signature_is_written_one_way() {
        let scheme = Signed::sha256("x-sig").prefix("sha256=");
        assert!(check(scheme, &format!("sha256={FITS}")));
        for bad in [FITS.to_owned(), format!("sha256={FITS},sha256={FITS}"), format!("sha1={FITS}"), "sha256=".into()] {
            assert!(!check(scheme, &bad), "{bad}");
        }
        assert!(check(Signed::sha256("x-sig").base64(), "dXEH6g6yUJ/CESIczphLijdXC211hsIsRvQ3nIsEPhc="));
        assert!(!check(Signed::sha1("x-sig"), FITS));
    }

    #[test]
    fn any_of_a_list_may_fit_of_the_first_sixteen() {
        let scheme = Signed::sha256("x-sig").prefix("v1=").listed();
        let list = |before: usize| format!("{}v1={FITS}", "v1=00, ".repeat(before));
        assert!(check(scheme, &list(0)));
        assert!(check(scheme, &list(15)));
        assert!(!check(scheme, &list(16)));
        assert!(!check(scheme, "v1=,v0=00,,"));
    }
}
