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
    let vendor = || Vendor::new::<Twilio>().proofs(&["X-Twilio-Signature"]).any_method();
    vendor().withstands();
    vendor().by("com.twilio.messaging.message.delivered").withstands();
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
fn a_body_with_its_hash_in_the_url_is_never_read_as_a_form() {
    let sent = Sent { kind: "a.b", body: br#"{"type":"a.b"}"#, key: AUTH_TOKEN, at_ms: 0 };
    let signed = sent.signed::<Twilio>();
    assert_eq!(receive(&signed).unwrap().events[0].kind, "a.b");
    for media_type in ["application/json", "application/x-www-form-urlencoded"] {
        let delivery = signed.clone().with_header("Content-Type", media_type);
        assert_eq!(receive(&delivery).unwrap().events[0].kind, "a.b", "nobody signs the type");
        for body in ["", "&&&", "&", "=", "CallSid=CA1"] {
            // The URL that is signed counts, and no other query.
            for query in [signed.query.clone(), String::new()] {
                let result = receive(&Request { body: body.into(), query, ..delivery.clone() });
                assert!(matches!(result, Err(Rejection::Unauthorized(_))), "{media_type}, {body:?}: {result:?}");
            }
        }
    }
}

#[test]
fn the_hash_that_a_shared_key_signs_with_is_the_one_of_the_settings() {
    let sent = Sent { kind: "", body: b"CallSid=CA1", key: AUTH_TOKEN, at_ms: 0 };
    let parts: &[&[u8]] = &[b"https://camshaft.example/hooks/test", b"CallSid", b"CA1"];
    let deliver = |algorithm: Algorithm, settings: &str| {
        let signature = match algorithm {
            Algorithm::Sha1 => sent.base64(Algorithm::Sha1, parts),
            _ => sent.base64(Algorithm::Sha256, parts),
        };
        receive(&sent.delivery(&[
            ("X-Twilio-Signature", &signature),
            ("X-Twilio-Webhooks-Signature-Settings", settings),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ]))
    };
    for (algorithm, settings) in [
        (Algorithm::Sha256, "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"),
        (Algorithm::Sha256, "algorithm = hmac_sha256 , key=1"),
        (Algorithm::Sha1, "algorithm=HMAC_SHA1"),
        (Algorithm::Sha1, "key=1"),
        (Algorithm::Sha1, ""),
    ] {
        assert!(deliver(algorithm, settings).is_ok(), "{settings}");
        let other = if algorithm == Algorithm::Sha1 { Algorithm::Sha256 } else { Algorithm::Sha1 };
        assert!(matches!(deliver(other, settings), Err(Rejection::Unauthorized(_))), "{settings}");
    }
    assert!(matches!(deliver(Algorithm::Sha1, "algorithm=NONE"), Err(Rejection::Unsupported(_))));
}

#[test]
fn a_status_of_a_call_that_is_told_again_is_the_same_delivery_and_what_a_call_asks_for_is_not() {
    let id = |form: &str| {
        let mut fields = Request::form_fields(form.as_bytes());
        fields.sort();
        let url = b"https://camshaft.example/hooks/test";
        let mut parts = vec![&url[..]];
        parts.extend(fields.iter().flat_map(|(name, value)| [name.as_slice(), value.as_slice()]));
        let sent = Sent { kind: "", body: form.as_bytes(), key: AUTH_TOKEN, at_ms: 0 };
        let signature = sent.base64(Algorithm::Sha1, &parts);
        let form = [("X-Twilio-Signature", &*signature), ("Content-Type", "application/x-www-form-urlencoded")];
        receive(&sent.delivery(&form)).unwrap().events.remove(0).id
    };
    let told = id("CallSid=CA1&CallStatus=completed&CallbackSource=call-progress-events&SequenceNumber=3");
    assert_eq!(told.as_deref(), Some("CA1.completed"));
    for asked in ["Digits=1", "SequenceNumber=1&UnstableSpeechResult=hello"] {
        assert_eq!(id(&format!("CallSid=CA1&CallStatus=in-progress&{asked}")), None);
    }
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
