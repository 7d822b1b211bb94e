//! HubSpot's signatures, each only where it is asked for.

use super::*;
use camshaft_sdk::testing::{self, Sent, Vendor};
use camshaft_sdk::verify::{Algorithm, Encoding, sha256};

const URL: &str = "https://camshaft.example/hooks/test";

fn v3(sent: &Sent) -> Request {
    let time = sent.at_ms.to_string();
    let signature = sent.base64(Algorithm::Sha256, &[b"POST", URL.as_bytes(), sent.body, time.as_bytes()]);
    sent.delivery(&[("X-HubSpot-Signature-v3", &signature), ("X-HubSpot-Request-Timestamp", &time)])
}

fn hashed(sent: &Sent, parts: &[&[u8]]) -> Request {
    let hash = Encoding::Hex.encode(&sha256(&[&[sent.key.as_bytes()], parts].concat().concat()));
    sent.delivery(&[("X-HubSpot-Signature", &hash)])
}

fn v1(sent: &Sent) -> Request {
    hashed(sent, &[sent.body])
}

fn v2(sent: &Sent) -> Request {
    hashed(sent, &[b"POST", URL.as_bytes(), sent.body])
}

fn receive(request: &Request, version: &str) -> Result<Receipt, Rejection> {
    testing::receive::<HubSpot>(request, json!({ "signature": version }), &[("signing_secret", &["k"])])
}

#[test]
fn the_schema_that_is_written_out_is_what_would_be_made_of_the_type() {
    let made = adapter::made_schema::<Config>();
    assert_eq!(HubSpot::config_schema(), made, "made: {made:#}");
}

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<HubSpot>("cases");
}

#[test]
fn every_attack_is_withstood() {
    let proofs = &["X-HubSpot-Signature-v3", "X-HubSpot-Request-Timestamp"];
    Vendor::new::<HubSpot>(v3).proofs(proofs).tolerance(300).withstands();
    for (deliver, version) in [(v1 as fn(&Sent) -> Request, "v1"), (v2, "v2")] {
        let vendor = Vendor::new::<HubSpot>(deliver).config(json!({ "signature": version }));
        vendor.proofs(&["X-HubSpot-Signature"]).withstands();
    }
}

#[test]
fn what_hubspots_own_library_signs_is_taken() {
    testing::adapter_table::<HubSpot>(testing::VENDORS);
}

/// HubSpot sends v1 beside v3: who takes v3 away must not get in with the other, however old it is.
#[test]
fn a_signature_of_another_version_does_not_count() {
    let sent = Sent { kind: "", body: b"[]", key: "k", at_ms: 0 };
    for (version, request) in [("v1", v1(&sent)), ("v2", v2(&sent)), ("v3", v3(&sent))] {
        for configured in ["v1", "v2", "v3"] {
            assert_eq!(receive(&request, configured).is_ok(), version == configured, "{version} for {configured}");
        }
    }
}

#[test]
fn each_change_of_a_batch_is_an_event() {
    let body = br#"[{"eventId":1,"subscriptionType":"contact.creation","objectId":5},{"eventId":2},7]"#;
    let events = receive(&v3(&Sent { kind: "", body, key: "k", at_ms: 0 }), "v3").unwrap().events;
    let told: Vec<_> = events.iter().map(|event| (event.id.as_deref(), event.kind.as_str())).collect();
    assert_eq!(told, [(Some("1"), "contact.creation"), (Some("2"), "webhook"), (None, "webhook")]);
    assert_eq!(events[1].body, Some(json!({ "eventId": 2 })));
}

#[test]
fn characters_of_the_url_are_signed_as_themselves() {
    let sent = Sent { kind: "", body: b"[]", key: "k", at_ms: 0 };
    let signature = sent.base64(Algorithm::Sha256, &[b"POST", b"https://h.example/a?b=c:d", b"[]", b"0"]);
    let headers = [("X-HubSpot-Signature-v3", signature.as_str()), ("X-HubSpot-Request-Timestamp", "0")];
    let request = Request { public_url: "https://h.example/a?b=c%3ad".into(), ..sent.delivery(&headers) };
    assert!(receive(&request, "v3").is_ok());
}
