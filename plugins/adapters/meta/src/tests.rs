//! Meta's handshake, and its batches.

use super::*;
use camshaft_sdk::testing::{self, Sent, Vendor};
use camshaft_sdk::verify::Algorithm;

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
    let events = told(body);
    let told: Vec<_> = events.iter().map(|event| (event.kind.as_str(), event.id.as_deref(), event.time_ms)).collect();
    let delivery = digest(body);
    let expected = [
        ("page.feed", Some(&*format!("{delivery}.0")), Some(1_767_225_600_000)),
        ("page.likes", Some(&*format!("{delivery}.1")), Some(1_767_225_600_000)),
        ("page.message", Some("m1"), Some(5000)),
    ];
    assert_eq!(told, expected);
    assert_eq!(events[0].body, Some(json!({ "field": "feed", "value": { "item": "post" } })));
}

/// The events of a body that is signed.
fn told(body: &[u8]) -> Vec<Event> {
    let sent = Sent { kind: "", body, key: "k", at_ms: 0 };
    let signature = format!("sha256={}", sent.hex(Algorithm::Sha256, &[body]));
    let delivery = sent.delivery(&[("X-Hub-Signature-256", &signature)]);
    testing::receive::<Meta>(&delivery, json!({}), &[("signing_secret", &["k"])]).unwrap().events
}

fn ids(body: &Value) -> Vec<String> {
    told(body.to_string().as_bytes()).into_iter().map(|event| event.id.expect("every event has an id")).collect()
}

fn whatsapp(values: &[Value]) -> Value {
    let changes: Vec<_> = values.iter().map(|value| json!({ "field": "messages", "value": value })).collect();
    json!({ "object": "whatsapp_business_account", "entry": [{ "id": "1", "time": 1, "changes": changes }] })
}

#[test]
fn messages_that_come_in_another_company_are_another_delivery() {
    let messages = |ids: &[&str]| {
        let messages: Vec<_> = ids.iter().map(|id| json!({ "id": id, "type": "text" })).collect();
        ids_of(&json!({ "messages": messages }))
    };
    assert_eq!(messages(&["A", "B"]), "A B");
    assert_ne!(messages(&["A", "B"]), messages(&["A", "C"]));
    assert_ne!(messages(&["A", "B"]), messages(&["B", "A"]));
    let long: Vec<_> = (0..9).map(|number| format!("wamid.{}{number}", "x".repeat(50))).collect();
    let long: Vec<_> = long.iter().map(String::as_str).collect();
    assert_eq!(messages(&long).len(), 64, "a hash");
    assert_ne!(messages(&long), messages(&long[..8]));
}

fn ids_of(value: &Value) -> String {
    ids(&whatsapp(std::slice::from_ref(value))).remove(0)
}

#[test]
fn each_status_of_a_message_is_told_and_a_repeated_one_is_known() {
    let status = |status: &str, more: &Value| {
        let one = json!({ "id": "A", "status": status, "timestamp": "5", "recipient_id": "49" });
        let (mut value, more) = (json!({ "statuses": [one] }), more.as_object().cloned().unwrap_or_default());
        value.as_object_mut().unwrap().extend(more);
        ids_of(&value)
    };
    assert_eq!(status("read", &json!({})), "A.read.5.49");
    assert_ne!(status("read", &json!({})), status("delivered", &json!({})));
    assert_eq!(status("read", &json!({ "metadata": { "a": 1 } })), status("read", &json!({})));
    assert_eq!(status("read", &json!({ "messages": [{ "id": "B" }] })), "B A.read.5.49");
}

#[test]
fn what_has_no_id_is_known_by_the_delivery_and_its_place() {
    let nameless = whatsapp(&[json!({ "errors": [1] }), json!({ "messages": [{ "id": "A" }, {}] }), json!({})]);
    let mut first = ids(&nameless);
    assert_eq!(first, ids(&nameless), "the same bytes again");
    let mut later = nameless.clone();
    later["entry"][0]["time"] = json!(2);
    first.extend(ids(&later));
    let all: std::collections::HashSet<_> = first.iter().collect();
    assert_eq!(all.len(), 6, "{first:?}");
}

#[test]
fn what_happens_to_a_message_later_has_not_the_id_of_the_message() {
    let id = |item: Value| {
        ids(&json!({ "object": "instagram", "entry": [{ "id": "1", "time": 1, "messaging": [item] }] })).remove(0)
    };
    assert_eq!(id(json!({ "message": { "mid": "m1" } })), "m1");
    assert_eq!(id(json!({ "postback": { "mid": "m1" } })), "m1");
    let later = [
        json!({ "message": { "mid": "m1", "is_deleted": true } }),
        json!({ "reaction": { "mid": "m1", "action": "react" } }),
        json!({ "reaction": { "mid": "m1", "action": "unreact" } }),
        json!({ "message_edit": { "mid": "m1", "num_edit": 1 } }),
    ];
    let later: std::collections::HashSet<_> = later.into_iter().map(id).collect();
    assert_eq!(later.len(), 4);
    assert!(!later.contains("m1"));
}

#[test]
fn no_entry_is_lost() {
    let body = json!({ "object": "user", "entry": [
        { "id": "1", "uid": "1", "time": 1_767_225_600, "changed_fields": ["feed", "photos"] },
        { "id": "2", "time": 1, "standby": [{ "sender": { "id": "9" }, "timestamp": 5, "message": { "mid": "m1" } }] },
        { "id": "3", "changes": [] },
        { "id": "4", "changes": "x" },
    ] });
    let events = told(body.to_string().as_bytes());
    let kinds: Vec<_> = events.iter().map(|event| (event.kind.as_str(), event.subject.as_deref().unwrap())).collect();
    assert_eq!(kinds, [("user.entry", "1"), ("user.standby.message", "2"), ("user.entry", "3"), ("user.entry", "4")]);
    assert_eq!(events[0].body, Some(body["entry"][0].clone()));
    assert_eq!((events[1].id.as_deref(), events[1].time_ms), (Some("m1"), Some(5000)));
}
