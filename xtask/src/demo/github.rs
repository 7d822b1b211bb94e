//! GitHub, as far as the demonstration plays it: a published payload, signed as GitHub signs, and what came back.

use std::fs;

use anyhow::{Context, Result};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::EXAMPLE;
use crate::workspace::Workspace;

/// The secret that the example's integration shares with GitHub: the one of GitHub's own documentation.
pub const SECRET: &str = "It's a Secret to Everybody";

/// One webhook on its way.
pub struct Delivery {
    /// `X-GitHub-Event`
    pub event: &'static str,
    /// `X-GitHub-Delivery`
    pub id: String,
    /// `X-Hub-Signature-256`
    pub signature: String,
    /// The bytes that were signed, unless they were tampered with.
    pub body: Vec<u8>,
}

/// What a webhook was answered with.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers in their order.
    pub headers: Vec<(String, String)>,
    /// The body, as text.
    pub body: String,
}

impl Delivery {
    /// The example's payload of this name, signed.
    pub fn new(workspace: &Workspace, payload: &str, event: &'static str, number: u32) -> Result<Self> {
        let file = workspace.root.join(EXAMPLE).join("payloads").join(format!("{payload}.json"));
        let body = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let id = format!("72d3162e-cc78-11e3-81ab-4c9367dc{number:04}");
        Ok(Self { signature: signature(&body), event, id, body })
    }

    /// The same with one byte changed after it was signed.
    pub fn tampered(mut self) -> Self {
        if let Some(byte) = self.body.iter_mut().find(|byte| byte.is_ascii_digit()) {
            *byte ^= 1;
        }
        self
    }
}

/// GitHub's signature: <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>
fn signature(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

impl Answer {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body, where it is JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("the body is no JSON: {}", self.body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_that_github_publishes() {
        let published = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(signature(b"Hello, World!"), published);
    }

    #[test]
    fn tampering_leaves_the_signature_and_changes_the_body() {
        let workspace = Workspace::find().unwrap();
        let signed = Delivery::new(&workspace, "push", "push", 1).unwrap();
        let (body, signed_with) = (signed.body.clone(), signed.signature.clone());
        let tampered = signed.tampered();
        assert_eq!(tampered.signature, signed_with);
        assert_ne!(tampered.body, body);
        assert_ne!(signature(&tampered.body), tampered.signature);
        serde_json::from_slice::<Value>(&tampered.body).expect("it is still JSON, so only the signature can tell");
    }
}
