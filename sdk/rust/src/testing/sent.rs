//! What a vendor is to send in a test, and the delivery that its adapter makes of it.

use crate::adapter::{self, Adapter, Integration, Rejection, Request, Sample, Secret};
use crate::verify::{Algorithm, Encoding, hmac_of};
use serde_json::{Value, json};

/// What a vendor is to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent<'a> {
    /// The event's type, for vendors that say it in a header.
    pub kind: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// The secret to sign with.
    pub key: &'a str,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

impl Sent<'_> {
    /// The id of every delivery, wherever the vendor puts it.
    pub const ID: &'static str = "d-1";

    /// When, in seconds since 1970, as text.
    pub fn seconds(&self) -> String {
        (self.at_ms / 1000).to_string()
    }

    /// An HMAC of the parts, in hexadecimal.
    pub fn hex(&self, algorithm: Algorithm, parts: &[&[u8]]) -> String {
        Encoding::Hex.encode(&hmac_of(algorithm, self.key.as_bytes(), parts))
    }

    /// An HMAC of the parts, in base64.
    pub fn base64(&self, algorithm: Algorithm, parts: &[&[u8]]) -> String {
        Encoding::Base64.encode(&hmac_of(algorithm, self.key.as_bytes(), parts))
    }

    /// The delivery with these headers, for what the adapter does not sign.
    pub fn delivery(&self, headers: &[(&str, &str)]) -> Request {
        super::delivery(headers, self.body, self.at_ms)
    }

    /// The delivery as the adapter signs it, for an integration without configuration that holds the key as `signing_secret`.
    ///
    /// # Panics
    /// Where the adapter cannot.
    pub fn signed<A: Adapter>(&self) -> Request {
        self.signed_for::<A>(json!({}), Secret::SIGNING)
    }

    /// The same with a configuration and another secret.
    ///
    /// # Panics
    /// Where the adapter cannot sign.
    pub fn signed_for<A: Adapter>(&self, config: Value, secret: &str) -> Request {
        let secrets = vec![(secret.to_owned(), vec![self.key.to_owned()])];
        let integration = Integration { name: "test".to_owned(), config: config.to_string(), secrets };
        let signed = self.signed_by(adapter::sign::<A>, Self::ID, integration);
        signed.unwrap_or_else(|rejection| panic!("the adapter does not sign: {rejection}"))
    }

    pub(super) fn signed_by(
        &self,
        sign: Sign,
        id: &str,
        integration: Integration<String>,
    ) -> Result<Request, Rejection> {
        let sample = Sample {
            kind: self.kind.to_owned(),
            body: self.body.to_vec(),
            id: id.to_owned(),
            time_ms: self.at_ms,
            public_url: super::PUBLIC_URL.to_owned(),
        };
        sign(sample, integration)
    }
}

/// How an adapter signs.
pub(super) type Sign = fn(Sample, Integration<String>) -> Result<Request, Rejection>;
