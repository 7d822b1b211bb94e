//! Every status that refuses: what is asked, at the limit and one past it, and that nothing starts.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use camshaft_model::outcome::{Failure, FailureKind};
use camshaft_model::seams::{AdapterResponse, DispatchError, Receipt, Refusal, StoreError};
use futures::stream;

use crate::world::{World, event, id, receipt};

const ALL: &str = "/v1/webhooks/github";
const ONE: &str = "/v1/webhooks/github/workflows/triage";
const SYNC: &str = "/v1/webhooks/github/workflows/triage/sync";

#[tokio::test]
async fn malformed_ids_are_400_and_name_the_value() {
    let front = World::default().open();
    for (uri, says) in [
        ("/v1/webhooks/GitHub", "integration id `GitHub`"),
        ("/v1/webhooks/no%20such%21", "integration id `no such!`"),
        ("/v1/webhooks/%ff", "malformed path"),
        ("/v1/webhooks/github/workflows/a_b", "workflow id `a_b`"),
        ("/v1/webhooks/github/workflows/-a/sync", "workflow id `-a`"),
        ("/v1/webhooks/github?environment=Prod", "environment `Prod`"),
        ("/v1/webhooks/github?environment=", "environment ``"),
    ] {
        front.post(uri, &[], "{}").await.refused(400, says);
    }
    assert!(front.world.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_not_there_is_404_and_names_the_value() {
    let front = World::default().open();
    for (uri, says) in [
        ("/v1/webhooks/gitlab", "integration `gitlab`"),
        ("/v1/webhooks/018f3c9a-7b1e-7c3d-8a2b-1c2d3e4f5a6b", "018f3c9a-7b1e-7c3d-8a2b-1c2d3e4f5a6b"),
        ("/v1/webhooks/off", "integration `off` is unknown or disabled"),
        ("/v1/webhooks/github/workflows/lost", "workflow `lost` is unknown or not published in `production`"),
        ("/v1/webhooks/github/workflows/triage?environment=staging", "not published in `staging`"),
        (
            "/v1/webhooks/github/workflows/orders/sync",
            "workflow `orders` has no webhook trigger for integration `github`",
        ),
    ] {
        front.post(uri, &[], "{}").await.refused(404, says);
    }
    assert!(front.started().is_empty());
}

#[tokio::test]
async fn integrations_and_workflows_go_by_id_too_and_a_slash_at_the_end_is_nothing() {
    let front = World::default().open();
    for uri in [
        format!("/v1/webhooks/{}", id(1)),
        format!("/v1/webhooks/{}/workflows/{}", id(1), id(11)),
        format!("/v1/webhooks/github/workflows/{}/sync", id(11)),
        format!("{ALL}/"),
        format!("{ONE}/"),
        format!("{SYNC}/"),
    ] {
        let answer = front.post(&uri, &[], "{}").await;
        assert!(answer.status.is_success(), "{uri}: {}", answer.text());
    }
    assert_eq!(front.started().len(), 2 + 1 + 1 + 2 + 1 + 1);
}

#[tokio::test]
async fn a_bad_signature_is_401_starts_nothing_and_is_remembered_with_its_id() {
    let refuse = |_: &_| Err(Refusal::Unauthorized("X-Hub-Signature-256 does not match the body".into()));
    let front = World::default().adapter(refuse).open();
    let answer = front.post(ALL, &[("x-github-delivery", "d-1")], "{").await;
    answer.refused(401, "X-Hub-Signature-256 does not match the body");
    assert!(front.started().is_empty());
    let counts = front.counts();
    assert_eq!((counts.received, counts.accepted, counts.refused), (1, 0, 1));
    let last = &counts.last_refusals[0];
    assert_eq!((last.delivery.as_deref(), last.status), (Some("d-1"), 401));
    assert_eq!(last.reason, "X-Hub-Signature-256 does not match the body");
    assert_eq!(last.time, crate::world::NOW);
}

#[tokio::test]
async fn the_id_of_a_refused_delivery_is_found_in_any_vendors_header_and_kept_short() {
    let front = World::default().adapter(|_| Err(Refusal::Unauthorized("no".into()))).open();
    let long = "x".repeat(200);
    for headers in [
        &[("webhook-id", "msg_1")][..],
        &[("x-request-id", "r-1"), ("x-gitlab-event-uuid", "g-1")],
        &[("x-request-id", "r-2")],
        &[("webhook-id", &long)],
        &[],
    ] {
        front.post(ALL, headers, "{}").await;
    }
    let last = front.counts().last_refusals;
    let found: Vec<_> = last.iter().rev().map(|refused| refused.delivery.clone()).collect();
    let short = format!("{}…", "x".repeat(80));
    let want = [Some("msg_1"), Some("g-1"), Some("r-2"), Some(short.as_str()), None].map(|id| id.map(str::to_owned));
    assert_eq!(found, want);
}

#[tokio::test]
async fn what_the_adapter_does_not_take_is_400() {
    let front = World::default()
        .adapter(|request| match request.method.as_str() {
            "GET" => Err(Refusal::Unsupported("GET is not a method that GitHub sends".into())),
            _ => Err(Refusal::Malformed("header X-GitHub-Event is missing".into())),
        })
        .open();
    front.post(ALL, &[], "{}").await.refused(400, "header X-GitHub-Event is missing");
    let get = Request::get(ALL).body(Body::empty()).unwrap();
    front.send(get).await.refused(400, "GET is not a method that GitHub sends");
    assert_eq!(front.counts().refused, 2);
}

#[tokio::test]
async fn what_cannot_be_verified_now_is_503_so_that_the_vendor_sends_it_again() {
    let away = |_: &_| Err(Refusal::Unavailable("https://keys.example.com did not answer within 5000 ms".into()));
    let front = World::default().adapter(away).open();
    let answer = front.post(ALL, &[], "{}").await;
    answer.refused(503, "keys.example.com did not answer");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(front.counts().refused, 1);
}

#[tokio::test]
async fn a_broken_adapter_is_500_and_tells_the_outside_nothing() {
    let trap = |_: &_| Err(Refusal::Broken(Failure::new(FailureKind::Trap, "wasm trap: unreachable at 0x1f")));
    let front = World::default().adapter(trap).open();
    let answer = front.post(ALL, &[], "{}").await;
    answer.refused(500, "internal error");
    assert!(!answer.text().contains("wasm"), "{}", answer.text());

    for status in [42, 101, 199, 600] {
        let answer = move |_: &_| {
            let respond = AdapterResponse { status, headers: vec![], body: vec![] };
            Ok(Receipt { events: vec![event("push")], respond: Some(respond) })
        };
        let front = World::default().adapter(answer).open();
        front.post(ALL, &[], "{}").await.refused(500, "internal error");
        assert!(front.started().is_empty(), "an answer that cannot be given is found before anything starts");
    }
}

#[tokio::test]
async fn a_body_may_have_the_limit_and_not_a_byte_more_however_it_comes() {
    let front = World::default().open_with(0, |settings| settings.body_bytes = 64);
    let chunked = |bytes: usize| {
        let chunks = vec![Ok::<_, std::io::Error>(vec![b'a'; 32]), Ok(vec![b'a'; bytes - 32])];
        Request::post(ALL).body(Body::from_stream(stream::iter(chunks))).unwrap()
    };
    let claiming = |claim: &str, bytes: usize| {
        let chunks = vec![Ok::<_, std::io::Error>(vec![b'a'; bytes])];
        Request::post(ALL).header("content-length", claim).body(Body::from_stream(stream::iter(chunks))).unwrap()
    };
    for (request, status) in [
        (Request::post(ALL).body(Body::from(vec![b'a'; 64])).unwrap(), 200),
        (Request::post(ALL).body(Body::from(vec![b'a'; 65])).unwrap(), 413),
        (chunked(64), 200),
        (chunked(65), 413),
        (claiming("64", 64), 200),
        (claiming("10", 65), 413),
        (claiming("65", 10), 413),
    ] {
        let shown = format!("{request:?}");
        let answer = front.send(request).await;
        assert_eq!(answer.status, status, "{shown}");
        if status == 413 {
            answer.refused(413, "64 bytes");
        }
    }
    assert_eq!(front.world.requests.lock().unwrap().len(), 3, "adapters see no body that is too large");
    assert_eq!(front.counts().refused, 4);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_400() {
    let front = World::default().open();
    let chunks = vec![Ok(vec![b'a'; 8]), Err(std::io::Error::other("connection reset by peer"))];
    let request = Request::post(ALL).body(Body::from_stream(stream::iter(chunks))).unwrap();
    front.send(request).await.refused(400, "broke off");
}

#[tokio::test]
async fn headers_that_must_be_read_and_cannot_be_are_400() {
    let front = World::default().open();
    for (uri, header, value, says) in [
        (ALL, "content-type", &b"application/\xff"[..], "header `content-type`"),
        (ALL, "idempotency-key", b"\xc3\x28", "header `idempotency-key`"),
        (ALL, "idempotency-key", b"", "1 to 255 bytes"),
        (ALL, "idempotency-key", &[b'k'; 256], "1 to 255 bytes"),
        (ALL, "host", b"\xff", "header `host`"),
        (SYNC, "prefer", b"\xff", "header `prefer`"),
        (SYNC, "prefer", b"wait=soon", "`wait=soon`"),
        (SYNC, "prefer", b"wait=-1", "`wait=-1`"),
        (SYNC, "prefer", b"wait=+1", "`wait=+1`"),
        (SYNC, "prefer", b"wait", "`wait`"),
    ] {
        let request = Request::post(uri).header(header, value).body(Body::empty()).unwrap();
        front.send(request).await.refused(400, says);
    }
    assert!(front.started().is_empty());
    for (uri, header, value) in [
        (ALL, "idempotency-key", &[b'k'; 255][..]),
        (ALL, "prefer", b"wait=soon"),
        (SYNC, "prefer", b"respond-async, handling=lenient"),
        (ALL, "x-other", b"\xff"),
    ] {
        let request = Request::post(uri).header(header, value).body(Body::empty()).unwrap();
        let answer = front.send(request).await;
        assert!(answer.status.is_success(), "{header}: {}", answer.text());
    }
}

#[tokio::test]
async fn broken_json_is_400_with_its_place_and_only_under_a_json_content_type() {
    let front = World::default().open();
    let json = [("content-type", "application/json; charset=utf-8")];
    front.post(ALL, &json, "{\"a\":\n 1,}").await.refused(400, "line 2 column 4");
    front.post(ALL, &[("content-type", "application/xml")], "<a>\n<b></a>").await.refused(400, "line 2 column 4");
    assert!(front.started().is_empty());
    assert_eq!(front.post(ALL, &[("content-type", "text/plain")], "{\"a\":").await.status, 200);
}

#[tokio::test]
async fn the_rate_holds_as_many_as_it_says_and_one_more_is_429_with_retry_after() {
    let world = World::default();
    let triage = world.published[0].clone();
    let front = world.publish(vec![triage]).open_with(25, |_| {});
    for n in 0..25 {
        assert_eq!(front.post(ALL, &[], "{}").await.status, 200, "{n}");
    }
    let answer = front.post(ONE, &[], "{}").await;
    answer.refused(429, "more than 25 executions a second");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(front.started().len(), 25);
    front.advance(Duration::from_millis(40));
    assert_eq!(front.post(SYNC, &[], "{}").await.status, 201);
    front.post(SYNC, &[], "{}").await.refused(429, "workspace `default`");
}

#[tokio::test]
async fn the_rate_counts_executions_and_not_deliveries() {
    let front = World::default().open_with(3, |_| {});
    assert_eq!(front.post(ALL, &[], "{}").await.status, 200, "two executions");
    front.post(ALL, &[], "{}").await.refused(429, "3 executions");
    let told = front.world.not_started.lock().unwrap().clone();
    let names: Vec<_> = told.iter().map(|(workflow, trigger, _)| (workflow.as_str(), trigger.as_str())).collect();
    assert_eq!(names, [("triage", "webhook:github"), ("archive", "webhook:github")], "each trigger learns of it");
    assert!(told.iter().all(|(_, _, why)| why.contains("more than 3 executions a second")), "{told:?}");
    assert_eq!(front.post(ONE, &[], "{}").await.status, 200, "the third");

    let front = World::default().adapter(|_| receipt(vec![])).open_with(1, |_| {});
    for _ in 0..10 {
        assert_eq!(front.post(ALL, &[], "{}").await.status, 200, "what starts nothing takes no room");
    }
}

#[tokio::test]
async fn what_cannot_be_kept_is_503_with_retry_after_and_tells_the_outside_nothing() {
    for error in [DispatchError::NotDurable("disk /dev/sda1 is full".into()), DispatchError::Stopping] {
        for uri in [ALL, ONE, SYNC] {
            let front = World::default().open();
            *front.world.dispatch_error.lock().unwrap() = Some(error.clone());
            let answer = front.post(uri, &[], "{}").await;
            answer.refused(503, "send it again");
            assert_eq!(answer.header("retry-after"), Some("1"));
            assert!(!answer.text().contains("sda1"), "{}", answer.text());
            assert_eq!(front.counts().last_refusals[0].status, 503);
        }
    }
    let front = World::default().open();
    *front.world.store_error.lock().unwrap() = Some(StoreError::Unavailable("no".into()));
    front.post(ALL, &[("idempotency-key", "k")], "{}").await.refused(503, "send it again");
}

#[tokio::test]
async fn a_thousand_events_are_taken_and_one_more_is_400() {
    for (count, status) in [(1000, 200), (1001, 400)] {
        let front = World::default().adapter(move |_| receipt(vec![event("push"); count])).open();
        assert_eq!(front.post(ONE, &[], "{}").await.status, status);
        assert_eq!(front.started().len(), if status == 200 { count } else { 0 });
    }
}
