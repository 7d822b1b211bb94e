//! Typeform's deliveries, whole and broken.

use super::*;
use camshaft_sdk::testing::{self, Sent, Vendor};
use camshaft_sdk::verify::Algorithm;

fn deliver(sent: &Sent) -> Request {
    let signature = format!("sha256={}", sent.base64(Algorithm::Sha256, &[sent.body]));
    sent.delivery(&[("Typeform-Signature", &signature)])
}

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<Typeform>("cases");
}

#[test]
fn every_attack_is_withstood() {
    Vendor::new::<Typeform>(deliver).proofs(&["Typeform-Signature"]).withstands();
}
