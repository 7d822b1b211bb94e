//! CloudEvents: from outside and from steps, each once.

use axum::body::Body;
use camshaft_model::{Value, json};

use crate::bench::{ADMIN, Answer, Bench};

const ON_ORDER: &str = r#"
name: on-order
triggers:
  - event: { type: order.created, source: /shop, when: "$.event.data.total > 1" }
steps:
  - set: { order: "{{ $.event.data.id }}" }
  - exit: { order: "{{ $.vars.order }}", topic: "{{ $.event.topic }}" }
"#;

fn order(id: &str, total: u64) -> Value {
    let data = json!({"id": 7, "total": total});
    json!({"specversion": "1.0", "id": id, "source": "/shop", "type": "order.created", "data": data})
}

async fn post(bench: &Bench, path: &str, event: &Value) -> Answer {
    let bearer = format!("Bearer {ADMIN}");
    let kind = if event.is_array() { "application/cloudevents-batch+json" } else { "application/cloudevents+json" };
    bench.send("POST", path, &[("authorization", &bearer), ("content-type", kind)], event.to_string()).await
}

fn started(answer: &Value, index: usize) -> Option<String> {
    answer["events"][index]["executions"][0]["execution_id"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn an_event_starts_what_it_is_meant_for_once() {
    let bench = Bench::new().await;
    bench.publish("on-order", ON_ORDER).await;
    let first = post(&bench, "/events", &order("1", 3)).await.is(202).json();
    let execution = started(&first, 0).unwrap();
    let ended = bench.ended(&execution).await;
    assert_eq!(
        (&ended["trigger"], &ended["output"]),
        (&json!("event"), &json!({"order": 7, "topic": "order.created"}))
    );
    let again = post(&bench, "/events", &order("1", 3)).await.is(202).json();
    assert_eq!(started(&again, 0), Some(execution), "the same event is told of the same execution");
    assert_eq!(again["events"][0]["replayed"], true);

    for (what, event) in [
        ("its `when` does not hold", order("2", 1)),
        ("another source", {
            let mut event = order("3", 3);
            event["source"] = json!("/other");
            event
        }),
        ("another type", {
            let mut event = order("4", 3);
            event["type"] = json!("order.paid");
            event
        }),
    ] {
        assert_eq!(started(&post(&bench, "/events", &event).await.is(202).json(), 0), None, "{what}");
    }
    let batch = post(&bench, "/events", &json!([order("5", 3), order("1", 3), order("6", 1)])).await.is(202).json();
    assert!(started(&batch, 0).is_some() && started(&batch, 1).is_some() && started(&batch, 2).is_none(), "{batch:#}");
    let all = bench.get("/api/v1/executions?trigger=event").await["items"].as_array().unwrap().len();
    assert_eq!(all, 2);

    let shown = bench.get("/api/v1/workflows/on-order/triggers").await["items"][0].clone();
    assert_eq!(shown["urls"], json!({"events": "https://hooks.example/events"}));
    assert!(shown["curl"]["events"].as_str().unwrap().contains(r#""type":"order.created""#), "{shown}");
    bench
        .call("PATCH", "/api/v1/workflows/on-order/triggers/event:order.created", r#"{"enabled": false}"#)
        .await
        .is(200);
    assert_eq!(started(&post(&bench, "/events", &order("7", 3)).await.is(202).json(), 0), None, "switched off");
}

#[tokio::test]
async fn a_bad_event_is_named_and_a_batch_with_one_starts_nothing() {
    let bench = Bench::new().await;
    bench.publish("on-order", ON_ORDER).await;
    let mut bad = order("2", 3);
    bad["time"] = json!("now");
    let answer = post(&bench, "/events", &json!([order("1", 3), bad])).await;
    answer.problem(400, &["event 1: attribute `time` is \"now\""]);
    assert_eq!(bench.get("/api/v1/executions").await["items"], json!([]));
    let deep = |levels: usize| {
        let mut event = order("3", 3);
        event["data"] = (0..levels).fold(json!(1), |inner, _| json!([inner]));
        event
    };
    post(&bench, "/events", &deep(98)).await.is(202);
    assert!(post(&bench, "/events", &deep(99)).await.is(400).text().contains("98 levels"));
    assert_eq!(post(&bench, "/events?environment=X", &order("1", 3)).await.status, 400);
}

#[tokio::test]
async fn only_those_who_may_send_events_do_and_only_to_their_workspace() {
    let bench = Bench::new().await;
    bench.publish("on-order", ON_ORDER).await;
    let body = r#"{"label": "shop", "scope": "events"}"#;
    let token = bench.call("POST", "/api/v1/tokens", body).await.is(201).json()["token"].clone();
    let token = token.as_str().unwrap();
    let headers = [("content-type", "application/cloudevents+json")];
    let send = async |path: &str| bench.send("POST", path, &headers, order("1", 3).to_string()).await;
    send(&format!("/events?access_token={token}")).await.is(202);
    send(&format!("/events/default?access_token={token}")).await.is(202);
    send("/events").await.problem(401, &[]);
    send("/events?access_token=cst_nothing").await.problem(401, &[]);
    bench.call("PUT", "/api/v1/workspaces/acme", "{}").await.is(201);
    send(&format!("/events/acme?access_token={token}")).await.problem(404, &["`acme`"]);
    post(&bench, "/events/acme", &order("1", 3)).await.is(202);
    bench.call_as(token, "GET", "/api/v1/workflows", Body::empty()).await.problem(403, &["`events`"]);
    // In the query it is for senders of events alone.
    let path = format!("/api/v1/workflows?access_token={token}");
    bench.send("GET", &path, &[], Body::empty()).await.problem(401, &[]);

    let bearer = format!("Bearer {token}");
    let asked = [("authorization", bearer.as_str()), ("webhook-request-origin", "shop.example")];
    let may = bench.send("OPTIONS", "/events", &asked, Body::empty()).await.is(200);
    assert_eq!(may.header("webhook-allowed-origin"), Some("shop.example"));
    assert_eq!(may.header("webhook-allowed-rate"), Some("*"));
}

#[tokio::test]
async fn an_event_reaches_executions_that_wait_for_its_topic() {
    let bench = Bench::new().await;
    let waiting = "
name: waiting
triggers: [ { manual: {} } ]
steps:
  - id: paid
    wait: { event: { topic: paid } }
  - exit: { by: '{{ $.steps.paid.data.by }}' }
";
    bench.publish("waiting", waiting).await;
    let id = bench.call("POST", "/api/v1/workflows/waiting/trigger", "{}").await.is(200).json()["execution_id"].clone();
    let event = json!({
        "specversion": "1.0", "id": "1", "source": "/bank", "type": "payment", "topic": "paid", "data": {"by": "card"},
    });
    let told = post(&bench, "/events", &event).await.is(202).json();
    assert_eq!(told["events"][0]["reached"], json!([id]));
    assert_eq!(bench.ended(id.as_str().unwrap()).await["output"], json!({"by": "card"}));
}

#[tokio::test]
async fn an_event_of_a_step_starts_workflows_and_a_ring_of_them_ends() {
    let bench = Bench::new().await;
    let ring = "
name: ring
triggers: [ { manual: {} }, { event: { type: round, when: '$.event.data.go' } } ]
steps:
  - emit: { type: round, data: { go: true } }
";
    bench.publish("ring", ring).await;
    let id = bench.call("POST", "/api/v1/workflows/ring/trigger", "{}").await.is(200).json()["execution_id"].clone();
    let mut id = id.as_str().unwrap().to_owned();
    let mut rounds = 0;
    loop {
        bench.ended(&id).await;
        let items = bench.get("/api/v1/executions?limit=200").await["items"].as_array().unwrap().clone();
        if items.len() == rounds + 1 {
            break;
        }
        rounds = items.len() - 1;
        id = items[0]["id"].as_str().unwrap().to_owned();
    }
    assert_eq!(rounds, camshaft_model::limits::CHILDREN_DEPTH_MAX as usize);
    // A test disturbs nobody.
    bench.call("POST", "/api/v1/workflows/ring/test", "{}").await;
    let test = bench.get("/api/v1/executions?test=true").await["items"][0]["id"].clone();
    bench.ended(test.as_str().unwrap()).await;
    assert_eq!(bench.get("/api/v1/executions?limit=200").await["items"].as_array().unwrap().len(), rounds + 2);
}
