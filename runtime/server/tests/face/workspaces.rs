//! Workspaces: who makes them, and that nothing of one shows in another.

use std::time::Duration;

use axum::body::Body;
use camshaft_model::{Value, json};

use camshaft_server::catalog::quotas::InstanceLimits;

use crate::bench::{Answer, Bench, ECHO, Options};

/// A request of an operator in a workspace.
async fn within(bench: &Bench, workspace: &str, method: &str, path: &str, body: &str) -> Answer {
    let token = format!("Bearer {}", crate::bench::ADMIN);
    let headers = [("authorization", token.as_str()), ("camshaft-workspace", workspace)];
    bench.send(method, path, &headers, body.to_owned()).await
}

/// A workspace and an admin token of it.
async fn make(bench: &Bench, name: &str) -> String {
    bench.call("PUT", &format!("/api/v1/workspaces/{name}"), "{}").await.is(201);
    let body = r#"{"label": "admin", "scope": "admin"}"#;
    let made = within(bench, name, "POST", "/api/v1/tokens", body).await.is(201).json();
    made["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_operator_makes_workspaces_and_everybody_else_sees_their_own() {
    let bench = Bench::new().await;
    let acme = make(&bench, "acme").await;
    let body = r#"{"display_name": " Acme, Inc. "}"#;
    let changed = bench.call("PUT", "/api/v1/workspaces/acme", body).await.is(200).json();
    assert_eq!((&changed["display_name"], &changed["generation"]), (&json!("Acme, Inc."), &json!(2)));
    assert_eq!(changed["url"], "https://hooks.example/w/acme");
    let names = |list: &Value| {
        let items = list["items"].as_array().unwrap();
        items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&bench.get("/api/v1/workspaces").await), ["acme", "default"]);
    let own = bench.call_as(&acme, "GET", "/api/v1/workspaces", Body::empty()).await.is(200).json();
    assert_eq!(names(&own), ["acme"]);

    bench.call_as(&acme, "GET", "/api/v1/workspaces/acme", Body::empty()).await.is(200);
    let other = bench.call_as(&acme, "GET", "/api/v1/workspaces/default", Body::empty()).await;
    let none = bench.call_as(&acme, "GET", "/api/v1/workspaces/nothing", Body::empty()).await;
    let unnamed = |answer: Answer| answer.problem(404, &[])["detail"].as_str().unwrap().replace("default", "nothing");
    assert_eq!(unnamed(other), unnamed(none), "a workspace that is not one's own is as one that is not there");

    for (method, path) in [("PUT", "/api/v1/workspaces/acme"), ("PUT", "/api/v1/workspaces/mine"), ("GET", "/metrics")]
    {
        bench.call_as(&acme, method, path, "{}").await.problem(403, &["`admin`"]);
    }
    let operator = r#"{"label": "more", "scope": "operator"}"#;
    bench.call_as(&acme, "POST", "/api/v1/tokens", operator).await.problem(403, &["operator"]);
    let open = r#"{"hosts": ["http://127.0.0.1:1"], "private_addresses": true}"#;
    bench.call_as(&acme, "PUT", "/api/v1/plugins/echo/grant", open).await.problem(403, &["`private_addresses`"]);

    bench.call("PUT", "/api/v1/workspaces/Acme", "{}").await.problem(400, &["`Acme`"]);
    bench.call("PUT", "/api/v1/workspaces/b", r#"{"display_name": "a\nb"}"#).await.problem(422, &["`display_name`"]);
    within(&bench, "nothing", "GET", "/api/v1/workflows", "").await.problem(404, &["`nothing`"]);
}

#[tokio::test]
async fn trigger_urls_find_names_in_their_workspace_and_ids_in_any() {
    let bench = Bench::new().await;
    let acme = make(&bench, "acme").await;
    let integration = r#"{"adapter": "generic", "secrets": {"signing_secret": "s"}}"#;
    let made = bench.call_as(&acme, "PUT", "/api/v1/integrations/shop", integration).await.is(201).json();
    let url = made["urls"]["webhook"].as_str().unwrap().replace("https://hooks.example", "");
    assert_eq!(url, "/w/acme/v1/webhooks/shop");
    let by_id = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    for path in [url.as_str(), "/w/acme/v1/webhooks/shop/", &by_id] {
        bench.send("POST", path, &[("x-signature", "s")], "{}").await.is(200);
    }
    for path in
        ["/v1/webhooks/shop", "/w/default/v1/webhooks/shop", "/w/nothing/v1/webhooks/shop", "/w/A/v1/webhooks/shop"]
    {
        assert_eq!(bench.send("POST", path, &[("x-signature", "s")], "{}").await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_workspace_has_as_much_of_everything_as_its_limits_say() {
    let limits = InstanceLimits { per_month: 4, ..InstanceLimits::default() };
    let bench = Bench::with(Options { limits, executions_per_second: 1, ..Options::default() }).await;
    let acme = make(&bench, "acme").await;
    let body = r#"{"limits": {"executions_per_second": 0, "per_day": 2}}"#;
    let changed = bench.call("PUT", "/api/v1/workspaces/acme", body).await.is(200).json();
    assert_eq!(changed["limits"], json!({"executions_per_second": 0, "per_day": 2}));
    for token in [acme.as_str(), crate::bench::ADMIN] {
        bench.call_as(token, "PUT", "/api/v1/workflows/echo-it", ECHO).await.is(201);
        bench.call_as(token, "POST", "/api/v1/workflows/echo-it/publish", "{}").await.is(200);
    }
    let start = async |token: &str| bench.call_as(token, "POST", "/api/v1/workflows/echo-it/trigger", "{}").await;
    for _ in 0..2 {
        assert_eq!(start(&acme).await.is(200).header("ratelimit"), None, "it has no rate");
    }
    let full = start(&acme).await;
    assert!(full.header("retry-after").unwrap().parse::<u64>().unwrap() > 1);
    full.problem(429, &["workspace `acme`", "2 executions a day"]);

    let other = start(crate::bench::ADMIN).await.is(200);
    assert_eq!(other.header("ratelimit-policy"), Some("\"executions\";q=1;w=1"));
    assert_eq!(other.header("ratelimit"), Some("\"executions\";r=0;t=1"));
    let fast = start(crate::bench::ADMIN).await;
    assert_eq!(fast.header("ratelimit"), Some("\"executions\";r=0;t=1"));
    fast.problem(429, &["workspace `default`", "1 executions a second"]);
    bench.call("PUT", "/api/v1/workspaces/default", r#"{"limits": {"executions_per_second": 0}}"#).await.is(200);
    start(crate::bench::ADMIN).await.is(200);
    start(crate::bench::ADMIN).await.problem(429, &["this server", "4 executions a month"]);
    bench.call("PUT", "/api/v1/workspaces/acme", r#"{"limits": {"per_year": 2}}"#).await.problem(400, &["per_year"]);
}

#[tokio::test]
async fn no_execution_takes_longer_than_its_workspace_and_the_server_allow() {
    let limits = InstanceLimits { execution_time: Some(Duration::from_secs(7200)), ..InstanceLimits::default() };
    let bench = Bench::with(Options { limits, ..Options::default() }).await;
    make(&bench, "acme").await;
    let body = r#"{"limits": {"execution_time_s": 60}}"#;
    let changed = bench.call("PUT", "/api/v1/workspaces/acme", body).await.is(200).json();
    assert_eq!(changed["limits"], json!({"execution_time_s": 60}));
    let refused = bench.call("PUT", "/api/v1/workspaces/acme", r#"{"limits": {"execution_time_s": 0}}"#).await;
    refused.problem(422, &["`limits.execution_time_s` is 0", "at least 1"]);

    let waits = "name: waits\nlimits: { timeout: 3h }\ntriggers: [ { manual: {} } ]\nsteps: [ { wait: 1d } ]\n";
    let path = "/api/v1/workflows/waits";
    for (workspace, of, limit_s) in [("acme", "workspace", 60.0), ("default", "server", 7200.0)] {
        within(&bench, workspace, "PUT", path, waits).await.is(201);
        within(&bench, workspace, "POST", &format!("{path}/publish"), "{}").await.is(200);
        let shown = within(&bench, workspace, "GET", path, "").await.is(200).json();
        assert_eq!(shown["limits"]["execution_time"], json!({"of": of, "limit_s": limit_s}));
        assert_eq!(shown["limits"]["timeout_s"], json!(10_800), "what the document says stays what it says");
        let started = within(&bench, workspace, "POST", &format!("{path}/trigger"), "{}").await.is(200).json();
        let id = started["execution_id"].as_str().unwrap().parse().unwrap();
        let accepted = json!(bench.app.store.entries(id, 0, 1).await.unwrap()[0]);
        let limit = &accepted["accepted"]["invocation"]["time_limit"];
        assert_eq!(limit["limit_ms"], json!(limit_s as u64 * 1000), "{accepted}");
        within(&bench, workspace, "POST", &format!("/api/v1/executions/{id}/cancel"), "{}").await.is(202);
    }
    bench.call("PUT", "/api/v1/workspaces/acme", r#"{"limits": {"execution_time_s": 36000}}"#).await.is(200);
    let shown = within(&bench, "acme", "GET", path, "").await.is(200).json();
    assert_eq!(
        shown["limits"]["execution_time"],
        json!({"of": "server", "limit_s": 7200.0}),
        "its own is the longer one"
    );
}
