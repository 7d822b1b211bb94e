//! The routes and their document: each describes the other, and every route is guarded.

use std::collections::BTreeSet;

use axum::body::Body;
use camshaft_model::Value;

use crate::bench::Bench;
use crate::isolation::paths_of;

fn document() -> Value {
    serde_json::from_str(camshaft_server::openapi()).unwrap()
}

/// `/api/v1/workflows/{workflow}` as a request would have it.
fn concrete(path: &str) -> String {
    let pieces = path.split('/').map(|piece| if piece.starts_with('{') { "x" } else { piece });
    pieces.collect::<Vec<_>>().join("/")
}

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];
const OPEN: [&str; 3] = ["/healthz", "/readyz", "/api/openapi.json"];

#[tokio::test]
async fn every_described_operation_is_there_and_no_other_method() {
    let bench = Bench::new().await;
    for (path, item) in document()["paths"].as_object().unwrap() {
        for method in METHODS {
            let is_described = item.get(method).is_some();
            let answer = bench.send(&method.to_uppercase(), &concrete(path), &[], Body::empty()).await;
            match (is_described, OPEN.contains(&path.as_str())) {
                (true, true) => assert_eq!(answer.status, 200, "{method} {path}"),
                (true, false) => assert_eq!(answer.status, 401, "{method} {path} is not guarded"),
                (false, _) => {
                    assert!(answer.header("allow").is_some(), "{method} {path}: {}", answer.status);
                    answer.problem(405, &[&method.to_uppercase()]);
                }
            }
        }
    }
}

#[tokio::test]
async fn every_route_is_described() {
    let bench = Bench::new().await;
    let routed = paths_of(&camshaft_server::api::router(bench.app.instance()));
    let described: BTreeSet<_> = document()["paths"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(routed, described);
}

#[test]
fn every_operation_tells_what_it_answers() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{place}: the id is taken");
            assert!(operation["summary"].is_string(), "{place} has no summary");
            let answers = operation["responses"].as_object().unwrap();
            assert!(answers.keys().any(|status| status.starts_with('2')), "{place} never succeeds");
            let is_open = OPEN.contains(&path.as_str());
            assert_eq!(operation["security"].is_array(), !is_open, "{place}");
            assert_eq!(answers.contains_key("401"), !is_open, "{place}");
            // What a workflow answers is its own.
            for (status, answer) in answers.iter().filter(|(status, _)| *status != "default") {
                if status.as_str() >= "400" {
                    let problem = &answer["content"]["application/problem+json"]["schema"]["$ref"];
                    assert_eq!(problem, "#/components/schemas/Problem", "{place} {status}");
                }
            }
        }
    }
    // Every reference leads somewhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "{name} is not described");
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let bench = Bench::new().await;
    bench.call("GET", "/api/v2/workflows", Body::empty()).await.problem(404, &["`/api/v2/workflows`"]);
    bench.send("GET", "/", &[], Body::empty()).await.problem(404, &["`/`"]);
}

#[tokio::test]
async fn alive_ready_and_counted() {
    let bench = Bench::new().await;
    bench.send("GET", "/healthz", &[], Body::empty()).await.is(200);
    bench.send("GET", "/readyz", &[], Body::empty()).await.is(200);
    let metrics = bench.call("GET", "/metrics", Body::empty()).await.is(200).text();
    assert!(metrics.contains("camshaft_http_requests_total{status=\"2xx\"}"), "{metrics}");
    assert!(metrics.contains("camshaft_executions_under_way 0"), "{metrics}");
}
