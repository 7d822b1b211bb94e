//! Triggers of a workflow: where to call, what came of it, and the switch of each.

use axum::body::Body;
use camshaft_model::json;

use crate::bench::{Bench, ECHO};

const TRIGGERS: &str = "/api/v1/workflows/echo-it/triggers";

const HOOKED: &str = r#"
name: hooked
triggers:
  - webhook: { integration: shop, when: '$.event.type == "other"' }
  - webhook: { integration: shop }
steps:
  - exit: { status: 207 }
"#;

#[tokio::test]
async fn a_trigger_that_is_switched_off_starts_nothing_until_it_is_on_again() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    let trigger = "/api/v1/workflows/echo-it/trigger";
    bench.call("POST", trigger, "{}").await.is(200);

    let off = bench.call("PATCH", &format!("{TRIGGERS}/manual"), r#"{"enabled": false}"#).await.is(200).json();
    assert_eq!((&off["key"], &off["enabled"]), (&json!("manual"), &json!(false)));
    bench.call("POST", trigger, "{}").await.problem(403, &["`manual`", "switched off"]);
    // A new revision changes nothing about it.
    bench.publish("echo-it", &ECHO.replace("Says it again", "Says it once more")).await;
    bench.call("POST", trigger, "{}").await.problem(403, &["switched off"]);
    // The other trigger is on all the while.
    let made = bench.call("POST", "/api/v1/workflows/echo-it/tokens", r#"{"label": "app"}"#).await.is(201).json();
    bench.call_as(made["token"].as_str().unwrap(), "POST", trigger, "{}").await.is(200);

    bench.call("PATCH", &format!("{TRIGGERS}/manual"), r#"{"enabled": true}"#).await.is(200);
    bench.call("POST", trigger, "{}").await.is(200);

    bench
        .call("PATCH", &format!("{TRIGGERS}/manuel"), r#"{"enabled": true}"#)
        .await
        .problem(404, &["`manuel`", "`manual`?"]);
    bench
        .call("PATCH", "/api/v1/workflows/nothing/triggers/manual", r#"{"enabled": true}"#)
        .await
        .problem(404, &["`nothing`"]);
    bench.call("PATCH", &format!("{TRIGGERS}/manual"), r#"{"enabled": 1}"#).await.problem(400, &["enabled"]);
}

#[tokio::test]
async fn of_two_webhook_triggers_each_has_its_own_switch() {
    let bench = Bench::new().await;
    bench.call("PUT", "/api/v1/integrations/shop", r#"{"adapter": "generic"}"#).await.is(201);
    bench.publish("hooked", HOOKED).await;
    let sync = "/v1/webhooks/shop/workflows/hooked/sync";
    bench.send("POST", sync, &[], "{}").await.is(207);
    let triggers = "/api/v1/workflows/hooked/triggers";
    // The first does not hold for this event; the second is the one that started it.
    bench.call("PATCH", &format!("{triggers}/webhook:shop"), r#"{"enabled": false}"#).await.is(200);
    bench.send("POST", sync, &[], "{}").await.is(207);
    bench.call("PATCH", &format!("{triggers}/webhook:shop%232"), r#"{"enabled": false}"#).await.is(200);
    assert_eq!(bench.send("POST", sync, &[], "{}").await.status, 404);
    let all = bench.send("POST", "/v1/webhooks/shop", &[], "{}").await.is(200).json();
    assert_eq!(all["executions"], json!([]));

    let items = bench.get(triggers).await["items"].clone();
    let counts: Vec<_> = items.as_array().unwrap().iter().map(|item| (&item["key"], &item["started"])).collect();
    assert_eq!(counts, [(&json!("webhook:shop"), &json!(0)), (&json!("webhook:shop#2"), &json!(2))]);
}

#[tokio::test]
async fn what_a_step_s_event_starts_counts_for_the_trigger_that_it_started_by() {
    let bench = Bench::new().await;
    let told = "name: told\ntriggers: [ { event: { type: order.paid } } ]\nsteps: [ { exit: {} } ]";
    bench.publish("told", told).await;
    bench
        .publish(
            "tells",
            "name: tells\ntriggers: [ { manual: {} } ]\nsteps: [ { emit: { type: order.paid } }, { exit: {} } ]",
        )
        .await;
    assert_eq!(bench.run("tells", "{}").await["status"], "succeeded");
    let trigger = bench.get("/api/v1/workflows/told/triggers").await["items"][0].clone();
    let started = bench.get("/api/v1/executions?workflow=told").await["items"][0]["id"].clone();
    assert_eq!((&trigger["started"], &trigger["last_execution_id"]), (&json!(1), &started), "{trigger:#}");
}

#[tokio::test]
async fn a_trigger_tells_where_to_call_and_what_came_of_it() {
    let bench = Bench::new().await;
    let limited = ECHO.replace("params:", "limits: { per_day: 1 }\nparams:");
    bench.publish("echo-it", &limited).await;
    let trigger = "/api/v1/workflows/echo-it/trigger";
    let execution = bench.call("POST", trigger, "{}").await.is(200).json()["execution_id"].clone();
    bench.call("POST", trigger, "{}").await.problem(429, &["`echo-it`"]);

    let items = bench.get(TRIGGERS).await["items"].clone();
    let manual = &items[0];
    assert_eq!(
        (&manual["key"], &manual["kind"], &manual["enabled"]),
        (&json!("manual"), &json!("manual"), &json!(true))
    );
    assert_eq!((&manual["started"], &manual["failed"]), (&json!(1), &json!(1)));
    assert_eq!(manual["last_execution_id"], execution);
    assert!(manual["last_started_at"].is_string());
    assert!(manual["last_failures"][0]["why"].as_str().unwrap().contains("limit of 1"), "{manual:#}");
    let curl = manual["curl"]["trigger"].as_str().unwrap();
    assert!(curl.starts_with("curl -X POST 'https://hooks.example/api/v1/workflows/echo-it/trigger'"), "{curl}");
    assert!(curl.ends_with(r#"-d '{"params":{"text":"text"}}'"#), "{curl}");

    assert!(curl.contains("\"Authorization: Bearer $CAMSHAFT_TOKEN\""), "{curl}");
    let (urls, curl) = (&items[1]["urls"], &items[1]["curl"]);
    assert_eq!(urls["tooljet"], "https://hooks.example/api/v2/webhooks/workflows/echo-it/trigger");
    assert_eq!(urls["tooljet_async"], "https://hooks.example/api/v2/webhooks/workflows/echo-it/trigger-async");
    for (which, url) in urls.as_object().unwrap() {
        let call = curl[which].as_str().unwrap();
        assert!(call.starts_with(&format!("curl -X POST '{}' ", url.as_str().unwrap())), "{call}");
        assert!(
            call.contains("\"Authorization: Bearer $WORKFLOW_TOKEN\""),
            "an app has a token of the workflow: {call}"
        );
    }
    assert!(curl["tooljet"].as_str().unwrap().ends_with(r#"-d '{"text":"text"}'"#), "{curl}");

    let staged = bench.get(&format!("{TRIGGERS}?environment=staging")).await["items"][0].clone();
    assert_eq!((&staged["started"], &staged["failed"]), (&json!(0), &json!(0)), "each environment for itself");
    assert!(staged["urls"]["trigger"].as_str().unwrap().ends_with("/trigger?environment=staging"));
    bench.call("GET", "/api/v1/workflows/nothing/triggers", Body::empty()).await.problem(404, &["`nothing`"]);
}

#[tokio::test]
async fn a_call_of_each_url_carries_what_its_integration_wants() {
    let bench = Bench::new().await;
    let config =
        r#"{"adapter": "generic", "config": {"auth": {"header": "x-$(id)`'key"}}, "secrets": {"signing_secret": "s"}}"#;
    bench.call("PUT", "/api/v1/integrations/shop", config).await.is(201);
    bench.call("PUT", "/api/v1/integrations/open", r#"{"adapter": "generic"}"#).await.is(201);
    let signed = r#"{"adapter": "signed", "secrets": {"signing_secret": "s"}}"#;
    bench.call("PUT", "/api/v1/integrations/vendor", signed).await.is(201);
    let webhook = |name: &str| format!("{{ webhook: {{ integration: {name} }} }}");
    let triggers = ["shop", "open", "vendor"].map(webhook).join(", ");
    bench.publish("hooked", &format!("name: hooked\ntriggers: [ {triggers} ]\nsteps: [ {{ exit: {{}} }} ]\n")).await;
    let items = bench.get("/api/v1/workflows/hooked/triggers").await["items"].clone();
    let base = "https://hooks.example/v1/webhooks";
    for (n, integration, with, end) in [
        (0, "shop", r#" -H 'x-$(id)`'\''key: '"$SECRET""#, ""),
        (1, "open", "", ""),
        (2, "vendor", "", "; : only signed, as by: camshaft integration test vendor --event EVENT"),
    ] {
        for (which, rest) in [("webhook", ""), ("async", "/workflows/hooked"), ("sync", "/workflows/hooked/sync")] {
            let wanted = format!(
                "curl -X POST '{base}/{integration}{rest}'{with} -H 'Content-Type: application/json' -d '{{}}'{end}"
            );
            assert_eq!(items[n]["curl"][which], json!(wanted));
        }
    }
}
