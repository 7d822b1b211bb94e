//! Meta's handshake, and its batches.

use super::*;
use camshaft_sdk::testing::{self, Sent, Vendor};

fn handshake(query: &str) -> Result<Receipt, Rejection> {
    let request = Request { method: "GET".into(), query: query.into(), ..testing::delivery(&[], "", 0) };
    testing::receive::<Meta>(&request, json!({}), &[("verify_token", &["meaty&hamster"])])
}

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<Meta>("cases");
}

#[test]
fn every_attack_is_withstood() {
    Vendor::new::<Meta>().proofs(&["X-Hub-Signature-256"]).withstands();
}

#[test]
fn the_handshake_gives_the_challenge_back_to_who_knows_the_token() {
    let good = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=meaty%26hamster";
    assert_eq!(handshake(good), Ok(Response::text(200, "1158201444").into()));
    for bad in ["", "hub.mode=subscribe&hub.challenge=1&hub.verify_token=x", "hub.mode=subscribe&hub.challenge=1"] {
        assert!(matches!(handshake(bad), Err(Rejection::Unauthorized(_))), "{bad}");
    }
    for bad in ["hub.verify_token=meaty%26hamster", "hub.mode=x&hub.challenge=1&hub.verify_token=meaty%26hamster"] {
        assert!(matches!(handshake(bad), Err(Rejection::Malformed(_))), "{bad}");
    }
}

#[test]
fn each_change_and_each_message_of_a_batch_is_an_event() {
    let body = br#"{"object":"page","entry":[
        {"id":"1","time":1767225600,"changes":[{"field":"feed","value":{"item":"post"}},{"field":"likes"}]},
        {"id":"2","time":1767225600000,"messaging":[{"sender":{"id":"9"},"timestamp":5,"message":{"mid":"m1","text":"hi"}}]}]}"#;
    let sent = Sent { kind: "", body, key: "k", at_ms: 0 };
    let receipt = testing::receive::<Meta>(&sent.signed::<Meta>(), json!({}), &[("signing_secret", &["k"])]).unwrap();
    let told: Vec<_> =
        receipt.events.iter().map(|event| (event.kind.as_str(), event.id.as_deref(), event.time_ms)).collect();
    let expected = [
        ("page.feed", None, Some(1_767_225_600_000)),
        ("page.likes", None, Some(1_767_225_600_000)),
        ("page.message", Some("m1"), Some(5000)),
    ];
    assert_eq!(told, expected);
    assert_eq!(receipt.events[0].body, Some(json!({ "field": "feed", "value": { "item": "post" } })));
}
