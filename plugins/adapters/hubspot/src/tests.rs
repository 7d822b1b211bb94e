//! HubSpot's signatures, each only where it is asked for.

use super::*;
use camshaft_sdk::testing::{self, Sent, Vendor};
use camshaft_sdk::verify::Algorithm;

fn signed(sent: &Sent, version: &str) -> Request {
    sent.signed_for::<HubSpot>(json!({ "signature": version }), "signing_secret")
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
    Vendor::new::<HubSpot>().proofs(proofs).tolerance(300).withstands();
    for version in ["v1", "v2"] {
        let vendor = Vendor::new::<HubSpot>().config(json!({ "signature": version }));
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
    for version in ["v1", "v2", "v3"] {
        let request = signed(&sent, version);
        for configured in ["v1", "v2", "v3"] {
            assert_eq!(receive(&request, configured).is_ok(), version == configured, "{version} for {configured}");
        }
    }
}

#[test]
fn each_change_of_a_batch_is_an_event() {
    let body = br#"[{"eventId":1,"subscriptionType":"contact.creation","objectId":5},{"eventId":2},7]"#;
    let events = receive(&signed(&Sent { kind: "", body, key: "k", at_ms: 0 }, "v3"), "v3").unwrap().events;
    let first = Sample { id: Sent::ID.to_owned(), ..Sample::default() }.number();
    let ids = [first, first + 1].map(|id| id.to_string());
    let told: Vec<_> = events.iter().map(|event| (event.id.as_ref(), event.kind.as_str())).collect();
    assert_eq!(told, [(Some(&ids[0]), "contact.creation"), (Some(&ids[1]), "webhook"), (None, "webhook")]);
    assert_eq!(events[1].body, Some(json!({ "eventId": first + 1 })));
}

#[test]
fn characters_of_the_url_are_signed_as_themselves() {
    let sent = Sent { kind: "", body: b"[]", key: "k", at_ms: 0 };
    let signature = sent.base64(Algorithm::Sha256, &[b"POST", b"https://h.example/a?b=c:d", b"[]", b"0"]);
    let headers = [("X-HubSpot-Signature-v3", signature.as_str()), ("X-HubSpot-Request-Timestamp", "0")];
    let request = Request { public_url: "https://h.example/a?b=c%3ad".into(), ..sent.delivery(&headers) };
    assert!(receive(&request, "v3").is_ok());
}
