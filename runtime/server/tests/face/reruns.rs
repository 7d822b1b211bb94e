//! Running many executions again, and trying out what is not published.

use std::sync::Arc;

use axum::body::Body;
use camshaft_model::ids::Name;
use camshaft_model::resource::{Change, Expect, ResourceKey, ResourceKind};
use camshaft_model::seams::Store;
use camshaft_model::time::Timestamp;
use camshaft_model::{Value, json};
use camshaft_server::reruns;
use camshaft_store::MemoryStore;

use crate::bench::{Bench, ECHO, Options};

const FAILING: &str = "
name: failing
triggers: [{ manual: {} }]
steps: [{ id: no, task: fail@1 }]
";

/// Fails at first; then is mended.
async fn failed(bench: &Bench, count: usize) -> Vec<String> {
    bench.publish("failing", FAILING).await;
    let mut ids = Vec::new();
    for n in 0..count {
        let body = json!({"event": {"n": n}}).to_string();
        ids.push(bench.run("failing", &body).await["id"].as_str().unwrap().to_owned());
    }
    ids
}

/// What repeats what, newest first.
async fn repeats(bench: &Bench) -> Vec<String> {
    let items = bench.get("/api/v1/executions?limit=200").await["items"].as_array().unwrap().clone();
    items.iter().filter_map(|item| item["repeats"].as_str().map(str::to_owned)).collect()
}

async fn over(bench: &Bench, id: &str) -> Value {
    loop {
        let rerun = bench.get(&format!("/api/v1/reruns/{id}")).await;
        if rerun["status"] != "running" {
            return rerun;
        }
        tokio::task::yield_now().await;
    }
}

const FAILED: &str = r#"{"filter": {"workflow": "failing", "status": "failed"}}"#;

#[tokio::test]
async fn all_that_a_filter_holds_for_run_again_once_in_their_order() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    bench.run("echo-it", "{}").await;
    let ids = failed(&bench, 3).await;

    let dry = json!({"filter": {"workflow": "failing", "status": "failed"}, "dry_run": true}).to_string();
    let counted = bench.call("POST", "/api/v1/executions/rerun", dry).await.is(200).json();
    assert_eq!(counted, json!({"matched": 3, "more": false}));
    assert_eq!(repeats(&bench).await, [""; 0]);

    let answer = bench.call("POST", "/api/v1/executions/rerun", FAILED).await.is(202);
    let location = answer.header("location").unwrap().to_owned();
    let begun = answer.json();
    assert_eq!(
        (&begun["matched"], &begun["by"], &begun["filter"]["status"]),
        (&json!(3), &json!("operator"), &json!("failed"))
    );
    let id = begun["id"].as_str().unwrap();
    let done = over(&bench, id).await;
    assert_eq!((&done["status"], &done["started"], &done["refused"]), (&json!("done"), &json!(3), &json!(0)));
    assert_eq!(repeats(&bench).await, ids.iter().rev().cloned().collect::<Vec<_>>());
    assert_eq!(bench.get(&location).await, done);
    assert_eq!(bench.get("/api/v1/reruns").await, json!({"items": [done], "next": null}));
    bench.call("POST", &format!("{location}/cancel"), "").await.problem(409, &[id, "over"]);
    let nobody = "018f3c9a-7b1e-7c3d-8a2b-1c2d3e4f5a6b";
    bench.call("GET", &format!("/api/v1/reruns/{nobody}"), "").await.problem(404, &[nobody]);
}

#[tokio::test]
async fn a_limit_takes_the_newest_and_what_cannot_be_read_is_refused() {
    let bench = Bench::new().await;
    let ids = failed(&bench, 3).await;
    let path = "/api/v1/executions/rerun";
    let body = json!({"filter": {"status": "failed"}, "limit": 2}).to_string();
    let begun = bench.call("POST", path, body).await.is(202).json();
    assert_eq!((&begun["matched"], &begun["more"]), (&json!(2), &json!(true)));
    over(&bench, begun["id"].as_str().unwrap()).await;
    assert_eq!(repeats(&bench).await, [ids[2].clone(), ids[1].clone()]);

    bench.call("POST", path, "{}").await.problem(422, &["filter says nothing"]);
    bench.call("POST", path, r#"{"filter": {"status": "odd"}}"#).await.problem(400, &["`odd`"]);
    bench.call("POST", path, r#"{"filter": {"state": "failed"}}"#).await.problem(400, &["state"]);
    bench.call("POST", path, r#"{"filter": {"workflow": "none"}}"#).await.problem(404, &["`none`"]);
    bench.call("POST", path, r#"{"filter": {"status": "failed"}, "limit": 0}"#).await.problem(400, &["`limit` is 0"]);
    let token = bench.call("POST", "/api/v1/workflows/failing/tokens", r#"{"label": "t"}"#).await.is(201).json();
    bench.call_as(token["token"].as_str().unwrap(), "POST", path, FAILED).await.problem(403, &["`t`"]);
}

#[tokio::test]
async fn what_a_limit_leaves_no_room_for_is_counted_with_its_reason() {
    let bench = Bench::new().await;
    let ids = failed(&bench, 3).await;
    bench.publish("failing", &format!("{FAILING}limits: {{ per_day: 1000 }}\n")).await;
    let limited = format!("{FAILING}limits: {{ per_day: 1 }}\n");
    // Each runs again with its own revision, so the limit has to be there from the start.
    bench.publish("limited", &limited.replace("failing", "limited")).await;
    let one = bench.run("limited", "{}").await["id"].as_str().unwrap().to_owned();
    let begun =
        bench.call("POST", "/api/v1/executions/rerun", r#"{"filter": {"status": "failed"}}"#).await.is(202).json();
    let done = over(&bench, begun["id"].as_str().unwrap()).await;
    assert_eq!((&done["started"], &done["refused"]), (&json!(ids.len()), &json!(1)));
    assert_eq!(done["refusals"][0]["execution_id"], json!(one));
    assert!(done["refusals"][0]["why"].as_str().unwrap().contains("limit of 1 executions a day"), "{done}");
}

/// A rerun as a server leaves it that stops before it has written down how far it was.
async fn left(store: &Arc<MemoryStore>, id: &str, updated_at: Option<Timestamp>) {
    let workspace = Name::new("default").unwrap();
    let key = ResourceKey { kind: ResourceKind::Rerun, workspace, name: id.to_owned() };
    let mut resource = store.resource(key).await.unwrap().unwrap();
    resource.spec["stage"] = json!("running");
    resource.spec["started"] = json!(0);
    resource.updated_at = updated_at.unwrap_or(resource.updated_at);
    store.change(vec![Change::Put { resource, expect: Expect::Any }]).await.unwrap();
}

#[tokio::test]
async fn a_rerun_that_a_stop_interrupted_goes_on_and_repeats_nothing_twice() {
    let store = Arc::new(MemoryStore::new());
    let bench = Bench::with(Options { store: store.clone(), ..Options::default() }).await;
    let ids = failed(&bench, 3).await;
    let begun = bench.call("POST", "/api/v1/executions/rerun", FAILED).await.is(202).json();
    let id = begun["id"].as_str().unwrap().to_owned();
    over(&bench, &id).await;
    bench.engine.stop().await;
    drop(bench);

    let store = Arc::new(store.restarted());
    left(&store, &id, None).await;
    let bench = Bench::with(Options { store: store.clone(), ..Options::default() }).await;
    let done = over(&bench, &id).await;
    assert_eq!((&done["status"], &done["started"]), (&json!("done"), &json!(3)));
    assert_eq!(repeats(&bench).await.len(), ids.len(), "nothing was repeated twice");
    bench.engine.stop().await;
    drop(bench);

    let store = Arc::new(store.restarted());
    left(&store, &id, Some(Timestamp(1))).await;
    let bench = Bench::with(Options { store, ..Options::default() }).await;
    assert_eq!(bench.get(&format!("/api/v1/reruns/{id}")).await["status"], "given_up");
    assert_eq!(repeats(&bench).await.len(), ids.len());
}

#[tokio::test]
async fn a_rerun_is_cancelled_and_starts_nothing_more() {
    // One a second is started, so that the second waits for its turn.
    let bench = Bench::with(Options { executions_per_second: 1, ..Options::default() }).await;
    bench.publish("failing", FAILING).await;
    let start = json!({"filter": {"test": true}}).to_string();
    for _ in 0..2 {
        let begun = bench.call("POST", "/api/v1/workflows/failing/test", "{}").await.is(201).json();
        bench.ended(begun["execution_id"].as_str().unwrap()).await;
    }
    let begun = bench.call("POST", "/api/v1/executions/rerun", start).await.is(202).json();
    let id = begun["id"].as_str().unwrap();
    let path = format!("/api/v1/reruns/{id}");
    bench.call("POST", &format!("{path}/cancel"), Body::empty()).await.is(200);
    let cancelled = bench.get(&path).await;
    assert_eq!(cancelled["status"], "cancelled");
    assert!(cancelled["started"].as_u64().unwrap() < 2, "{cancelled}");
    bench.call("POST", &format!("{path}/cancel"), Body::empty()).await.problem(409, &["over"]);
    assert!(bench.app.reruns.under_way() <= reruns::RUNNING_MAX);
}

#[tokio::test]
async fn the_draft_is_tried_out_with_an_event_or_with_one_that_came_before() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    let before = bench.run("echo-it", r#"{"params": {"text": "hi"}, "event": {"n": 1}}"#).await;
    let before = before["id"].as_str().unwrap();
    let path = format!("/api/v1/executions/{before}/rerun");
    let again = bench.call("POST", &path, r#"{"revision": "draft"}"#).await.is(201).json();
    assert_eq!((&again["revision"], &again["test"]), (&json!(1), &json!(true)), "it is a test though it is published");
    let draft = ECHO.replace("said: \"{{", "draft: \"{{");
    bench.call("PUT", "/api/v1/workflows/echo-it", draft).await.is(200);

    for word in ["draft", "latest"] {
        let body = json!({"revision": word}).to_string();
        let again = bench.call("POST", &path, body).await.is(201).json();
        assert_eq!((&again["revision"], &again["test"]), (&json!(2), &json!(true)));
        let ended = bench.ended(again["execution_id"].as_str().unwrap()).await;
        assert_eq!((&ended["output"]["body"], &ended["event"]), (&json!({"draft": "hi"}), &json!({"n": 1})));
        assert_eq!((&ended["test"], &ended["repeats"]), (&json!(true), &json!(before)));
    }

    let path = "/api/v1/workflows/echo-it/test";
    let begun = bench.call("POST", path, r#"{"params": {"text": "ho"}, "event": {"n": 2}}"#).await.is(201).json();
    assert_eq!(begun["revision"], 2);
    let ended = bench.ended(begun["execution_id"].as_str().unwrap()).await;
    assert_eq!((&ended["test"], &ended["output"]["body"]), (&json!(true), &json!({"draft": "ho"})));
    assert_eq!(ended["event"], json!({"n": 2}));
    let begun = bench.call("POST", path, r#"{"revision": 1}"#).await.is(201).json();
    let ended = bench.ended(begun["execution_id"].as_str().unwrap()).await;
    assert_eq!((&ended["test"], &ended["output"]["body"]), (&json!(true), &json!({"said": "hello"})));
    bench.call("POST", path, r#"{"params": {"text": 7}}"#).await.problem(422, &["`text`"]);
    bench.call("POST", path, r#"{"revision": 3}"#).await.problem(422, &["revision 3"]);
    bench.call("POST", "/api/v1/workflows/none/test", "{}").await.problem(404, &["`none`"]);
    // A document that was never published.
    bench.call("PUT", "/api/v1/workflows/failing", FAILING).await.is(201);
    let begun = bench.call("POST", "/api/v1/workflows/failing/test", "{}").await.is(201).json();
    assert_eq!(bench.ended(begun["execution_id"].as_str().unwrap()).await["status"], "failed");
}

#[tokio::test]
async fn what_the_steps_before_came_to_is_the_output_where_nothing_more_puts_one_out() {
    let bench = Bench::new().await;
    let document = "
name: out
triggers: [ { manual: {} } ]
steps:
  - try: [ { id: x, task: fail@1 } ]
    catch: [ { id: y, task: echo@1, with: answer } ]
    finally: [ { id: z, task: echo@1, with: cleanup } ]
  - { id: notify, when: 'false', task: echo@1, with: never }
  - { id: again, when: 'false', task: echo@1, with: never }
";
    bench.publish("out", document).await;
    let first = bench.run("out", "{}").await;
    assert_eq!(first["output"], json!("answer"));
    let rerun = async |id: &Value, from: &str| {
        let path = format!("/api/v1/executions/{}/rerun", id.as_str().unwrap());
        bench.call("POST", &path, json!({"from": from}).to_string()).await
    };
    let begun = rerun(&first["id"], "again").await.is(201).json();
    let second = bench.ended(begun["execution_id"].as_str().unwrap()).await;
    assert_eq!(second["output"], json!("answer"));
    // It has nothing of what came before the step that it began with; the one that it repeats has.
    rerun(&second["id"], "notify").await.problem(422, &["`notify`", first["id"].as_str().unwrap()]);
}
