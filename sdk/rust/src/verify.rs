//! Verifying deliveries: signatures, keys that rotate, timestamps, shared tokens. Every comparison takes constant time.
//!
//! ```
//! use camshaft_sdk::prelude::*;
//! use camshaft_sdk::verify::{Signed, Unit};
//! use std::time::Duration;
//!
//! const SIGNED: Signed = Signed::sha256("X-Shop-Signature").prefix("v1=");
//!
//! fn check(request: &Request, integration: &Integration<()>) -> Result<(), Rejection> {
//!     let time = verify::stamped(request, "X-Shop-Time", Unit::Seconds, Duration::from_secs(300))?;
//!     SIGNED.verify(request, integration, &[time.as_bytes(), b".", &request.body])
//! }
//!
//! fn sign(sample: Sample, integration: &Integration<()>) -> Result<Request, Rejection> {
//!     let time = sample.seconds();
//!     SIGNED.sign(sample.delivery(&[("X-Shop-Time", &time)]), integration, &[time.as_bytes(), b".", &sample.body])
//! }
//! ```
//!
//! A vendor that does it in a way of its own finds the parts below: [`header`], [`parameter`], [`signature()`], [`hmac()`], [`ed25519()`], [`token`];
//! and, with the feature `certificates`, `Certificate`.

#[cfg(feature = "certificates")]
mod certificate;
mod ed25519;
mod mac;
#[cfg(feature = "certificates")]
mod rsa;
mod shared;
mod signed;
mod standard;
mod timestamp;

#[cfg(feature = "certificates")]
pub use certificate::Certificate;
pub use ed25519::{PublicKey, ed25519};
pub use mac::{Algorithm, Encoding, hmac, hmac_of, sha256, signature};
pub use shared::SharedToken;
pub use signed::{Signed, any_hmac};
pub use standard::{standard, standard_signed};
pub use timestamp::{Unit, fresh, stamped};

use crate::adapter::{Integration, Rejection, Request};
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

/// The one value of a parameter of the URL that proves who calls, decoded.
///
/// # Errors
/// `unauthorized` where it is missing; `malformed` where it is repeated or no text.
pub fn parameter(request: &Request, name: &str) -> Result<String, Rejection> {
    let mut values =
        Request::form_fields(request.query.as_bytes()).into_iter().filter(|(key, _)| key == name.as_bytes());
    let malformed = |what: &str| Rejection::Malformed(format!("the parameter `{name}` of the URL {what}"));
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(malformed("comes more than once")),
        (Some((_, value)), None) if !value.is_empty() => String::from_utf8(value).map_err(|_| malformed("is not text")),
        _ => Err(Rejection::Unauthorized(format!("the parameter `{name}` of the URL is missing"))),
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

/// Compares the value of a header with a secret of the integration.
///
/// # Errors
/// `unauthorized` where the header or the secret is missing, or they differ; `malformed` where the header is repeated.
pub fn header_is<C>(
    request: &Request,
    name: &str,
    integration: &Integration<C>,
    secret: &str,
) -> Result<(), Rejection> {
    let accepted = integration.required_secret(secret)?;
    token(header(request, name)?, &accepted)
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
    fn a_proof_in_the_url_is_there_once() {
        let read = |query: &str| parameter(&Request { query: query.to_owned(), ..Request::default() }, "token");
        assert_eq!(read("a=1&token=x%26y"), Ok("x&y".to_owned()));
        for missing in ["", "token", "token=", "Token=x", "a=token"] {
            assert!(matches!(read(missing), Err(Rejection::Unauthorized(_))), "{missing}");
        }
        for bad in ["token=x&token=x", "token=x&token", "tok%65n=x&token=y", "token=%FF"] {
            assert!(matches!(read(bad), Err(Rejection::Malformed(_))), "{bad}");
        }
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
