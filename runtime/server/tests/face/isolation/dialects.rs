//! Clients of other systems: every path of every dialect, by every method, with every kind of token.

use std::collections::BTreeMap;
use std::time::Duration;

use camshaft_model::json;
use camshaft_server::dialects::{self, Paragon, ToolJet};
use camshaft_triggers::http::PerAddress;

use super::{Acme, BOTH, By, paths_of, two, within};
use crate::bench::{Answer, Bench};
use crate::paragon::signed;

/// Every path, with the query and the body that make it do what it is for.
const PATHS: &[(&str, &str, &str)] = &[
    ("/api/v2/webhooks/workflows/{workflow}", "", r#"{"isEnable": true}"#),
    ("/api/v2/webhooks/workflows/{workflow}/trigger", "", "{}"),
    ("/api/v2/webhooks/workflows/{workflow}/trigger-async", "", "{}"),
    ("/api/v2/webhooks/workflows/{workflow}/status/{execution}", "", ""),
    ("/api/v2/webhooks/workflows/{workflow}/execution/{execution}/stream", "", ""),
    ("/webhook/payload", "", r#"{"workflowId": "{workflow}", "properties": {}}"#),
    ("/webhook/status/{activity}", "", ""),
    ("/listener/event", "", r#"{"subject": "/{workflow}/{execution}/of-acme", "data": {}}"#),
    ("/listener/webhook", "?workflowId={workflow}&type=generic", "{}"),
    ("/listener/webhook/wfe", "?workflowId={workflow}&workflowActivityId={execution}&topic=of-acme", "{}"),
    ("/projects/{project}/sdk/events/trigger", "", r#"{"name": "Made"}"#),
    ("/v2/projects/{project}/sdk/events/trigger", "", r#"{"name": "Made"}"#),
    ("/projects/{project}/sdk/triggers/{workflow}", "", ""),
    ("/projects/{project}/sdk/workflows/{workflow}", "", ""),
    ("/projects/{project}/sdk/me", "", r#"{"meta": {"a": 1}}"#),
    ("/projects/{project}/sdk/metadata", "", ""),
    ("/projects/{project}/sdk/integrations", "", ""),
    ("/projects/{project}/sdk/integrations/{integration}", "", ""),
    ("/projects/{project}/sdk/credentials", "", r#"{"integrationId": "{integration}", "config": {"a": 1}}"#),
    ("/projects/{project}/task-history/workflow-executions", "?workflowId={workflow}", ""),
    ("/projects/{project}/task-history/workflow-executions/{execution}", "", ""),
    ("/projects/{project}/task-history/workflow-executions/{execution}/step-executions/{step}", "", ""),
    ("/projects/{project}/task-history/workflow-executions/{execution}/replay", "", ""),
    ("/v1/auth/token", "", "grant_type=client_credentials&client_id={token}&client_secret=SECRET"),
];

/// `GET` first: what follows changes things.
const METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];

/// Every path that there is. Those of streams come last, since they go on for as long as what they follow, and what disconnects
/// before them.
fn paths(bench: &Bench) -> Vec<(&'static str, &'static str, &'static str)> {
    let throttle = PerAddress::new(0, Duration::from_secs(1), bench.app.clock.clone());
    let tooljet = ToolJet { throttle, trusted_proxies: Vec::new() };
    let paragon = Paragon { window: Duration::from_secs(1) };
    let routed = paths_of(&dialects::router(bench.app.instance(), tooljet, paragon));
    let mut known: BTreeMap<_, _> = PATHS.iter().map(|one| (one.0, *one)).collect();
    let named = |path: &String| {
        known.remove(path.as_str()).unwrap_or_else(|| panic!("{path} is asked for nothing of another workspace"))
    };
    let mut asked: Vec<_> = routed.iter().map(named).collect();
    assert!(known.is_empty(), "there are no such paths: {known:?}");
    asked.sort_by_key(|(path, ..)| (path.ends_with("/stream"), path.ends_with("/sdk/integrations/{integration}")));
    asked
}

/// A request; nothing is waited for but what ends by itself.
async fn ask(bench: &Bench, method: &str, url: &str, token: Option<&str>, body: String) -> Answer {
    let token = token.map(|token| format!("Bearer {token}"));
    let kind = if url.starts_with("/listener/event") { "application/cloudevents+json" } else { "application/json" };
    let mut headers = vec![("content-type", kind)];
    headers.extend(token.as_deref().map(|token| ("authorization", token)));
    bench.send(method, url, &headers, body).await
}

/// Tokens of every kind that a workspace has.
async fn tokens(bench: &Bench, workspace: &str, workflow: &str, user: String) -> Vec<String> {
    let made = async |path: &str, body: &str| {
        let made = within(bench, workspace, "POST", path, body.to_owned()).await.is(201).json();
        made["token"].as_str().unwrap().to_owned()
    };
    let own = format!("/api/v1/workflows/{workflow}/tokens");
    vec![
        made("/api/v1/tokens", r#"{"label": "a", "scope": "admin"}"#).await,
        made("/api/v1/tokens", r#"{"label": "r", "scope": "read"}"#).await,
        made(&own, r#"{"label": "w", "scopes": ["trigger", "read", "manage"]}"#).await,
        user,
    ]
}

async fn blue(bench: &Bench) -> Vec<String> {
    let document = "name: blue-one\ntriggers: [ { request: {} } ]\nsteps: [ { exit: {} } ]\n";
    within(bench, "blue", "PUT", "/api/v1/workflows/blue-one", document).await.is(201);
    within(bench, "blue", "POST", "/api/v1/workflows/blue-one/publish", "{}").await.is(200);
    let key = json!({"public_key": include_str!("../../keys/second.pem")}).to_string();
    within(bench, "blue", "PUT", "/api/v1/signing-keys/blue", key).await.is(201);
    // A user of the same name as one of acme's.
    tokens(bench, "blue", "blue-one", signed("ada-of-acme", include_bytes!("../../keys/second.pk8"))).await
}

/// What `acme` has run, and how its connections stand.
async fn picture(bench: &Bench, acme: &Acme) -> Vec<String> {
    let mut seen = Vec::new();
    for path in
        ["executions", "connections", "users/ada-of-acme", "workflows/only-acme/triggers", "executions/{execution}"]
    {
        let path = acme.there(&format!("/api/v1/{path}"), By::Name);
        seen.push(bench.call_as(&acme.admin, "GET", &path, "").await.is(200).text());
    }
    seen
}

#[tokio::test]
async fn no_dialect_tells_or_changes_anything_of_another_workspace() {
    for by in BOTH {
        let (bench, acme, _) = two().await;
        let tokens = blue(&bench).await;
        let before = picture(&bench, &acme).await;
        let long = "x".repeat(20_000);
        for (path, query, body) in paths(&bench) {
            for method in METHODS {
                for token in
                    tokens.iter().map(|token| Some(token.as_str())).chain([None, Some("nonsense"), Some(&long)])
                {
                    let shown = token.map(|token| &token[..token.len().min(30)]);
                    let asked = format!("{method} {path} by {by:?} with {shown:?}");
                    let url = format!("{path}{query}");
                    let [there, not_there] = [acme.there(&url, by), acme.not_there(&url, by)];
                    let bodies = [acme.there(body, by), acme.not_there(body, by)];
                    assert_ne!((&there, &bodies[0]), (&not_there, &bodies[1]), "{asked} is of no workspace");
                    let told = ask(&bench, method, &there, token, bodies[0].clone()).await;
                    acme.is_not_in(&told.text(), &format!("{asked} {there} {}", bodies[0]));
                    let missing = ask(&bench, method, &not_there, token, bodies[1].clone()).await;
                    let [told, missing] = [told, missing].map(|answer| (answer.status, acme.scrubbed(&answer.text())));
                    assert_eq!(told, missing, "{asked}");
                }
            }
        }
        assert_eq!(picture(&bench, &acme).await, before);
    }
}

#[tokio::test]
async fn every_path_of_a_dialect_is_asked_for_what_there_is() {
    for by in BOTH {
        let (bench, mut acme, _) = two().await;
        let user = signed("ada-of-acme", include_bytes!("../../keys/first.pk8"));
        let tokens = tokens(&bench, "acme", "only-acme", user).await;
        // A client's own id and secret.
        let of_workflow = tokens[2].clone();
        let id = of_workflow.split('_').nth(1).unwrap().to_owned();
        acme.holes.iter_mut().filter(|(hole, ..)| *hole == "token").for_each(|(_, name, known)| {
            (*name, *known) = (id.clone(), Some(id.clone()));
        });
        for (path, query, body) in paths(&bench) {
            let mut found = Vec::new();
            for method in METHODS.into_iter().filter(|method| !["HEAD", "OPTIONS"].contains(method)) {
                for token in &tokens {
                    let (url, body) = (acme.there(&format!("{path}{query}"), by), acme.there(body, by));
                    // Whoever is connected to nothing more starts nothing more.
                    if method == "DELETE" && path.contains("/sdk/") && !path.ends_with("{integration}") {
                        continue;
                    }
                    let body = body.replace("SECRET", &of_workflow);
                    let answer = ask(&bench, method, &url, Some(token), body).await;
                    found.push((method, answer.status));
                }
            }
            assert!(
                found.iter().any(|(_, status)| *status < 300 || *status == 409),
                "{path} by {by:?} finds nothing: {found:?}"
            );
        }
    }
}
