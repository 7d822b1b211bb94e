//! GitHub's own vector, its handshake, and deliveries that are not what they should be.

use super::*;
use camshaft_sdk::testing::{self, Sent, Vendor};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Published by GitHub with its documentation.
const SECRET: &str = "It's a Secret to Everybody";
const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
const ISSUE: &str = r#"{"action":"opened","issue":{"number":7},"repository":{"html_url":"https://github.com/o/r"}}"#;

fn request(event: &str, body: &[u8]) -> Request {
    Sent { kind: event, body, key: SECRET, at_ms: 0 }.signed::<GitHub>()
}

fn receive(request: &Request) -> Result<Receipt, Rejection> {
    testing::receive::<GitHub>(request, json!({}), &[("signing_secret", &[SECRET])])
}

fn set(request: &mut Request, name: &str, value: Option<&[u8]>) {
    request.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    request.headers.extend(value.map(|value| (name.to_owned(), value.to_vec())));
}

fn unauthorized(result: Result<Receipt, Rejection>) -> bool {
    matches!(result, Err(Rejection::Unauthorized(_)))
}

#[test]
fn what_githubs_own_library_signs_is_taken() {
    testing::adapter_table::<GitHub>(testing::VENDORS);
}

#[test]
fn every_attack_is_withstood() {
    Vendor::new::<GitHub>().proofs(&["X-Hub-Signature-256"]).withstands();
}

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<GitHub>("cases");
}

#[test]
fn the_published_signature_is_the_one_that_is_made_and_taken() {
    assert_eq!(request("push", b"Hello, World!").header("X-Hub-Signature-256"), Ok(Some(SIGNATURE)));
    // The vector's body is text, so it passes the signature and fails as a payload.
    assert!(matches!(receive(&request("push", b"Hello, World!")), Err(Rejection::Malformed(_))));
}

#[test]
fn the_action_joins_the_event_by_a_dot() {
    let receipt = receive(&request("issues", ISSUE.as_bytes())).unwrap();
    let expected = Event {
        id: Some("d-1".into()),
        kind: "issues.opened".into(),
        source: Some("https://github.com/o/r".into()),
        subject: Some("7".into()),
        ..Event::default()
    };
    assert_eq!(receipt, expected.into());
}

/// All that `@octokit/webhooks-examples` 7.6.1 (MIT) has, of github.com and of Enterprise Server 3.1 to 3.5, as JSON and as a form.
#[test]
fn every_example_of_githubs_is_taken_under_its_own_name() {
    let mut text = String::new();
    let file = std::fs::File::open("examples.jsonl.gz").unwrap();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(file), &mut text).unwrap();
    let mut count = 0;
    for line in text.lines() {
        let Example { event, payload } = serde_json::from_str(line).unwrap();
        let fields: Value = serde_json::from_str(payload.get()).unwrap();
        let receipt = receive(&request(&event, payload.get().as_bytes())).unwrap();
        let form = payload.get().bytes().fold("payload=".to_owned(), |form, byte| form + &format!("%{byte:02X}"));
        let mut as_form = request(&event, form.as_bytes());
        set(&mut as_form, "Content-Type", Some(b"application/x-www-form-urlencoded"));
        let from_form = receive(&as_form).unwrap();
        count += 1;
        if event == "ping" {
            assert!(receipt.events.is_empty() && from_form.events.is_empty());
            continue;
        }
        let kind = fields["action"].as_str().map_or_else(|| event.clone(), |action| format!("{event}.{action}"));
        let [found] = receipt.events.as_slice() else { panic!("{event}: {receipt:?}") };
        assert_eq!((found.kind.as_str(), found.id.as_deref()), (kind.as_str(), Some("d-1")));
        if let Some(url) = fields["repository"]["html_url"].as_str() {
            assert_eq!(found.source.as_deref(), Some(url), "{kind}");
        }
        assert_eq!(from_form.events, [Event { body: Some(fields), ..found.clone() }]);
    }
    assert_eq!(count, 404);
}

#[derive(Deserialize)]
struct Example {
    event: String,
    payload: Box<serde_json::value::RawValue>,
}

#[test]
fn a_ping_is_answered_and_starts_nothing() {
    let receipt = receive(&request("ping", br#"{"zen":"Design for failure.","hook_id":30}"#)).unwrap();
    assert!(receipt.events.is_empty());
    let response = receipt.respond.unwrap();
    assert_eq!(response.status, 200);
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(body, json!({ "status": "ok", "zen": "Design for failure.", "hook_id": 30 }));
}

#[test]
fn a_ping_must_be_signed_too() {
    let mut ping = request("ping", b"{}");
    ping.body = b"{ }".to_vec();
    assert!(unauthorized(receive(&ping)));
}

#[test]
fn a_form_delivery_gives_the_json_inside_as_the_body() {
    let form = b"payload=%7B%22action%22%3A%22opened%22%2C%22issue%22%3A%7B%22number%22%3A7%7D%7D";
    let mut delivery = request("issues", form);
    set(&mut delivery, "Content-Type", Some(b"application/x-www-form-urlencoded"));
    let receipt = receive(&delivery).unwrap();
    assert_eq!(receipt.events[0].kind, "issues.opened");
    assert_eq!(receipt.events[0].body, Some(json!({ "action": "opened", "issue": { "number": 7 } })));
}

#[test]
fn without_a_secret_nothing_is_taken_and_the_message_says_what_to_set() {
    let delivery = request("issues", ISSUE.as_bytes());
    for secrets in [&[][..], &[("signing_secret", &[""][..])]] {
        let rejection = testing::receive::<GitHub>(&delivery, json!({}), secrets).unwrap_err();
        let expected = "integration `test` has no secret `signing_secret`, so nothing can be verified";
        assert_eq!(rejection, Rejection::Unauthorized(expected.to_owned()));
    }
}

#[test]
fn a_signature_that_is_missing_or_no_signature_is_unauthorized() {
    let old = SIGNATURE.replace("sha256=", "sha1=");
    for value in [None, Some(&b"sha256="[..]), Some(b"sha256=zz"), Some(old.as_bytes())] {
        let mut delivery = request("issues", ISSUE.as_bytes());
        set(&mut delivery, "X-Hub-Signature-256", value);
        assert!(unauthorized(receive(&delivery)), "{value:?}");
    }
}

#[test]
fn headers_that_name_the_event_have_to_be_there_and_plain() {
    let bad = [None, Some(&b""[..]), Some(b"a\"b"), Some(b"{}"), Some(b"issues\xff")];
    for (name, values) in [("X-GitHub-Event", &bad[..]), ("X-GitHub-Delivery", &bad[..2])] {
        for value in values {
            let mut delivery = request("issues", ISSUE.as_bytes());
            set(&mut delivery, name, *value);
            assert!(matches!(receive(&delivery), Err(Rejection::Malformed(_))), "{name} {value:?}");
        }
    }
}

#[test]
fn a_body_that_is_not_utf_8_is_malformed_when_signed_and_unauthorized_when_not() {
    let mut delivery = request("issues", b"{\"action\":\"\xff\xfe\"}");
    assert!(matches!(receive(&delivery), Err(Rejection::Malformed(_))));
    delivery.body.push(b' ');
    assert!(unauthorized(receive(&delivery)));
}

/// Payloads with GitHub's fields, of the right type or not.
fn payloads() -> impl Strategy<Value = String> {
    let names = &["action", "zen", "hook_id", "ref", "repository", "organization", "issue", "discussion"];
    let values = &[
        "\"opened\"",
        "\"a b\"",
        "null",
        "7",
        "-1",
        "18446744073709551616",
        "[]",
        "{\"number\":7}",
        "{\"html_url\":\"https://github.com/o/r\"}",
        "{\"login\":\"\\u00e4\"}",
    ];
    btree_map(select(names), select(values), 0..4).prop_map(|fields| {
        let fields: Vec<_> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    })
}

/// Bodies that are a payload, a form that holds one, or anything.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let form = |payload: String| payload.bytes().fold("payload=".to_owned(), |form, byte| format!("{form}%{byte:02X}"));
    prop_oneof![
        payloads().prop_map(String::into_bytes),
        payloads().prop_map(move |payload| form(payload).into_bytes()),
        vec(any::<u8>(), 0..64),
    ]
}

/// Deliveries that GitHub signed.
fn deliveries() -> impl Strategy<Value = Request> {
    let events = &["push", "issues", "ping", "Issues", "a\u{e4}", ""];
    let types = &["application/json", "application/x-www-form-urlencoded; charset=utf-8", "text/plain"];
    (bodies(), select(events), select(types)).prop_map(|(body, event, media_type)| {
        let mut delivery = request(event, &body);
        set(&mut delivery, "Content-Type", Some(media_type.as_bytes()));
        delivery
    })
}

/// Signatures that somebody made up.
fn signatures() -> impl Strategy<Value = Vec<u8>> {
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let written = vec(any::<u8>(), 31..34).prop_map(move |bytes| format!("sha256={}", hex(bytes)).into_bytes());
    prop_oneof![written, vec(any::<u8>(), 0..16)]
}

/// A header more, of those that the adapter reads.
fn extra_header() -> impl Strategy<Value = (String, Vec<u8>)> {
    let names = &["x-hub-signature-256", "X-GitHub-Event", "X-GitHub-Delivery", "Content-Type", "X-Other"];
    (select(names).prop_map(str::to_owned), vec(any::<u8>(), 0..16))
}

proptest! {
    #[test]
    fn what_github_signed_is_verified_and_no_byte_of_it_may_change(
        delivery in deliveries(),
        at in any::<Index>(),
        flip in 1..=255_u8,
    ) {
        prop_assert!(!unauthorized(receive(&delivery)));
        let mut changed = delivery.clone();
        match changed.body.as_mut_slice() {
            [] => changed.body.push(flip),
            body => body[at.index(body.len())] ^= flip,
        }
        prop_assert!(unauthorized(receive(&changed)));
        let cut = Request { body: delivery.body[..at.index(delivery.body.len() + 1)].to_vec(), ..delivery.clone() };
        prop_assert_eq!(unauthorized(receive(&cut)), cut.body != delivery.body);
    }

    #[test]
    fn what_nobody_signed_is_never_taken(
        mut delivery in deliveries(),
        method in select(vec!["POST", "POST", "GET", "post"]),
        signature in signatures(),
        extra in proptest::option::of(extra_header()),
    ) {
        delivery.method = method.to_owned();
        set(&mut delivery, "X-Hub-Signature-256", Some(&signature));
        delivery.headers.extend(extra);
        let rejection = receive(&delivery).unwrap_err();
        prop_assert!(!rejection.message().contains(SECRET));
    }
}
