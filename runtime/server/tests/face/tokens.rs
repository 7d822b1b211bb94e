//! Tokens: what they reach, that they are shown once, that revoking holds at once.

use std::sync::Arc;

use axum::body::Body;
use camshaft_model::json;
use camshaft_model::resource::ResourceKind;
use camshaft_model::seams::Store;
use camshaft_store::MemoryStore;

use crate::bench::{Bench, ECHO, Options};

async fn token(bench: &Bench, path: &str, body: &str) -> (String, String) {
    let made = bench.call("POST", path, body.to_owned()).await.is(201).json();
    (made["id"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn without_a_valid_token_nothing_is_told() {
    let bench = Bench::new().await;
    for header in
        [None, Some("Bearer nonsense"), Some("Basic YTpi"), Some("Bearer"), Some("an admin token of this bench")]
    {
        let headers: Vec<_> = header.map(|value| ("authorization", value)).into_iter().collect();
        let answer = bench.send("GET", "/api/v1/workflows", &headers, Body::empty()).await;
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"camshaft\""), "{header:?}");
        answer.problem(401, &[]);
    }
    let headers = [("authorization", "bearer an admin token of this bench")];
    bench.send("GET", "/api/v1/workflows", &headers, Body::empty()).await.is(200);
    // Refused before the body is looked at.
    bench.send("PUT", "/api/v1/workflows/w", &[], "{").await.problem(401, &[]);
}

#[tokio::test]
async fn a_token_is_shown_once_and_revoked_at_once() {
    let bench = Bench::new().await;
    let (id, text) =
        token(&bench, "/api/v1/tokens", r#"{"label": "ci", "scope": "admin", "expires_in_s": 3600}"#).await;
    assert!(text.starts_with("cst_"));
    bench.call_as(&text, "GET", "/api/v1/workflows", Body::empty()).await.is(200);
    let listed = bench.call("GET", "/api/v1/tokens", Body::empty()).await.is(200);
    assert!(!listed.text().contains(text.rsplit('_').next().unwrap()));
    let item = &listed.json()["items"][0];
    assert_eq!((&item["label"], &item["scope"]), (&json!("ci"), &json!("admin")));
    assert!(item["last_used_at"].is_string() && item["expires_at"].is_string(), "{item:#}");

    bench.call("DELETE", &format!("/api/v1/tokens/{id}"), Body::empty()).await.is(204);
    bench.call_as(&text, "GET", "/api/v1/workflows", Body::empty()).await.problem(401, &[]);
    bench.call("DELETE", &format!("/api/v1/tokens/{id}"), Body::empty()).await.problem(404, &[&id]);
    bench.call("DELETE", "/api/v1/tokens/x", Body::empty()).await.problem(400, &["`x`"]);
}

#[tokio::test]
async fn a_read_token_looks_and_changes_nothing() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    let (_, text) = token(&bench, "/api/v1/tokens", r#"{"label": "eyes", "scope": "read"}"#).await;
    for path in ["/api/v1/workflows", "/api/v1/tokens", "/api/v1/secrets", "/api/v1/executions", "/metrics"] {
        bench.call_as(&text, "GET", path, Body::empty()).await.is(200);
    }
    for (method, path) in [
        ("PUT", "/api/v1/workflows/echo-it"),
        ("POST", "/api/v1/workflows/echo-it/trigger"),
        ("POST", "/api/v1/tokens"),
        ("PUT", "/api/v1/secrets/a"),
        ("POST", "/api/v1/plugins"),
    ] {
        bench.call_as(&text, method, path, "{}").await.problem(403, &["`eyes`", "`read`"]);
    }
}

#[tokio::test]
async fn a_workflow_s_token_reaches_that_workflow_and_its_executions_alone() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    bench.publish("other", &ECHO.replace("echo-it", "other")).await;
    let (_, own) = token(&bench, "/api/v1/workflows/echo-it/tokens", r#"{"label": "app"}"#).await;
    let (_, foreign) = token(&bench, "/api/v1/workflows/other/tokens", r#"{"label": "app"}"#).await;
    let trigger = "/api/v1/workflows/echo-it/trigger";
    let id = bench.call_as(&own, "POST", trigger, "{}").await.is(200).json()["execution_id"].clone();
    let id = id.as_str().unwrap();
    assert_eq!(bench.ended(id).await["trigger"], "request");
    bench.call_as(&foreign, "POST", trigger, "{}").await.problem(403, &["another workflow"]);

    for path in [
        format!("/api/v1/executions/{id}"),
        format!("/api/v1/executions/{id}/journal"),
        format!("/public/v1alpha/executions/{id}"),
    ] {
        bench.call_as(&own, "GET", &path, Body::empty()).await.is(200);
        bench.call_as(&foreign, "GET", &path, Body::empty()).await.problem(404, &[id]);
    }
    bench.call_as(&foreign, "POST", &format!("/api/v1/executions/{id}/cancel"), Body::empty()).await.is(404);
    let list = bench.call_as(&own, "GET", "/api/v1/executions", Body::empty()).await.is(200).json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    let none = bench.call_as(&foreign, "GET", "/api/v1/executions", Body::empty()).await.is(200).json();
    assert_eq!(none["items"], json!([]));
    bench
        .call_as(&foreign, "GET", "/api/v1/executions?workflow=echo-it", Body::empty())
        .await
        .problem(404, &["echo-it"]);
    for path in ["/api/v1/workflows", "/api/v1/workflows/echo-it", "/api/v1/workflows/echo-it/tokens", "/metrics"] {
        let refused = bench.call_as(&own, "GET", path, Body::empty()).await;
        refused.problem(403, &["`app`", "of one workflow", "the scopes trigger, read"]);
    }
    let listed = bench.get("/api/v1/workflows/echo-it/tokens").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["workflow"], "echo-it");
}

#[tokio::test]
async fn a_workflow_s_token_does_what_its_scopes_say_and_no_more() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    let tokens = "/api/v1/workflows/echo-it/tokens";
    let (_, usual) = token(&bench, tokens, r#"{"label": "usual"}"#).await;
    let (_, trigger) = token(&bench, tokens, r#"{"label": "hands", "scopes": ["trigger"]}"#).await;
    let (_, read) = token(&bench, tokens, r#"{"label": "eyes", "scopes": ["read", "read"]}"#).await;
    let (_, manage) = token(&bench, tokens, r#"{"label": "head", "scopes": ["manage"]}"#).await;
    let begin = "/api/v1/workflows/echo-it/trigger";
    let id = bench.call_as(&trigger, "POST", begin, "{}").await.is(200).json()["execution_id"].clone();
    let id = id.as_str().unwrap().to_owned();
    bench.ended(&id).await;
    let show = format!("/api/v1/executions/{id}");
    let again = format!("{show}/rerun");
    for (token, method, path, status) in [
        (&usual, "POST", begin, 200),
        (&usual, "GET", &show, 200),
        (&usual, "POST", &again, 201),
        (&trigger, "POST", &again, 201),
        (&trigger, "GET", &show, 403),
        (&trigger, "GET", "/api/v1/executions", 403),
        (&read, "GET", &show, 200),
        (&read, "GET", "/api/v1/approvals", 200),
        (&read, "POST", begin, 403),
        (&read, "POST", &again, 403),
        (&manage, "POST", begin, 403),
        (&manage, "GET", &show, 403),
    ] {
        let answer = bench.call_as(token, method, path, "{}").await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    }
    bench.call_as(&read, "POST", begin, "{}").await.problem(403, &["`eyes`", "the scopes read", "`trigger`"]);

    let listed = bench.get(tokens).await;
    let scopes: Vec<_> = listed["items"].as_array().unwrap().iter().map(|item| item["scopes"].clone()).collect();
    assert_eq!(scopes, [json!(["trigger", "read"]), json!(["trigger"]), json!(["read"]), json!(["manage"])]);
    assert!(listed["items"].as_array().unwrap().iter().all(|item| item["scope"] == "workflow"));
}

#[tokio::test]
async fn a_token_that_manages_switches_the_triggers_of_its_own_workflow_and_no_other_s() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    bench.publish("other", &ECHO.replace("echo-it", "other")).await;
    let tokens = "/api/v1/workflows/echo-it/tokens";
    let (_, manage) = token(&bench, tokens, r#"{"label": "head", "scopes": ["manage"]}"#).await;
    let (_, usual) = token(&bench, tokens, r#"{"label": "usual"}"#).await;
    let own = "/api/v1/workflows/echo-it/triggers";
    let listed = bench.call_as(&manage, "GET", own, Body::empty()).await.is(200).json();
    assert_eq!(listed["items"][0]["key"], "manual");
    let switch = format!("{own}/manual");
    let off = bench.call_as(&manage, "PATCH", &switch, r#"{"enabled": false}"#).await.is(200).json();
    assert_eq!(off["enabled"], false);
    bench.call("POST", "/api/v1/workflows/echo-it/trigger", "{}").await.problem(403, &["switched off"]);

    let id = bench.get("/api/v1/workflows/other").await["id"].as_str().unwrap().to_owned();
    for which in ["other", &id] {
        let others = format!("/api/v1/workflows/{which}/triggers");
        bench.call_as(&manage, "GET", &others, Body::empty()).await.problem(403, &["`head`", "another workflow"]);
        let refused = bench.call_as(&manage, "PATCH", &format!("{others}/manual"), r#"{"enabled": false}"#).await;
        refused.problem(403, &["`head`", "another workflow"]);
    }
    assert_eq!(bench.get("/api/v1/workflows/other/triggers").await["items"][0]["enabled"], true);
    bench.call_as(&usual, "GET", own, Body::empty()).await.problem(403, &["trigger, read", "`manage`"]);
    bench.call_as(&usual, "PATCH", &switch, "{}").await.problem(403, &["trigger, read", "`manage`"]);
}

async fn generations(store: &MemoryStore) -> Vec<u64> {
    let tokens = store.resources(ResourceKind::Token, None, None, 10).await.unwrap();
    tokens.iter().map(|token| token.generation).collect()
}

#[tokio::test]
async fn when_a_token_was_presented_last_outlives_the_server() {
    let store = Arc::new(MemoryStore::new());
    let bench = Bench::with(Options { store: store.clone(), ..Options::default() }).await;
    let (_, text) = token(&bench, "/api/v1/tokens", r#"{"label": "ci", "scope": "admin"}"#).await;
    let (unused, _) = token(&bench, "/api/v1/tokens", r#"{"label": "kept for later", "scope": "read"}"#).await;
    bench.call_as(&text, "GET", "/api/v1/workflows", Body::empty()).await.is(200);
    bench.app.catalog.write_uses().await.unwrap();
    let before = bench.get("/api/v1/tokens").await;
    assert!(before["items"][0]["last_used_at"].is_string(), "{before:#}");
    assert!(before["items"][1]["id"] == unused && before["items"][1].get("last_used_at").is_none(), "{before:#}");
    assert_eq!(generations(&store).await, [2, 1]);
    bench.app.catalog.write_uses().await.unwrap();
    assert_eq!(generations(&store).await, [2, 1], "what is written is not written again");

    let bench = Bench::with(Options { store: Arc::new(store.restarted()), ..Options::default() }).await;
    assert_eq!(bench.get("/api/v1/tokens").await, before);
    bench.call_as(&text, "GET", "/api/v1/workflows", Body::empty()).await.is(200);
}

#[tokio::test]
async fn a_token_that_is_revoked_stays_so_though_its_use_is_written_down() {
    let bench = Bench::new().await;
    let (id, text) = token(&bench, "/api/v1/tokens", r#"{"label": "ci", "scope": "admin"}"#).await;
    bench.call_as(&text, "GET", "/api/v1/workflows", Body::empty()).await.is(200);
    bench.call("DELETE", &format!("/api/v1/tokens/{id}"), Body::empty()).await.is(204);
    bench.app.catalog.write_uses().await.unwrap();
    bench.call_as(&text, "GET", "/api/v1/workflows", Body::empty()).await.problem(401, &[]);
    assert_eq!(bench.get("/api/v1/tokens").await["items"], json!([]));
}

#[tokio::test]
async fn labels_and_times_that_cannot_be_are_refused() {
    let bench = Bench::new().await;
    bench.call("POST", "/api/v1/tokens", r#"{"label": " ", "scope": "read"}"#).await.problem(422, &["`label`"]);
    bench.call("POST", "/api/v1/tokens", r#"{"label": "a\nb", "scope": "read"}"#).await.problem(422, &["`label`"]);
    let never = r#"{"label": "a", "scope": "read", "expires_in_s": 0}"#;
    bench.call("POST", "/api/v1/tokens", never).await.problem(422, &["`expires_in_s`"]);
    bench.call("POST", "/api/v1/tokens", r#"{"label": "a", "scope": "root"}"#).await.problem(400, &["root"]);
    bench.publish("echo-it", ECHO).await;
    let tokens = "/api/v1/workflows/echo-it/tokens";
    bench.call("POST", tokens, r#"{"label": "a", "scopes": []}"#).await.problem(422, &["`scopes`"]);
    bench.call("POST", tokens, r#"{"label": "a", "scopes": ["admin"]}"#).await.problem(400, &["admin"]);
    bench.call("POST", "/api/v1/workflows/none/tokens", r#"{"label": "a"}"#).await.problem(404, &["`none`"]);
}
