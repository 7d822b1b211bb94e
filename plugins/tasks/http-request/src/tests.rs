//! What leaves, what comes back, and what counts as trouble.

use super::*;
use camshaft_sdk::http::HttpError;
use camshaft_sdk::testing::{self, Answer, Host};

const URL: &str = "https://shop.example/orders";

#[test]
fn golden_cases_hold() {
    testing::task_cases::<http_request>("cases");
}

fn exchange(method: &str, input: Value, answer: Answer) -> (Host, Result<Value, Failure>) {
    let host = Host::new().answer(method, URL, answer);
    let result = host.run(|| testing::call::<http_request>(input));
    (host, result)
}

fn status_of(result: Result<Value, Failure>) -> u64 {
    result.unwrap()["status"].as_u64().unwrap()
}

#[test]
fn only_what_changes_something_carries_the_idempotency_key() {
    for (method, expected) in [("GET", None), ("head", None), ("POST", Some("key")), ("delete", Some("key"))] {
        let host = Host::new().answer(&method.to_uppercase(), URL, Answer::bytes(204, ""));
        let context = Context { idempotency_key: "key".into(), ..testing::context() };
        let input = json!({ "method": method, "url": URL }).to_string();
        host.run(|| camshaft_sdk::task::call::<http_request>(&context, &input)).unwrap();
        assert_eq!(host.requests()[0].header("idempotency-key"), expected, "{method}");
    }
}

#[test]
fn an_idempotency_key_of_the_authors_own_stays() {
    let input = json!({ "method": "POST", "url": URL, "headers": { "Idempotency-Key": "mine" } });
    let (host, _) = exchange("POST", input, Answer::bytes(204, ""));
    let keys =
        host.requests()[0].headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("idempotency-key")).count();
    assert_eq!((host.requests()[0].header("idempotency-key"), keys), (Some("mine"), 1));
}

#[test]
fn a_refusal_or_a_fault_of_the_service_is_an_output() {
    for status in [301, 400, 404, 500, 502] {
        let (_, result) = exchange("GET", json!({ "url": URL }), Answer::text(status, "no"));
        assert_eq!(status_of(result), u64::from(status));
    }
}

#[test]
fn trouble_with_the_connection_is_unavailable_and_a_missing_grant_is_not() {
    for (error, retried) in [
        (HttpError::Unavailable("refused".into()), true),
        (HttpError::Timeout("late".into()), true),
        (HttpError::Denied("not granted".into()), false),
    ] {
        let (_, result) = exchange("GET", json!({ "url": URL }), Answer::error(error));
        assert_eq!(matches!(result.unwrap_err().kind, FailureKind::Unavailable { .. }), retried);
    }
}

#[test]
fn a_busy_service_is_unavailable_until_it_says_and_its_answer_is_in_the_details() {
    let busy = Answer::json(429, json!({ "why": "quota" })).header("retry-after", "120");
    let failure = exchange("GET", json!({ "url": URL }), busy).1.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable { retry_after: Some(Duration::from_secs(120)) });
    let details = failure.details.unwrap();
    assert_eq!((&details["status"], &details["body"]["why"]), (&json!(429), &json!("quota")));
}

#[test]
fn a_date_in_retry_after_counts_from_now() {
    let host = Host::new().at(784_111_770_000);
    assert_eq!(host.run(|| answer::retry_after("Sun, 06 Nov 1994 08:49:37 GMT")), Some(Duration::from_secs(7)));
    assert_eq!(host.run(|| answer::retry_after("Sun, 06 Nov 1994 08:40:00 GMT")), Some(Duration::ZERO));
    assert_eq!(answer::retry_after("soon"), None);
}

#[test]
fn an_empty_list_makes_every_answer_an_output() {
    let (_, result) = exchange("GET", json!({ "url": URL, "unavailable_on": [] }), Answer::bytes(503, ""));
    assert_eq!(status_of(result), 503);
}

#[test]
fn the_exchange_ends_before_the_call_does() {
    let host = Host::new().at(1_000).answer("GET", URL, Answer::bytes(204, ""));
    let context = Context { deadline_ms: 3_500, ..testing::context() };
    let input = json!({ "url": URL, "timeout": 60_000 }).to_string();
    host.run(|| camshaft_sdk::task::call::<http_request>(&context, &input)).unwrap();
    assert_eq!(host.requests()[0].timeout, Duration::from_millis(2_500));
}

#[test]
fn a_dry_run_reads_but_does_not_write() {
    let host = Host::new().answer("GET", URL, Answer::bytes(204, ""));
    let context = Context { dry_run: true, ..testing::context() };
    let call = |method: &str| {
        let input = json!({ "method": method, "url": URL }).to_string();
        let output = host.run(|| camshaft_sdk::task::call::<http_request>(&context, &input)).unwrap();
        serde_json::from_str::<Value>(&output).unwrap()
    };
    assert_eq!(call("POST"), json!({ "status": 0, "headers": {}, "body": null, "dry_run": true }));
    assert_eq!(call("GET")["status"], 204);
    assert_eq!(host.requests().len(), 1);
}

#[test]
fn a_header_that_would_split_the_request_is_refused() {
    let (host, result) =
        exchange("GET", json!({ "url": URL, "headers": { "x": "a\r\nhost: b" } }), Answer::bytes(204, ""));
    assert_eq!(result.unwrap_err().kind, FailureKind::InvalidInput);
    assert!(host.requests().is_empty());
}

#[test]
fn bodies_that_are_no_text_come_as_base64_and_broken_json_as_text() {
    let (_, result) = exchange("GET", json!({ "url": URL }), Answer::bytes(200, [0xff, 0x00]));
    assert_eq!(result.unwrap()["body"], json!({ "$base64": "/wA=" }));
    let broken = Answer::bytes(200, "{oops").header("content-type", "application/json");
    let (_, result) = exchange("GET", json!({ "url": URL }), broken);
    assert_eq!(result.unwrap()["body"], "{oops");
}
