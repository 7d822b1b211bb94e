//! Uploading components, looking at them, granting.

use axum::body::Body;
use camshaft_model::json;

use crate::bench::{Bench, component};

#[tokio::test]
async fn the_same_bytes_are_the_same_release_and_other_bytes_need_another_version() {
    let bench = Bench::new().await;
    let first = component("greet", "1.0.0", "task", &[]);
    let made = bench.call("POST", "/api/v1/plugins", first.clone()).await.is(201).json();
    assert_eq!((&made["name"], &made["version"], &made["kind"]), (&json!("greet"), &json!("1.0.0"), &json!("task")));
    assert_eq!(made["shipped"], false);
    let again = bench.call("POST", "/api/v1/plugins", first.clone()).await.is(200).json();
    assert_eq!(again, made);

    let other = component("greet", "1.0.0", "task", &["camshaft:plugin/log@1.0.0"]);
    let digest = made["digest"].as_str().unwrap();
    bench.call("POST", "/api/v1/plugins", other).await.problem(409, &["`greet` 1.0.0 is taken", digest]);
    bench.call("POST", "/api/v1/plugins", component("greet", "1.1.0", "task", &[])).await.is(201);
    let shown = bench.get("/api/v1/plugins/greet").await;
    assert_eq!(shown["version"], "1.1.0");
    assert_eq!(shown["releases"].as_array().unwrap().len(), 2);
    bench
        .call("POST", "/api/v1/plugins", component("greet", "2.0.0", "adapter", &[]))
        .await
        .problem(409, &["`greet`", "task", "adapter"]);
}

#[tokio::test]
async fn what_is_no_plugin_is_refused_with_the_check_that_failed() {
    let bench = Bench::new().await;
    let problem = bench.call("POST", "/api/v1/plugins", "not wasm").await.problem(422, &["no component"]);
    assert_eq!(problem["check"], "component");
    let huge = vec![0; (64 << 20) + 1];
    bench.call("POST", "/api/v1/plugins", huge).await.problem(413, &["67108864"]);
}

#[tokio::test]
async fn an_adapter_whose_schemas_refer_to_nothing_is_refused_and_to_themselves_is_used() {
    let bench = Bench::new().await;
    let adapter = |name: &str, reference: &str| {
        let config_schema = json!({
            "type": "object",
            "$defs": {"key": {"type": "string", "pattern": "^[0-9a-f]+$"}},
            "x-secrets": {"signing_secret": {"$ref": reference, "description": "hexadecimal"}},
        });
        let told =
            json!({"name": name, "version": "1.0.0", "kind": "adapter", "imports": [], "config_schema": config_schema});
        told.to_string().into_bytes()
    };
    for reference in ["#/$defs/keys", "https://vendor.example/schema.json"] {
        let named = ["adapter `lost` 1.0.0", "secret `signing_secret`", reference.trim_start_matches('#')];
        let problem = bench.call("POST", "/api/v1/plugins", adapter("lost", reference)).await.problem(422, &named);
        assert_eq!(problem["check"], "describe");
    }
    bench.call("POST", "/api/v1/plugins", adapter("found", "#/$defs/key")).await.is(201);
    let with = |key: &str| json!({"adapter": "found", "secrets": {"signing_secret": key}}).to_string();
    bench.call("PUT", "/api/v1/integrations/found", with("no-key")).await.problem(422, &["hexadecimal"]);
    bench.call("PUT", "/api/v1/integrations/found", with("c0ffee")).await.is(201);
}

#[tokio::test]
async fn lists_tell_kinds_apart_and_show_what_the_server_brought() {
    let bench = Bench::new().await;
    let adapters = bench.get("/api/v1/plugins?kind=adapter").await;
    let names: Vec<_> = adapters["items"].as_array().unwrap().iter().map(|item| &item["name"]).collect();
    assert_eq!(json!(names), json!(["generic", "signed"]));
    assert_eq!(adapters["items"][0]["shipped"], true);
    let all = bench.get("/api/v1/plugins?limit=3").await;
    assert_eq!((all["items"].as_array().unwrap().len(), &all["next"]), (3, &json!("echo@1.0.0")));
    bench.call("GET", "/api/v1/plugins?kind=toy", Body::empty()).await.problem(400, &["toy"]);
    bench.call("GET", "/api/v1/plugins/none", Body::empty()).await.problem(404, &["`none`"]);
    for near in ["/api/v1/plugins/calller", "/api/v1/plugins/calller/grant"] {
        bench.call("GET", near, Body::empty()).await.problem(404, &["`calller`; did you mean `caller`?"]);
    }
}

#[tokio::test]
async fn a_grant_replaces_the_one_before_and_is_checked() {
    let bench = Bench::new().await;
    let path = "/api/v1/plugins/caller/grant";
    let none = bench.get(path).await;
    assert_eq!(none, json!({"hosts": [], "private_addresses": false, "secrets": []}));
    let grant = json!({"hosts": ["https://*.example.com"], "private_addresses": true, "secrets": ["key"]});
    let set = bench.call("PUT", path, grant.to_string()).await.is(200);
    assert_eq!(set.json(), grant);
    assert_eq!(bench.get(path).await, grant);
    assert_eq!(bench.get("/api/v1/plugins/caller").await["grant"], grant);
    bench.call("PUT", path, r#"{"hosts": ["example.com"]}"#).await.problem(422, &["`example.com`"]);
    bench.call("PUT", path, r#"{"secrets": ["a-b"]}"#).await.problem(422, &["`a-b`"]);
    bench.call("PUT", path, r#"{"host": []}"#).await.problem(400, &["`host`"]);
    bench.call("PUT", "/api/v1/plugins/none/grant", "{}").await.problem(404, &["`none`"]);
    bench.call("PUT", path, "{}").await.is(200);
    assert_eq!(bench.get(path).await["hosts"], json!([]));
}
