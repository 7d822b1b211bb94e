//! HubSpot's three signatures.

use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::{self, Algorithm, Encoding, Unit};
use std::time::Duration;

const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// A signature that HubSpot makes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// A hash of secret and body.
    V1,
    /// A hash of secret, method, URL and body.
    V2,
    /// HMAC of method, URL, body and time.
    #[default]
    V3,
}

impl Version {
    pub(crate) fn verify(self, request: &Request, keys: &[&str]) -> Result<(), Rejection> {
        let (method, url) = (request.method.as_bytes(), request.public_url.as_bytes());
        match self {
            Self::V1 => hashed(request, keys, &[&request.body]),
            Self::V2 => hashed(request, keys, &[method, url, &request.body]),
            Self::V3 => {
                let time = verify::stamped(request, "X-HubSpot-Request-Timestamp", Unit::Milliseconds, TOLERANCE)?;
                let signature = verify::header(request, "X-HubSpot-Signature-v3")?;
                let signature = verify::signature(signature, "", Encoding::Base64)?;
                let url = decoded(&request.public_url);
                let signed: &[&[u8]] = &[method, url.as_bytes(), &request.body, time.as_bytes()];
                verify::hmac(Algorithm::Sha256, keys, signed, &signature)
            }
        }
    }

    pub(crate) fn sign(self, sample: &Sample, key: &str) -> Result<Request, Rejection> {
        let (url, key) = (sample.public_url.as_bytes(), key.as_bytes());
        let hashed = |parts: &[&[u8]]| Encoding::Hex.encode(&verify::sha256(&parts.concat()));
        Ok(match self {
            Self::V1 => sample.delivery(&[("X-HubSpot-Signature", &hashed(&[key, &sample.body]))]),
            Self::V2 => sample.delivery(&[("X-HubSpot-Signature", &hashed(&[key, b"POST", url, &sample.body]))]),
            Self::V3 => {
                let time = sample.time_ms.to_string();
                let url = decoded(&sample.public_url);
                let signed: &[&[u8]] = &[b"POST", url.as_bytes(), &sample.body, time.as_bytes()];
                let signature = Encoding::Base64.encode(&verify::hmac_of(Algorithm::Sha256, key, signed));
                sample.delivery(&[("X-HubSpot-Signature-v3", &signature), ("X-HubSpot-Request-Timestamp", &time)])
            }
        })
    }
}

/// Not an HMAC: what is appended to the body could be signed by anybody. It would no longer be JSON, because of the hash's padding.
fn hashed(request: &Request, keys: &[&str], parts: &[&[u8]]) -> Result<(), Rejection> {
    let signature = verify::signature(verify::header(request, "X-HubSpot-Signature")?, "", Encoding::Hex)?;
    let body = parts.concat();
    let fits = |key: &&str| verify::same(&verify::sha256(&[key.as_bytes(), &body].concat()), &signature);
    if keys.iter().any(fits) {
        return Ok(());
    }
    Err(Rejection::Unauthorized("the signature does not match the body".to_owned()))
}

/// HubSpot signs these characters of the URL as themselves.
fn decoded(url: &str) -> String {
    const ENCODED: [(&str, &str); 12] = [
        ("%3A", ":"),
        ("%2F", "/"),
        ("%3F", "?"),
        ("%40", "@"),
        ("%21", "!"),
        ("%24", "$"),
        ("%27", "'"),
        ("%28", "("),
        ("%29", ")"),
        ("%2A", "*"),
        ("%2C", ","),
        ("%3B", ";"),
    ];
    ENCODED.iter().fold(url.to_owned(), |url, (code, character)| {
        url.replace(code, character).replace(&code.to_ascii_lowercase(), character)
    })
}
