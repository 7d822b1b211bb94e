//! Sentry's deliveries, whole and broken.

use super::*;
use camshaft_sdk::testing::{self, Sent, Vendor};
use camshaft_sdk::verify::Algorithm;

fn deliver(sent: &Sent) -> Request {
    let signature = sent.hex(Algorithm::Sha256, &[sent.body]);
    sent.delivery(&[
        ("Sentry-Hook-Signature", &signature),
        ("Sentry-Hook-Resource", sent.kind.split('.').next().unwrap()),
        ("Request-ID", "r-1"),
    ])
}

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<Sentry>("cases");
}

#[test]
fn every_attack_is_withstood() {
    Vendor::new::<Sentry>(deliver).proofs(&["Sentry-Hook-Signature"]).withstands();
}
