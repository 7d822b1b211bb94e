//! Tokens: what they reach, that they are shown once, that revoking holds at once.

use axum::body::Body;
use camshaft_model::json;

use crate::bench::{Bench, ECHO};

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
        bench.call_as(&own, "GET", path, Body::empty()).await.problem(403, &["`workflow`"]);
    }
    let listed = bench.get("/api/v1/workflows/echo-it/tokens").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["workflow"], "echo-it");
}

#[tokio::test]
async fn labels_and_times_that_cannot_be_are_refused() {
    let bench = Bench::new().await;
    bench.call("POST", "/api/v1/tokens", r#"{"label": " ", "scope": "read"}"#).await.problem(422, &["`label`"]);
    bench.call("POST", "/api/v1/tokens", r#"{"label": "a\nb", "scope": "read"}"#).await.problem(422, &["`label`"]);
    let never = r#"{"label": "a", "scope": "read", "expires_in_s": 0}"#;
    bench.call("POST", "/api/v1/tokens", never).await.problem(422, &["`expires_in_s`"]);
    bench.call("POST", "/api/v1/tokens", r#"{"label": "a", "scope": "root"}"#).await.problem(400, &["root"]);
    bench.call("POST", "/api/v1/workflows/none/tokens", r#"{"label": "a"}"#).await.problem(404, &["`none`"]);
}
