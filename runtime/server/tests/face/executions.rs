//! Executions: listed, shown with their steps, read as journals, cancelled.

use std::time::Duration;

use axum::body::Body;
use camshaft_model::json;

use crate::bench::{Bench, ECHO};

const FAILING: &str = "
name: failing
triggers: [{ manual: {} }]
steps:
  - set: { total: 3 }
  - id: no
    task: fail@1
";

const BLOCKING: &str = "
name: blocking
triggers: [{ manual: {} }]
steps:
  - id: wait
    task: block@1
";

#[tokio::test]
async fn an_execution_is_shown_with_its_steps_and_what_it_answered() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    let body = r#"{"params": {"text": "hi"}, "event": {"type": "test"}}"#;
    let execution = bench.run("echo-it", body).await;
    assert_eq!(execution["status"], "succeeded");
    assert_eq!(execution["workflow"], "echo-it");
    assert_eq!(execution["revision"], 1);
    assert_eq!(execution["environment"], "production");
    assert_eq!(execution["params"], json!({"text": "hi"}));
    assert_eq!(execution["event"], json!({"type": "test"}));
    assert_eq!(execution["output"]["body"], json!({"said": "hi"}));
    assert_eq!(execution["answer"], json!({"status": 201, "headers": [["X-Said", "hi"]]}));
    assert_eq!(execution["labels"], json!({"team": "bench"}));
    assert!(execution["request_id"].is_string() && execution["duration_us"].is_u64());
    let steps = execution["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 2, "{steps:#?}");
    assert_eq!((&steps[0]["path"], &steps[0]["kind"]), (&json!("said"), &json!("task")));
    assert_eq!(steps[0]["attempts"][0]["input"], json!({"text": "hi"}));
    assert_eq!(steps[0]["attempts"][0]["usage"]["wall_us"], 5);
    assert_eq!((&steps[1]["kind"], &steps[1]["status"]), (&json!("exit"), &json!("succeeded")));

    let id = execution["id"].as_str().unwrap();
    let public = bench.get(&format!("/public/v1alpha/executions/{id}")).await;
    assert_eq!((&public["status"], &public["workflow_name"]), (&json!("SUCCESS"), &json!("echo-it")));
    assert_eq!(public["output"]["body"]["said"], "hi");
    let workflow = bench.get("/api/v1/workflows/echo-it").await;
    assert_eq!(public["revision_id"], format!("{}/1", workflow["id"].as_str().unwrap()));
    assert_eq!(public["error"], json!(null));
}

#[tokio::test]
async fn a_failure_is_told_with_its_step() {
    let bench = Bench::new().await;
    bench.publish("failing", FAILING).await;
    let execution = bench.run("failing", "{}").await;
    assert_eq!(execution["status"], "failed");
    assert_eq!((&execution["failure"]["kind"], &execution["failed_step"]), (&json!("failed"), &json!("no")));
    let stages: Vec<_> = execution["steps"].as_array().unwrap().iter().map(|step| &step["status"]).collect();
    assert_eq!(json!(stages), json!(["succeeded", "failed"]));
    let id = execution["id"].as_str().unwrap();
    let public = bench.get(&format!("/public/v1alpha/executions/{id}")).await;
    assert_eq!(public["status"], "FAILED");
    assert!(public["error"].as_str().unwrap().contains("told to fail"));
}

#[tokio::test]
async fn a_running_execution_is_cancelled_once() {
    let bench = Bench::new().await;
    bench.publish("blocking", BLOCKING).await;
    let path = "/api/v1/workflows/blocking/trigger";
    let id = bench.call("POST", path, "{}").await.is(200).json()["execution_id"].as_str().unwrap().to_owned();
    bench.hands.blocked.notified().await;
    let public = bench.get(&format!("/public/v1alpha/executions/{id}")).await;
    assert_eq!((&public["status"], &public["output"]), (&json!("RUNNING"), &json!(null)));
    let cancel = format!("/api/v1/executions/{id}/cancel");
    bench.call("POST", &cancel, Body::empty()).await.is(202);
    let execution = bench.ended(&id).await;
    assert_eq!((&execution["status"], &execution["steps"][0]["status"]), (&json!("cancelled"), &json!("cancelled")));
    assert!(execution["failure"]["message"].as_str().unwrap().contains("operator"));
    bench.call("POST", &cancel, Body::empty()).await.problem(409, &["ended already", "cancelled"]);
}

#[tokio::test]
async fn a_caller_that_waits_too_short_is_told_where_the_result_will_be() {
    let bench = Bench::new().await;
    bench.publish("blocking", BLOCKING).await;
    let authorization = format!("Bearer {}", crate::bench::ADMIN);
    let headers = [("authorization", authorization.as_str()), ("prefer", "wait=0")];
    let answer = bench.send("POST", "/api/v1/workflows/blocking/trigger", &headers, "{}").await.is(201);
    let location = answer.header("location").unwrap().to_owned();
    let id = answer.json()["execution_id"].as_str().unwrap().to_owned();
    assert_eq!(answer.json()["status"], "in_progress");
    bench.get(&location).await;
    bench.hands.blocked.notified().await;
    bench.hands.release.notify_one();
    bench.app.dispatch.outcome(id.parse().unwrap(), Duration::from_secs(60)).await.unwrap().unwrap();
    assert_eq!(bench.get(&location).await["status"], "SUCCESS");
}

#[tokio::test]
async fn lists_are_newest_first_and_asked_by_workflow_and_status() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    bench.publish("failing", FAILING).await;
    let mut ids = Vec::new();
    for name in ["echo-it", "failing", "echo-it"] {
        ids.push(bench.run(name, "{}").await["id"].clone());
    }
    let list = async |query: &str| {
        let page = bench.get(&format!("/api/v1/executions{query}")).await;
        let items: Vec<_> = page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
        (items, page["next"].clone())
    };
    let (all, next) = list("").await;
    assert_eq!((all, next), (ids.iter().rev().cloned().collect(), json!(null)));
    let (first, next) = list("?limit=2").await;
    assert_eq!((&first[0], &next), (&ids[2], &ids[1]));
    let (rest, _) = list(&format!("?limit=2&before={}", next.as_str().unwrap())).await;
    assert_eq!(rest, [ids[0].clone()]);
    assert_eq!(list("?status=failed").await.0, [ids[1].clone()]);
    assert_eq!(list("?workflow=echo-it&status=succeeded,failed").await.0, [ids[2].clone(), ids[0].clone()]);
    bench.call("GET", "/api/v1/executions?status=odd", Body::empty()).await.problem(400, &["`odd`"]);
    bench.call("GET", "/api/v1/executions?workflow=none", Body::empty()).await.problem(404, &["`none`"]);
    bench.call("GET", "/api/v1/executions?before=x", Body::empty()).await.problem(400, &["`x`"]);
}

#[tokio::test]
async fn a_journal_is_read_page_by_page() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    let id = bench.run("echo-it", "{}").await["id"].as_str().unwrap().to_owned();
    let mut words = Vec::new();
    let mut from = json!(0);
    while !from.is_null() {
        let page = bench.get(&format!("/api/v1/executions/{id}/journal?from={from}&limit=2")).await;
        for entry in page["items"].as_array().unwrap() {
            words.push(entry.as_object().unwrap().keys().next().unwrap().clone());
        }
        from = page["next"].clone();
    }
    assert_eq!(words.first().map(String::as_str), Some("accepted"));
    assert_eq!(words.last().map(String::as_str), Some("ended"));
    assert!(words.iter().any(|word| word == "attempt_ended"), "{words:?}");
}

#[tokio::test]
async fn what_is_not_there_or_no_id_is_told_apart() {
    let bench = Bench::new().await;
    let nobody = "018f3c9a-7b1e-7c3d-8a2b-1c2d3e4f5a6b";
    for path in ["/api/v1/executions/", "/public/v1alpha/executions/"] {
        bench.call("GET", &format!("{path}{nobody}"), Body::empty()).await.problem(404, &[nobody]);
        bench.call("GET", &format!("{path}nobody"), Body::empty()).await.problem(400, &["execution id `nobody`"]);
    }
    bench.call("POST", &format!("/api/v1/executions/{nobody}/cancel"), Body::empty()).await.problem(404, &[nobody]);
}
