//! Intercom's ping, and its look at the URL.

use super::*;
use camshaft_sdk::testing::{self, Sent, Vendor};

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<Intercom>("cases");
}

#[test]
fn every_attack_is_withstood() {
    Vendor::new::<Intercom>().proofs(&["X-Hub-Signature"]).withstands();
}

#[test]
fn a_ping_and_a_look_at_the_url_are_answered_and_start_nothing() {
    let body = br#"{"type":"notification_event","topic":"ping","data":{"item":{"type":"ping"}}}"#;
    let ping = Sent { kind: "", body, key: "k", at_ms: 0 }.signed::<Intercom>();
    let look = Request { method: "HEAD".into(), ..testing::delivery(&[], "", 0) };
    for request in [ping, look] {
        let receipt = testing::receive::<Intercom>(&request, json!({}), &[("signing_secret", &["k"])]).unwrap();
        assert_eq!((receipt.events.len(), receipt.respond.unwrap().status), (0, 200));
    }
}
