//! Square's signature, which covers the URL.

use super::*;
use camshaft_sdk::testing::{self, Sent, Vendor};

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<Square>("cases");
}

#[test]
fn every_attack_is_withstood() {
    Vendor::new::<Square>().proofs(&["x-square-hmacsha256-signature"]).withstands();
}

#[test]
fn what_squares_own_library_takes_is_taken() {
    testing::adapter_table::<Square>(testing::VENDORS);
}

#[test]
fn the_signature_of_another_url_does_not_count() {
    let sent = Sent { kind: "", body: br#"{"type":"payment.updated"}"#, key: "k", at_ms: 0 };
    let request = Request { public_url: "https://camshaft.example/hooks/other".into(), ..sent.signed::<Square>() };
    let result = testing::receive::<Square>(&request, json!({}), &[("signing_secret", &["k"])]);
    assert!(matches!(result, Err(Rejection::Unauthorized(_))), "{result:?}");
}
