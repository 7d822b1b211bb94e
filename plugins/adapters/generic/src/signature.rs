//! Signatures as a configuration describes them: where, of what, written how.

use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::{self, Encoding, PublicKey};
use std::time::Duration;

/// How deliveries are signed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scheme {
    /// The header that holds the signature.
    pub header: String,
    /// How it is made; `sha256` is an HMAC-SHA256.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// How it is written.
    #[serde(default)]
    pub encoding: Encoding,
    /// What stands before it, such as `sha256=`.
    #[serde(default)]
    pub prefix: String,
    /// What is signed. `{{body}}`, `{{timestamp}}`, `{{method}}` and `{{url}}` stand for the delivery's own.
    #[serde(default = "body")]
    pub signed: String,
    /// The header that holds the time of sending, in seconds (or milliseconds) since 1970. It has to be part of what is signed.
    #[serde(default)]
    pub timestamp_header: Option<String>,
    /// Seconds that the timestamp may be from the time of receipt, before or after.
    #[serde(default = "tolerance")]
    pub tolerance: u64,
}

/// How a signature is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// HMAC-SHA1.
    Sha1,
    /// HMAC-SHA256.
    #[default]
    Sha256,
    /// HMAC-SHA512.
    Sha512,
    /// Ed25519; `signing_secret` is the public key.
    Ed25519,
}

impl Algorithm {
    /// The hash of its HMAC; none where it is no HMAC.
    fn hash(self) -> Option<verify::Algorithm> {
        match self {
            Self::Sha1 => Some(verify::Algorithm::Sha1),
            Self::Sha256 => Some(verify::Algorithm::Sha256),
            Self::Sha512 => Some(verify::Algorithm::Sha512),
            Self::Ed25519 => None,
        }
    }
}

fn body() -> String {
    "{{body}}".to_owned()
}

fn tolerance() -> u64 {
    300
}

/// From here on a number of seconds would be beyond the year 5000, so it is one of milliseconds.
const MILLISECONDS_FROM: u64 = 100_000_000_000;

impl Scheme {
    /// Verifies a delivery against each key.
    pub(crate) fn verify(&self, request: &Request, keys: &[&str]) -> Result<(), Rejection> {
        let timestamp = self.timestamp(request)?;
        let signature = verify::header(request, &self.header)?;
        let signature = verify::signature(signature, &self.prefix, self.encoding)?;
        let parts = self.parts(request, timestamp.unwrap_or_default())?;
        let Some(hash) = self.algorithm.hash() else {
            let keys = keys.iter().map(|key| PublicKey::parse(key)).collect::<Result<Vec<_>, _>>()?;
            return verify::ed25519(&keys, &parts.concat(), &signature);
        };
        verify::hmac(hash, keys, &parts, &signature)
    }

    /// A delivery with its signature, sent at this time.
    pub(crate) fn sign(&self, delivery: Request, time: &str, key: &str) -> Result<Request, Rejection> {
        let Some(hash) = self.algorithm.hash() else {
            let message = "the integration's `signing_secret` is a public key, which verifies and cannot sign";
            return Err(Rejection::Unsupported(message.to_owned()));
        };
        let mac = verify::hmac_of(hash, key.as_bytes(), &self.parts(&delivery, time)?);
        let delivery = delivery.with_header(&self.header, &[&self.prefix, &*self.encoding.encode(&mac)].concat());
        Ok(match &self.timestamp_header {
            Some(name) => delivery.with_header(name, time),
            None => delivery,
        })
    }

    /// The timestamp as it was sent, after a look at whether it is fresh.
    fn timestamp<'a>(&self, request: &'a Request) -> Result<Option<&'a str>, Rejection> {
        let Some(name) = &self.timestamp_header else { return Ok(None) };
        let text = verify::header(request, name)?;
        let no_number = || Rejection::Unauthorized(format!("the header `{name}` is not a timestamp"));
        let number: u64 = text.parse().map_err(|_| no_number())?;
        let sent_ms = if number < MILLISECONDS_FROM { number * 1000 } else { number };
        verify::fresh(sent_ms, request.received_at_ms, Duration::from_secs(self.tolerance))?;
        Ok(Some(text))
    }

    /// What is signed, in parts, so that the body is not copied.
    fn parts<'a>(&'a self, request: &'a Request, timestamp: &'a str) -> Result<Vec<&'a [u8]>, Rejection> {
        let unusable =
            |why: &str| Rejection::Unsupported(format!("the integration's `signature.signed` is not usable: {why}"));
        let mut parts = Vec::new();
        let mut named = Vec::new();
        let mut rest = self.signed.as_str();
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, behind) = after.split_once("}}").ok_or_else(|| unusable("a `{{` is not closed"))?;
            parts.push(before.as_bytes());
            parts.push(match name.trim() {
                "body" => request.body.as_slice(),
                "timestamp" => timestamp.as_bytes(),
                "method" => request.method.as_bytes(),
                "url" => request.public_url.as_bytes(),
                other => return Err(unusable(&format!("`{{{{{other}}}}}` is none of body, timestamp, method, url"))),
            });
            named.push(name.trim());
            rest = behind;
        }
        parts.push(rest.as_bytes());
        // A signature that does not cover the body proves nothing of it, nor one without the timestamp of when.
        if !named.contains(&"body") {
            return Err(unusable("it has no `{{body}}`"));
        }
        if named.contains(&"timestamp") != self.timestamp_header.is_some() {
            return Err(unusable("`{{timestamp}}` and `timestamp_header` go together"));
        }
        Ok(parts)
    }
}
