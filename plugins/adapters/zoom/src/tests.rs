//! Zoom's validation of a URL.

use super::*;
use camshaft_sdk::testing::{self, Sent, Vendor};

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<Zoom>("cases");
}

#[test]
fn what_zooms_own_library_takes_is_taken() {
    testing::adapter_table::<Zoom>(testing::VENDORS);
}

#[test]
fn every_attack_is_withstood() {
    let proofs = &["x-zm-signature", "x-zm-request-timestamp"];
    Vendor::new::<Zoom>().proofs(proofs).tolerance(300).withstands();
}

/// The token is answered with the secret that signed the question, while there are two.
#[test]
fn the_validation_of_the_url_is_answered_and_starts_nothing() {
    let body = br#"{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680,"event":"endpoint.url_validation"}"#;
    let sent = Sent { kind: "", body, key: "current", at_ms: 1_654_503_849_680 };
    let secrets: &[(&str, &[&str])] = &[("signing_secret", &["next", "current"])];
    let receipt = testing::receive::<Zoom>(&sent.signed::<Zoom>(), json!({}), secrets).unwrap();
    assert!(receipt.events.is_empty());
    let answer: Value = serde_json::from_slice(&receipt.respond.unwrap().body).unwrap();
    let encrypted = sent.hex(Algorithm::Sha256, &[b"qgg8vlvZRS6UYooatFL8Aw"]);
    assert_eq!(answer, json!({ "plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": encrypted }));
}
