//! Environments: variables, secrets and published revisions of each; promoting and rolling back.

use axum::body::Body;
use camshaft_model::json;

use crate::bench::Bench;

const WHERE: &str = r#"
name: where-am-i
triggers: [ { manual: {} } ]
steps:
  - exit: { region: $.env.REGION, level: "{{ $.env.LEVEL }}", revision: 1 }
"#;

async fn answer(bench: &Bench, environment: &str) -> camshaft_model::Value {
    let path = format!("/api/v1/workflows/where-am-i/trigger?environment={environment}");
    let headers = [("authorization", format!("Bearer {}", crate::bench::ADMIN)), ("prefer", "wait=30".to_owned())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    bench.send("POST", &path, &headers, "{}").await.is(200).json()
}

async fn publish(bench: &Bench, what: &str, body: &str) -> camshaft_model::Value {
    bench.call("POST", &format!("/api/v1/workflows/where-am-i/{what}"), body.to_owned()).await.is(200).json()["published"]
        .clone()
}

#[tokio::test]
async fn each_environment_has_its_variables_and_an_execution_keeps_those_it_began_with() {
    let bench = Bench::new().await;
    let doc = WHERE.replace("$.env.REGION", "\"{{ $.env.REGION }}\"");
    bench.publish("where-am-i", &doc).await;
    publish(&bench, "publish", r#"{"environment": "staging"}"#).await;
    let staging = r#"{"variables": {"REGION": "test", "LEVEL": 3}}"#;
    let made = bench.call("PUT", "/api/v1/environments/staging", staging).await.is(200).json();
    assert_eq!(made["published"], json!([{"workflow": "where-am-i", "revision": 1}]));
    assert_eq!(answer(&bench, "staging").await, json!({"region": "test", "level": 3, "revision": 1}));
    assert_eq!(answer(&bench, "production").await, json!({"region": null, "level": null, "revision": 1}));
    // What is left out stays.
    let described = r#"{"description": "for trying things out"}"#;
    let view = bench.call("PUT", "/api/v1/environments/staging", described).await.is(200).json();
    assert_eq!((&view["variables"]["LEVEL"], &view["generation"]), (&json!(3), &json!(2)));

    bench.call("PUT", "/api/v1/environments/staging", r#"{"variables": {"A B": 1}}"#).await.problem(422, &["`A B`"]);
    let most = "x".repeat(camshaft_model::limits::VARIABLES_BYTES_MAX - r#"{"A":""}"#.len());
    let body = |value: &str| json!({"variables": {"A": value}}).to_string();
    bench.call("PUT", "/api/v1/environments/big", body(&most)).await.is(201);
    bench.call("PUT", "/api/v1/environments/big", body(&format!("{most}x"))).await.problem(422, &["16385", "16384"]);
}

#[tokio::test]
async fn a_revision_is_promoted_and_rolled_back_one_by_one() {
    let bench = Bench::new().await;
    let path = "/api/v1/workflows/where-am-i";
    for revision in 1..=3 {
        let document = WHERE.replace("$.env.REGION", "x").replace("revision: 1", &format!("revision: {revision}"));
        bench.call("PUT", path, document).await;
        publish(&bench, "publish", r#"{"environment": "staging"}"#).await;
        let promoted = publish(&bench, "promote", r#"{"from": "staging"}"#).await;
        assert_eq!(promoted, json!({"staging": revision, "production": revision}));
    }
    assert_eq!(answer(&bench, "production").await["revision"], 3);
    assert_eq!(publish(&bench, "rollback", "{}").await["production"], 2);
    assert_eq!(answer(&bench, "production").await["revision"], 2);
    assert_eq!(answer(&bench, "staging").await["revision"], 3, "the other environment is as it was");
    assert_eq!(publish(&bench, "rollback", "{}").await["production"], 1);
    bench.call("POST", &format!("{path}/rollback"), "{}").await.problem(409, &["`where-am-i`", "`production`"]);
    // What was taken back comes back.
    assert_eq!(publish(&bench, "unpublish", "{}").await, json!({"staging": 3}));
    assert_eq!(publish(&bench, "rollback", "{}").await["production"], 1);

    bench.call("POST", &format!("{path}/promote"), r#"{"from": "development"}"#).await.problem(409, &["`development`"]);
    bench
        .call("POST", &format!("{path}/promote"), r#"{"from": "stagin"}"#)
        .await
        .problem(422, &["`stagin`", "`staging`?"]);
    let unknown = r#"{"environment": "prod"}"#;
    bench.call("POST", &format!("{path}/publish"), unknown).await.problem(422, &["`prod`", "`production`"]);
}

#[tokio::test]
async fn a_secret_may_have_a_value_of_its_own_in_an_environment() {
    let bench = Bench::new().await;
    let secret = r#"
name: secretive
triggers: [ { manual: {} } ]
steps:
  - task: echo@1
    with: { key: "{{ $.secrets.KEY }}" }
"#;
    bench.call("PUT", "/api/v1/workflows/secretive", secret).await.is(201);
    let staging = r#"{"environment": "staging"}"#;
    bench.call("PUT", "/api/v1/secrets/KEY?environment=staging", r#"{"value": "for staging"}"#).await.is(204);
    bench.call("POST", "/api/v1/workflows/secretive/publish", staging).await.is(200);
    bench.call("POST", "/api/v1/workflows/secretive/publish", "{}").await.problem(422, &["`$.secrets.KEY`"]);
    bench.call("PUT", "/api/v1/secrets/KEY", r#"{"value": "for all"}"#).await.is(204);
    bench.call("POST", "/api/v1/workflows/secretive/publish", "{}").await.is(200);
    for environment in ["staging", "production"] {
        let path = format!("/api/v1/workflows/secretive/trigger?environment={environment}");
        let id = bench.call("POST", &path, "{}").await.is(200).json()["execution_id"].clone();
        bench.ended(id.as_str().unwrap()).await;
    }
    assert_eq!(*bench.hands.seen.lock().unwrap(), [json!({"key": "for staging"}), json!({"key": "for all"})]);

    let listed = bench.get("/api/v1/secrets").await["items"].clone();
    let shown: Vec<_> = listed.as_array().unwrap().iter().map(|item| (&item["name"], &item["environment"])).collect();
    assert_eq!(shown, [(&json!("KEY"), &json!(null)), (&json!("KEY"), &json!("staging"))]);
    bench.call("PUT", "/api/v1/secrets/KEY?environment=prod", r#"{"value": "x"}"#).await.problem(422, &["`prod`"]);
    bench.call("DELETE", "/api/v1/secrets/KEY?environment=production", Body::empty()).await.problem(404, &["`KEY`"]);
    bench.call("DELETE", "/api/v1/secrets/KEY?environment=staging", Body::empty()).await.is(204);
    assert_eq!(bench.get("/api/v1/secrets").await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_environment_of_one_s_own_goes_once_nothing_is_published_in_it() {
    let bench = Bench::new().await;
    bench.call("PUT", "/api/v1/environments/qa", "{}").await.is(201);
    let names = |list: camshaft_model::Value| {
        let items = list["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(bench.get("/api/v1/environments").await), ["development", "production", "qa", "staging"]);
    bench.call("PUT", "/api/v1/workflows/where-am-i", WHERE.replace("$.env.REGION", "x")).await.is(201);
    publish(&bench, "publish", r#"{"environment": "qa"}"#).await;
    bench.call("PUT", "/api/v1/secrets/KEY?environment=qa", r#"{"value": "x"}"#).await.is(204);
    let remove = async || bench.call("DELETE", "/api/v1/environments/qa", Body::empty()).await;
    remove().await.problem(409, &["`where-am-i`", "`qa`"]);
    publish(&bench, "unpublish", r#"{"environment": "qa"}"#).await;
    remove().await.is(204);
    remove().await.problem(404, &["`qa`"]);
    assert_eq!(bench.get("/api/v1/secrets").await["items"], json!([]), "its secrets are gone with it");
    bench.call("DELETE", "/api/v1/environments/production", Body::empty()).await.problem(409, &["always there"]);
}
