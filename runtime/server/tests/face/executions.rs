//! Executions: listed, shown with their steps, read as journals, cancelled.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use camshaft_model::ids::{ExecutionId, Name};
use camshaft_model::invocation::TriggerSource;
use camshaft_model::seams::{Append, JournalAppend};
use camshaft_model::summary::{Status, Summary};
use camshaft_model::time::Timestamp;
use camshaft_model::{Value, json, limits};

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

/// Executions that look like one that ran, as a store may hold thousands of them.
async fn copies(bench: &Bench, of: &str, summaries: impl IntoIterator<Item = Summary>) {
    let entries: Vec<_> = bench.app.store.entries(of.parse().unwrap(), 0, 10).await.unwrap();
    let entries: Vec<_> = entries.into_iter().map(Arc::new).collect();
    let fence = bench.app.store.fence();
    let journal =
        |summary: Summary| JournalAppend { id: summary.id, fence, from: 0, entries: entries.clone(), summary };
    let journals = summaries.into_iter().map(journal).collect();
    bench.app.store.append(Append { journals, ..Append::default() }).await.unwrap();
}

async fn ids(bench: &Bench, query: &str) -> (Vec<String>, Value) {
    let page = bench.get(&format!("/api/v1/executions?{query}")).await;
    let items = page["items"].as_array().unwrap().iter();
    (items.map(|item| item["id"].as_str().unwrap().to_owned()).collect(), page["next"].clone())
}

#[tokio::test]
async fn lists_are_asked_by_label_trigger_environment_time_and_test() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    let id = bench.run("echo-it", "{}").await["id"].as_str().unwrap().to_owned();
    let ran = bench.app.store.summary(id.parse().unwrap()).await.unwrap().unwrap();
    // Three of long ago, an hour apart.
    let hour = |n: u64| Timestamp::from_millis(1_600_000_000_000 + n * 3_600_000);
    let of = |n: u64| Summary { id: ExecutionId::first_at(hour(n)), accepted_at: hour(n), ..ran.clone() };
    let labels = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let (first, second, third) = (
        Summary { labels: labels(&[("team", "a"), ("tier", "1")]), test: true, ..of(1) },
        Summary { labels: labels(&[("team", "a"), ("tier", "2:b")]), trigger: TriggerSource::Request, ..of(2) },
        Summary { labels: labels(&[("team", "b")]), environment: Name::new("staging").unwrap(), ..of(3) },
    );
    let [one, two, three] = [&first, &second, &third].map(|summary| summary.id.to_string());
    copies(&bench, &id, [first, second, third]).await;

    for (query, expected) in [
        ("label=team:a", vec![&two, &one]),
        ("label=team:a&label=tier:2:b", vec![&two]),
        ("label=team:bench", vec![&id]),
        ("label=team:", vec![]),
        ("test=true", vec![&one]),
        ("test=false", vec![&id, &three, &two]),
        ("trigger=request", vec![&two]),
        ("trigger=workflow", vec![]),
        ("environment=staging", vec![&three]),
        ("since=2020-09-13T14:26:40Z", vec![&id, &three, &two]),
        ("since=2020-09-13T14:26:40.001Z", vec![&id, &three]),
        ("until=2020-09-13T14:26:40Z", vec![&one]),
        ("until=2020-09-13T14:26:40.001Z", vec![&two, &one]),
        ("since=2020-09-13T15:26:40%2B01:00&until=2020-09-13T15:00:00Z&status=succeeded&workflow=echo-it", vec![&two]),
    ] {
        let (found, next) = ids(&bench, query).await;
        assert_eq!((found.iter().collect::<Vec<_>>(), next), (expected, json!(null)), "{query}");
    }
    for (query, named) in [
        ("label=team", "label `team` is no `key:value`"),
        ("trigger=cron", "trigger `cron` is none of manual"),
        ("since=yesterday", "`yesterday`"),
        ("test=maybe", "`maybe`"),
        ("state=failed", "`state`"),
    ] {
        bench.call("GET", &format!("/api/v1/executions?{query}"), Body::empty()).await.problem(400, &[named]);
    }
}

#[tokio::test]
async fn a_request_looks_at_a_bounded_number_of_executions_and_says_where_to_go_on() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    let id = bench.run("echo-it", "{}").await["id"].as_str().unwrap().to_owned();
    let ran = bench.app.store.summary(id.parse().unwrap()).await.unwrap().unwrap();
    // Newer than the one that is wanted, and more than a request looks at.
    let later = Timestamp(ran.accepted_at.0 + 1_000_000_000);
    let others = (0..limits::LOOKED_AT_MAX as u64 + 10).map(|n| {
        let at = Timestamp(later.0 + n * 1_000);
        Summary { id: ExecutionId::first_at(at), accepted_at: at, labels: Default::default(), ..ran.clone() }
    });
    copies(&bench, &id, others).await;
    let (found, next) = ids(&bench, "label=team:bench&limit=1").await;
    assert_eq!(found, [""; 0], "it is behind what a request looks at");
    let (found, next) = ids(&bench, &format!("label=team:bench&limit=1&before={}", next.as_str().unwrap())).await;
    assert_eq!((found, next), (vec![id], json!(null)));
}

#[tokio::test]
async fn an_execution_tells_its_parent_what_it_repeats_and_when_it_goes_on() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    let sleeping = "
name: sleeping
triggers: [{ manual: {} }]
steps:
  - { id: child, workflow: echo-it }
  - { id: night, wait: 8h }
";
    bench.publish("sleeping", sleeping).await;
    let path = "/api/v1/workflows/sleeping/trigger";
    let parent = bench.call("POST", path, "{}").await.is(200).json()["execution_id"].as_str().unwrap().to_owned();
    let waiting = loop {
        let item = bench.get("/api/v1/executions?workflow=sleeping").await["items"][0].clone();
        if !item["due_at"].is_null() {
            break item;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(waiting["status"], "waiting");
    let at = |text: &Value| text.as_str().unwrap().parse::<Timestamp>().unwrap();
    let asleep = at(&waiting["due_at"]).since(at(&waiting["accepted_at"])).as_secs();
    assert!((8 * 3600..9 * 3600).contains(&asleep), "{waiting}");
    let shown = bench.get(&format!("/api/v1/executions/{parent}")).await;
    assert_eq!((&shown["due_at"], &shown["parent"], &shown["test"]), (&waiting["due_at"], &json!(null), &json!(false)));

    let child = bench.get("/api/v1/executions?trigger=workflow").await["items"][0].clone();
    assert_eq!((&child["parent"], &child["due_at"]), (&json!(parent), &json!(null)));
    let child = child["id"].as_str().unwrap().to_owned();
    assert_eq!(bench.get(&format!("/api/v1/executions/{child}")).await["parent"], json!(parent));

    let again = bench.call("POST", &format!("/api/v1/executions/{child}/rerun"), "{}").await.is(201).json();
    let again = bench.ended(again["execution_id"].as_str().unwrap()).await;
    assert_eq!((&again["repeats"], &again["parent"]), (&json!(child), &json!(null)));
    assert_eq!(bench.get("/api/v1/executions").await["items"][0]["repeats"], json!(child));
}

/// The summary is read before the journal, which may have gone on meanwhile: what is shown is of one moment.
#[tokio::test]
async fn what_is_shown_is_what_the_journal_says_however_old_the_summary_is() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    let id = bench.run("echo-it", "{}").await["id"].as_str().unwrap().parse().unwrap();
    let now = bench.app.store.summary(id).await.unwrap().unwrap();
    let old = Summary { status: Status::Accepted, started_at: None, ended_at: None, ..now.clone() };
    let inspected = camshaft_server::api::executions::inspect(&bench.app, old).await.unwrap();
    assert_eq!(inspected.summary, now);
}
