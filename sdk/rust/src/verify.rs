//! Verifying deliveries: signatures, keys that rotate, timestamps, shared tokens. Every comparison takes constant time.
//!
//! ```
//! use camshaft_sdk::prelude::*;
//! use camshaft_sdk::verify::{Algorithm, Encoding};
//!
//! fn check(request: &Request, keys: &[&str]) -> Result<(), Rejection> {
//!     let signature = verify::header(request, "x-signature")?;
//!     let signature = verify::signature(signature, "sha256=", Encoding::Hex)?;
//!     verify::hmac(Algorithm::Sha256, keys, &[&request.body], &signature)
//! }
//! ```

mod ed25519;
mod mac;
mod timestamp;

pub use ed25519::{PublicKey, ed25519};
pub use mac::{Algorithm, Encoding, hmac, hmac_of, signature};
pub use timestamp::fresh;

use crate::adapter::{Rejection, Request};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

/// The one value of a header that proves who calls.
///
/// # Errors
/// `unauthorized` where it is missing; `malformed` where it is repeated or no text.
pub fn header<'a>(request: &'a Request, name: &str) -> Result<&'a str, Rejection> {
    match request.header(name)? {
        Some(value) if !value.is_empty() => Ok(value),
        _ => Err(Rejection::Unauthorized(format!("the header `{name}` is missing"))),
    }
}

/// Whether two texts are the same, in a time that depends only on their lengths.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// Compares a token with each of the values that are accepted; all are compared, so the time says nothing.
///
/// # Errors
/// `unauthorized` where it is none of them.
pub fn token(given: &str, accepted: &[&str]) -> Result<(), Rejection> {
    let matches =
        accepted.iter().fold(subtle::Choice::from(0), |found, one| found | one.as_bytes().ct_eq(given.as_bytes()));
    if bool::from(matches) { Ok(()) } else { Err(Rejection::Unauthorized("the token is not the right one".to_owned())) }
}

/// User and password of an `Authorization: Basic` header (RFC 7617).
///
/// # Errors
/// `unauthorized` where there are none.
pub fn basic(request: &Request) -> Result<(String, String), Rejection> {
    let value = header(request, "authorization")?;
    let refused = || Rejection::Unauthorized("the header `authorization` holds no basic credentials".to_owned());
    let (scheme, encoded) = value.split_once(' ').ok_or_else(refused)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(refused());
    }
    let bytes = STANDARD.decode(encoded.trim()).map_err(|_| refused())?;
    let text = String::from_utf8(bytes).map_err(|_| refused())?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned())).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> Request {
        Request { headers: vec![(name.to_owned(), value.as_bytes().to_vec())], ..Request::default() }
    }

    #[test]
    fn a_missing_proof_is_unauthorized_and_named() {
        let rejection = header(&Request::default(), "x-sig").unwrap_err();
        assert_eq!(rejection, Rejection::Unauthorized("the header `x-sig` is missing".to_owned()));
        assert!(header(&with("x-sig", " "), "x-sig").is_err());
    }

    #[test]
    fn a_token_matches_any_of_the_accepted_ones_whole() {
        assert!(token("new", &["old", "new"]).is_ok());
        assert!(token("ne", &["old", "new"]).is_err());
        assert!(token("", &[]).is_err());
    }

    #[test]
    fn basic_credentials_may_hold_colons_in_the_password() {
        let request = with("Authorization", "basic dXNlcjphOmI=");
        assert_eq!(basic(&request), Ok(("user".to_owned(), "a:b".to_owned())));
        for bad in ["Bearer dXNlcjphOmI=", "Basic", "Basic !", "Basic dXNlcg=="] {
            assert!(basic(&with("Authorization", bad)).is_err(), "{bad}");
        }
    }
}
