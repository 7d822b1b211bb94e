//! Integrations: their adapters, configuration and secrets.

use axum::body::Body;
use camshaft_model::json;

use crate::bench::{Bench, component};

const SHOP: &str = "/api/v1/integrations/shop";

#[tokio::test]
async fn an_integration_shows_everything_but_the_values_of_its_secrets() {
    let bench = Bench::new().await;
    let body =
        r#"{"adapter": "generic@1", "config": {"tolerance_s": 5}, "secrets": {"signing_secret": ["new-1", "old-1"]}}"#;
    let answer = bench.call("PUT", SHOP, body).await.is(201);
    assert!(!answer.text().contains("new-1") && !answer.text().contains("old-1"));
    let made = answer.json();
    assert_eq!((&made["adapter"], &made["version"]), (&json!("generic"), &json!("1.2.0")));
    assert_eq!(made["secrets"], json!(["signing_secret"]));
    assert_eq!(made["enabled"], true);
    assert_eq!(made["urls"]["webhook"], "https://hooks.example/v1/webhooks/shop");
    assert_eq!(made["urls"]["sync_template"], "https://hooks.example/v1/webhooks/shop/workflows/{workflow}/sync");
    assert_eq!(bench.get(SHOP).await, made);
    assert_eq!(bench.get("/api/v1/integrations").await["items"], json!([made]));
}

#[tokio::test]
async fn an_update_keeps_what_it_leaves_out_and_removes_what_is_null() {
    let bench = Bench::new().await;
    bench
        .call("PUT", SHOP, r#"{"adapter": "generic", "secrets": {"signing_secret": "one"}, "enabled": false}"#)
        .await
        .is(201);
    let kept = bench.call("PUT", SHOP, r#"{"adapter": "generic", "config": {"tolerance_s": 9}}"#).await.is(200).json();
    assert_eq!((&kept["secrets"], &kept["enabled"]), (&json!(["signing_secret"]), &json!(false)));
    let ready = |bench: &Bench| {
        let shop = camshaft_model::ids::Name::new("shop").unwrap();
        bench.app.catalog.integration_ready(&bench.app.workspace, &shop).unwrap()
    };
    assert_eq!(ready(&bench).secrets, [("signing_secret".to_owned(), vec!["one".to_owned()])]);
    let removed = r#"{"adapter": "generic", "secrets": {"signing_secret": null}, "enabled": true}"#;
    let removed = bench.call("PUT", SHOP, removed).await.is(200).json();
    assert_eq!((&removed["secrets"], &removed["enabled"]), (&json!([]), &json!(true)));
    assert!(ready(&bench).secrets.is_empty());
}

#[tokio::test]
async fn adapters_configurations_and_secrets_that_cannot_be_are_refused_by_name() {
    let bench = Bench::new().await;
    for (body, named) in [
        (r#"{"adapter": "gitub"}"#, vec!["`gitub`", "`generic`"]),
        (r#"{"adapter": "genric"}"#, vec!["there is no adapter `genric`", "did you mean `generic`?"]),
        (r#"{"adapter": "echo"}"#, vec!["`echo` is a task"]),
        (r#"{"adapter": "generic@2"}"#, vec!["no version ^2", "1.2.0"]),
        (r#"{"adapter": "generic@one"}"#, vec!["`one`"]),
        (r#"{"adapter": "generic", "config": {"tolerance_s": "5"}}"#, vec!["/tolerance_s"]),
        (r#"{"adapter": "generic", "config": {"colour": 1}}"#, vec!["colour"]),
        (r#"{"adapter": "generic", "secrets": {"pass": "x"}}"#, vec!["`pass`", "`signing_secret`"]),
        (r#"{"adapter": "generic", "secrets": {"signing_secret": ""}}"#, vec!["`signing_secret` is empty"]),
        (r#"{"adapter": "generic", "secrets": {"signing_secret": []}}"#, vec!["0 values"]),
        (r#"{"adapter": "signed"}"#, vec!["needs the secret `signing_secret`", "page of webhooks"]),
    ] {
        bench.call("PUT", SHOP, body).await.problem(422, &named);
    }
    bench.call("PUT", SHOP, "{}").await.problem(400, &["adapter"]);
    bench.call("PUT", SHOP, r#"{"adapter": "generic", "config": []}"#).await.problem(400, &["`config`"]);
    bench.call("PUT", "/api/v1/integrations/A", r#"{"adapter": "generic"}"#).await.problem(400, &["`A`"]);
    bench.call("GET", SHOP, Body::empty()).await.problem(404, &["`shop`"]);
    bench.call("PUT", SHOP, r#"{"adapter": "generic"}"#).await.is(201);
    let near = bench.call("GET", "/api/v1/integrations/shpo", Body::empty()).await;
    near.problem(404, &["there is no integration `shpo`; did you mean `shop`?"]);
    let two = r#"{"adapter": "generic", "config": {"tolerance_s": -1, "colour": 1}}"#;
    let problem = bench.call("PUT", SHOP, two).await.problem(422, &["1 more"]);
    assert_eq!(problem["faults"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_adapter_that_calls_its_vendor_needs_a_grant_before_it_is_of_any_use() {
    let bench = Bench::new().await;
    let calling = component("calling", "1.0.0", "adapter", &["wasi:http/outgoing-handler@0.2.3"]);
    bench.call("POST", "/api/v1/plugins", calling).await.is(201);
    let grant = "/api/v1/plugins/calling/grant";
    let command = "camshaft plugin grant calling --host https://keys.*.example.com";
    let problem = bench.call("PUT", SHOP, r#"{"adapter": "calling"}"#).await.problem(422, &["`calling`", command]);
    assert_eq!(problem["missing"][0]["import"], "wasi:http/outgoing-handler@0.2.3");
    bench.call("GET", SHOP, Body::empty()).await.problem(404, &["`shop`"]);

    bench.call("PUT", grant, r#"{"hosts": ["https://keys.*.example.com"]}"#).await.is(200);
    bench.call("PUT", SHOP, r#"{"adapter": "calling"}"#).await.is(201);

    // What was taken away again is missed by the next workflow that wants it.
    bench.call("PUT", grant, "{}").await.is(200);
    let document = "name: w\ntriggers:\n  - webhook: { integration: shop }\nsteps:\n  - exit: {}\n";
    bench.call("PUT", "/api/v1/workflows/w", document).await.is(201);
    bench.call("POST", "/api/v1/workflows/w/publish", "{}").await.problem(422, &["`w`", "`calling`", command]);
}

#[tokio::test]
async fn an_integration_that_published_workflows_listen_to_stays() {
    let bench = Bench::new().await;
    bench.call("PUT", SHOP, r#"{"adapter": "generic"}"#).await.is(201);
    let document = "name: w\ntriggers:\n  - webhook: { integration: shop }\nsteps:\n  - exit: {}\n";
    bench.publish("w", document).await;
    bench.call("DELETE", SHOP, Body::empty()).await.problem(409, &["`w`"]);
    bench.call("POST", "/api/v1/workflows/w/unpublish", "{}").await.is(200);
    bench.call("DELETE", SHOP, Body::empty()).await.is(204);
    bench.call("DELETE", SHOP, Body::empty()).await.problem(404, &["`shop`"]);
    bench.send("POST", "/v1/webhooks/shop", &[], "{}").await.is(404);
}
