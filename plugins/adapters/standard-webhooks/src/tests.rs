//! The specification's own vectors, keys that change, and deliveries that are not what they should be.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use camshaft_sdk::adapter::made_schema;
use camshaft_sdk::testing::{self, Sent, Vendor};
use camshaft_sdk::verify::Algorithm;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Published with the reference libraries.
const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const ID: &str = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
const SENT: u64 = 1_649_367_553;
const BODY: &str = r#"{"email":"test@example.com","username":"test_user"}"#;
const SIGNATURE: &str = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
const OTHER: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn delivery(family: &str, id: &str, timestamp: &str, signature: &str, body: &[u8]) -> Request {
    let names = [format!("{family}-id"), format!("{family}-timestamp"), format!("{family}-signature")];
    let headers = [(names[0].as_str(), id), (names[1].as_str(), timestamp), (names[2].as_str(), signature)];
    testing::delivery(&headers, body, SENT * 1000)
}

fn published() -> Request {
    delivery("webhook", ID, &SENT.to_string(), SIGNATURE, BODY.as_bytes())
}

fn receive(request: &Request, secrets: &[&str]) -> Result<Receipt, Rejection> {
    testing::receive::<StandardWebhooks>(request, json!({}), &[("signing_secret", secrets)])
}

fn sign(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> String {
    let key = STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap();
    let mac = verify::hmac_of(Algorithm::Sha256, &key, &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body]);
    format!("v1,{}", STANDARD.encode(mac))
}

fn unauthorized(result: Result<Receipt, Rejection>) -> bool {
    matches!(result, Err(Rejection::Unauthorized(_)))
}

#[test]
fn what_the_specifications_own_libraries_sign_is_taken() {
    testing::adapter_table::<StandardWebhooks>(testing::VENDORS);
}

#[test]
fn every_attack_is_withstood() {
    let vendor = || Vendor::new::<StandardWebhooks>().keys(SECRET, OTHER).tolerance(300);
    vendor().proofs(&["webhook-id", "webhook-timestamp", "webhook-signature"]).withstands();
    vendor().delivered_by(by_svix).proofs(&["svix-id", "svix-timestamp", "svix-signature"]).withstands();
}

/// Under Svix's names of the headers.
fn by_svix(sent: &Sent) -> Request {
    let mut signed = sent.signed::<StandardWebhooks>();
    signed.headers.iter_mut().for_each(|(name, _)| *name = name.replace("webhook-", "svix-"));
    signed
}

#[test]
fn the_schema_says_of_the_key_what_is_no_part_of_the_type() {
    let mut schema = StandardWebhooks::config_schema();
    schema.as_object_mut().unwrap().remove("x-secrets").expect("there is a secret");
    assert_eq!(schema, made_schema::<NoConfig>());
}

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<StandardWebhooks>("cases");
}

#[test]
fn the_published_vector_is_taken() {
    let receipt = receive(&published(), &[SECRET]).unwrap();
    assert_eq!(receipt.events, [Event { id: Some(ID.into()), kind: "event".into(), ..Event::default() }]);
}

#[test]
fn svix_headers_do_too_and_a_mixture_does_not() {
    let svix = delivery("svix", ID, &SENT.to_string(), SIGNATURE, BODY.as_bytes());
    assert!(receive(&svix, &[SECRET]).is_ok());
    let mut mixed = published();
    mixed.headers[0].0 = "svix-id".into();
    assert_eq!(receive(&mixed, &[SECRET]).unwrap_err().message(), "the header `webhook-id` is missing");
}

#[test]
fn the_type_of_the_body_is_the_type_of_the_event() {
    let body = br#"{"type":"invoice.paid","data":{}}"#;
    let timestamp = SENT.to_string();
    let request = delivery("webhook", "msg_1", &timestamp, &sign(SECRET, "msg_1", &timestamp, body), body);
    assert_eq!(receive(&request, &[SECRET]).unwrap().events[0].kind, "invoice.paid");
}

#[test]
fn keys_and_signatures_change_one_after_the_other() {
    assert!(receive(&published(), &[OTHER, SECRET]).is_ok());
    assert!(unauthorized(receive(&published(), &[OTHER])));
    let both = format!("{} {SIGNATURE}", sign(OTHER, ID, &SENT.to_string(), BODY.as_bytes()));
    let request = delivery("webhook", ID, &SENT.to_string(), &both, BODY.as_bytes());
    assert!(receive(&request, &[SECRET]).is_ok());
    assert!(receive(&request, &[OTHER]).is_ok());
}

#[test]
fn an_asymmetric_signature_is_checked_with_the_public_key() {
    // RFC 8032's key of test 1, as the specification's libraries sign with it.
    let (public, signature) = asymmetric(ID, &SENT.to_string(), BODY.as_bytes());
    let request = delivery("webhook", ID, &SENT.to_string(), &format!("v1a,{signature}"), BODY.as_bytes());
    assert!(receive(&request, &[SECRET, &public]).is_ok());
    assert!(unauthorized(receive(&request, &[SECRET])));
    let tampered = Request { body: b"{}".to_vec(), ..request };
    assert!(unauthorized(receive(&tampered, &[&public])));
}

fn asymmetric(id: &str, timestamp: &str, body: &[u8]) -> (String, String) {
    use ed25519_dalek::{Signer, SigningKey};
    let key = SigningKey::from_bytes(&[7; 32]);
    let signature = key.sign(&[id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat());
    (format!("whpk_{}", STANDARD.encode(key.verifying_key().to_bytes())), STANDARD.encode(signature.to_bytes()))
}

#[test]
fn a_signature_of_one_kind_is_none_of_the_other() {
    let as_v1a = SIGNATURE.replace("v1,", "v1a,");
    for signature in [
        as_v1a.as_str(),
        "v2,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        "v1",
        "v1,",
        "v1,!",
        "tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
    ] {
        let request = delivery("webhook", ID, &SENT.to_string(), signature, BODY.as_bytes());
        assert!(unauthorized(receive(&request, &[SECRET])), "{signature}");
    }
}

#[test]
fn a_timestamp_that_is_none_is_unauthorized() {
    for timestamp in ["", "soon", "-1", "1649367553.5", "99999999999999999999999"] {
        let request =
            delivery("webhook", ID, timestamp, &sign(SECRET, ID, timestamp, BODY.as_bytes()), BODY.as_bytes());
        assert!(unauthorized(receive(&request, &[SECRET])), "{timestamp}");
    }
}

#[test]
fn without_a_usable_secret_nothing_is_taken() {
    assert!(unauthorized(receive(&published(), &[])));
    assert!(unauthorized(receive(&published(), &["whsec_"])));
    for broken in ["whsec_s3cret!", "whpk_s3cret"] {
        let result = receive(&published(), &[broken]);
        assert!(!result.as_ref().unwrap_err().message().contains("s3cret"), "a message never shows a secret");
        assert!(unauthorized(result));
    }
}

#[test]
fn a_body_that_is_not_utf_8_or_no_object_is_malformed_when_signed() {
    let timestamp = SENT.to_string();
    for body in [&b"{\"type\":\"\xff\"}"[..], b"[]", b"", b"null"] {
        let request = delivery("webhook", ID, &timestamp, &sign(SECRET, ID, &timestamp, body), body);
        assert!(matches!(receive(&request, &[SECRET]), Err(Rejection::Malformed(_))), "{body:?}");
    }
}

/// Bodies that are the specification's, or anything.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let bodies = &["{}", "{\"type\":\"a.b\"}", "{\"type\":7}", "{\"type\":null,\"data\":[]}", "[]", "\"type\"", ""];
    prop_oneof![select(bodies).prop_map(|body| body.as_bytes().to_vec()), vec(any::<u8>(), 0..64)]
}

/// Signatures that somebody made up, several of them in one header.
fn signatures() -> impl Strategy<Value = String> {
    let encoded = prop_oneof![vec(any::<u8>(), 32), vec(any::<u8>(), 64), vec(any::<u8>(), 0..8)];
    let signature = (select(&["v1,", "v1a,", "v2,", "", ","]), encoded)
        .prop_map(|(version, bytes)| format!("{version}{}", STANDARD.encode(bytes)));
    vec(signature, 0..20).prop_map(|signatures| signatures.join(" "))
}

/// A header more, of those that the adapter reads.
fn extra_header() -> impl Strategy<Value = (String, Vec<u8>)> {
    let names = &["Webhook-Id", "webhook-timestamp", "svix-id", "svix-timestamp", "svix-signature", "x-other"];
    (select(names).prop_map(str::to_owned), vec(any::<u8>(), 0..16))
}

proptest! {
    #[test]
    fn what_a_vendor_signed_is_verified_and_nothing_under_the_signature_may_change(
        id in "[!-~]{1,16}",
        sent in SENT - 300..=SENT + 300,
        body in bodies(),
        asymmetric_too in any::<bool>(),
        at in any::<Index>(),
        flip in 1..=255_u8,
    ) {
        let timestamp = sent.to_string();
        let (public, signature) = asymmetric(&id, &timestamp, &body);
        let (keys, signature) = match asymmetric_too {
            true => (vec![OTHER, &public], format!("v1,AAAA v1a,{signature}")),
            false => (vec![OTHER, SECRET], sign(SECRET, &id, &timestamp, &body)),
        };
        let signed = |id: &str, timestamp: &str, body: &[u8]| {
            receive(&delivery("webhook", id, timestamp, &signature, body), &keys)
        };
        prop_assert!(!unauthorized(signed(&id, &timestamp, &body)));
        let mut changed = body.clone();
        match changed.as_mut_slice() {
            [] => changed.push(flip),
            body => body[at.index(body.len())] ^= flip,
        }
        prop_assert!(unauthorized(signed(&id, &timestamp, &changed)));
        let (other, later) = (format!("{id}0"), (sent + 1).to_string());
        prop_assert!(unauthorized(signed(&other, &timestamp, &body)));
        prop_assert!(unauthorized(signed(&id, &later, &body)));
        prop_assert!(unauthorized(receive(&delivery("webhook", &id, &timestamp, &signature, &body), &[OTHER])));
    }

    #[test]
    fn what_nobody_signed_is_never_taken(
        method in select(vec!["POST", "POST", "GET", "post"]),
        family in select(vec!["webhook", "svix"]),
        timestamp in prop_oneof![(SENT - 400..SENT + 400).prop_map(|sent| sent.to_string()), ".{0,12}"],
        signatures in signatures(),
        extra in proptest::option::of(extra_header()),
        body in bodies(),
    ) {
        let mut request = delivery(family, ID, &timestamp, &signatures, &body);
        request.method = method.to_owned();
        request.headers.extend(extra);
        let (public, _) = asymmetric(ID, &timestamp, &body);
        let rejection = receive(&request, &[SECRET, &public]).unwrap_err();
        prop_assert!(!rejection.message().contains(&SECRET[6..]));
    }

    #[test]
    fn with_another_secret_nothing_is_taken(secret in "(whsec_)?([A-Za-z0-9+/]{4}){0,12}|(whsec_|whpk_)?[ -~]{0,48}") {
        prop_assert!(unauthorized(receive(&published(), &[&secret])));
    }
}
