//! What executions are told while they wait, and running them again.

use camshaft_model::{Value, json};

use crate::bench::{Bench, ECHO};

const WAITING: &str = "
name: waiting
triggers: [{ manual: {} }]
steps:
  - { id: first, set: { n: 1 } }
  - { id: paid, wait: { event: { topic: paid, match: '$.received.data.n == $.event.n' } } }
  - exit: { body: { paid: '{{ $.steps.paid.data }}', n: '{{ $.steps.first.n }}' } }
";

const ASKING: &str = "
name: asking
triggers: [{ manual: {} }]
steps:
  - { id: ok, approval: { ask: 'Ship {{ $.event.id }}?', of: [ops] } }
  - exit: { body: { by: '{{ $.steps.ok.by }}', comment: '{{ $.steps.ok.comment }}' } }
";

async fn begin(bench: &Bench, name: &str, event: Value) -> String {
    let body = json!({"event": event}).to_string();
    let begun = bench.call("POST", &format!("/api/v1/workflows/{name}/trigger"), body).await.is(200).json();
    let id = begun["execution_id"].as_str().unwrap().to_owned();
    loop {
        let execution = bench.get(&format!("/api/v1/executions/{id}")).await;
        assert!(execution["ended_at"].is_null(), "{execution}");
        if execution["status"] == "waiting" {
            return id;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_event_reaches_those_who_wait_for_it_and_one_with_the_same_id_counts_once() {
    let bench = Bench::new().await;
    bench.publish("waiting", WAITING).await;
    let (one, two) = (begin(&bench, "waiting", json!({"n": 1})).await, begin(&bench, "waiting", json!({"n": 2})).await);
    let shown = bench.get(&format!("/api/v1/executions/{one}")).await;
    assert_eq!(shown["steps"][1]["waits_for"], json!({"event": {"topic": "paid"}}), "{shown}");

    let event = json!({"topic": "paid", "id": "e-1", "data": {"n": 2}}).to_string();
    for _ in 0..2 {
        let reached = bench.call("POST", "/api/v1/events", event.clone()).await.is(202).json();
        assert_eq!(reached["event_id"], "e-1");
        assert!(reached["executions"].as_array().unwrap().contains(&json!(one)), "{reached}");
    }
    assert_eq!(bench.ended(&two).await["output"]["body"], json!({"paid": {"n": 2}, "n": 1}));
    let event = json!({"topic": "paid", "data": {"n": 1}}).to_string();
    let to_one = format!("/api/v1/executions/{one}/events");
    bench.call("POST", &to_one, event.clone()).await.is(202);
    assert_eq!(bench.ended(&one).await["output"]["body"], json!({"paid": {"n": 1}, "n": 1}));

    bench.call("POST", &to_one, event).await.problem(409, &["ended already"]);
    bench.call("POST", "/api/v1/events", r#"{"topic": ""}"#).await.problem(400, &["topic"]);
    let long = json!({"topic": "x".repeat(257)}).to_string();
    bench.call("POST", "/api/v1/events", long).await.problem(400, &["topic", "256"]);
}

#[tokio::test]
async fn an_approval_is_given_by_whom_it_is_asked_of() {
    let bench = Bench::new().await;
    bench.publish("asking", ASKING).await;
    let made = async |label: &str| {
        let body = json!({"label": label}).to_string();
        let made = bench.call("POST", "/api/v1/workflows/asking/tokens", body).await.is(201).json();
        made["token"].as_str().unwrap().to_owned()
    };
    let (ops, shop) = (made("ops").await, made("shop").await);
    let id = begin(&bench, "asking", json!({"id": 7})).await;
    let shown = bench.get(&format!("/api/v1/executions/{id}")).await;
    assert_eq!(shown["steps"][0]["waits_for"], json!({"approval": {"ask": "Ship 7?", "of": ["ops"]}}));
    let path = format!("/api/v1/executions/{id}/approval");
    let yes = r#"{"approved": true, "comment": "go"}"#;
    bench.call_as(&shop, "POST", &path, yes).await.problem(403, &["`shop`", "ops"]);
    bench.call_as(&ops, "POST", &path, r#"{"approved": true, "step": "no"}"#).await.problem(409, &["`no`"]);
    bench.call_as(&ops, "POST", &path, yes).await.is(200);
    assert_eq!(bench.ended(&id).await["output"]["body"], json!({"by": "ops", "comment": "go"}));

    let id = begin(&bench, "asking", json!({"id": 8})).await;
    let no = r#"{"approved": false, "comment": "out of stock"}"#;
    bench.call("POST", &format!("/api/v1/executions/{id}/approval"), no).await.is(200);
    let ended = bench.ended(&id).await;
    assert_eq!((&ended["failure"]["kind"], &ended["failed_step"]), (&json!("rejected"), &json!("ok")));
    assert!(ended["failure"]["message"].as_str().unwrap().contains("out of stock"), "{ended}");
}

#[tokio::test]
async fn an_execution_runs_again_from_a_step_with_what_those_before_it_put_out() {
    let bench = Bench::new().await;
    bench.publish("waiting", WAITING).await;
    let id = begin(&bench, "waiting", json!({"n": 5})).await;
    let event = json!({"topic": "paid", "data": {"n": 5}}).to_string();
    bench.call("POST", "/api/v1/events", event.clone()).await.is(202);
    bench.ended(&id).await;

    let path = format!("/api/v1/executions/{id}/rerun");
    let again = bench.call("POST", &path, r#"{"from": "paid"}"#).await.is(201).json();
    assert_eq!((&again["repeats"], &again["test"]), (&json!(id), &json!(false)));
    let again = again["execution_id"].as_str().unwrap().to_owned();
    bench.call("POST", &format!("/api/v1/executions/{again}/events"), event).await.is(202);
    let ended = bench.ended(&again).await;
    assert_eq!(ended["output"]["body"], json!({"paid": {"n": 5}, "n": 1}), "`first` was not run again: {ended}");
    assert_eq!((&ended["steps"][0]["path"], &ended["steps"][0]["status"]), (&json!("first"), &json!("kept")));
    assert_eq!(ended["event"], json!({"n": 5}));

    bench.call("POST", &path, r#"{"from": "nope"}"#).await.problem(422, &["`nope`", "`first`, `paid`"]);
    bench.call("POST", &path, r#"{"revision": 9}"#).await.problem(422, &["9"]);
    bench.call("POST", &path, r#"{"revision": 0}"#).await.problem(422, &["revision 0"]);
    bench.call("POST", &path, r#"{"revision": "newest"}"#).await.problem(400, &["`newest`", "`draft`"]);
    bench.call("POST", &path, r#"{"revision": true}"#).await.problem(400, &["`draft`"]);
}

#[tokio::test]
async fn open_approvals_are_listed_for_those_who_may_see_them_until_they_are_answered() {
    let bench = Bench::new().await;
    let many = "
name: many
triggers: [{ manual: {} }]
steps:
  - id: each
    for_each: $.event.items
    concurrency: 2
    do:
      - { id: sure, approval: { ask: 'Sure?', timeout: 2d } }
";
    bench.publish("asking", ASKING).await;
    bench.publish("many", many).await;
    bench.publish("waiting", WAITING).await;
    let made = async |workflow: &str, label: &str| {
        let body = json!({"label": label}).to_string();
        let made = bench.call("POST", &format!("/api/v1/workflows/{workflow}/tokens"), body).await.is(201).json();
        made["token"].as_str().unwrap().to_owned()
    };
    let (ops, shop, other) = (made("asking", "ops").await, made("asking", "shop").await, made("many", "m").await);
    let asking = begin(&bench, "asking", json!({"id": 7})).await;
    begin(&bench, "waiting", json!({"n": 1})).await;
    let many = begin(&bench, "many", json!({"items": [1, 2]})).await;

    let list = async |token: &str, query: &str| {
        let page = bench.call_as(token, "GET", &format!("/api/v1/approvals{query}"), "").await.is(200).json();
        (page["items"].as_array().unwrap().clone(), page["next"].clone())
    };
    let (items, next) = list(crate::bench::ADMIN, "").await;
    assert_eq!((items.len(), &next), (3, &json!(null)), "{items:#?}");
    let told = |item: &Value| json!([item["execution_id"], item["step"], item["iteration"], item["ask"], item["of"]]);
    assert_eq!(told(&items[0]), json!([many, "sure", [0], "Sure?", []]));
    assert_eq!(told(&items[1]), json!([many, "sure", [1], "Sure?", []]));
    assert_eq!(told(&items[2]), json!([asking, "ok", [], "Ship 7?", ["ops"]]));
    assert!(items[0]["until"].is_string() && items[2]["until"].is_null() && items[2]["asked_at"].is_string());
    assert_eq!(items[2]["workflow"], "asking");
    let (first, next) = list(crate::bench::ADMIN, "?limit=1").await;
    assert_eq!(first.len(), 2, "one execution, with both of its questions");
    let (second, next) = list(crate::bench::ADMIN, &format!("?limit=1&before={}", next.as_str().unwrap())).await;
    assert_eq!((second, next), (vec![items[2].clone()], json!(null)));
    assert_eq!(list(crate::bench::ADMIN, "?workflow=many").await.0.len(), 2);

    let (seen, _) = list(&ops, "").await;
    assert_eq!((told(&seen[0]), seen.len(), &seen[0]["may_answer"]), (told(&items[2]), 1, &json!(true)));
    assert_eq!(list(&shop, "").await.0[0]["may_answer"], false);
    assert_eq!(list(&other, "").await.0.len(), 2);
    bench.call_as(&other, "GET", "/api/v1/approvals?workflow=asking", "").await.problem(404, &["asking"]);

    let answer = r#"{"approved": true, "step": "sure", "iteration": [0]}"#;
    bench.call("POST", &format!("/api/v1/executions/{many}/approval"), answer).await.is(200);
    let left: Vec<_> = list(&other, "").await.0.iter().map(told).collect();
    assert_eq!(left, [told(&items[1])]);
    bench.call("POST", &format!("/api/v1/executions/{asking}/approval"), r#"{"approved": true}"#).await.is(200);
    bench.ended(&asking).await;
    assert_eq!(list(&ops, "").await.0, [json!(null); 0]);
}

#[tokio::test]
async fn whoever_may_only_start_a_workflow_does_not_agree_to_what_it_asks() {
    let bench = Bench::new().await;
    let document = "name: sure\ntriggers: [ { manual: {} } ]\nsteps: [ { id: ok, approval: { ask: Sure? } } ]\n";
    bench.publish("sure", document).await;
    let token = bench.call("POST", "/api/v1/workflows/sure/tokens", r#"{"label": "partner"}"#).await.is(201).json();
    let token = token["token"].as_str().unwrap();
    let started = bench.call("POST", "/api/v1/workflows/sure/trigger", "{}").await.json();
    let path = format!("/api/v1/executions/{}/approval", started["execution_id"].as_str().unwrap());
    let yes = r#"{"approved": true}"#;
    bench.call_as(token, "POST", &path, yes).await.problem(403, &["`partner`", "manages"]);
    bench.call("POST", &path, yes).await.is(200);
}

#[tokio::test]
async fn a_workflow_s_token_does_not_run_again_past_an_approval() {
    let bench = Bench::new().await;
    let document = "
name: ships
triggers: [ { request: {} } ]
steps:
  - id: asked
    set: { a: 1 }
  - parallel:
      one: [ { id: yes, approval: { ask: 'Ship?' } } ]
  - id: ship
    set: { shipped: true }
  - id: asks
    workflow: echo-it
    with: { text: hi }
    on_error: continue
  - id: last
    set: { last: true }
";
    bench.publish("echo-it", ECHO).await;
    bench.publish("ships", document).await;
    let made = bench.call("POST", "/api/v1/workflows/ships/tokens", r#"{"label": "app"}"#).await.is(201).json();
    let token = made["token"].as_str().unwrap();
    let started = bench.call_as(token, "POST", "/api/v1/workflows/ships/trigger", "{}").await.is(200).json();
    let id = started["execution_id"].as_str().unwrap();
    loop {
        let answer = bench.call("POST", &format!("/api/v1/executions/{id}/approval"), r#"{"approved": true}"#).await;
        if answer.status == 200 {
            break;
        }
        tokio::task::yield_now().await;
    }
    bench.ended(id).await;
    let rerun = format!("/api/v1/executions/{id}/rerun");
    bench.call_as(token, "POST", &rerun, r#"{"from": "ship"}"#).await.problem(403, &["`app`", "approval `yes`"]);
    let unasked = document.replace("approval: { ask: 'Ship?' }", "set: { yes: true }");
    bench.publish("unasked", &unasked.replace("name: ships", "name: unasked")).await;
    let made = bench.call("POST", "/api/v1/workflows/unasked/tokens", r#"{"label": "its"}"#).await.is(201).json();
    let its = made["token"].as_str().unwrap();
    let started = bench.call_as(its, "POST", "/api/v1/workflows/unasked/trigger", "{}").await.is(200).json();
    let id = started["execution_id"].as_str().unwrap();
    bench.ended(id).await;
    let other = format!("/api/v1/executions/{id}/rerun");
    bench.call_as(its, "POST", &other, r#"{"from": "last"}"#).await.problem(403, &["`its`", "workflow `asks`"]);
    bench.call_as(its, "POST", &other, r#"{"from": "asks"}"#).await.is(201);
    bench.call_as(token, "POST", &rerun, r#"{"revision": "draft"}"#).await.problem(403, &["another revision"]);
    bench.call_as(token, "POST", &rerun, r#"{"from": "asked"}"#).await.is(201);
    bench.call("POST", &rerun, r#"{"from": "ship"}"#).await.is(201);
    // What it ran is not what runs now: the new revision may ask for more.
    bench.publish("ships", &document.replace("a: 1", "a: 2")).await;
    bench.call_as(token, "POST", &rerun, "{}").await.problem(403, &["revision 1", "not published"]);
    bench.call("POST", &rerun, "{}").await.is(201);
}
