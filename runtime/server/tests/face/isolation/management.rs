//! The management API: every operation of the OpenAPI document.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::StatusCode;
use camshaft_model::Value;

use super::{Acme, BOTH, By, two};
use crate::bench::{Answer, Bench, component};

/// A body for each operation that takes one: what makes it do what it is for.
const BODIES: &[(&str, &str)] = &[
    ("accept_share", "{}"),
    ("add_signing_key", "KEY"),
    ("answer_approval", r#"{"approved": true}"#),
    ("create_token", r#"{"label": "more", "scope": "read"}"#),
    ("create_workflow_token", r#"{"label": "more"}"#),
    ("promote_workflow", r#"{"from": "production", "to": "staging"}"#),
    ("publish_workflow", "{}"),
    ("put_connection", r#"{"settings": {"a": 1}}"#),
    ("put_environment", r#"{"variables": {"a": 1}}"#),
    ("put_grant", "{}"),
    ("put_integration", r#"{"adapter": "generic"}"#),
    ("put_secret", r#"{"value": "another"}"#),
    ("put_subscription", r#"{"url": "https://another.example"}"#),
    ("put_user", r#"{"metadata": {"a": 1}}"#),
    ("put_workflow", "name: {workflow}\ntriggers: [ { manual: {} }, { request: {} } ]\nsteps: [ { exit: {} } ]\n"),
    ("put_workspace", "{}"),
    ("receive_events", EVENT),
    ("receive_events_of_workspace", EVENT),
    ("rerun_execution", "{}"),
    ("rerun_executions", r#"{"filter": {"workflow": "{workflow}"}}"#),
    ("roll_back_workflow", "{}"),
    ("send_app_event", r#"{"name": "Made"}"#),
    ("send_event", r#"{"topic": "of-acme"}"#),
    ("send_event_to_execution", r#"{"topic": "of-acme"}"#),
    ("share_workflow", r#"{"workspace": "green"}"#),
    ("switch_trigger", r#"{"enabled": true}"#),
    ("test_integration", r#"{"event": "thing", "body": {}}"#),
    ("test_workflow", "{}"),
    ("trigger_workflow", "{}"),
    ("unpublish_workflow", "{}"),
    ("upload_plugin", "COMPONENT"),
];

const EVENT: &str =
    r#"{"specversion": "1.0", "id": "1", "source": "/test", "type": "of.acme", "subject": "s", "data": {}}"#;

/// What its own workspace is answered otherwise than with success, and why.
const REFUSED: &[(&str, u16, &str)] = &[
    ("metrics", 403, "the whole instance's, for operators"),
    ("backup", 403, "the whole instance's, for operators"),
    ("put_workspace", 403, "for operators"),
    ("accept_share", 404, "it is offered to another one"),
    ("leave_share", 404, "it is offered to another one"),
    ("test_integration", 422, "no adapter of the bench signs"),
];

/// An operation with holes in its path and its body.
struct Operation {
    id: String,
    method: String,
    path: String,
    body: String,
    content_type: Option<String>,
}

impl Operation {
    fn all() -> Vec<Self> {
        let document: Value = serde_json::from_str(camshaft_server::openapi()).unwrap();
        let mut bodies: BTreeMap<_, _> = BODIES.iter().copied().collect();
        let mut all = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap().to_owned();
                let taken = operation["requestBody"]["content"].as_object();
                let body = match (bodies.remove(id.as_str()), taken) {
                    (Some(body), Some(_)) => body.to_owned(),
                    (None, None) => String::new(),
                    (found, _) => panic!("{id} has a body: {}, and is given one: {}", taken.is_some(), found.is_some()),
                };
                // A question that can be answered.
                let query = if id == "preview_schedule" { "?cron=0+0+1+1+*" } else { "" };
                let content_type = taken.and_then(|content| content.keys().next().cloned());
                let (method, path) = (method.to_uppercase(), format!("{path}{query}"));
                all.push(Self { id, method, path, body, content_type });
            }
        }
        assert!(bodies.is_empty(), "there are no such operations: {bodies:?}");
        all
    }

    /// In this order of their methods, the longest paths first. A stream goes on for as long as what it follows.
    fn ordered(methods: [&str; 6]) -> Vec<Self> {
        let mut all = Self::all();
        all.sort_by_key(|one| {
            let rank = methods.iter().position(|method| *method == one.method).unwrap();
            (one.path.ends_with("/stream"), rank, Reverse(one.path.matches('/').count()))
        });
        all
    }

    fn body(&self, text: &str, name: &str) -> Vec<u8> {
        match text {
            "KEY" => serde_json::json!({"public_key": include_str!("../../keys/second.pem")}).to_string().into_bytes(),
            "COMPONENT" => component(name, "1.0.0", "task", &[]),
            text => text.as_bytes().to_vec(),
        }
    }

    async fn ask(&self, bench: &Bench, token: &str, path: &str, body: Vec<u8>) -> Answer {
        let token = format!("Bearer {token}");
        let mut headers = vec![("authorization", token.as_str())];
        headers.extend(self.content_type.as_deref().map(|kind| ("content-type", kind)));
        bench.send(&self.method, path, &headers, body).await
    }
}

/// All that `acme` sees of itself.
async fn picture(bench: &Bench, acme: &Acme, all: &[Operation]) -> BTreeMap<String, (u16, String)> {
    let mut picture = BTreeMap::new();
    for one in all.iter().filter(|one| one.method == "GET" && !one.path.ends_with("/stream")) {
        // Letters are sent all the while, and tokens are used by whoever looks.
        if one.path.contains("subscriptions") || one.path.contains("tokens") {
            continue;
        }
        let path = acme.there(&one.path, By::Name);
        let answer = one.ask(bench, &acme.admin, &path, Vec::new()).await;
        picture.insert(path, (answer.status, answer.text()));
    }
    picture
}

#[tokio::test]
async fn no_operation_tells_or_changes_anything_of_another_workspace() {
    for by in BOTH {
        let (bench, mut acme, blue) = two().await;
        acme.by_name_alone(&["integration", "subscription"]);
        // What `blue` makes must not hide what it sees.
        let all = Operation::ordered(["GET", "OPTIONS", "DELETE", "PATCH", "POST", "PUT"]);
        let before = picture(&bench, &acme, &all).await;
        for one in &all {
            let asked = format!("{} {} by {by:?}", one.method, one.path);
            let [there, not_there] = [acme.there(&one.path, by), acme.not_there(&one.path, by)];
            let bodies = [acme.there(&one.body, by), acme.not_there(&one.body, by)];
            let [first, second] = [one.body(&bodies[0], "only-acme"), one.body(&bodies[1], "only-nobody")];
            let is_the_same = (&there, &first) == (&not_there, &second);
            assert!(!is_the_same || !one.path.contains('{'), "{asked} is not asked for anything of another workspace");
            let named = format!("{asked} {there} {}", String::from_utf8_lossy(&first));
            let told = one.ask(&bench, &blue, &there, first).await;
            acme.is_not_in(&told.text(), &named);
            if !is_the_same {
                let missing = one.ask(&bench, &blue, &not_there, second).await;
                let [told, missing] = [told, missing].map(|answer| (answer.status, acme.scrubbed(&answer.text())));
                assert_eq!(told, missing, "{asked}");
            }
        }
        for (path, seen) in picture(&bench, &acme, &all).await {
            assert_eq!(before[&path], seen, "{path} is not what it was");
        }
    }
}

#[tokio::test]
async fn every_operation_is_asked_for_what_there_is() {
    for by in BOTH {
        let (bench, mut acme, _) = two().await;
        acme.by_name_alone(&["integration", "subscription"]);
        for one in Operation::ordered(["GET", "OPTIONS", "PATCH", "POST", "PUT", "DELETE"]) {
            if (one.id.as_str(), by) == ("put_workflow", By::Id) {
                // A document has a name.
                continue;
            }
            let path = acme.there(&one.path, by);
            let body = one.body(&acme.there(&one.body, by), "only-acme");
            let answer = one.ask(&bench, &acme.admin, &path, body).await;
            let found = REFUSED.iter().find(|(id, ..)| *id == one.id);
            let is_found = match found {
                Some((_, status, _)) => answer.status == *status,
                // What has changed meanwhile is found all the same.
                None => answer.status < 300 || answer.status == StatusCode::CONFLICT.as_u16(),
            };
            assert!(is_found, "{} {path}: {} {}", one.method, answer.status, answer.text());
        }
    }
}

#[tokio::test]
async fn another_workspace_is_not_named_by_a_header() {
    let (bench, _, blue) = two().await;
    let headers = [("authorization", format!("Bearer {blue}")), ("camshaft-workspace", "acme".to_owned())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let told = bench.send("GET", "/api/v1/workflows", &headers, Body::empty()).await;
    let told = told.problem(403, &["another workspace"])["detail"].to_string();
    let nothing = [headers[0], ("camshaft-workspace", "nothing")];
    let missing = bench.send("GET", "/api/v1/workflows", &nothing, Body::empty()).await;
    assert_eq!(told.replace("acme", "nothing"), missing.problem(403, &[])["detail"].to_string());
}
