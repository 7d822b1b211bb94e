//! Okta's verification of the URL, and its batches.

use super::*;
use camshaft_sdk::testing::{self, Vendor};

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<Okta>("cases");
}

#[test]
fn every_attack_is_withstood() {
    Vendor::new::<Okta>().token("header_value").proofs(&["Authorization"]).withstands();
}

#[test]
fn the_challenge_is_given_back_and_starts_nothing() {
    let headers = [("X-Okta-Verification-Challenge", "a1b2\"c3")];
    let request = Request { method: "GET".into(), ..testing::delivery(&headers, "", 0) };
    let receipt = testing::receive::<Okta>(&request, json!({}), &[]).unwrap();
    assert_eq!(receipt, Response::json(200, &json!({ "verification": "a1b2\"c3" })).into());
}

#[test]
fn each_entry_of_the_log_is_an_event() {
    let body = br#"{"data":{"events":[{"uuid":"1","eventType":"a.b"},{"uuid":"2","eventType":"c.d"}]}}"#;
    let request = testing::delivery(&[("Authorization", "k")], body, 0);
    let receipt = testing::receive::<Okta>(&request, json!({}), &[("header_value", &["k"])]).unwrap();
    let told: Vec<_> = receipt.events.iter().map(|event| (event.id.as_deref().unwrap(), event.kind.as_str())).collect();
    assert_eq!(told, [("1", "a.b"), ("2", "c.d")]);
}
