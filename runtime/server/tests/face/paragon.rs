//! Paragon's users: what their browsers ask before they call, and what nobody learns who has no token of a project.

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use camshaft_model::{Value, json};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};

use crate::bench::{ADMIN, Bench, Options};

/// A token of a user, signed as an app does: with the private half of `first.pem`.
pub fn user_token(user: &str) -> String {
    signed(user, include_bytes!("../keys/first.pk8"))
}

/// The same, with a private key of another app.
pub fn signed(user: &str, key: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"sub": user, "exp": 4_000_000_000_i64});
    let message = format!("{}.{}", part(&json!({"alg": "RS256", "typ": "JWT"})), part(&claims));
    let key = RsaKeyPair::from_pkcs8(key).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// A project with a signing key.
async fn project(bench: &Bench, name: &str) {
    bench.call("PUT", &format!("/api/v1/workspaces/{name}"), "{}").await.is(201);
    let token = format!("Bearer {ADMIN}");
    let headers = [("authorization", token.as_str()), ("camshaft-workspace", name)];
    let key = json!({"public_key": include_str!("../keys/first.pem")}).to_string();
    bench.send("PUT", "/api/v1/signing-keys/app", &headers, key).await.is(201);
}

#[tokio::test]
async fn without_a_token_of_a_project_nobody_learns_whether_it_is_there() {
    let bench = Bench::new().await;
    project(&bench, "my-app").await;
    let good = user_token("ada");
    let parts: Vec<_> = good.split('.').collect();
    let other_alg = format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#), parts[1], parts[2]);
    let tokens = [
        "x".repeat(20_000),
        "x".repeat(8_192),
        "x".to_owned(),
        "..".to_owned(),
        other_alg,
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(r#"{"sub":7}"#), parts[2]),
    ];
    for token in &tokens {
        for (method, rest) in
            [("POST", "events/trigger"), ("POST", "triggers/x"), ("GET", "me"), ("GET", "credentials"), ("PATCH", "me")]
        {
            let ask = async |project: &str| {
                let answer = bench.call_as(token, method, &format!("/projects/{project}/sdk/{rest}"), "{}").await;
                (answer.status, answer.text())
            };
            assert_eq!(ask("my-app").await, ask("nothing").await, "{method} {rest} {}", token.len());
        }
    }
    let told = bench.call_as(&tokens[0], "GET", "/projects/nothing/sdk/credentials", Body::empty()).await.is(401);
    assert_eq!(told.json()["message"], "the token has 20000 bytes; 8192 is the limit");
    bench.call_as(&good, "GET", "/projects/my-app/sdk/credentials", Body::empty()).await.is(200);
    bench.call_as(&good, "GET", "/projects/nothing/sdk/credentials", Body::empty()).await.is(401);
}

#[tokio::test]
async fn a_page_of_an_app_may_call_from_its_user_s_browser() {
    let bench = Bench::new().await;
    project(&bench, "my-app").await;
    let asked = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "PATCH"),
        ("access-control-request-headers", "authorization, content-type"),
    ];
    for path in
        ["/projects/my-app/sdk/me", "/projects/my-app/sdk/events/trigger", "/v2/projects/nothing/sdk/events/trigger"]
    {
        let answer = bench.send("OPTIONS", path, &asked, Body::empty()).await.is(200);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
        assert_eq!(answer.header("access-control-allow-methods"), Some("GET,POST,PATCH,DELETE"));
        assert_eq!(answer.header("access-control-allow-headers"), Some("authorization, content-type"));
        assert_eq!(answer.header("access-control-max-age"), Some("3600"));
        assert_eq!(answer.header("access-control-allow-credentials"), None, "a token lets it in, and no cookie");
    }
    let token = format!("Bearer {}", user_token("ada"));
    let with = |token: &'static str| [("origin", "https://app.example"), ("authorization", token)];
    for (headers, status) in [(with(token.leak()), 200), (with("Bearer nonsense"), 401)] {
        let answer = bench.send("GET", "/projects/my-app/sdk/credentials", &headers, Body::empty()).await.is(status);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "its page reads refusals too");
        assert_eq!(answer.header("access-control-expose-headers"), Some("*"));
    }
    let wrong = bench.send("PUT", "/projects/my-app/sdk/me", &with("Bearer nonsense"), Body::empty()).await.is(405);
    assert_eq!(wrong.header("access-control-allow-origin"), Some("*"));
    // The history is for servers, which have an API key.
    let history = "/projects/my-app/task-history/workflow-executions";
    let answer = bench.send("OPTIONS", history, &asked, Body::empty()).await.is(405);
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn a_question_about_the_history_is_refused_by_its_own_word() {
    let bench = Bench::new().await;
    for (query, message) in [
        ("startDate=nonsense", "startDate must be a time such as 2026-10-01T00:00:00Z"),
        ("endDate=", "endDate must be a time such as 2026-10-01T00:00:00Z"),
        ("userId=", "userId must have 1 to 255 bytes and no control characters"),
        ("workflowId=a%20b", "workflowId must be the id or the name of a workflow"),
    ] {
        let path = format!("/projects/default/task-history/workflow-executions?{query}");
        let answer = bench.call("GET", &path, Body::empty()).await.is(400);
        assert_eq!(answer.json(), json!({"message": message}));
    }
    let path = "/projects/default/task-history/workflow-executions?startDate=2026-10-01T00:00:00Z&endDate=2026-10-02T00:00:00Z";
    bench.call("GET", path, Body::empty()).await.is(200);
}

#[tokio::test]
async fn what_is_left_of_a_second_is_told_to_users_too() {
    let bench = Bench::with(Options { executions_per_second: 2, ..Options::default() }).await;
    let key = json!({"public_key": include_str!("../keys/first.pem")}).to_string();
    bench.call("PUT", "/api/v1/signing-keys/app", key).await.is(201);
    bench.call("PUT", "/api/v1/integrations/crm", r#"{"adapter": "generic"}"#).await.is(201);
    let document =
        "name: sync\ntriggers: [ { app_event: { name: Made } }, { request: {} } ]\nsteps: [ { set: { a: 1 } } ]\n";
    bench.publish("sync", document).await;
    bench.call("PUT", "/api/v1/users/ada/connections/crm", "{}").await.is(201);
    bench.call("PUT", "/api/v1/users/ada/connections/crm/workflows/sync", Body::empty()).await.is(200);
    let ada = user_token("ada");
    let event =
        async || bench.call_as(&ada, "POST", "/projects/default/sdk/events/trigger", r#"{"name": "Made"}"#).await;
    let first = event().await.is(201);
    assert_eq!(first.header("ratelimit"), Some("\"executions\";r=1;t=1"));
    let second = bench.call_as(&ada, "POST", "/projects/default/sdk/triggers/sync", "{}").await.is(202);
    assert_eq!(second.header("ratelimit"), Some("\"executions\";r=0;t=1"));
    let third = event().await.is(429);
    assert_eq!(third.header("ratelimit"), Some("\"executions\";r=0;t=1"));
    assert!(third.json()["message"].as_str().unwrap().contains("2 executions a second"), "{}", third.text());
    let triggers = bench.get("/api/v1/workflows/sync/triggers").await["items"].clone();
    assert_eq!((&triggers[0]["failed"], &triggers[1]["failed"]), (&json!(1), &json!(0)), "{triggers:#}");
}
