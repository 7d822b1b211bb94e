//! Linear's deliveries, whole and broken.

use super::*;
use camshaft_sdk::testing::{self, Sent, Vendor};

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<Linear>("cases");
}

#[test]
fn what_linears_own_library_takes_is_taken() {
    testing::adapter_table::<Linear>(testing::VENDORS);
}

#[test]
fn every_attack_is_withstood() {
    Vendor::new::<Linear>().proofs(&["Linear-Signature"]).tolerance(60).withstands();
}

#[test]
fn a_body_without_the_time_of_sending_is_malformed() {
    let request =
        Sent { kind: "", body: br#"{"type":"Issue","action":"create"}"#, key: "k", at_ms: 0 }.signed::<Linear>();
    let result = testing::receive::<Linear>(&request, json!({}), &[("signing_secret", &["k"])]);
    assert_eq!(result.unwrap_err().message(), "the body has no text at `webhookTimestamp`");
}
