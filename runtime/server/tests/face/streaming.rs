//! Following an execution as its entries become durable.

use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use camshaft_model::{Value, json};
use futures::StreamExt;

use crate::bench::{ADMIN, Bench, ECHO, Options};

const BLOCKING: &str = "
name: blocking
triggers: [{ manual: {} }]
steps:
  - id: first
    task: block@1
  - id: second
    task: block@1
";

/// One event, as it stands in a stream.
#[derive(Debug, Clone, PartialEq)]
struct Event {
    id: Option<u64>,
    kind: String,
    data: Value,
}

/// A stream that is being read.
struct Stream {
    body: BodyDataStream,
    text: String,
}

impl Stream {
    async fn open(bench: &Bench, path: &str, last: Option<&str>) -> Self {
        Self::open_as(ADMIN, bench, path, last).await
    }

    async fn open_as(token: &str, bench: &Bench, path: &str, last: Option<&str>) -> Self {
        let mut request = Request::get(path).header("authorization", format!("Bearer {token}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = bench.envelope.answer(request.body(Body::empty()).unwrap(), None).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next event; none where the stream is closed.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let mut event = Event { id: None, kind: String::new(), data: json!(null) };
                for line in block.lines() {
                    match line.split_once(':').map(|(name, value)| (name, value.trim_start())) {
                        Some(("id", id)) => event.id = Some(id.parse().unwrap()),
                        Some(("event", kind)) => event.kind = kind.to_owned(),
                        Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
                        _ => {}
                    }
                }
                self.text = rest.to_owned();
                if !event.kind.is_empty() {
                    return Some(event);
                }
                continue;
            }
            let piece = self.body.next().await?.unwrap();
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    async fn until(&mut self, kind: &str) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await.unwrap_or_else(|| panic!("no {kind} after {events:#?}"));
            events.push(event);
            if events.last().unwrap().kind == kind {
                return events;
            }
        }
    }

    async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

async fn start(bench: &Bench, name: &str) -> String {
    let begun = bench.call("POST", &format!("/api/v1/workflows/{name}/trigger"), "{}").await.is(200).json();
    begun["execution_id"].as_str().unwrap().to_owned()
}

async fn journal(bench: &Bench, id: &str) -> Vec<Value> {
    let page = bench.get(&format!("/api/v1/executions/{id}/journal?limit=200")).await;
    assert!(page["next"].is_null());
    page["items"].as_array().unwrap().clone()
}

fn path(id: &str) -> String {
    format!("/api/v1/executions/{id}/stream")
}

/// Entries as the journal has them, with the paths of their steps, numbered without a gap, and the end.
fn check(events: &[Event], journal: &[Value], from: u64, status: &str) {
    let (end, entries) = events.split_last().unwrap();
    assert_eq!(*end, Event { id: None, kind: "end".to_owned(), data: json!({"status": status}) });
    let expected = journal.iter().enumerate().skip(from as usize).map(|(at, entry)| Event {
        id: Some(at as u64),
        kind: entry.as_object().unwrap().keys().next().unwrap().clone(),
        data: entry.clone(),
    });
    let mut entries = entries.to_vec();
    for Event { kind, data, .. } in &mut entries {
        let inside = data[kind.as_str()].as_object_mut().unwrap();
        let path = inside.remove("step");
        assert_eq!(path.is_some_and(|path| path.is_string()), inside.contains_key("at"), "{kind}: {inside:?}");
    }
    assert_eq!(entries, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn an_execution_that_has_ended_is_told_from_any_position_and_then_the_stream_closes() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    let id = bench.run("echo-it", "{}").await["id"].as_str().unwrap().to_owned();
    let journal = journal(&bench, &id).await;
    check(&Stream::open(&bench, &path(&id), None).await.rest().await, &journal, 0, "succeeded");
    check(&Stream::open(&bench, &format!("{}?from=2", path(&id)), None).await.rest().await, &journal, 2, "succeeded");
    // A browser comes again with the query that it had.
    let again = Stream::open(&bench, &format!("{}?from=0", path(&id)), Some("2")).await;
    check(&again.rest().await, &journal, 3, "succeeded");
}

#[tokio::test]
async fn who_has_seen_the_last_entry_is_told_not_to_come_again() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    let id = bench.run("echo-it", "{}").await["id"].as_str().unwrap().to_owned();
    let last = journal(&bench, &id).await.len() - 1;
    let asked = async |last: &str| {
        let authorization = format!("Bearer {ADMIN}");
        let headers = [("authorization", authorization.as_str()), ("last-event-id", last)];
        bench.send("GET", &path(&id), &headers, Body::empty()).await
    };
    assert!(asked(&last.to_string()).await.is(204).bytes.is_empty());
    let (behind, detail) = ((last + 1).to_string(), format!("no entry {}", last + 1));
    asked(&behind).await.problem(400, &[&id, &detail]);
    asked("soon").await.problem(400, &["Last-Event-ID", "`soon`"]);
    let from = |from: &str| format!("{}?from={from}", path(&id));
    bench.call("GET", &from("-1"), Body::empty()).await.problem(400, &["`from`", "`-1`"]);
    bench.call("GET", &from("999"), Body::empty()).await.problem(400, &["no entry 998"]);
    bench.call("GET", &format!("{}?form=1", path(&id)), Body::empty()).await.problem(400, &["form"]);
}

#[tokio::test]
async fn entries_come_as_they_become_durable() {
    let bench = Bench::new().await;
    bench.publish("blocking", BLOCKING).await;
    let id = start(&bench, "blocking").await;
    bench.hands.blocked.notified().await;
    let mut stream = Stream::open(&bench, &path(&id), None).await;
    let mut events = stream.until("attempt_started").await;
    bench.hands.release.notify_one();
    events.extend(stream.until("attempt_started").await);
    assert!(events.iter().any(|event| event.kind == "attempt_ended"), "{events:#?}");
    assert!(bench.get(&format!("/api/v1/executions/{id}")).await["ended_at"].is_null());
    bench.hands.release.notify_one();
    events.extend(stream.rest().await);
    check(&events, &journal(&bench, &id).await, 0, "succeeded");
}

#[tokio::test]
async fn a_listener_that_lags_behind_loses_nothing() {
    let bench = Bench::with(Options { notices: Some(1), ..Options::default() }).await;
    bench.publish("blocking", BLOCKING).await;
    bench.publish("echo-it", ECHO).await;
    let id = start(&bench, "blocking").await;
    bench.hands.blocked.notified().await;
    let mut stream = Stream::open(&bench, &path(&id), None).await;
    let mut events = stream.until("attempt_started").await;
    // Nobody reads while it goes on to its end; and the notices of others drive its own out.
    bench.hands.release.notify_one();
    bench.hands.blocked.notified().await;
    bench.hands.release.notify_one();
    bench.ended(&id).await;
    for _ in 0..5 {
        bench.run("echo-it", "{}").await;
    }
    events.extend(stream.rest().await);
    check(&events, &journal(&bench, &id).await, 0, "succeeded");
}

#[tokio::test]
async fn streams_close_when_the_server_stops_and_do_not_say_that_the_execution_ended() {
    let bench = Bench::new().await;
    bench.publish("blocking", BLOCKING).await;
    let id = start(&bench, "blocking").await;
    bench.hands.blocked.notified().await;
    let mut stream = Stream::open(&bench, &path(&id), None).await;
    stream.until("attempt_started").await;
    bench.app.readiness.stop();
    assert_eq!(stream.rest().await, []);
    bench.call("GET", "/readyz", Body::empty()).await.is(503);
    bench.hands.release.notify_one();
}

#[tokio::test]
async fn a_workflows_token_follows_its_own_executions_alone() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    bench.publish("blocking", BLOCKING).await;
    let token = async |name: &str| {
        let made =
            bench.call("POST", &format!("/api/v1/workflows/{name}/tokens"), r#"{"label": "x"}"#).await.is(201).json();
        made["token"].as_str().unwrap().to_owned()
    };
    let (own, other) = (token("echo-it").await, token("blocking").await);
    let id = bench.run("echo-it", "{}").await["id"].as_str().unwrap().to_owned();
    bench.call_as(&own, "GET", &path(&id), Body::empty()).await.is(200);
    bench.call_as(&other, "GET", &path(&id), Body::empty()).await.problem(404, &[&id]);
    let nobody = "018f3c9a-7b1e-7c3d-8a2b-1c2d3e4f5a6b";
    bench.call("GET", &path(nobody), Body::empty()).await.problem(404, &[nobody]);
}

#[tokio::test]
async fn a_stream_closes_when_its_token_is_revoked() {
    let bench = Bench::new().await;
    bench.publish("blocking", BLOCKING).await;
    let body = r#"{"label": "eyes", "scopes": ["read"]}"#;
    let made = bench.call("POST", "/api/v1/workflows/blocking/tokens", body).await.is(201).json();
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    let execution = start(&bench, "blocking").await;
    let mut stream = Stream::open_as(token, &bench, &path(&execution), None).await;
    stream.until("attempt_started").await;
    // It waits for what comes next when that happens.
    let mut rest = std::pin::pin!(stream.rest());
    assert!(futures::poll!(&mut rest).is_pending());
    bench.call("DELETE", &format!("/api/v1/tokens/{id}"), Body::empty()).await.is(204);
    assert!(rest.await.iter().all(|event| event.kind != "end"), "it was broken off");
    bench.hands.release.notify_one();
}
