//! PagerDuty's list of signatures, and its ping.

use super::*;
use camshaft_sdk::testing::{self, Sent, Vendor};

fn receive(request: &Request) -> Result<Receipt, Rejection> {
    testing::receive::<PagerDuty>(request, json!({}), &[("signing_secret", &["k"])])
}

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<PagerDuty>("cases");
}

#[test]
fn every_attack_is_withstood() {
    Vendor::new::<PagerDuty>().proofs(&["X-PagerDuty-Signature"]).withstands();
}

#[test]
fn any_signature_of_the_list_may_fit() {
    let mut request =
        Sent { kind: "", body: br#"{"event":{"event_type":"a.b"}}"#, key: "k", at_ms: 0 }.signed::<PagerDuty>();
    let (_, value) = &mut request.headers[0];
    *value = [format!("v1={},", "0".repeat(64)).as_bytes(), value].concat();
    assert_eq!(receive(&request).unwrap().events[0].kind, "a.b");
}

#[test]
fn a_ping_is_answered_and_starts_nothing() {
    let body = br#"{"event":{"id":"1","event_type":"pagey.ping","data":{"message":"Hello","type":"ping"}}}"#;
    let receipt = receive(&Sent { kind: "", body, key: "k", at_ms: 0 }.signed::<PagerDuty>()).unwrap();
    assert_eq!((receipt.events.len(), receipt.respond.unwrap().status), (0, 200));
}
