//! Publishing, what it demands, and taking back.

use axum::body::Body;
use camshaft_model::json;

use crate::bench::{Bench, ECHO};

fn workflow(step: &str, trigger: &str) -> String {
    format!("name: w\ntriggers:\n  - {trigger}\nsteps:\n  - {step}\n  - exit: {{ status: 204 }}\n")
}

#[tokio::test]
async fn a_revision_runs_where_it_is_published_and_nowhere_else() {
    let bench = Bench::new().await;
    bench.call("PUT", "/api/v1/workflows/echo-it", ECHO).await.is(201);
    let trigger = "/api/v1/workflows/echo-it/trigger";
    bench.call("POST", trigger, "{}").await.problem(404, &["not published", "`production`"]);

    let staging = r#"{"environment": "staging"}"#;
    bench.call("POST", "/api/v1/workflows/echo-it/publish", staging).await.is(200);
    bench.call("POST", trigger, "{}").await.is(404);
    bench.call("POST", &format!("{trigger}?environment=staging"), "{}").await.is(200);

    let view = bench.call("POST", "/api/v1/workflows/echo-it/publish", Body::empty()).await.is(200).json();
    assert_eq!(view["published"], json!({"production": 1, "staging": 1}));
    let second = ECHO.replace("default: hello", "default: bye");
    bench.call("PUT", "/api/v1/workflows/echo-it", second).await.is(200);
    assert_eq!(bench.run("echo-it", "{}").await["output"]["body"]["said"], "hello", "the first is published still");
    bench.call("POST", "/api/v1/workflows/echo-it/publish", r#"{"revision": 2}"#).await.is(200);
    assert_eq!(bench.run("echo-it", "{}").await["output"]["body"]["said"], "bye");

    let view = bench.call("POST", "/api/v1/workflows/echo-it/unpublish", "{}").await.is(200).json();
    assert_eq!(view["published"], json!({"staging": 1}));
    bench.call("POST", trigger, "{}").await.is(404);
    bench.call("POST", "/api/v1/workflows/echo-it/unpublish", "{}").await.is(200);
}

#[tokio::test]
async fn a_revision_that_is_not_there_and_bodies_that_are_wrong_are_refused() {
    let bench = Bench::new().await;
    bench.call("PUT", "/api/v1/workflows/echo-it", ECHO).await.is(201);
    let publish = "/api/v1/workflows/echo-it/publish";
    for number in [0, 2] {
        let named = format!("no revision {number}");
        bench.call("POST", publish, format!("{{\"revision\": {number}}}")).await.problem(422, &[&named, "latest is 1"]);
    }
    bench.call("POST", publish, r#"{"revison": 1}"#).await.problem(400, &["`revison`"]);
    bench.call("POST", publish, r#"{"environment": "No!"}"#).await.problem(400, &["`environment`", "`No!`"]);
    bench.call("POST", publish, "{").await.problem(400, &["line 1"]);
    bench.call("POST", "/api/v1/workflows/none/publish", "{}").await.problem(404, &["`none`"]);
}

#[tokio::test]
async fn a_missing_grant_is_named_with_its_import_and_the_command() {
    let bench = Bench::new().await;
    bench.call("PUT", "/api/v1/workflows/w", workflow("task: caller@1", "manual: {}")).await.is(201);
    let publish = "/api/v1/workflows/w/publish";
    let problem = bench.call("POST", publish, "{}").await.problem(
        422,
        &["`caller`", "wasi:http/outgoing-handler", "camshaft plugin grant caller --host https://api.example.com"],
    );
    assert_eq!(problem["missing"][0]["kind"], "grant");
    assert_eq!(bench.get("/api/v1/workflows/w").await["published"], json!({}));
    bench.call("PUT", "/api/v1/plugins/caller/grant", r#"{"hosts": ["https://api.example.com"]}"#).await.is(200);
    bench.call("POST", publish, "{}").await.is(200);
}

#[tokio::test]
async fn everything_that_is_missing_is_told_at_once() {
    let bench = Bench::new().await;
    let step = "task: reader@1\n    with: { key: \"Bearer {{ $.secrets.api_key }}\" }";
    let document = workflow(step, "webhook: { integration: shop }");
    bench.call("PUT", "/api/v1/workflows/w", document).await.is(201);
    let problem = bench.call("POST", "/api/v1/workflows/w/publish", "{}").await.problem(422, &["2 more"]);
    let kinds: Vec<_> = problem["missing"].as_array().unwrap().iter().map(|m| (&m["kind"], &m["name"])).collect();
    assert_eq!(json!(kinds), json!([["grant", "reader"], ["secret", "api_key"], ["integration", "shop"]]));
    bench.call("PUT", "/api/v1/plugins/reader/grant", r#"{"secrets": ["api_key"]}"#).await.is(200);
    bench.call("PUT", "/api/v1/secrets/api_key", r#"{"value": "x"}"#).await.is(204);
    bench.call("PUT", "/api/v1/integrations/shop", r#"{"adapter": "generic"}"#).await.is(201);
    bench.call("POST", "/api/v1/workflows/w/publish", "{}").await.is(200);
}

/// A workflow that starts others.
fn starts(name: &str, children: &[&str]) -> String {
    let steps: Vec<_> =
        children.iter().map(|child| format!("  - {{ if: false, then: [ {{ workflow: {child} }} ] }}\n")).collect();
    format!("name: {name}\ntriggers: [ {{ manual: {{}} }} ]\nsteps:\n{}  - exit: {{ status: 204 }}\n", steps.concat())
}

#[tokio::test]
async fn a_workflow_is_published_only_where_those_that_it_starts_are() {
    let bench = Bench::new().await;
    bench.call("PUT", "/api/v1/workflows/parent", starts("parent", &["child", "nobody", "child"])).await.is(201);
    let publish = "/api/v1/workflows/parent/publish";
    let problem = bench.call("POST", publish, "{}").await.problem(422, &["`child`", "`production`", "1 more"]);
    let missing: Vec<_> = problem["missing"].as_array().unwrap().iter().map(|m| (&m["kind"], &m["name"])).collect();
    assert_eq!(json!(missing), json!([["workflow", "child"], ["workflow", "nobody"]]));
    assert_eq!(problem["missing"][0]["command"], "camshaft workflow publish child --environment production");

    bench.call("PUT", "/api/v1/workflows/parent", starts("parent", &["child"])).await.is(200);
    bench.call("PUT", "/api/v1/workflows/child", starts("child", &[])).await.is(201);
    bench.call("POST", publish, "{}").await.problem(422, &["`child`"]);
    bench.call("POST", "/api/v1/workflows/child/publish", "{}").await.is(200);
    bench.call("POST", publish, "{}").await.is(200);
    bench.call("POST", publish, r#"{"environment": "staging"}"#).await.problem(422, &["`child`", "`staging`"]);
}

#[tokio::test]
async fn of_workflows_that_start_each_other_any_may_be_the_first() {
    let bench = Bench::new().await;
    for (name, child) in [("alone", "alone"), ("a", "b"), ("b", "c"), ("c", "a")] {
        bench.call("PUT", &format!("/api/v1/workflows/{name}"), starts(name, &[child])).await.is(201);
    }
    for name in ["alone", "b", "a", "c"] {
        bench.call("POST", &format!("/api/v1/workflows/{name}/publish"), "{}").await.is(200);
    }
    // Who only leads into the ring is not in it.
    bench.call("POST", "/api/v1/workflows/b/unpublish", "{}").await.is(200);
    bench.call("PUT", "/api/v1/workflows/outside", starts("outside", &["b"])).await.is(201);
    bench.call("POST", "/api/v1/workflows/outside/publish", "{}").await.problem(422, &["`b`"]);
}

#[tokio::test]
async fn a_workflow_shows_how_far_its_limits_are_used() {
    let bench = Bench::new().await;
    let document = "name: limited\nlimits: { per_day: 5, per_month: 70, concurrency: 3, when_full: reject }\ntriggers: [ { manual: {} } ]\nsteps: []\n";
    bench.publish("limited", document).await;
    bench.run("limited", "{}").await;
    bench.run("limited", "{}").await;
    let shown = bench.call("GET", "/api/v1/workflows/limited", "").await.is(200).json();
    let limits = &shown["limits"];
    assert_eq!((&limits["per_day"]["count"], &limits["per_day"]["limit"]), (&json!(2), &json!(5)));
    assert_eq!((&limits["per_month"]["count"], &limits["per_month"]["limit"]), (&json!(2), &json!(70)));
    assert!(limits["per_day"]["ends_at"].as_str().unwrap().ends_with("T00:00:00.000Z"), "{limits}");
    let concurrency = json!({"limit": 3, "running": 0, "queued": 0, "when_full": "reject"});
    assert_eq!((&limits["concurrency"], &limits["timeout_s"]), (&concurrency, &json!(86_400)));
    assert_eq!(shown["name"], json!("limited"), "the rest of it stands beside");
}

#[tokio::test]
async fn those_in_line_begin_when_a_revision_that_lets_more_in_is_published() {
    let bench = Bench::new().await;
    let document = |limits: &str| {
        format!("name: busy\n{limits}triggers: [ {{ manual: {{}} }} ]\nsteps: [ {{ approval: {{ ask: Well? }} }} ]\n")
    };
    bench.publish("busy", &document("limits: { concurrency: 1 }\n")).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        let started = bench.call("POST", "/api/v1/workflows/busy/trigger", "{}").await.is(200).json();
        ids.push(started["execution_id"].as_str().unwrap().to_owned());
    }
    let occupied = async || bench.get("/api/v1/workflows/busy").await["limits"]["concurrency"].clone();
    assert_eq!(occupied().await["queued"], json!(3));
    bench.publish("busy", &document("limits: { concurrency: 3 }\n")).await;
    assert_eq!(occupied().await, json!({"limit": 3, "running": 3, "queued": 1, "when_full": "queue"}));
    bench.publish("busy", &document("")).await;
    for id in ids {
        let path = format!("/api/v1/executions/{id}/approval");
        while bench.call("POST", &path, r#"{"approved": true}"#).await.status != 200 {
            tokio::task::yield_now().await;
        }
        assert_eq!(bench.ended(&id).await["status"], json!("succeeded"));
    }
}
