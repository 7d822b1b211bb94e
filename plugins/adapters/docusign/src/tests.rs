//! DocuSign's numbered signatures.

use super::*;
use camshaft_sdk::testing::{self, Sent, Vendor};

fn deliver(sent: &Sent) -> Request {
    sent.delivery(&[("X-DocuSign-Signature-1", &sent.base64(Algorithm::Sha256, &[sent.body]))])
}

fn receive(request: &Request) -> Result<Receipt, Rejection> {
    testing::receive::<DocuSign>(request, json!({}), &[("signing_secret", &["k"])])
}

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<DocuSign>("cases");
}

#[test]
fn every_attack_is_withstood() {
    Vendor::new::<DocuSign>(deliver).proofs(&["X-DocuSign-Signature-1"]).withstands();
}

#[test]
fn any_of_the_numbered_signatures_may_fit() {
    let mut request = deliver(&Sent { kind: "", body: br#"{"event":"envelope-sent"}"#, key: "k", at_ms: 0 });
    let right = std::mem::replace(&mut request.headers[0].1, b"AAAA".to_vec());
    assert!(matches!(receive(&request), Err(Rejection::Unauthorized(_))));
    request.headers.push(("X-DocuSign-Signature-2".into(), right));
    assert!(receive(&request).is_ok());
    request.headers.remove(0);
    assert!(matches!(receive(&request), Err(Rejection::Unauthorized(_))), "the first is always there");
}

#[test]
fn events_of_one_envelope_are_told_apart() {
    let id = |event: &str| {
        let body = json!({ "event": event, "generatedDateTime": "2026-01-01T00:00:00.0000000Z", "data": { "envelopeId": "e" } });
        let request = deliver(&Sent { kind: "", body: body.to_string().as_bytes(), key: "k", at_ms: 0 });
        receive(&request).unwrap().events.remove(0).id.unwrap()
    };
    assert_eq!(id("envelope-sent"), "envelope-sent/e/2026-01-01T00:00:00.0000000Z");
    assert_ne!(id("envelope-sent"), id("envelope-completed"));
}
