//! Subscriptions as their callers and their receivers see them.

use std::sync::Mutex;

use axum::body::Body;
use camshaft_model::limits::SUBSCRIPTIONS_MAX;
use camshaft_model::seams::{NotPosted, Post, Posting};
use camshaft_model::{Value, json};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Notify;

use crate::bench::{Bench, ECHO};

/// The outside, as subscriptions reach it: it remembers what came, and answers what a test says.
#[derive(Default)]
pub struct Outside {
    came: Mutex<Vec<Posting>>,
    told: Notify,
    /// What is answered; 204 where a test says nothing.
    pub answer: Mutex<Option<Result<u16, NotPosted>>>,
}

impl Post for Outside {
    fn check(&self, url: &str) -> Result<(), NotPosted> {
        match url.starts_with("https://") {
            true => Ok(()),
            false => Err(NotPosted(format!("`{url}` is not sent to here"))),
        }
    }

    fn post(&self, posting: Posting) -> BoxFuture<'_, Result<u16, NotPosted>> {
        self.came.lock().unwrap().push(posting);
        self.told.notify_one();
        let answer = self.answer.lock().unwrap().clone().unwrap_or(Ok(204));
        std::future::ready(answer).boxed()
    }
}

impl Outside {
    /// Everything that has come, once it is so many.
    async fn came(&self, count: usize) -> Vec<Posting> {
        loop {
            let told = self.told.notified();
            let came = self.came.lock().unwrap().clone();
            if came.len() >= count {
                return came;
            }
            told.await;
        }
    }
}

fn event(posting: &Posting) -> Value {
    serde_json::from_slice(&posting.body).unwrap()
}

fn header<'a>(posting: &'a Posting, name: &str) -> &'a str {
    posting.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str()).unwrap()
}

async fn subscribe(bench: &Bench, name: &str, body: Value) -> Value {
    bench.call("PUT", &format!("/api/v1/subscriptions/{name}"), body.to_string()).await.is(201).json()
}

/// A subscription once it stands so.
async fn until(bench: &Bench, name: &str, holds: impl Fn(&Value) -> bool) -> Value {
    loop {
        let shown = bench.get(&format!("/api/v1/subscriptions/{name}")).await;
        if holds(&shown) {
            return shown;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_secret_is_shown_once_and_two_sign_while_it_is_rotated() {
    let bench = Bench::new().await;
    let made = subscribe(&bench, "ops", json!({"url": "https://ops.example/hook"})).await;
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_") && secret.len() > 40, "{secret}");
    assert_eq!(made["on"], json!(["succeeded", "failed", "cancelled", "timed_out", "dropped"]));

    let test = async || bench.call("POST", "/api/v1/subscriptions/ops/test", "").await.is(200).json();
    assert_eq!(test().await, json!({"ok": true, "status": 204, "why": null}));
    let rotated = bench.call("POST", "/api/v1/subscriptions/ops/rotate", "").await.is(200).json();
    assert_ne!(rotated["secret"], made["secret"]);
    assert!(rotated["former_secret_until"].is_string());
    *bench.post.answer.lock().unwrap() = Some(Ok(302));
    assert_eq!(test().await, json!({"ok": false, "status": 302, "why": null}), "a redirect is no success");
    *bench.post.answer.lock().unwrap() = Some(Err(NotPosted("nobody is there".into())));
    assert_eq!(test().await["why"], "nobody is there");
    let came = bench.post.came(3).await;
    assert_eq!(event(&came[0])["type"], "dev.camshaft.subscription.tested");
    assert_eq!(came[0].url, "https://ops.example/hook");
    let signatures = |at: usize| header(&came[at], "webhook-signature").split(' ').count();
    assert_eq!((signatures(0), signatures(1)), (1, 2));

    let body = json!({"url": "https://ops.example/other", "enabled": false}).to_string();
    let changed = bench.call("PUT", "/api/v1/subscriptions/ops", body).await.is(200);
    assert_eq!(changed.json()["enabled"], false);
    let shown = bench.call("GET", "/api/v1/subscriptions", Body::empty()).await.is(200);
    for text in [changed.text(), shown.text()] {
        assert!(!text.contains("whsec_") && !text.contains("x1:"), "{text}");
    }
}

#[tokio::test]
async fn what_a_subscription_cannot_be_is_named() {
    let bench = Bench::new().await;
    for (body, status, named) in [
        (json!({}), 400, "`url`"),
        (json!({"url": "http://ops.example"}), 422, "`url`: `http://ops.example`"),
        (json!({"url": "https://a.example", "on": []}), 422, "`on` is empty"),
        (json!({"url": "https://a.example", "on": ["ended"]}), 400, "`ended`"),
        (json!({"url": "https://a.example", "environments": ["qa"]}), 422, "`qa`"),
        (json!({"url": "https://a.example", "workflows": ["A"]}), 400, "`A`"),
        (json!({"url": "https://a.example", "secret": "mine"}), 400, "`secret`"),
    ] {
        bench.call("PUT", "/api/v1/subscriptions/ops", body.to_string()).await.problem(status, &[named]);
    }
    let names = |count: usize| (0..count).map(|number| format!("w{number}")).collect::<Vec<_>>();
    let many = |count: usize| json!({"url": "https://a.example", "workflows": names(count)}).to_string();
    bench.call("PUT", "/api/v1/subscriptions/s0", many(101)).await.problem(422, &["101 names", "at most 100"]);
    bench.call("PUT", "/api/v1/subscriptions/s0", many(100)).await.is(201);
    for number in 1..SUBSCRIPTIONS_MAX {
        subscribe(&bench, &format!("s{number}"), json!({"url": "https://a.example"})).await;
    }
    bench.call("PUT", "/api/v1/subscriptions/more", many(1)).await.problem(422, &["`more`", "50 subscriptions"]);
    bench.call("PUT", "/api/v1/subscriptions/s0", many(1)).await.is(200);
    let headers = [("authorization", format!("Bearer {}", crate::bench::ADMIN)), ("if-match", "\"1\"".to_owned())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    bench.send("PUT", "/api/v1/subscriptions/s0", &headers, many(1)).await.problem(412, &["generation is 2"]);
    bench.call("GET", "/api/v1/subscriptions/s51", Body::empty()).await.problem(404, &["`s51`", "did you mean"]);
    bench.call("DELETE", "/api/v1/subscriptions/s1", Body::empty()).await.is(204);
    bench.call("DELETE", "/api/v1/subscriptions/s1", Body::empty()).await.is(404);
    bench.call("POST", "/api/v1/subscriptions/s0/letters/x/redrive", "").await.problem(400, &["letter id `x`"]);
    bench.call("GET", "/api/v1/subscriptions/s0/letters?state=lost", "").await.problem(400, &["`lost`"]);
}

#[tokio::test]
async fn each_is_told_of_what_it_names_and_of_nothing_else() {
    let bench = Bench::new().await;
    let url = |path: &str| format!("https://a.example/{path}");
    subscribe(&bench, "all", json!({"url": url("all"), "on": ["accepted", "started", "succeeded", "failed"]})).await;
    subscribe(&bench, "failed", json!({"url": url("failed"), "on": ["failed"]})).await;
    subscribe(&bench, "other", json!({"url": url("other"), "workflows": ["other"]})).await;
    subscribe(&bench, "staging", json!({"url": url("staging"), "environments": ["staging"]})).await;
    subscribe(&bench, "labelled", json!({"url": url("labelled"), "labels": {"team": "ops"}})).await;
    subscribe(&bench, "tests", json!({"url": url("tests"), "tests": true})).await;
    subscribe(&bench, "off", json!({"url": url("off"), "enabled": false})).await;
    bench.publish("echo-it", ECHO).await;
    let failing =
        "name: failing\nlabels: { team: ops }\ntriggers: [ { manual: {} } ]\nsteps: [ { id: boom, task: fail@1 } ]\n";
    bench.publish("failing", failing).await;
    let good = bench.run("echo-it", "{}").await;
    let bad = bench.run("failing", "{}").await;
    bench.call("POST", "/api/v1/workflows/echo-it/test", "{}").await.is(201);

    // all: 3 of each; failed: 1; labelled: 1; tests: 2, and that of the test.
    let came = bench.post.came(6 + 1 + 1 + 3).await;
    let mut told: Vec<_> = came
        .iter()
        .map(|posting| {
            let kind = event(posting)["type"].as_str().unwrap().replace("dev.camshaft.execution.", "");
            let workflow = event(posting)["data"]["workflow"].as_str().unwrap().to_owned();
            format!("{} {workflow} {kind}", posting.url.rsplit('/').next().unwrap())
        })
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            "all echo-it accepted",
            "all echo-it started",
            "all echo-it succeeded",
            "all failing accepted",
            "all failing failed",
            "all failing started",
            "failed failing failed",
            "labelled failing failed",
            "tests echo-it succeeded",
            "tests echo-it succeeded",
            "tests failing failed",
        ]
    );
    for posting in &came {
        let event = event(posting);
        assert_eq!(header(posting, "content-type"), "application/cloudevents+json; charset=utf-8");
        assert_eq!(event["id"], header(posting, "webhook-id"));
        assert_eq!((&event["specversion"], &event["source"]), (&json!("1.0"), &json!("/workspaces/default")));
        assert!(event["id"].as_str().unwrap().starts_with(event["subject"].as_str().unwrap()));
    }
    let of = |id: &Value, kind: &str| {
        let kind = format!("dev.camshaft.execution.{kind}");
        came.iter().map(event).find(|event| event["subject"] == *id && event["type"] == kind).unwrap()["data"].clone()
    };
    let failed = of(&bad["id"], "failed");
    assert_eq!(failed["failure"], json!({"kind": "failed", "message": "it was told to fail"}));
    assert_eq!((&failed["failed_step"], &failed["status"]), (&json!("boom"), &json!("failed")));
    assert_eq!(failed["labels"], json!({"team": "ops"}));
    let accepted = of(&good["id"], "accepted");
    assert_eq!((&accepted["status"], &accepted["ended_at"]), (&json!("accepted"), &Value::Null));
    let succeeded = of(&good["id"], "succeeded");
    assert_eq!((&succeeded["ended_at"], &succeeded["environment"]), (&good["ended_at"], &json!("production")));
    assert!(succeeded.get("output").is_none() && succeeded.get("params").is_none(), "{succeeded}");
}

#[tokio::test]
async fn a_receiver_that_is_gone_switches_its_subscription_off_and_what_is_dead_is_redriven_by_hand() {
    let bench = Bench::new().await;
    subscribe(&bench, "ops", json!({"url": "https://ops.example"})).await;
    bench.publish("echo-it", ECHO).await;
    *bench.post.answer.lock().unwrap() = Some(Ok(410));
    bench.run("echo-it", "{}").await;
    let shown = until(&bench, "ops", |shown| shown["dead"] == 1).await;
    assert_eq!(shown["enabled"], false);
    assert!(shown["switched_off"].as_str().unwrap().contains("410"), "{shown}");
    let dead = bench.get("/api/v1/subscriptions/ops/letters").await;
    assert_eq!((&dead["items"][0]["why"], &dead["items"][0]["tries"]), (&json!("answered 410"), &json!(1)));
    assert_eq!(dead["items"][0]["event"]["type"], "dev.camshaft.execution.succeeded");

    // While it is switched off nothing is made for it.
    bench.run("echo-it", "{}").await;
    *bench.post.answer.lock().unwrap() = None;
    let body = json!({"url": "https://ops.example", "enabled": true}).to_string();
    let on = bench.call("PUT", "/api/v1/subscriptions/ops", body).await.is(200).json();
    assert_eq!((&on["switched_off"], &on["dead"], &on["waiting"]), (&Value::Null, &json!(1), &json!(0)));
    let letter = format!("/api/v1/subscriptions/ops/letters/{}/redrive", dead["items"][0]["id"].as_str().unwrap());
    assert_eq!(bench.call("POST", &letter, "").await.is(200).json(), json!({"redriven": 1}));
    until(&bench, "ops", |shown| shown["dead"] == 0 && shown["waiting"] == 0).await;
    let came = bench.post.came(2).await;
    assert_eq!(came.len(), 2);
    assert_eq!(event(&came[0]), event(&came[1]), "it is the same event");
    bench.call("POST", &letter, "").await.problem(404, &["dead letter"]);
    let all = bench.call("POST", "/api/v1/subscriptions/ops/redrive", "").await.is(200);
    assert_eq!(all.json(), json!({"redriven": 0}));
    let metrics = bench.call("GET", "/metrics", Body::empty()).await.text();
    assert!(metrics.contains("camshaft_letters_total{became=\"delivered\"}"), "{metrics}");
}
