//! Dialects: what nobody should send, and what the programs in `tests/clients` cannot see from outside.

use axum::body::Body;
use camshaft_model::json;
use camshaft_server::catalog::quotas::InstanceLimits;

use crate::bench::{ADMIN, Bench, ECHO, Options};

async fn token(bench: &Bench, workflow: &str, scopes: &[&str]) -> String {
    let body = json!({"label": "app", "scopes": scopes}).to_string();
    let made = bench.call("POST", &format!("/api/v1/workflows/{workflow}/tokens"), body).await.is(201).json();
    made["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn nothing_that_anybody_sends_is_a_fault_of_ours() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    let own = token(&bench, "echo-it", &["trigger", "read", "manage"]).await;
    let id = bench.run("echo-it", "{}").await["id"].as_str().unwrap().to_owned();
    let deep = "[".repeat(10_000);
    let nested = format!("{{\"text\": {}1{}}}", "[".repeat(126), "]".repeat(126));
    let with_token = json!({"token": own, "workflowId": "echo-it", "properties": {"text": 7}}).to_string();
    let event =
        json!({"subject": format!("/echo-it/{id}/topic"), "data": {}, "specversion": 7, "id": [], "source": {}});
    let bodies: Vec<Vec<u8>> = [
        "",
        "{}",
        "{",
        "[]",
        "null",
        "true",
        "7",
        "\"text\"",
        "\u{0}",
        "a=b&c",
        "grant_type=client_credentials",
        &deep,
        &nested,
        r#"{"token": null, "properties": null}"#,
        r#"{"token": {}, "workflowId": []}"#,
        &with_token,
        &event.to_string(),
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([vec![0xff, 0xfe], vec![b'x'; (1 << 20) + 1]])
    .collect();
    let paths = [
        "/v1/auth/token".to_owned(),
        format!("/public/v1alpha/executions/{id}"),
        "/public/v1alpha/executions/%00".to_owned(),
        "/api/v2/webhooks/workflows/echo-it/trigger?environment=%ff&version=%00".to_owned(),
        "/api/v2/webhooks/workflows/echo-it/trigger-async?version=99999999999999999999".to_owned(),
        "/api/v2/webhooks/workflows/%ff/trigger".to_owned(),
        "/api/v2/webhooks/workflows/a%2Fb/trigger".to_owned(),
        format!("/api/v2/webhooks/workflows/echo-it/status/{id}"),
        "/api/v2/webhooks/workflows/echo-it/status/%ff".to_owned(),
        format!("/api/v2/webhooks/workflows/echo-it/execution/{id}/stream"),
        "/webhook/payload?token=%ff&access_token=".to_owned(),
        format!("/webhook/status/{id}?token"),
        "/webhook/status/%ff".to_owned(),
        "/listener/event".to_owned(),
        "/listener/webhook?workflowId=echo-it&type=slack".to_owned(),
        "/listener/webhook?workflowId=%ff&type=generic".to_owned(),
        format!("/listener/webhook/wfe?workflowId=echo-it&workflowActivityId={id}&topic=%00"),
        format!("/listener/webhook/wfe?workflowId=echo-it&workflowActivityId={id}&topic={}", "t".repeat(5_000)),
        "/projects/default/sdk/events/trigger".to_owned(),
        "/v2/projects/%ff/sdk/events/trigger".to_owned(),
        "/projects/default/sdk/triggers/echo-it?text=%ff&text=%00".to_owned(),
        "/projects/default/sdk/triggers/%00".to_owned(),
        "/projects/default/sdk/workflows/echo-it".to_owned(),
        "/projects/default/sdk/me".to_owned(),
        "/projects/a%2Fb/sdk/me".to_owned(),
        "/projects/default/sdk/metadata".to_owned(),
        "/projects/default/sdk/integrations".to_owned(),
        "/projects/default/sdk/integrations/%ff".to_owned(),
        "/projects/default/sdk/credentials".to_owned(),
        "/projects/default/task-history/workflow-executions?cursor=%00&limit=-1".to_owned(),
        "/projects/default/task-history/workflow-executions?startDate=%ff&status=".to_owned(),
        format!("/projects/default/task-history/workflow-executions/{id}"),
        format!("/projects/default/task-history/workflow-executions/{id}/step-executions/%ff"),
        format!("/projects/default/task-history/workflow-executions/{id}/replay"),
    ];
    let key = json!({"public_key": include_str!("../keys/first.pem")}).to_string();
    bench.call("PUT", "/api/v1/signing-keys/app", key).await.is(201);
    let tokens = [
        format!("Bearer {own}"),
        format!("Bearer {ADMIN}"),
        format!("Bearer {}", crate::paragon::user_token("ada")),
        "Bearer csa_0_0_0".to_owned(),
        "Basic Og==".to_owned(),
    ];
    let mut seen = 0;
    for path in &paths {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "BREW"] {
            for (n, body) in bodies.iter().enumerate() {
                let kind = ["application/json", "application/cloudevents+json", "text/plain", "nonsense"][n % 4];
                let headers = [("authorization", tokens[seen % tokens.len()].as_str()), ("content-type", kind)];
                let answer = bench.send(method, path, &headers, body.clone()).await;
                assert!(answer.status < 500, "{method} {path} {n}: {} {}", answer.status, answer.text());
                seen += 1;
            }
        }
    }
    assert!(seen > 4_000);
}

#[tokio::test]
async fn a_key_that_came_before_starts_nothing_in_any_dialect() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    let own = token(&bench, "echo-it", &["trigger", "read"]).await;
    let headers = [("authorization", format!("Bearer {own}")), ("idempotency-key", "the same".to_owned())];
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let path = "/api/v2/webhooks/workflows/echo-it/trigger";
    let first = bench.send("POST", path, &headers, "{}").await.is(201);
    assert_eq!(bench.send("POST", path, &headers, "{}").await.is(201).json(), first.json());
    let refused = bench.send("POST", path, &headers, r#"{"text": "another"}"#).await.is(409).json();
    assert_eq!((&refused["statusCode"], &refused["error"]), (&json!(409), &json!("Conflict")));
    let activity = bench.send("POST", "/webhook/payload", &headers, "{}").await.is(200).json();
    assert_eq!(bench.send("POST", "/webhook/payload", &headers, "{}").await.is(200).json(), activity);
    let listed = bench.get("/api/v1/executions").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2, "one that waited, and one that did not");
}

#[tokio::test]
async fn tooljet_s_throttle_is_for_tooljet_s_urls_alone() {
    let bench = Bench::with(Options { requests_of_an_address: 1, ..Options::default() }).await;
    let path = "/api/v2/webhooks/workflows/nothing/trigger";
    bench.send("POST", path, &[], Body::empty()).await.is(404);
    let refused = bench.send("POST", path, &[], Body::empty()).await.is(429);
    assert_eq!(refused.header("retry-after"), Some("60"));
    for _ in 0..3 {
        bench.send("POST", "/webhook/payload", &[], Body::empty()).await.is(401);
        bench.call("GET", "/api/v1/workflows", Body::empty()).await.is(200);
    }
}

#[tokio::test]
async fn what_is_left_of_a_second_is_told_in_every_dialect() {
    let bench = Bench::with(Options { executions_per_second: 4, ..Options::default() }).await;
    bench.publish("echo-it", ECHO).await;
    let own = token(&bench, "echo-it", &["trigger"]).await;
    let tooljet = "/api/v2/webhooks/workflows/echo-it/trigger";
    let hook = "/listener/webhook?workflowId=echo-it&type=generic";
    let asked = [(tooljet, 201), (&*format!("{tooljet}-async"), 201), ("/webhook/payload", 200), (hook, 200)];
    for (left, (path, status)) in [3, 2, 1, 0].into_iter().zip(asked) {
        let answer = bench.call_as(&own, "POST", path, "{}").await.is(status);
        assert_eq!(answer.header("ratelimit"), Some(&*format!("\"executions\";r={left};t=1")), "{path}");
        assert_eq!(answer.header("ratelimit-policy"), Some("\"executions\";q=4;w=1"));
    }
    for (path, _) in asked {
        let refused = bench.call_as(&own, "POST", path, "{}").await.is(429);
        assert_eq!(refused.header("ratelimit"), Some("\"executions\";r=0;t=1"), "{path}");
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    let triggers = bench.get("/api/v1/workflows/echo-it/triggers").await["items"].clone();
    assert_eq!((&triggers[1]["started"], &triggers[1]["failed"]), (&json!(4), &json!(4)), "{triggers:#}");
    let why = triggers[1]["last_failures"][0]["why"].as_str().unwrap();
    assert!(why.contains("more than 4 executions a second"), "{why}");
}

#[tokio::test]
async fn whoever_starts_something_is_held_to_the_size_of_a_body_that_is_set() {
    let bench = Bench::with(Options { body_bytes: 300, ..Options::default() }).await;
    bench.publish("echo-it", ECHO).await;
    let own = token(&bench, "echo-it", &["trigger"]).await;
    let key = json!({"public_key": include_str!("../keys/first.pem")}).to_string();
    bench.call("PUT", "/api/v1/signing-keys/app", key).await.is(201);
    let ada = crate::paragon::user_token("ada");
    for (token, path) in [
        (&own, "/api/v2/webhooks/workflows/echo-it/trigger"),
        (&own, "/api/v2/webhooks/workflows/echo-it/trigger-async"),
        (&own, "/webhook/payload"),
        (&own, "/listener/webhook?workflowId=echo-it&type=generic"),
        (&own, "/api/v1/workflows/echo-it/trigger"),
        (&ADMIN.to_owned(), "/api/v1/users/ada/events"),
        (&ADMIN.to_owned(), "/events"),
        (&ada, "/projects/default/sdk/events/trigger"),
        (&ada, "/projects/default/sdk/triggers/echo-it"),
    ] {
        let body = |bytes: usize| format!("{{}}{}", " ".repeat(bytes - 2));
        let refused = bench.call_as(token, "POST", path, body(301)).await.is(413);
        assert!(refused.text().contains("300"), "{path}: {}", refused.text());
        assert_ne!(bench.call_as(token, "POST", path, body(300)).await.status, 413, "{path}");
    }
}

#[tokio::test]
async fn an_access_token_ends_with_its_token_and_reaches_no_more() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    let body = r#"{"label": "app", "scopes": ["read"]}"#;
    let made = bench.call("POST", "/api/v1/workflows/echo-it/tokens", body).await.is(201).json();
    let (id, secret) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let granted = bench.send("POST", "/v1/auth/token", &[], form.clone()).await.is(200).json();
    let access = granted["access_token"].as_str().unwrap();
    let execution = bench.run("echo-it", "{}").await["id"].as_str().unwrap().to_owned();
    let path = format!("/public/v1alpha/executions/{execution}");
    let shown = bench.call_as(access, "GET", &path, Body::empty()).await.is(200).json();
    assert_eq!((&shown["status"], &shown["output"]["body"]["said"]), (&json!("SUCCESS"), &json!("hello")));
    bench.call_as(access, "POST", "/api/v1/workflows/echo-it/trigger", "{}").await.problem(403, &["`trigger`"]);
    bench.call_as(access, "GET", "/api/v1/workflows", Body::empty()).await.problem(403, &[]);
    bench.call("DELETE", &format!("/api/v1/tokens/{id}"), Body::empty()).await.is(204);
    bench.call_as(access, "GET", &path, Body::empty()).await.problem(401, &[]);
    bench.send("POST", "/v1/auth/token", &[], form).await.is(401);
}

/// A workspace with the workflow `echo-it`: a token for it, and its id.
async fn acme(bench: &Bench) -> (String, String) {
    bench.call("PUT", "/api/v1/workspaces/acme", r#"{"display_name": "Acme, Inc."}"#).await.is(201);
    let admin = format!("Bearer {ADMIN}");
    let headers = [("authorization", admin.as_str()), ("camshaft-workspace", "acme")];
    bench.send("PUT", "/api/v1/workflows/echo-it", &headers, ECHO).await.is(201);
    let published = bench.send("POST", "/api/v1/workflows/echo-it/publish", &headers, "{}").await.is(200).json();
    let made = bench.send("POST", "/api/v1/workflows/echo-it/tokens", &headers, r#"{"label": "acme's"}"#).await.is(201);
    (made.json()["token"].as_str().unwrap().to_owned(), published["id"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn nothing_of_another_workspace_is_told_or_started() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    let here = token(&bench, "echo-it", &["trigger", "read", "manage"]).await;
    let own_id = bench.get("/api/v1/workflows/echo-it").await["id"].as_str().unwrap().to_owned();
    let (there, id) = acme(&bench).await;
    let nothing = "00000000-0000-7000-8000-000000000000";
    let tooljet = |id: &str| format!("/api/v2/webhooks/workflows/{id}/trigger-async");

    // A token reaches its own workspace, by name and by id.
    for which in ["echo-it", &id] {
        bench.call_as(&there, "POST", &tooljet(which), "{}").await.is(201);
    }
    let payload = json!({"token": there}).to_string();
    let activity = bench.send("POST", "/webhook/payload", &[], payload).await.is(200).json();
    let activity = activity["activityId"].as_str().unwrap().to_owned();
    let status = format!("/webhook/status/{activity}");
    assert_eq!(bench.call_as(&there, "GET", &status, "").await.is(200).json()["teamName"], "Acme, Inc.");

    // Of any other it learns nothing, and starts nothing there.
    let unnamed = |text: String, id: &str| text.replace(id, nothing);
    for (token, other) in [(Some(&here), &id), (Some(&there), &own_id), (None, &id)] {
        let headers: Vec<_> = token.map(|token| ("authorization", format!("Bearer {token}"))).into_iter().collect();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        for (method, path, body) in [
            ("POST", tooljet(other), "{}".to_owned()),
            ("PATCH", format!("/api/v2/webhooks/workflows/{other}"), r#"{"isEnable": false}"#.to_owned()),
            ("GET", format!("/api/v2/webhooks/workflows/{other}/status/{activity}"), String::new()),
            ("POST", "/webhook/payload".to_owned(), json!({"workflowId": other}).to_string()),
            ("POST", format!("/listener/webhook?workflowId={other}&type=generic"), "{}".to_owned()),
        ] {
            let told = bench.send(method, &path, &headers, body.clone()).await;
            let missing = bench
                .send(method, &path.replace(other.as_str(), nothing), &headers, body.replace(other.as_str(), nothing))
                .await;
            assert!([401, 404].contains(&told.status), "{method} {path}: {} {}", told.status, told.text());
            assert_eq!((told.status, unnamed(told.text(), other)), (missing.status, missing.text()), "{method} {path}");
        }
    }
    let told = bench.call_as(&here, "GET", &status, "").await.is(404).text();
    let missing = bench.call_as(&here, "GET", &format!("/webhook/status/{nothing}"), "").await.is(404).text();
    assert_eq!(unnamed(told, &activity), missing);
    assert_eq!(bench.get("/api/v1/executions").await["items"], json!([]), "nothing was started here");

    // An operator reaches what an id belongs to.
    bench.call("POST", &tooljet(&id), "{}").await.is(201);
    assert_eq!(bench.get("/api/v1/executions").await["items"], json!([]));
}

#[tokio::test]
async fn whose_limit_it_is_tooljet_s_clients_are_told() {
    let limits = InstanceLimits { per_day: 1, ..InstanceLimits::default() };
    let bench = Bench::with(Options { limits, ..Options::default() }).await;
    bench.publish("echo-it", ECHO).await;
    let own = token(&bench, "echo-it", &["trigger"]).await;
    let path = "/api/v2/webhooks/workflows/echo-it/trigger";
    bench.call_as(&own, "POST", path, "{}").await.is(201);
    for body in ["{}", r#"{"text": 7}"#] {
        let refused = bench.call_as(&own, "POST", path, body).await.is(451);
        assert_eq!(refused.json()["message"], "Maximum daily limit for workflow execution has been reached");
        assert!(refused.header("retry-after").is_some());
    }
}

#[tokio::test]
async fn a_switched_off_trigger_starts_nothing_in_any_dialect() {
    let bench = Bench::new().await;
    bench.publish("echo-it", ECHO).await;
    let own = token(&bench, "echo-it", &["trigger", "manage"]).await;
    let switch = "/api/v2/webhooks/workflows/echo-it";
    let off = bench.call_as(&own, "PATCH", switch, r#"{"isEnable": false}"#).await.is(200).json();
    assert_eq!(off["isEnable"], false);
    bench.call_as(&own, "POST", &format!("{switch}/trigger"), "{}").await.is(403);
    bench.call_as(&own, "POST", &format!("{switch}/trigger?version=1"), "{}").await.is(403);
    let refused = bench.call_as(&own, "POST", "/webhook/payload", "{}").await.is(401).json();
    assert_eq!(refused["error"]["description"], "WORKFLOW_TRIGGER_DISABLED");
    let triggers = bench.get("/api/v1/workflows/echo-it/triggers").await;
    assert_eq!(triggers["items"][1]["enabled"], false, "{triggers:#}");
    bench.call_as(&own, "PATCH", switch, r#"{"isEnable": true}"#).await.is(200);
    bench.call_as(&own, "POST", &format!("{switch}/trigger"), "{}").await.is(201);
    let started = &bench.get("/api/v1/workflows/echo-it/triggers").await["items"][1]["started"];
    assert_eq!(*started, json!(1), "what a dialect starts is counted as what its trigger starts");
}
