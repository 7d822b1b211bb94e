//! DocuSign's numbered signatures.

use super::*;
use camshaft_sdk::testing::{self, Sent, Vendor};

fn receive(request: &Request) -> Result<Receipt, Rejection> {
    testing::receive::<DocuSign>(request, json!({}), &[("signing_secret", &["k"])])
}

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<DocuSign>("cases");
}

#[test]
fn every_attack_is_withstood() {
    Vendor::new::<DocuSign>().proofs(&["X-DocuSign-Signature-1"]).withstands();
    Vendor::new::<DocuSign>().delivered_by(by_the_second_key).proofs(&["X-DocuSign-Signature-2"]).withstands();
}

/// The account has a key before ours.
fn by_the_second_key(sent: &Sent) -> Request {
    let signed = sent.signed::<DocuSign>();
    let right = signed.header("X-DocuSign-Signature-1").unwrap().unwrap().to_owned();
    let first = Sent { key: "of-somebody-else", ..*sent }.signed::<DocuSign>();
    let first = first.header("X-DocuSign-Signature-1").unwrap().unwrap().to_owned();
    signed.with_header("X-DocuSign-Signature-1", &first).with_header("X-DocuSign-Signature-2", &right)
}

#[test]
fn any_of_the_numbered_signatures_may_fit() {
    let signed = Sent { kind: "", body: br#"{"event":"envelope-sent"}"#, key: "k", at_ms: 0 }.signed::<DocuSign>();
    let right = signed.header("X-DocuSign-Signature-1").unwrap().unwrap().to_owned();
    let mut request = signed.with_header("X-DocuSign-Signature-1", "AAAA");
    assert!(matches!(receive(&request), Err(Rejection::Unauthorized(_))));
    request = request.with_header("X-DocuSign-Signature-2", &right);
    assert!(receive(&request).is_ok());
    request.headers.retain(|(name, _)| name != "X-DocuSign-Signature-1");
    assert!(matches!(receive(&request), Err(Rejection::Unauthorized(_))), "the first is always there");
}

#[test]
fn events_of_one_envelope_are_told_apart() {
    let id = |event: &str| {
        let body = json!({ "event": event, "generatedDateTime": "2026-01-01T00:00:00.0000000Z", "data": { "envelopeId": "e" } });
        let request = Sent { kind: "", body: body.to_string().as_bytes(), key: "k", at_ms: 0 }.signed::<DocuSign>();
        receive(&request).unwrap().events.remove(0).id.unwrap()
    };
    assert_eq!(id("envelope-sent"), "envelope-sent/d-1/2026-01-01T00:00:00.0000000Z");
    assert_ne!(id("envelope-sent"), id("envelope-completed"));
}
