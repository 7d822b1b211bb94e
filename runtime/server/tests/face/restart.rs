//! What a server keeps over a restart, and what it then needs not do again.

use std::sync::Arc;

use axum::body::Body;
use camshaft_model::json;
use camshaft_model::resource::{Change, Expect, Resource, ResourceKind};
use camshaft_model::seams::Store;
use camshaft_server::catalog::quotas::InstanceLimits;
use camshaft_server::config::Config;
use camshaft_server::folder::DataFolder;
use camshaft_server::tokens::Tokens;
use camshaft_server::{catalog::Catalog, operator, time, vault::Vault};
use camshaft_store::MemoryStore;

use crate::bench::{Bench, ECHO, Options};

#[tokio::test]
async fn everything_that_was_put_in_is_there_again() {
    let store = Arc::new(MemoryStore::new());
    let bench = Bench::with(Options { store: store.clone(), ..Options::default() }).await;
    bench
        .call("PUT", "/api/v1/integrations/shop", r#"{"adapter": "generic", "secrets": {"signing_secret": "s"}}"#)
        .await
        .is(201);
    bench.call("PUT", "/api/v1/secrets/key", r#"{"value": "v"}"#).await.is(204);
    bench.call("PUT", "/api/v1/plugins/caller/grant", r#"{"hosts": ["*"]}"#).await.is(200);
    bench.publish("echo-it", ECHO).await;
    let newer = ECHO.replace("hello", "not published");
    bench.call("PUT", "/api/v1/workflows/echo-it", newer).await.is(200);
    let token = bench.call("POST", "/api/v1/tokens", r#"{"label": "t", "scope": "admin"}"#).await.is(201).json();
    let token = token["token"].as_str().unwrap().to_owned();
    let before = bench.run("echo-it", "{}").await;
    let paths = [
        "/api/v1/workflows",
        "/api/v1/integrations",
        "/api/v1/secrets",
        "/api/v1/plugins/caller",
        "/api/v1/executions",
        "/api/v1/workflows/echo-it/triggers",
    ];
    let mut told = Vec::new();
    for path in paths {
        told.push(bench.get(path).await);
    }
    assert_eq!(told[5]["items"][0]["started"], 1, "what triggers have done too: {:#}", told[5]);
    bench.engine.stop().await;
    bench.app.tallies.write(&*store).await;
    drop(bench);

    let bench = Bench::with(Options { store: Arc::new(store.restarted()), ..Options::default() }).await;
    assert!(bench.hands.inspected.lock().unwrap().is_empty(), "known plugins are not inspected again");
    for (path, told) in paths.iter().zip(told) {
        assert_eq!(bench.get(path).await, told, "{path}");
    }
    bench.call_as(&token, "GET", "/api/v1/workflows", Body::empty()).await.is(200);
    let id = before["id"].as_str().unwrap();
    assert_eq!(bench.get(&format!("/api/v1/executions/{id}")).await, before);
    assert_eq!(bench.run("echo-it", "{}").await["output"]["body"]["said"], "hello", "what was published runs");
    assert_eq!(bench.hands.inspected.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn an_execution_of_a_former_revision_is_shown_with_its_own_steps() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    let before = bench.run("echo-it", "{}").await;
    bench.publish("echo-it", &ECHO.replace("id: said", "id: spoken").replace("steps.said", "steps.spoken")).await;
    let id = before["id"].as_str().unwrap();
    assert_eq!(bench.get(&format!("/api/v1/executions/{id}")).await["steps"][0]["path"], "said");
    assert_eq!(bench.run("echo-it", "{}").await["steps"][0]["path"], "spoken");
}

/// Releases may refuse what earlier ones took. One such workflow must not keep a server, and all the others, from starting.
#[tokio::test]
async fn a_published_revision_that_no_longer_compiles_starts_nothing_and_the_others_go_on() {
    let store = Arc::new(MemoryStore::new());
    let bench = Bench::with(Options { store: store.clone(), ..Options::default() }).await;
    bench.publish("echo-it", ECHO).await;
    bench.publish("other", &ECHO.replace("echo-it", "other")).await;
    let ran = bench.run("echo-it", "{}").await["id"].as_str().unwrap().to_owned();
    drop(bench);
    let page = store.resources(ResourceKind::Revision, None, None, 10).await.unwrap();
    let of = |resource: &Resource| resource.spec["document"].as_str().is_some_and(|text| text.contains("echo-it"));
    let mut resource = page.into_iter().find(of).unwrap();
    resource.spec["document"] = json!("name: echo-it\nsteps: [ { exit: { body: \"{{ $.vars.nowhere }}\" } } ]\n");
    store.change(vec![Change::Put { resource, expect: Expect::Any }]).await.unwrap();

    let bench = Bench::with(Options { store: Arc::new(store.restarted()), ..Options::default() }).await;
    assert_eq!(bench.run("other", "{}").await["output"]["body"]["said"], "hello");
    bench.call("POST", "/api/v1/workflows/echo-it/trigger", "{}").await.is(404);
    let shown = bench.get("/api/v1/workflows/echo-it").await;
    assert!(shown["limits"].is_null() && shown["fault"].as_str().unwrap().contains("does not compile"), "{shown:#}");
    let rerun = format!("/api/v1/executions/{ran}/rerun");
    bench.call("POST", &rerun, "{}").await.problem(409, &["`echo-it` does not compile"]);
    bench.call("POST", "/api/v1/workflows/echo-it/test", "{}").await.problem(409, &["`echo-it` does not compile"]);
    bench.publish("echo-it", &ECHO.replace("hello", "hello again")).await;
    assert_eq!(bench.run("echo-it", "{}").await["output"]["body"]["said"], "hello again");
}

#[tokio::test]
async fn with_another_key_file_a_start_is_refused_and_names_the_secret() {
    let store = Arc::new(MemoryStore::new());
    let bench = Bench::with(Options { store: store.clone(), ..Options::default() }).await;
    bench.call("PUT", "/api/v1/secrets/api_key", r#"{"value": "v"}"#).await.is(204);
    drop(bench);
    let error =
        Bench::try_with(Options { store: Arc::new(store.restarted()), key: [8; 32], ..Options::default() }).await;
    let error = error.err().unwrap().to_string();
    assert!(error.contains("api_key") && error.contains("key file"), "{error}");
}

#[tokio::test]
async fn the_first_start_makes_an_operator_s_token_and_no_later_one_does() {
    let outside = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(outside.path()).unwrap();
    let workspace = camshaft_model::ids::Name::new("default").unwrap();
    let store = Arc::new(MemoryStore::new());
    let start = async |store: MemoryStore| {
        let tokens = Tokens::new(None, &workspace);
        let catalog =
            Catalog::load(Arc::new(store), Arc::new(Vault::from_key(&[1; 32])), tokens, InstanceLimits::default())
                .await
                .unwrap();
        operator::first_token(&folder, &catalog, &workspace, (&time::OrderedIds, &time::SystemClock)).await.unwrap();
        catalog
    };
    let catalog = start(store.restarted()).await;
    let text = folder.read("admin-token").unwrap().unwrap();
    let now = camshaft_model::time::Timestamp(1);
    let caller = catalog.tokens().recognise(text.trim(), now).unwrap();
    assert_eq!(caller.scope.as_str(), "operator");

    std::fs::remove_file(folder.path("admin-token")).unwrap();
    let catalog = start(store.restarted()).await;
    assert!(folder.read("admin-token").unwrap().is_none());
    assert!(catalog.tokens().recognise(text.trim(), now).is_some(), "the first one is valid still");
}

#[test]
fn the_printed_configuration_names_every_environment_variable() {
    let printed = Config::printed_default();
    assert!(printed.contains("CAMSHAFT_LIMITS_EXECUTIONS_PER_SECOND"), "{printed}");
    assert_eq!(json!(printed.matches("CAMSHAFT_").count()), json!(camshaft_server::config::KEYS.len()));
}
