//! Nothing of one workspace is seen, changed or learnt of in another, by any route that there is: each is asked for what is another
//! workspace's and for what there is not, and the two answers are one. A route that these tests know nothing of fails them.

mod dialects;
mod management;
mod urls;

use std::collections::BTreeSet;

use axum::Router;
use axum::body::Body;
use camshaft_model::{Value, json};

use crate::bench::{ADMIN, Answer, Bench, Options, component};

/// An id that nothing has.
const NOBODY: &str = "01890000-0000-7000-8000-000000000000";

/// Whether things that have both are asked for by their names or by their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Name,
    Id,
}

const BOTH: [By; 2] = [By::Name, By::Id];

/// A workspace that has something of everything.
struct Acme {
    admin: String,
    /// A hole of a route, the name of what there is, and its id where it has one.
    holes: Vec<(&'static str, String, Option<String>)>,
    /// What nobody else may read.
    own: Vec<String>,
}

/// What stands in a hole where nothing is meant that there is.
fn nobody(hole: &str) -> &'static str {
    match hole {
        // What is found within what the hole before it names.
        "revision" => "1",
        "trigger" => "manual",
        "to" => "green",
        "step" => "said",
        "secret" => "only_nobody",
        "user" => "eve-of-nobody",
        _ => "only-nobody",
    }
}

impl Acme {
    /// These are asked for by their names, whatever the round.
    fn by_name_alone(&mut self, holes: &[&str]) {
        self.holes.iter_mut().filter(|(hole, ..)| holes.contains(hole)).for_each(|(.., id)| *id = None);
    }

    /// A text with holes, for what there is.
    fn there(&self, text: &str, by: By) -> String {
        self.filled(text, |name, id, _| if by == By::Id { id.unwrap_or(name).to_owned() } else { name.to_owned() })
    }

    /// The same for what there is not.
    fn not_there(&self, text: &str, by: By) -> String {
        self.filled(text, |name, id, hole| match id {
            Some(id) if by == By::Id || id == name => {
                if hole == "letter" {
                    format!("{NOBODY}-1")
                } else {
                    NOBODY.to_owned()
                }
            }
            _ => nobody(hole).to_owned(),
        })
    }

    fn filled(&self, text: &str, with: impl Fn(&str, Option<&str>, &str) -> String) -> String {
        let filled = self.holes.iter().fold(text.to_owned(), |text, (hole, name, id)| {
            text.replace(&format!("{{{hole}}}"), &with(name, id.as_deref(), hole))
        });
        let hole = filled.find('{').filter(|at| filled[*at..].starts_with(|_| is_hole(&filled[*at..])));
        assert!(hole.is_none(), "nothing is known that could stand in a hole of {text}");
        filled
    }

    /// An answer without what was asked for, and without what no two have in common.
    fn scrubbed(&self, text: &str) -> String {
        let mut text = text.replace(&format!("{NOBODY}-1"), "IT").replace(NOBODY, "IT");
        for (hole, name, id) in &self.holes {
            for known in [name.as_str(), nobody(hole)].into_iter().chain(id.as_deref()) {
                if known.len() > 1 && !["manual", "said", "green"].contains(&known) {
                    text = text.replace(known, "IT");
                }
            }
        }
        match serde_json::from_str(&text) {
            Ok(value) => without_chance(value).to_string(),
            Err(_) => text,
        }
    }

    /// Nothing of its own stands in an answer to somebody else, but what they named themselves.
    #[track_caller]
    fn is_not_in(&self, answer: &str, asked: &str) {
        for own in self.own.iter().filter(|own| !asked.contains(own.as_str())) {
            assert!(!answer.contains(own.as_str()), "{asked} tells of {own}: {answer}");
        }
    }
}

/// `{workflow}`, and not `{"a": 1}`.
fn is_hole(text: &str) -> bool {
    let inside = text[1..].split('}').next().unwrap_or_default();
    !inside.is_empty() && inside.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
}

/// Ids, times and fresh secrets are never the same twice.
fn without_chance(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let is_chance = |key: &str| {
                ["id", "token", "secret", "time", "timestamp", "dateSubmitted", "digest", "size_bytes"].contains(&key)
                    || ["_id", "_at", "Id"].iter().any(|end| key.ends_with(end))
            };
            fields
                .into_iter()
                .filter(|(key, _)| !is_chance(key))
                .map(|(key, value)| (key, without_chance(value)))
                .collect()
        }
        Value::Array(items) => items.into_iter().map(without_chance).collect(),
        other => other,
    }
}

/// The paths of a router, which axum tells to `Debug` alone.
pub fn paths_of(router: &Router) -> BTreeSet<String> {
    let shown = format!("{router:?}");
    let texts = shown.split('"').filter(|text| text.starts_with('/') && text.len() > 1 && !text.contains("__private"));
    texts.map(str::to_owned).collect()
}

/// A request of an operator in a workspace.
async fn within(bench: &Bench, workspace: &str, method: &str, path: &str, body: impl Into<Body>) -> Answer {
    let token = format!("Bearer {ADMIN}");
    let headers = [("authorization", token.as_str()), ("camshaft-workspace", workspace)];
    bench.send(method, path, &headers, body).await
}

/// A workspace and an admin token of it.
async fn make(bench: &Bench, name: &str) -> String {
    bench.call("PUT", &format!("/api/v1/workspaces/{name}"), "{}").await.is(201);
    let body = r#"{"label": "admin", "scope": "admin"}"#;
    let made = within(bench, name, "POST", "/api/v1/tokens", body).await.is(201).json();
    made["token"].as_str().unwrap().to_owned()
}

const ONLY: &str = r#"
name: only-acme
params: { waits: { type: boolean, default: false } }
triggers:
  - manual: {}
  - request: {}
  - webhook: { integration: shop }
  - event: { type: of.acme, topic: of-acme }
  - app_event: { name: Made }
  - schedule: { cron: "0 0 1 1 *" }
steps:
  - { id: said, task: echo@1, with: { of: acme } }
  - if: $.params.waits
    then: [ { wait: { event: { topic: of-acme } } } ]
"#;

const ASKS: &str = "
name: asks-acme
triggers: [ { manual: {} } ]
steps: [ { approval: { ask: Shall only-acme go on? } } ]
";

/// Two workspaces: `acme`, which has something of everything, and `blue`, of which an admin token is told.
async fn two() -> (Bench, Acme, String) {
    let bench = Bench::with(Options::default()).await;
    *bench.post.answer.lock().unwrap() = Some(Ok(410));
    let (admin, blue) = (make(&bench, "acme").await, make(&bench, "blue").await);
    let put = async |path: &str, body: String| within(&bench, "acme", "PUT", path, body).await;
    let post = async |path: &str, body: &str| within(&bench, "acme", "POST", path, body.to_owned()).await;
    let id = |answer: &Answer, field: &str| answer.json()[field].as_str().unwrap().to_owned();

    let plugin = component("only-acme", "1.0.0", "task", &[]);
    within(&bench, "acme", "POST", "/api/v1/plugins", plugin).await.is(201);
    put("/api/v1/plugins/only-acme/grant", "{}".to_owned()).await.is(200);
    put("/api/v1/environments/only-acme", r#"{"variables": {"of": "acme-variable"}}"#.to_owned()).await.is(201);
    put("/api/v1/secrets/only_acme", r#"{"value": "s3cret"}"#.to_owned()).await.is(204);
    let signed = r#"{"adapter": "generic", "secrets": {"signing_secret": "s3cret"}}"#.to_owned();
    let integration = put("/api/v1/integrations/only-acme", signed.clone()).await.is(201);
    for workspace in ["acme", "blue"] {
        within(&bench, workspace, "PUT", "/api/v1/integrations/shop", signed.clone()).await.is(201);
    }
    let subscription = r#"{"url": "https://only.example"}"#.to_owned();
    let subscription = put("/api/v1/subscriptions/only-acme", subscription).await.is(201);
    let workflow = put("/api/v1/workflows/only-acme", ONLY.to_owned()).await.is(201);
    put("/api/v1/workflows/asks-acme", ASKS.to_owned()).await.is(201);
    for name in ["only-acme", "asks-acme"] {
        post(&format!("/api/v1/workflows/{name}/publish"), "{}").await.is(200);
    }
    let token = post("/api/v1/workflows/only-acme/tokens", r#"{"label": "of-acme"}"#).await.is(201);
    put("/api/v1/users/ada-of-acme/connections/only-acme", r#"{"credentials": {"key": "s3cret"}}"#.to_owned())
        .await
        .is(201);
    let enabled = "/api/v1/users/ada-of-acme/connections/only-acme/workflows/only-acme";
    put(enabled, String::new()).await.is(200);
    let key = json!({"public_key": include_str!("../keys/first.pem")}).to_string();
    put("/api/v1/signing-keys/key-of-acme", key).await.is(201);
    // An offer to a third one is nobody else's to see.
    let share = post("/api/v1/workflows/only-acme/shares", r#"{"workspace": "green"}"#).await.is(201);

    let first = post("/api/v1/workflows/only-acme/trigger", r#"{"params": {"waits": true}}"#).await.is(200);
    let (first, rerun) = (id(&first, "execution_id"), r#"{"filter": {"workflow": "only-acme"}}"#);
    at_rest(&bench, &first).await;
    let rerun = post("/api/v1/executions/rerun", rerun).await;
    let other = post("/api/v1/workflows/asks-acme/trigger", "{}").await.is(200);
    at_rest(&bench, &id(&other, "execution_id")).await;
    let rerun = match rerun.status {
        202 => id(&rerun, "id"),
        _ => panic!("{}", rerun.text()),
    };
    loop {
        let shown = within(&bench, "acme", "GET", &format!("/api/v1/reruns/{rerun}"), "").await.json();
        if shown["status"] != "running" {
            break;
        }
        tokio::task::yield_now().await;
    }
    // It tells of its end, and a letter that nobody takes is dead.
    post("/api/v1/workflows/only-acme/trigger", "{}").await.is(200);
    let letter = loop {
        let letters = within(&bench, "acme", "GET", "/api/v1/subscriptions/only-acme/letters", "").await.json();
        if let Some(letter) = letters["items"][0]["id"].as_str() {
            break letter.to_owned();
        }
        tokio::task::yield_now().await;
    };
    let all = within(&bench, "acme", "GET", "/api/v1/executions", "").await.json();
    for item in all["items"].as_array().unwrap() {
        at_rest(&bench, item["id"].as_str().unwrap()).await;
    }

    let ids = [
        ("workflow", "only-acme", Some(id(&workflow, "id"))),
        ("integration", "only-acme", Some(id(&integration, "id"))),
        ("subscription", "only-acme", Some(id(&subscription, "id"))),
        ("execution", &first, Some(first.clone())),
        ("activity", &first, Some(first.clone())),
        ("letter", &letter, Some(letter.clone())),
        ("token", &id(&token, "id"), Some(id(&token, "id"))),
        ("share", &id(&share, "id"), Some(id(&share, "id"))),
        ("rerun", &rerun, Some(rerun.clone())),
        ("plugin", "only-acme", None),
        ("environment", "only-acme", None),
        ("secret", "only_acme", None),
        ("user", "ada-of-acme", None),
        ("key", "key-of-acme", None),
        ("workspace", "acme", None),
        ("project", "acme", None),
        ("revision", "1", None),
        ("trigger", "manual", None),
        ("to", "green", None),
        ("step", "said", None),
    ];
    let holes: Vec<_> = ids.into_iter().map(|(hole, name, id)| (hole, name.to_owned(), id)).collect();
    let names =
        ["only-acme", "asks-acme", "only_acme", "ada-of-acme", "key-of-acme", "of-acme", "acme-variable", "s3cret"];
    let own = names.iter().map(|name| (*name).to_owned()).chain(holes.iter().filter_map(|(.., id)| id.clone()));
    let own = own.chain(["only.example".to_owned()]).collect();
    (bench, Acme { admin, holes, own }, blue)
}

/// An execution has come to where it waits, or to its end.
async fn at_rest(bench: &Bench, id: &str) {
    loop {
        let shown = within(bench, "acme", "GET", &format!("/api/v1/executions/{id}"), "").await.json();
        if ["waiting", "succeeded"].contains(&shown["status"].as_str().unwrap()) {
            return;
        }
        tokio::task::yield_now().await;
    }
}
