//! Starting a workflow directly, and the trigger URLs beside it.

use camshaft_model::json;

use crate::bench::{ADMIN, Bench, ECHO, Options};

const TRIGGER: &str = "/api/v1/workflows/echo-it/trigger";

#[tokio::test]
async fn who_waits_gets_the_answer_of_the_exit_step() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    let authorization = format!("Bearer {ADMIN}");
    let headers = [("authorization", authorization.as_str()), ("prefer", "wait=20")];
    let answer = bench.send("POST", TRIGGER, &headers, r#"{"params": {"text": "hi"}}"#).await.is(201);
    assert_eq!(answer.header("x-said"), Some("hi"));
    assert_eq!(answer.header("preference-applied"), Some("wait=20"));
    assert_eq!(answer.json(), json!({"said": "hi"}));

    let answer = bench.call("POST", TRIGGER, "{}").await.is(200).json();
    assert_eq!(answer["status"], "ok");
    let execution = bench.ended(answer["execution_id"].as_str().unwrap()).await;
    assert_eq!((&execution["status"], &execution["trigger"]), (&json!("succeeded"), &json!("manual")));

    let headers = [("authorization", authorization.as_str()), ("prefer", "wait=soon")];
    bench.send("POST", TRIGGER, &headers, "{}").await.problem(400, &["wait=soon"]);
}

#[tokio::test]
async fn parameters_are_held_to_what_the_workflow_takes() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    let wrong = bench.call("POST", TRIGGER, r#"{"params": {"text": 7}}"#).await.problem(422, &["`text`", "7"]);
    assert_eq!(wrong["faults"].as_array().unwrap().len(), 1);
    bench.call("POST", TRIGGER, r#"{"parms": {}}"#).await.problem(400, &["`parms`"]);
    bench.call("POST", TRIGGER, "[]").await.problem(400, &[]);
}

#[tokio::test]
async fn a_trigger_that_the_workflow_does_not_declare_is_closed() {
    let bench = Bench::new().await;
    let only_manual = ECHO.replace("  - request: {}\n", "");
    bench.publish("echo-it", &only_manual).await;
    let token = bench.call("POST", "/api/v1/workflows/echo-it/tokens", r#"{"label": "app"}"#).await.is(201).json();
    let token = token["token"].as_str().unwrap();
    bench
        .call_as(token, "POST", TRIGGER, "{}")
        .await
        .problem(403, &["the `request` trigger of workflow `echo-it` is not there"]);
    bench.call("POST", TRIGGER, "{}").await.is(200);
}

#[tokio::test]
async fn the_same_key_starts_once_and_with_another_body_it_is_a_conflict() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    let authorization = format!("Bearer {ADMIN}");
    let headers = [("authorization", authorization.as_str()), ("idempotency-key", "k1")];
    let first = bench.send("POST", TRIGGER, &headers, "{}").await.is(200);
    let again = bench.send("POST", TRIGGER, &headers, "{}").await.is(200);
    assert_eq!(first.json(), again.json());
    assert_eq!((first.header("camshaft-replayed"), again.header("camshaft-replayed")), (None, Some("true")));
    bench.send("POST", TRIGGER, &headers, r#"{"params": {}}"#).await.problem(409, &["`k1`"]);
    assert_eq!(bench.get("/api/v1/executions").await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn more_than_the_rate_is_told_when_to_come_back() {
    let bench = Bench::with(Options { executions_per_second: 1, ..Options::default() }).await;
    bench.publish("echo-it", ECHO).await;
    bench.call("POST", TRIGGER, "{}").await.is(200);
    let answer = bench.call("POST", TRIGGER, "{}").await;
    assert_eq!(answer.header("retry-after"), Some("1"));
    answer.problem(429, &["more than 1 executions a second"]);
}

#[tokio::test]
async fn a_webhook_starts_what_subscribes_and_a_bad_signature_nothing() {
    let bench = Bench::new().await;
    bench
        .call("PUT", "/api/v1/integrations/shop", r#"{"adapter": "signed", "secrets": {"signing_secret": "s3cr3t"}}"#)
        .await
        .is(201);
    let document = "name: w\ntriggers:\n  - webhook: { integration: shop }\nsteps:\n  - exit: { status: 202 }\n";
    bench.publish("w", document).await;
    let urls = bench.get("/api/v1/workflows/w").await["triggers"][0]["urls"].clone();
    assert_eq!(urls["sync"], "https://hooks.example/v1/webhooks/shop/workflows/w/sync");

    let signed = [("x-signature", "s3cr3t")];
    let answer = bench.send("POST", "/v1/webhooks/shop", &signed, "{}").await.is(200).json();
    assert_eq!(answer["executions"][0]["workflow"], "w");
    bench.send("POST", "/v1/webhooks/shop/workflows/w/sync", &signed, "{}").await.is(202);

    let headers = [("x-signature", "wrong"), ("x-github-delivery", "d-1")];
    let refused = bench.send("POST", "/v1/webhooks/shop", &headers, "{}").await.is(401);
    assert!(refused.header("x-request-id").is_some());
    let shop = bench.get("/api/v1/integrations/shop").await;
    assert_eq!((&shop["received"], &shop["accepted"], &shop["refused"]), (&json!(3), &json!(2), &json!(1)));
    assert_eq!(shop["last_refusals"][0]["delivery"], "d-1");
    assert_eq!(shop["last_refusals"][0]["status"], 401);
    assert_eq!(bench.get("/api/v1/executions").await["items"].as_array().unwrap().len(), 2);

    bench.call("POST", "/api/v1/workflows/w/unpublish", "{}").await.is(200);
    let answer = bench.send("POST", "/v1/webhooks/shop", &signed, "{}").await.is(200).json();
    assert_eq!(answer["executions"], json!([]));
}
