//! Discord's pings, of interactions and of webhook events.

use super::*;
use camshaft_sdk::adapter::made_schema;
use camshaft_sdk::testing::{self, Sent, Vendor};
use ed25519_dalek::{Signer, SigningKey};

fn key(text: &str) -> SigningKey {
    SigningKey::from_bytes(&camshaft_sdk::verify::sha256(text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn public(text: &str) -> String {
    hex(key(text).verifying_key().as_bytes())
}

fn deliver(sent: &Sent) -> Request {
    let time = sent.seconds();
    let signature = hex(&key(sent.key).sign(&[time.as_bytes(), sent.body].concat()).to_bytes());
    sent.delivery(&[("X-Signature-Ed25519", &signature), ("X-Signature-Timestamp", &time)])
}

fn receive(body: &str) -> Result<Receipt, Rejection> {
    let request = deliver(&Sent { kind: "", body: body.as_bytes(), key: "k", at_ms: 0 });
    testing::receive::<Discord>(&request, json!({}), &[("signing_secret", &[&public("k")])])
}

#[test]
fn the_schema_says_of_the_key_what_is_no_part_of_the_type() {
    let mut schema = Discord::config_schema();
    schema.as_object_mut().unwrap().remove("x-secrets").expect("there is a secret");
    assert_eq!(schema, made_schema::<NoConfig>());
}

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<Discord>("cases");
}

#[test]
fn every_attack_is_withstood() {
    let proofs = &["X-Signature-Ed25519", "X-Signature-Timestamp"];
    Vendor::new::<Discord>().delivered_by(deliver).secret_of(public).proofs(proofs).tolerance(300).withstands();
}

#[test]
fn what_discords_own_library_takes_is_taken() {
    testing::adapter_table::<Discord>(testing::VENDORS);
}

#[test]
fn pings_are_answered_and_start_nothing() {
    let interaction = receive(r#"{"type":1,"id":"787053080478613555"}"#).unwrap();
    assert_eq!(interaction, Response::json(200, &json!({ "type": 1 })).into());
    let event = receive(r#"{"version":1,"application_id":"1234","type":0}"#).unwrap();
    assert_eq!((event.events.len(), event.respond.unwrap().status), (0, 204));
}

#[test]
fn an_interaction_of_a_type_to_come_is_named_by_its_number() {
    assert_eq!(receive(r#"{"type":5}"#).unwrap().events[0].kind, "modal_submit");
    assert_eq!(receive(r#"{"type":6}"#).unwrap().events[0].kind, "interaction_6");
}
