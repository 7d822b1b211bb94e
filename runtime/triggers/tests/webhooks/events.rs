//! `$.event`, and what adapters see: everything of the delivery, and none of its secrets.

use axum::body::Body;
use axum::http::{HeaderValue, Request};
use camshaft_model::json;
use camshaft_model::seams::AdapterEvent;
use camshaft_model::time::Timestamp;
use camshaft_triggers::http::SentRequestIds;

use crate::world::{NOW, SECRET, World, event, receipt};

const ONE: &str = "/v1/webhooks/github/workflows/triage";

#[tokio::test]
async fn an_event_has_everything_that_the_language_promises() {
    let full = AdapterEvent {
        id: Some("d-1".into()),
        kind: "issues.opened".into(),
        source: Some("octo/repo".into()),
        subject: Some("issues/7".into()),
        time: Some(Timestamp::from_millis(1_575_494_847_394)),
        body: None,
    };
    let front = World::default().adapter(move |_| receipt(vec![full.clone()])).open();
    let headers =
        [("content-type", "application/json"), ("X-GitHub-Event", "issues"), ("accept", "a"), ("accept", "b")];
    front.post(&format!("{ONE}?tag=1&tag=2&x=%20y"), &headers, "{\"n\": [1, 2.5, null]}").await;
    let want = json!({
        "id": "d-1",
        "type": "issues.opened",
        "source": "octo/repo",
        "subject": "issues/7",
        "time": "2019-12-04T21:27:27.394Z",
        "integration": "github",
        "http_method": "POST",
        "path": ONE,
        "query": {"tag": ["1", "2"], "x": " y"},
        "headers": {"Content-Type": ["application/json"], "X-Github-Event": ["issues"], "Accept": ["a", "b"]},
        "body": {"n": [1, 2.5, null]},
    });
    assert_eq!(front.events(), [want]);
}

#[tokio::test]
async fn what_the_adapter_does_not_say_is_null_and_the_time_is_that_of_receipt() {
    let front = World::default().open();
    front.post(ONE, &[], "").await;
    let event = &front.events()[0];
    for key in ["id", "source", "subject", "body"] {
        assert!(event[key].is_null() && event.get(key).is_some(), "{key}");
    }
    assert_eq!(event["time"], NOW.to_string());
    assert_eq!(event.get("body_encoding"), None);
}

#[tokio::test]
async fn bytes_that_are_no_text_come_as_base64_and_say_so() {
    let front = World::default().open();
    front.post(ONE, &[("content-type", "image/png")], vec![0xff, 0x00, 0xfe]).await;
    assert_eq!(front.events()[0]["body"], "/wD+");
    assert_eq!(front.events()[0]["body_encoding"], "base64");
}

#[tokio::test]
async fn the_adapters_body_counts_and_then_the_requests_own_need_not_be_readable() {
    let own = |n: u8| AdapterEvent { body: Some(json!({"n": n})), ..event("push") };
    let front = World::default().adapter(move |_| receipt(vec![own(1), own(2)])).open();
    let answer = front.post(ONE, &[("content-type", "application/json")], "{broken").await;
    assert_eq!(answer.status, 200);
    let bodies: Vec<_> = front.events().iter().map(|event| event["body"].clone()).collect();
    assert_eq!(bodies, [json!({"n": 1}), json!({"n": 2})]);
}

#[tokio::test]
async fn events_of_a_batch_share_the_requests_body_and_headers() {
    let own = AdapterEvent { body: Some(json!("own")), ..event("b") };
    let front = World::default().adapter(move |_| receipt(vec![event("a"), own.clone(), event("c")])).open();
    front.post(&format!("{ONE}?q=1"), &[("x-a", "1")], "shared").await;
    let events = front.events();
    let bodies: Vec<_> = events.iter().map(|event| event["body"].clone()).collect();
    assert_eq!(bodies, ["shared", "own", "shared"]);
    for event in events {
        assert_eq!((&event["headers"]["X-A"], &event["query"]), (&json!(["1"]), &json!({"q": "1"})));
    }
}

#[tokio::test]
async fn no_secret_gets_into_an_event() {
    let leaky = AdapterEvent { body: Some(json!({"clientState": SECRET, "deep": [{"pin": "pin7"}]})), ..event("a") };
    let front = World::default().adapter(move |_| receipt(vec![leaky.clone(), event("b")])).open();
    let uri = format!("{ONE}?token=It%27s%20a%20Secret%20to%20Everybody&pin=pin7&not=pin77");
    let headers = [
        ("authorization", "Basic dXNlcjpwYXNz"),
        ("Proxy-Authorization", "Basic dXNlcjpwYXNz"),
        ("cookie", "session=dXNlcjpwYXNz"),
        ("x-gitlab-token", SECRET),
        ("x-auth", "Token token=\"It's a Secret to Everybody\""),
        ("x-pin", "pin7"),
        ("x-near", "pin77"),
        ("x-empty", ""),
        ("content-type", "application/json"),
    ];
    let body =
        json!({"token": SECRET, "list": ["pin7", "x"], "near": "pin77", "in": format!("a {SECRET} b")}).to_string();
    assert_eq!(front.post(&uri, &headers, body).await.status, 200);
    for event in front.events() {
        let text = event.to_string();
        assert!(!text.contains("Everybody") && !text.contains("dXNlcjpwYXNz"), "{text}");
        assert!(!text.contains("\"pin7\""), "{text}");
        assert_eq!(event["headers"].get("Authorization"), None);
        assert_eq!(event["headers"]["X-Gitlab-Token"], json!(["<secret>"]));
        assert_eq!(event["headers"]["X-Auth"], json!(["<secret>"]));
        assert_eq!((&event["headers"]["X-Near"], &event["headers"]["X-Empty"]), (&json!(["pin77"]), &json!([""])));
        assert_eq!(event["query"], json!({"token": "<secret>", "pin": "<secret>", "not": "pin77"}));
    }
    let events = front.events();
    assert_eq!(events[0]["body"], json!({"clientState": "<secret>", "deep": [{"pin": "<secret>"}]}));
    assert_eq!(
        events[1]["body"],
        json!({"token": "<secret>", "list": ["<secret>", "x"], "near": "pin77", "in": "a <secret> b"})
    );
}

#[tokio::test]
async fn header_values_that_are_not_utf_8_are_replaced_in_the_event_and_whole_for_the_adapter() {
    let front = World::default().open();
    let request = Request::post(ONE).header("x-name", &b"caf\xe9"[..]).body(Body::empty()).unwrap();
    front.send(request).await;
    assert_eq!(front.events()[0]["headers"]["X-Name"], json!(["caf\u{fffd}"]));
    let requests = front.world.requests.lock().unwrap();
    assert!(requests[0].headers.contains(&("x-name".to_owned(), b"caf\xe9".to_vec())));
}

#[tokio::test]
async fn the_adapter_sees_the_delivery_exactly_as_it_came() {
    let front = World::default().open_with(0, |settings| settings.public_url = Some("https://h.example".into()));
    let body = b" {\"a\" : 1}\xff\n".to_vec();
    let uri = format!("{ONE}?b=2&a=%20");
    front.post(&uri, &[("x-b", " spaced "), ("authorization", "Bearer t")], body.clone()).await;
    let requests = front.world.requests.lock().unwrap();
    let request = &requests[0];
    assert_eq!((request.method.as_str(), request.path.as_str(), request.query.as_str()), ("POST", "", "b=2&a=%20"));
    assert_eq!(request.body, body);
    assert!(request.headers.contains(&("authorization".to_owned(), b"Bearer t".to_vec())));
    assert_eq!(request.remote_address.as_deref(), Some("203.0.113.9"));
    assert_eq!(request.received_at, NOW);
    assert_eq!(request.public_url, format!("https://h.example{uri}"));
}

#[tokio::test]
async fn an_id_that_is_ours_is_no_part_of_what_was_sent() {
    let front = World::default().open();
    for sent in [&[][..], &["a b"], &["a b", "c d"]] {
        let mut request = Request::post(ONE).header("x-request-id", "ours-1").body(Body::empty()).unwrap();
        let values = sent.iter().map(|id| HeaderValue::from_static(id)).collect();
        request.extensions_mut().insert(SentRequestIds(values));
        front.send(request).await;
        let seen = front.world.requests.lock().unwrap().pop().unwrap().headers;
        let seen: Vec<_> = seen.iter().filter(|(name, _)| name == "x-request-id").map(|(_, id)| id.clone()).collect();
        assert_eq!(seen, sent.iter().map(|id| id.as_bytes()).collect::<Vec<_>>());
    }
    let is_ours = front.world.dispatched.lock().unwrap().iter().all(|one| one.request_id.as_deref() == Some("ours-1"));
    assert!(is_ours);
    front.post(ONE, &[("x-request-id", "theirs-1")], "{}").await;
    assert_eq!(front.events()[3]["headers"]["X-Request-Id"], json!(["theirs-1"]));
    assert_eq!(front.events()[0]["headers"].get("X-Request-Id"), None);
}

#[tokio::test]
async fn what_curl_sends_without_being_told_is_json_all_the_same() {
    let front = World::default().open();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    front.post(ONE, &form, "{\"body\": [1,2,3]}").await;
    assert_eq!(front.events()[0]["body"], json!({"body": [1, 2, 3]}));
}
