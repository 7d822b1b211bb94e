//! Jira's deliveries, whole and broken.

use super::*;
use camshaft_sdk::testing::{self, Sent, Vendor};
use camshaft_sdk::verify::Algorithm;

fn deliver(sent: &Sent) -> Request {
    let signature = format!("sha256={}", sent.hex(Algorithm::Sha256, &[sent.body]));
    sent.delivery(&[("X-Hub-Signature", &signature), ("X-Atlassian-Webhook-Identifier", "w-1")])
}

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<Jira>("cases");
}

#[test]
fn every_attack_is_withstood() {
    Vendor::new::<Jira>(deliver).proofs(&["X-Hub-Signature"]).withstands();
}
