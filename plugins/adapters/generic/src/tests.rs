//! Every way to verify, and every way to fail at it.

use super::*;
use camshaft_sdk::testing::{self, Host, Vendor};
use camshaft_sdk::verify::Algorithm;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const NOW_MS: u64 = 1_700_000_000_000;
const KEY: &str = "s3cret";

fn receive(request: &Request, config: Value, secrets: &[(&str, &[&str])]) -> Result<Receipt, Rejection> {
    testing::receive::<Generic>(request, config, secrets)
}

fn unauthorized(result: Result<Receipt, Rejection>) -> bool {
    matches!(result, Err(Rejection::Unauthorized(_)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_schema_that_is_written_out_is_what_would_be_made_of_the_type() {
    let made = adapter::made_schema::<Config>();
    assert_eq!(Generic::config_schema(), made, "made: {made:#}");
}

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<Generic>("cases");
}

#[test]
fn every_attack_is_withstood() {
    let signed =
        json!({ "signature": { "header": "x-sig", "signed": "{{timestamp}}.{{body}}", "timestamp_header": "x-time" } });
    Vendor::new::<Generic>().config(signed).proofs(&["x-sig", "x-time"]).tolerance(300).any_method().withstands();
    let token = Vendor::new::<Generic>().config(json!({ "auth": { "header": "x-token" } })).token("header_value");
    token.proofs(&["x-token"]).any_method().withstands();
}

#[test]
fn an_empty_configuration_takes_everything_and_says_so_loudly() {
    let host = Host::new();
    let request = Request { method: "PUT".into(), ..testing::delivery(&[], b"\xff\xfe".to_vec(), NOW_MS) };
    let receipt = host.run(|| receive(&request, json!({}), &[])).unwrap();
    assert_eq!(receipt, Event::new("webhook").into());
    assert!(host.logs()[0].message.contains("not verified"), "{:?}", host.logs());
    assert!(Generic::describe().summary.contains("UNVERIFIED"));
}

#[test]
fn a_header_has_to_have_one_of_the_values() {
    let config = json!({ "auth": { "header": "X-Token" } });
    let with = |value: &str| testing::delivery(&[("x-token", value)], "{}", NOW_MS);
    let secrets: &[(&str, &[&str])] = &[("header_value", &["old", "new"])];
    assert!(receive(&with("old"), config.clone(), secrets).is_ok());
    assert!(receive(&with("new"), config.clone(), secrets).is_ok());
    for wrong in ["", "ol", "older", "old, new"] {
        assert!(unauthorized(receive(&with(wrong), config.clone(), secrets)), "{wrong}");
    }
    assert!(unauthorized(receive(&testing::delivery(&[], "{}", NOW_MS), config.clone(), secrets)));
    let twice = testing::delivery(&[("x-token", "old"), ("X-Token", "wrong")], "{}", NOW_MS);
    assert!(matches!(receive(&twice, config.clone(), secrets), Err(Rejection::Malformed(_))));
    assert!(unauthorized(receive(&with("old"), config, &[])), "no secret is set");
}

#[test]
fn a_verified_delivery_warns_of_nothing() {
    let host = Host::new();
    let request = testing::delivery(&[("x-token", KEY)], "{}", NOW_MS);
    host.run(|| receive(&request, json!({ "auth": { "header": "x-token" } }), &[("header_value", &[KEY])])).unwrap();
    assert!(host.logs().is_empty());
}

#[test]
fn basic_credentials_have_to_be_the_right_ones() {
    let config = json!({ "auth": { "basic": true } });
    let secrets: &[(&str, &[&str])] = &[("basic_credentials", &["ada:pass:word"])];
    let with = |value: &str| testing::delivery(&[("authorization", value)], "{}", NOW_MS);
    assert!(receive(&with("Basic YWRhOnBhc3M6d29yZA=="), config.clone(), secrets).is_ok());
    for wrong in ["Basic YWRhOnBhc3M=", "Bearer YWRhOnBhc3M6d29yZA==", "Basic ???", ""] {
        assert!(unauthorized(receive(&with(wrong), config.clone(), secrets)), "{wrong}");
    }
    let off = json!({ "auth": { "basic": false } });
    assert!(matches!(receive(&with(""), off, secrets), Err(Rejection::Unsupported(_))), "false does not mean open");
}

/// A delivery signed over `timestamp.body`, sent so many seconds before it came.
fn stamped(age: i64, key: &str) -> (Request, Value) {
    let timestamp = (NOW_MS / 1000).checked_add_signed(-age).unwrap().to_string();
    let body = b"{\"n\":\xff}";
    let mac = verify::hmac_of(Algorithm::Sha512, key.as_bytes(), &[timestamp.as_bytes(), b".", body]);
    let signature = format!("v1={}", hex(&mac));
    let request = testing::delivery(&[("x-sig", &signature), ("x-time", &timestamp)], body.to_vec(), NOW_MS);
    let config = json!({ "signature": {
        "header": "x-sig", "algorithm": "sha512", "prefix": "v1=", "signed": "{{timestamp}}.{{body}}",
        "timestamp_header": "x-time", "tolerance": 60,
    } });
    (request, config)
}

#[test]
fn a_signature_over_timestamp_and_body_holds_for_any_key_and_any_bytes() {
    let (request, config) = stamped(0, KEY);
    assert!(receive(&request, config.clone(), &[("signing_secret", &["next", KEY])]).is_ok());
    assert!(unauthorized(receive(&request, config.clone(), &[("signing_secret", &["next"])])));
    assert!(unauthorized(receive(&request, config, &[])));
}

#[test]
fn a_timestamp_in_milliseconds_is_known_as_one() {
    let timestamp = NOW_MS.to_string();
    let mac = verify::hmac_of(Algorithm::Sha256, KEY.as_bytes(), &[timestamp.as_bytes(), b"{}"]);
    let request = testing::delivery(&[("x-sig", &hex(&mac)), ("x-time", &timestamp)], "{}", NOW_MS + 1000);
    let config = json!({ "signature": { "header": "x-sig", "signed": "{{timestamp}}{{body}}", "timestamp_header": "x-time", "tolerance": 1 } });
    assert!(receive(&request, config, &[("signing_secret", &[KEY])]).is_ok());
}

#[test]
fn headers_that_are_missing_doubled_or_no_signature_are_refused() {
    let secrets: &[(&str, &[&str])] = &[("signing_secret", &[KEY])];
    for name in ["x-sig", "x-time"] {
        let (mut request, config) = stamped(0, KEY);
        let header = request.headers.iter().find(|(key, _)| key == name).unwrap().clone();
        request.headers.push(header);
        assert!(matches!(receive(&request, config.clone(), secrets), Err(Rejection::Malformed(_))), "{name}");
        request.headers.retain(|(key, _)| key != name);
        assert!(unauthorized(receive(&request, config.clone(), secrets)), "{name}");
        for value in ["", "v1=", "v1=zz", "soon"] {
            request.headers.retain(|(key, _)| key != name);
            request.headers.push((name.to_owned(), value.into()));
            assert!(unauthorized(receive(&request, config.clone(), secrets)), "{name}: {value}");
        }
    }
}

#[test]
fn a_signature_that_covers_too_little_is_not_usable() {
    let request = testing::delivery(&[("x-sig", "00"), ("x-time", "1700000000")], "{}", NOW_MS);
    for (signed, time) in [
        ("{{timestamp}}", Some("x-time")),
        ("{{body}}", Some("x-time")),
        ("{{timestamp}}.{{body}}", None),
        ("{{bdy}}", None),
        ("{{body", None),
    ] {
        let config = json!({ "signature": { "header": "x-sig", "signed": signed, "timestamp_header": time } });
        let result = receive(&request, config, &[("signing_secret", &[KEY])]);
        assert!(matches!(result, Err(Rejection::Unsupported(_))), "{signed}: {result:?}");
    }
}

#[test]
fn an_ed25519_signature_is_checked_with_the_public_key() {
    use ed25519_dalek::{Signer, SigningKey};
    let key = SigningKey::from_bytes(&[9; 32]);
    let signature = hex(&key.sign(b"POST https://camshaft.example/hooks/test {}").to_bytes());
    let public = hex(&key.verifying_key().to_bytes());
    let request = testing::delivery(&[("x-sig", &signature)], "{}", NOW_MS);
    let config =
        json!({ "signature": { "header": "x-sig", "algorithm": "ed25519", "signed": "{{method}} {{url}} {{body}}" } });
    assert!(receive(&request, config.clone(), &[("signing_secret", &[&public])]).is_ok());
    let other = Request { public_url: "https://elsewhere.example/".into(), ..request.clone() };
    assert!(unauthorized(receive(&other, config.clone(), &[("signing_secret", &[&public])])));
    assert!(unauthorized(receive(&request, config, &[("signing_secret", &[KEY])])), "the secret is no public key");
}

#[test]
fn type_id_and_subject_are_where_the_configuration_says() {
    let request = testing::delivery(&[("X-Id", "d1")], r#"{"event":{"type":"order.paid"},"items":[{"id":7}]}"#, NOW_MS);
    let config =
        json!({ "type": { "body": "event.type" }, "id": { "header": "x-id" }, "subject": { "body": "items.0.id" } });
    let expected =
        Event { id: Some("d1".into()), kind: "order.paid".into(), subject: Some("7".into()), ..Event::default() };
    assert_eq!(receive(&request, config, &[]).unwrap(), expected.into());
    assert_eq!(receive(&request, json!({ "type": { "value": "x" } }), &[]).unwrap().events[0].kind, "x");
    assert_eq!(receive(&request, json!({ "id": { "body": "nothing.here" } }), &[]).unwrap().events[0].id, None);
    let rejection = receive(&request, json!({ "type": { "body": "event" } }), &[]).unwrap_err();
    assert_eq!(rejection.message(), "the type is missing: there is no text at `event` in the body");
    let no_json = testing::delivery(&[], b"\xff".to_vec(), NOW_MS);
    assert!(matches!(receive(&no_json, json!({ "type": { "body": "a" } }), &[]), Err(Rejection::Malformed(_))));
}

#[test]
fn a_key_that_is_misspelt_does_not_open_the_door() {
    let request = testing::delivery(&[], "{}", NOW_MS);
    for config in [
        json!({ "Auth": { "header": "x" } }),
        json!({ "auth": { "headers": "x" } }),
        json!({ "signature": { "headr": "x" } }),
    ] {
        assert!(matches!(receive(&request, config, &[]), Err(Rejection::Unsupported(_))));
    }
}

/// Bodies that hold what a configuration may point at, or anything.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let bodies = &["{\"a\":{\"b\":[\"x\",7,null]}}", "[[\"x\"]]", "\"a\"", "{\"\":1}", "{}", "", "{\"a\":"];
    prop_oneof![select(bodies).prop_map(|body| body.as_bytes().to_vec()), vec(any::<u8>(), 0..64)]
}

/// What an integration may say is signed, most of it usable.
fn templates() -> impl Strategy<Value = String> {
    let pieces =
        &["{{body}}", "{{ timestamp }}", "{{timestamp}}", "{{method}}", "{{url}}", ".", "v0:", "{{", "}}", "{{x}}"];
    vec(select(pieces), 1..6).prop_map(|pieces| pieces.concat())
}

fn headers() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let names = &["x-sig", "X-Sig", "x-time", "x-token", "authorization"];
    let hex = vec(any::<u8>(), 31..34).prop_map(|bytes| hex(&bytes).into_bytes());
    let basic = "Basic [A-Za-z0-9+/=:]{0,16}".prop_map(String::into_bytes);
    let now = Just((NOW_MS / 1000).to_string().into_bytes());
    let values = prop_oneof![hex, basic, now, vec(any::<u8>(), 0..16)];
    vec((select(names).prop_map(str::to_owned), values), 0..6)
}

proptest! {
    #[test]
    fn what_a_vendor_signed_is_verified_and_nothing_under_the_signature_may_change(
        (algorithm, name) in select(vec![(Algorithm::Sha1, "sha1"), (Algorithm::Sha256, "sha256"), (Algorithm::Sha512, "sha512")]),
        sent in NOW_MS / 1000 - 60..=NOW_MS / 1000 + 60,
        body in bodies(),
        at in any::<Index>(),
        flip in 1..=255_u8,
    ) {
        let timestamp = sent.to_string();
        let mac = verify::hmac_of(algorithm, KEY.as_bytes(), &[b"POST.", timestamp.as_bytes(), b".", &body]);
        let signature = format!("v1={}", hex(&mac));
        let config = json!({ "signature": {
            "header": "x-sig", "algorithm": name, "prefix": "v1=", "signed": "{{method}}.{{timestamp}}.{{body}}",
            "timestamp_header": "x-time", "tolerance": 60,
        } });
        let signed = |timestamp: &str, body: &[u8], key: &str| {
            let request = testing::delivery(&[("x-sig", &signature), ("x-time", timestamp)], body, NOW_MS);
            receive(&request, config.clone(), &[("signing_secret", &["next", key])])
        };
        prop_assert!(signed(&timestamp, &body, KEY).is_ok());
        let mut changed = body.clone();
        match changed.as_mut_slice() {
            [] => changed.push(flip),
            body => body[at.index(body.len())] ^= flip,
        }
        prop_assert!(unauthorized(signed(&timestamp, &changed, KEY)));
        prop_assert!(unauthorized(signed(&(sent + 1).to_string(), &body, KEY)));
        prop_assert!(unauthorized(signed(&timestamp, &body, "s3cre")));
    }

    #[test]
    fn what_nobody_signed_is_never_taken_however_it_is_configured(
        algorithm in select(vec!["sha1", "sha256", "sha512", "ed25519"]),
        encoding in select(vec!["hex", "base64"]),
        signed in templates(),
        stamped in any::<bool>(),
        headers in headers(),
        body in bodies(),
    ) {
        let timestamp_header = stamped.then_some("x-time");
        let signature = json!({
            "header": "x-sig", "algorithm": algorithm, "encoding": encoding, "signed": signed,
            "timestamp_header": timestamp_header,
        });
        let request = Request { headers, ..testing::delivery(&[], body, NOW_MS) };
        for config in [
            json!({ "signature": signature }),
            json!({ "auth": { "header": "x-token" } }),
            json!({ "auth": { "basic": true } }),
        ] {
            let secrets: &[(&str, &[&str])] =
                &[("signing_secret", &[KEY]), ("header_value", &[KEY]), ("basic_credentials", &["ada:s3cret"])];
            let rejection = receive(&request, config, secrets).unwrap_err();
            prop_assert!(!rejection.message().contains(KEY));
        }
    }

    #[test]
    fn what_is_read_of_a_body_is_found_or_malformed(path in "[a-c0-9.]{0,8}", body in bodies()) {
        let request = testing::delivery(&[], body, NOW_MS);
        for place in ["type", "id", "subject"] {
            let config = json!({ place: { "body": path } });
            prop_assert!(matches!(receive(&request, config, &[]), Ok(_) | Err(Rejection::Malformed(_))));
        }
    }
}
