//! What {{ title }} sends, and everything that only looks like it.

use super::*;
use camshaft_sdk::testing::{self, Sent, Vendor};

/// Files of `cases`: a delivery and what becomes of it. Put in what the vendor has really sent, and its published vectors.
#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<{{ type_name }}>("cases");
}

/// Tampered, old, early, doubled, broken and made-up deliveries, and keys that change.
#[test]
fn every_attack_is_withstood() {
    Vendor::new::<{{ type_name }}>().proofs(&["{{ header }}-Signature", TIME]).tolerance(300).withstands();
}

#[test]
fn a_body_without_a_type_is_malformed() {
    let request = Sent { kind: "", body: br#"{"id":"7"}"#, key: "k", at_ms: 0 }.signed::<{{ type_name }}>();
    let result = testing::receive::<{{ type_name }}>(&request, json!({}), &[("signing_secret", &["k"])]);
    assert_eq!(result.unwrap_err().message(), "the body has no text at `type`");
}
