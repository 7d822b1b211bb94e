//! Zendesk's deliveries with and without a body.

use super::*;
use camshaft_sdk::testing::{self, Sent, Vendor};

/// The attacks send everything at this time.
const TIME: &str = "2026-01-01T00:00:00Z";

fn receive(request: &Request) -> Result<Receipt, Rejection> {
    testing::receive::<Zendesk>(request, json!({}), &[("signing_secret", &["k"])])
}

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<Zendesk>("cases");
}

#[test]
fn every_attack_is_withstood() {
    let proofs = &["X-Zendesk-Webhook-Signature", "X-Zendesk-Webhook-Signature-Timestamp"];
    Vendor::new::<Zendesk>().proofs(proofs).tolerance(300).any_method().withstands();
}

#[test]
fn a_delivery_without_a_body_or_with_another_than_json_is_an_event_too() {
    let at_ms = adapter::rfc3339(TIME).unwrap();
    let expected: Receipt = Event { id: Some(Sent::ID.into()), ..Event::new("webhook") }.into();
    let mut empty = Sent { kind: "", body: b"", key: "k", at_ms }.signed::<Zendesk>();
    empty.method = "GET".into();
    assert_eq!(receive(&empty).as_ref(), Ok(&expected));
    let mut form = Sent { kind: "", body: b"id=7&\xff", key: "k", at_ms }.signed::<Zendesk>();
    form.headers.retain(|(name, _)| name != "Content-Type");
    assert_eq!(receive(&form).as_ref(), Ok(&expected));
    let own = Sent { kind: "", body: br#"{"id":7}"#, key: "k", at_ms }.signed::<Zendesk>();
    assert_eq!(receive(&own).as_ref(), Ok(&expected), "the id of a ticket is none of a delivery");
}
