//! What callers read when all is well: ids, the Exit step's answer, an execution that goes on, an adapter's own word.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use camshaft_model::invocation::{Reply, TriggerSource};
use camshaft_model::json;
use camshaft_model::outcome::{Ending, Failure, FailureKind, Outcome};
use camshaft_model::seams::{AdapterResponse, Receipt};
use camshaft_model::workflow::Trigger;
use tokio::sync::Notify;

use crate::world::{World, event, execution, exited, name, receipt, workflow};

const ALL: &str = "/v1/webhooks/github";
const ONE: &str = "/v1/webhooks/github/workflows/triage";
const SYNC: &str = "/v1/webhooks/github/workflows/triage/sync";

#[tokio::test]
async fn every_subscriber_starts_and_is_named_with_its_execution() {
    let front = World::default().open();
    let answer = front.post(ALL, &[("x-request-id", "r-1")], "{}").await;
    assert_eq!(answer.status, 200);
    let want = json!({"status": "ok", "executions": [
        {"workflow": "triage", "execution_id": execution(1)},
        {"workflow": "archive", "execution_id": execution(2)},
    ]});
    assert_eq!(answer.json(), want);
    let dispatched = front.world.dispatched.lock().unwrap();
    assert_eq!(dispatched.len(), 1, "accepted at once");
    assert_eq!(dispatched[0].reply, Reply::Detach);
    assert_eq!(dispatched[0].request_id.as_deref(), Some("r-1"));
    assert_eq!(dispatched[0].starts[0].trigger, TriggerSource::Webhook { integration: name("github") });
    assert_eq!(*dispatched[0].starts[0].params, json!({}));
    assert_eq!((front.counts().received, front.counts().accepted), (1, 1));
}

#[tokio::test]
async fn nobody_listening_is_a_success_that_starts_nothing() {
    let front = World::default().publish(vec![]).open();
    let answer = front.post(ALL, &[], "{}").await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"status": "ok", "executions": []})));
    let answer = front.post("/v1/webhooks/github?environment=staging", &[], "{}").await;
    assert_eq!(answer.json(), json!({"status": "ok", "executions": []}));
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_stop_what_it_started() {
    let front = World::default().open();
    let gate = Arc::new(Notify::new());
    *front.world.gate.lock().unwrap() = Some(gate.clone());
    let mut call = Box::pin(front.post(ONE, &[], "{}"));
    // Ours, the world's, and that of the call which has come to the gate.
    while Arc::strong_count(&gate) < 3 {
        assert!(futures::poll!(&mut call).is_pending());
        tokio::task::yield_now().await;
    }
    drop(call);
    gate.notify_one();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(front.started(), ["triage"]);
}

#[tokio::test]
async fn one_workflow_detached_is_answered_with_its_execution() {
    let front = World::default().open();
    let answer = front.post(ONE, &[], "{}").await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"execution_id": execution(1), "status": "ok"})));
    assert_eq!(front.started(), ["triage"]);
}

#[tokio::test]
async fn a_waiting_caller_gets_the_exit_steps_status_headers_and_body() {
    let front = World::default().open();
    let answer = front.post(SYNC, &[], "{}").await;
    assert_eq!((answer.status.as_u16(), answer.json()), (201, json!({"ok": true})));
    assert_eq!(answer.header("x-answer"), Some("42"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let dispatched = front.world.dispatched.lock().unwrap();
    assert_eq!((dispatched[0].reply, dispatched[0].window), (Reply::Wait, Duration::from_secs(50)));
}

#[tokio::test]
async fn when_the_window_is_over_the_caller_learns_where_the_result_will_be() {
    let front = World::default().open();
    *front.world.outcome.lock().unwrap() = None;
    let answer = front.post(SYNC, &[], "{}").await;
    let want = json!({"execution_id": execution(1), "status": "in_progress"});
    assert_eq!((answer.status.as_u16(), answer.json()), (201, want));
    let location = format!("/public/v1alpha/executions/{}", execution(1));
    assert_eq!(answer.header("location"), Some(location.as_str()));
}

#[tokio::test]
async fn a_caller_may_shorten_the_window_and_never_lengthen_it() {
    for (prefer, window_s, applied) in [
        (None, 50, None),
        (Some("wait=7"), 7, Some("wait=7")),
        (Some("respond-async, WAIT=\"8\"; x=y"), 8, Some("wait=8")),
        (Some("wait=0"), 0, Some("wait=0")),
        (Some("wait=50"), 50, Some("wait=50")),
        (Some("wait=51"), 50, Some("wait=50")),
        (Some("wait=99999999999999999999999"), 50, Some("wait=50")),
    ] {
        let front = World::default().open();
        let headers: Vec<_> = prefer.iter().map(|prefer| ("prefer", *prefer)).collect();
        let answer = front.post(SYNC, &headers, "{}").await;
        assert_eq!(answer.header("preference-applied"), applied, "{prefer:?}");
        let window = front.world.dispatched.lock().unwrap()[0].window;
        assert_eq!(window, Duration::from_secs(window_s), "{prefer:?}");
    }
}

#[tokio::test]
async fn a_failure_is_200_with_a_message_unless_the_trigger_says_otherwise() {
    for (ending, failure_status, status) in [
        (Ending::Failed, None, 200),
        (Ending::TimedOut, None, 200),
        (Ending::Cancelled, None, 200),
        (Ending::Failed, Some(500), 500),
    ] {
        let trigger = Trigger::Webhook { integration: name("github"), when: None, failure_status };
        let front = World::default().publish(vec![workflow(11, "triage", vec![trigger], vec![])]).open();
        let failure = Some(Failure::new(FailureKind::Failed, "the database said no"));
        let output = Arc::new(json!(null));
        *front.world.outcome.lock().unwrap() =
            Some(Arc::new(Outcome { ending, output, exit: None, failure, step: None }));
        let answer = front.post(SYNC, &[], "{}").await;
        let want = json!({"execution-id": execution(1), "message": "Workflow execution failed due to error"});
        assert_eq!((answer.status.as_u16(), answer.json()), (status, want));
    }
}

#[tokio::test]
async fn an_exits_answer_counts_even_where_it_records_a_failure() {
    let front = World::default().open();
    let outcome = Outcome { ending: Ending::Failed, ..exited(422, &[], json!({"body": "no"})) };
    *front.world.outcome.lock().unwrap() = Some(Arc::new(outcome));
    let answer = front.post(SYNC, &[], "{}").await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (422, "no"));
}

#[tokio::test]
async fn bodies_go_out_as_the_language_says() {
    let csv = [("content-type", "text/csv")];
    let json_type = Some("application/json");
    for (outcome, body, content_type) in [
        (exited(200, &[], json!({"body": {"a": 1}, "b": 2})), &b"{\"a\":1}"[..], json_type),
        (exited(200, &[], json!({"a": 1, "b": [2]})), b"{\"a\":1,\"b\":[2]}", json_type),
        (exited(200, &[], json!({})), b"{}", json_type),
        (exited(200, &[], json!({"body": null, "b": 2})), b"null", json_type),
        (exited(200, &[], json!({"body": "a,b\n"})), b"a,b\n", json_type),
        (exited(200, &csv, json!({"body": "a,b\n"})), b"a,b\n", Some("text/csv")),
        (exited(200, &[], json!({"body": {"$base64": "/wD+"}})), b"\xff\x00\xfe", json_type),
        (exited(200, &[], json!({"body": {"$base64": "?"}})), b"{\"$base64\":\"?\"}", json_type),
        (exited(200, &[], json!({"body": {"$base64": "YQ==", "b": 1}})), b"{\"$base64\":\"YQ==\",\"b\":1}", json_type),
        (exited(204, &[], json!({"body": "x"})), b"", None),
        (exited(205, &[], json!({"body": "x"})), b"", None),
        (exited(304, &[], json!({"body": "x"})), b"", None),
        (Outcome { exit: None, ..exited(200, &[], json!([1, "two"])) }, b"[1,\"two\"]", json_type),
        (Outcome { exit: None, ..exited(200, &[], json!("text")) }, b"\"text\"", json_type),
    ] {
        let shown = format!("{outcome:?}");
        let front = World::default().open();
        let status = outcome.exit.as_ref().map_or(200, |exit| exit.status);
        *front.world.outcome.lock().unwrap() = Some(Arc::new(outcome));
        let answer = front.post(SYNC, &[], "{}").await;
        assert_eq!(answer.status, status, "{shown}");
        assert_eq!(answer.bytes, body, "{shown}");
        assert_eq!(answer.header("content-type"), content_type, "{shown}");
    }
}

#[tokio::test]
async fn an_exits_header_of_several_values_goes_out_as_several() {
    let front = World::default().open();
    let headers = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Name", "Grüße")];
    *front.world.outcome.lock().unwrap() = Some(Arc::new(exited(200, &headers, json!({}))));
    let answer = front.post(SYNC, &[], "{}").await;
    assert_eq!(answer.headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
    assert_eq!(answer.headers["x-name"].as_bytes(), "Grüße".as_bytes());
}

#[tokio::test]
async fn all_methods_start_workflows_and_head_is_answered_without_a_body() {
    for method in ["POST", "GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "PURGE"] {
        let front = World::default().open();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = Request::builder().method(&method).uri(SYNC).body(Body::empty()).unwrap();
        let answer = front.send(request).await;
        assert_eq!(answer.status, 201, "{method}");
        assert_eq!(front.events()[0]["http_method"], method.as_str());
        assert_eq!(answer.bytes.is_empty(), method == Method::HEAD, "{method}");
        assert_eq!(answer.header("x-answer"), Some("42"));
    }
}

#[tokio::test]
async fn a_handshake_passes_through_and_starts_nothing_whatever_is_published() {
    let challenge = |_: &_| {
        let headers = vec![
            ("Content-Type".to_owned(), "text/plain".to_owned()),
            ("Content-Length".to_owned(), "999".to_owned()),
            ("bad name".to_owned(), "x".to_owned()),
        ];
        let respond = AdapterResponse { status: 202, headers, body: b"challenge-1".to_vec() };
        Ok(Receipt { events: vec![], respond: Some(respond) })
    };
    for uri in [ALL, ONE, SYNC, "/v1/webhooks/github/workflows/not-published-yet"] {
        let front = World::default().adapter(challenge).open();
        let broken = front.post(uri, &[("content-type", "application/json")], "{").await;
        assert_eq!((broken.status.as_u16(), broken.text().as_str()), (202, "challenge-1"), "{uri}");
        assert_eq!(broken.header("content-type"), Some("text/plain"));
        assert_ne!(broken.header("content-length"), Some("999"));
        assert!(front.started().is_empty());
        assert_eq!(front.counts().accepted, 1);
    }
}

#[tokio::test]
async fn an_adapter_may_answer_and_start_workflows() {
    let acknowledge = |_: &_| {
        let respond = AdapterResponse { status: 200, headers: vec![], body: b"<Ack/>".to_vec() };
        Ok(Receipt { events: vec![event("push")], respond: Some(respond) })
    };
    for (uri, started) in [(ALL, 2), (ONE, 1), (SYNC, 1)] {
        let front = World::default().adapter(acknowledge).open();
        assert_eq!(front.post(uri, &[], "{}").await.text(), "<Ack/>");
        assert_eq!(front.started().len(), started);
        assert_eq!(front.world.dispatched.lock().unwrap()[0].reply, Reply::Detach, "nobody waits");
    }
}

#[tokio::test]
async fn a_waiting_caller_of_a_batch_gets_the_first_outcome_and_no_event_is_lost() {
    let front = World::default().adapter(|_| receipt(vec![event("push"), event("push")])).open();
    let answer = front.post(SYNC, &[], "{}").await;
    assert_eq!((answer.status.as_u16(), answer.json()), (201, json!({"ok": true})));
    assert_eq!(front.started(), ["triage", "triage"]);
}

#[tokio::test]
async fn a_detached_caller_of_a_batch_gets_every_execution() {
    let front = World::default().adapter(|_| receipt(vec![event("push"), event("push")])).open();
    let answer = front.post(ONE, &[], "{}").await;
    let want = json!({"execution_id": execution(1), "status": "ok", "executions": [
        {"workflow": "triage", "execution_id": execution(1)},
        {"workflow": "triage", "execution_id": execution(2)},
    ]});
    assert_eq!((answer.status.as_u16(), answer.json()), (200, want));
}
