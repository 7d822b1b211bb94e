//! The three ways of sending, and the handshake.

use super::*;
use camshaft_sdk::testing::{self, Vendor};

const EVENT: &str = r#"{"specversion":"1.0","id":"7","source":"/shop","type":"paid","subject":"o-1","time":"2026-01-01T00:00:00Z","data":{"n":1}}"#;

fn receive(headers: &[(&str, &str)], body: &str) -> Result<Receipt, Rejection> {
    let headers = [headers, &[("Authorization", "k")]].concat();
    let config = json!({ "header": "Authorization" });
    testing::receive::<CloudEvents>(&testing::delivery(&headers, body, 0), config, &[("header_value", &["k"])])
}

fn event(data: Option<Value>) -> Event {
    Event {
        id: Some("/shop 7".into()),
        source: Some("/shop".into()),
        subject: Some("o-1".into()),
        time_ms: Some(1_767_225_600_000),
        body: data,
        ..Event::new("paid")
    }
}

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<CloudEvents>("cases");
}

#[test]
fn every_attack_is_withstood() {
    let vendor = || Vendor::new::<CloudEvents>().token("header_value");
    vendor().config(json!({ "header": "Authorization" })).proofs(&["Authorization"]).withstands();
    vendor().parameters(&["token"]).withstands();
}

#[test]
fn the_three_ways_of_sending_make_the_same_event() {
    let structured = receive(&[("Content-Type", "application/cloudevents+json; charset=utf-8")], EVENT).unwrap();
    assert_eq!(structured.events, [event(Some(json!({ "n": 1 })))]);
    let batch = receive(&[("Content-Type", "application/cloudevents-batch+json")], &format!("[{EVENT},{EVENT}]"));
    assert_eq!(batch.unwrap().events, [event(Some(json!({ "n": 1 }))), event(Some(json!({ "n": 1 })))]);
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "7"),
        ("ce-source", "/shop"),
        ("ce-type", "paid"),
        ("ce-subject", "%6f-1"),
        ("ce-time", "2026-01-01T00:00:00Z"),
    ];
    assert_eq!(receive(&headers, r#"{"n":1}"#).unwrap().events, [event(None)], "the body is the request's own");
}

#[test]
fn a_version_is_taken_or_refused_in_whichever_way_it_comes() {
    for (version, is_taken) in [("1.0", true), ("0.3", true), ("0.2", false), ("7", false)] {
        let headers = [("ce-specversion", version), ("ce-id", "7"), ("ce-source", "/shop"), ("ce-type", "paid")];
        let structured = EVENT.replace("1.0", version);
        let batch = format!("[{structured}]");
        let results = [
            receive(&headers, "{}"),
            receive(&[("Content-Type", "application/cloudevents+json")], &structured),
            receive(&[("Content-Type", "application/cloudevents-batch+json")], &batch),
        ];
        for result in results {
            assert_eq!(result.is_ok(), is_taken, "{version}: {result:?}");
            assert!(matches!(result, Ok(_) | Err(Rejection::Malformed(_))), "{version}: {result:?}");
        }
    }
}

#[test]
fn an_event_without_what_every_event_has_is_malformed() {
    for name in ["specversion", "id", "source", "type"] {
        let mut body: Value = serde_json::from_str(EVENT).unwrap();
        body.as_object_mut().unwrap().remove(name);
        let result = receive(&[], &body.to_string());
        assert!(matches!(result, Err(Rejection::Malformed(_))), "{name}: {result:?}");
    }
}

#[test]
fn who_asks_whether_it_may_send_is_answered() {
    let headers = [("WebHook-Request-Origin", "eventemitter.example.com"), ("WebHook-Request-Rate", "120")];
    let request = Request { method: "OPTIONS".into(), ..testing::delivery(&headers, "", 0) };
    let respond = testing::receive::<CloudEvents>(&request, json!({}), &[]).unwrap().respond.unwrap();
    let allowed =
        [("Allow", "POST"), ("WebHook-Allowed-Origin", "eventemitter.example.com"), ("WebHook-Allowed-Rate", "*")];
    let allowed = allowed.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!((respond.status, respond.headers), (200, allowed.to_vec()));
}
