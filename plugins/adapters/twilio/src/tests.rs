//! Twilio's own vector, its ports, and bodies that are no form.

use super::*;
use camshaft_sdk::testing::{self, Sent, Vendor};
use camshaft_sdk::verify::Algorithm;

/// Published by Twilio with its documentation.
const AUTH_TOKEN: &str = "12345";
const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
const FORM: &str = "Digits=1234&To=%2B18005551212&From=%2B14158675309&Caller=%2B14158675309&CallSid=CA1234567890ABCDE";
const SIGNATURE: &str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";

fn published() -> Request {
    let headers =
        [("X-Twilio-Signature", SIGNATURE), ("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")];
    Request { public_url: URL.to_owned(), query: "foo=1&bar=2".to_owned(), ..testing::delivery(&headers, FORM, 0) }
}

fn receive(request: &Request) -> Result<Receipt, Rejection> {
    testing::receive::<Twilio>(request, json!({}), &[("signing_secret", &[AUTH_TOKEN])])
}

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<Twilio>("cases");
}

#[test]
fn every_attack_is_withstood() {
    Vendor::new::<Twilio>().proofs(&["X-Twilio-Signature"]).any_method().withstands();
}

#[test]
fn what_twilios_own_library_signs_is_taken() {
    testing::adapter_table::<Twilio>(testing::VENDORS);
}

#[test]
fn the_published_signature_is_taken_and_that_of_another_url_is_not() {
    let expected = Event { subject: Some("CA1234567890ABCDE".into()), ..Event::new("call") };
    assert_eq!(receive(&published()), Ok(expected.into()));
    for url in ["https://mycompany.com/myapp.php?foo=1&bar=3", "http://mycompany.com/myapp.php?foo=1&bar=2", "x", ""] {
        let result = receive(&Request { public_url: url.to_owned(), ..published() });
        assert!(matches!(result, Err(Rejection::Unauthorized(_))), "{url}: {result:?}");
    }
}

#[test]
fn the_port_of_the_scheme_may_be_signed_or_not() {
    let with_port = URL.replace(".com/", ".com:443/");
    assert!(receive(&Request { public_url: with_port.clone(), ..published() }).is_ok());
    let sent = Sent { kind: "", body: b"", key: AUTH_TOKEN, at_ms: 0 };
    let signature = sent.base64(Algorithm::Sha1, &[with_port.as_bytes()]);
    let request = Request { public_url: URL.to_owned(), ..sent.delivery(&[("X-Twilio-Signature", &signature)]) };
    assert!(receive(&request).is_ok());
}

#[test]
fn a_json_body_has_to_be_the_one_of_the_hash_in_the_url() {
    let sent = Sent { kind: "", body: br#"{"type":"a.b"}"#, key: AUTH_TOKEN, at_ms: 0 };
    let url = "https://camshaft.example/hooks/test";
    let signature = sent.base64(Algorithm::Sha1, &[url.as_bytes()]);
    let without_hash = sent.delivery(&[("X-Twilio-Signature", &signature), ("Content-Type", "application/json")]);
    assert!(matches!(receive(&without_hash), Err(Rejection::Unauthorized(_))));
}

#[test]
fn each_status_of_a_message_is_an_event_of_its_own() {
    let sent =
        Sent { kind: "message", body: br#"{"MessageSid":"SM1","MessageStatus":"sent"}"#, key: AUTH_TOKEN, at_ms: 0 };
    let mut request = sent.signed::<Twilio>();
    assert_eq!(receive(&request).unwrap().events[0].id.as_deref(), Some(Sent::ID));
    request.headers.retain(|(name, _)| name != TOKEN);
    assert_eq!(receive(&request).unwrap().events[0].id.as_deref(), Some("SM1.sent"));
}
