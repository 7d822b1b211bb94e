//! Users and their connections: what is kept, what is shown, and what starts with them.

use std::sync::Arc;

use axum::body::Body;
use camshaft_model::connection::ConnectionRef;
use camshaft_model::ids::{Name, UserId};
use camshaft_model::resource::{Change, Expect};
use camshaft_model::{Value, json};
use camshaft_server::api::connect;
use camshaft_server::catalog::specs::{self, ConnectionSpec};
use camshaft_store::MemoryStore;

use crate::bench::{Bench, Options};

const TOKEN: &str = "hunt-me-of-ada-5e1d";

/// A workflow that echoes what it sees of its connection, with these triggers.
fn seeing(name: &str, triggers: &str) -> String {
    format!(
        r#"
name: {name}
triggers: [ {triggers} ]
steps:
  - id: said
    task: echo@1
    with: {{ token: "Bearer {{{{ $.connection.credentials.token }}}}" }}
  - exit: {{ connection: "{{{{ $.connection }}}}", event: "{{{{ $.event }}}}" }}
"#
    )
}

async fn integrations(bench: &Bench, names: &[&str]) {
    for name in names {
        let path = format!("/api/v1/integrations/{name}");
        bench.call("PUT", &path, r#"{"adapter": "generic"}"#).await.is(201);
    }
}

/// Connects a user, with a token and the workflows that they enable.
async fn connected(bench: &Bench, user: &str, integration: &str, workflows: &[&str]) -> Value {
    let path = format!("/api/v1/users/{user}/connections/{integration}");
    let body = json!({"settings": {"list": format!("{user}'s")}, "credentials": {"token": format!("{TOKEN}-{user}")}});
    let mut view = bench.call("PUT", &path, body.to_string()).await.is(201).json();
    for workflow in workflows {
        view = bench.call("PUT", &format!("{path}/workflows/{workflow}"), Body::empty()).await.is(200).json();
    }
    view
}

async fn send(bench: &Bench, user: &str, name: &str) -> Vec<Value> {
    let body = json!({"name": name, "payload": {"id": 7}}).to_string();
    let sent = bench.call("POST", &format!("/api/v1/users/{user}/events"), body).await.is(202).json();
    sent["executions"].as_array().unwrap().clone()
}

/// The outputs of all of these, by workflow and integration.
async fn outputs(bench: &Bench, executions: &[Value]) -> Vec<Value> {
    let mut outputs = Vec::new();
    for execution in executions {
        let ended = bench.ended(execution["execution_id"].as_str().unwrap()).await;
        assert_eq!(ended["status"], "succeeded", "{ended:#}");
        outputs.push(ended["output"].clone());
    }
    outputs
}

#[tokio::test]
async fn a_connection_tells_everything_but_its_credentials() {
    let bench = Bench::new().await;
    integrations(&bench, &["salesforce"]).await;
    bench.publish("sync", &seeing("sync", "{ app_event: { name: Contact Created } }")).await;
    let user = bench.call("PUT", "/api/v1/users/ada%2F1", r#"{"metadata": {"plan": "pro"}}"#).await.is(201).json();
    assert_eq!((&user["user"], &user["metadata"]), (&json!("ada/1"), &json!({"plan": "pro"})));

    let path = "/api/v1/users/ada%2F1/connections/salesforce";
    let body = json!({"credentials": {"token": TOKEN, "old": "gone soon"}, "complete": false}).to_string();
    let made = bench.call("PUT", path, body).await.is(201);
    assert!(!made.text().contains(TOKEN), "{}", made.text());
    let made = made.json();
    assert_eq!((&made["complete"], &made["connected_at"]), (&json!(false), &Value::Null));
    assert_eq!(made["credentials"], json!(["old", "token"]));
    let body = r#"{"settings": {"list": "A"}, "credentials": {"old": null}}"#;
    let changed = bench.call("PUT", path, body).await.is(200).json();
    assert_eq!((&changed["credentials"], &changed["settings"]), (&json!(["token"]), &json!({"list": "A"})));
    assert_eq!((&changed["complete"], &changed["id"]), (&json!(true), &made["id"]));
    let enabled = bench.call("PUT", &format!("{path}/workflows/sync"), Body::empty()).await.is(200).json();
    assert_eq!(enabled["workflows"][0]["workflow"], "sync");

    for path in [path, "/api/v1/connections", "/api/v1/users", "/api/v1/users/ada%2F1"] {
        let shown = bench.call("GET", path, Body::empty()).await.is(200).text();
        assert!(shown.contains("salesforce") && !shown.contains(TOKEN), "{path}: {shown}");
    }
    bench.call("DELETE", "/api/v1/integrations/salesforce", Body::empty()).await.problem(409, &["1 connections"]);
    bench.call("DELETE", path, Body::empty()).await.is(204);
    bench.call("GET", path, Body::empty()).await.problem(404, &["`ada/1`", "`salesforce`"]);
    bench.call("DELETE", "/api/v1/integrations/salesforce", Body::empty()).await.is(204);
    bench.call("DELETE", "/api/v1/users/ada%2F1", Body::empty()).await.is(204);
    bench.call("GET", "/api/v1/users/ada%2F1", Body::empty()).await.problem(404, &["`ada/1`"]);
}

#[tokio::test]
async fn what_cannot_be_is_told_with_its_name_and_never_a_credential() {
    let bench = Bench::new().await;
    integrations(&bench, &["salesforce"]).await;
    let path = "/api/v1/users/ada/connections/salesforce";
    let large = json!({"settings": {"a": "x".repeat(16 << 10)}}).to_string();
    let many: Value = (0..33).map(|n| (format!("c{n}"), json!("hunter9"))).collect();
    let heavy = json!({"credentials": {"a": "x".repeat(40_000), "b": "y".repeat(40_000)}}).to_string();
    for (path, body, status, named) in [
        ("/api/v1/users/ada/connections/nothing", "{}", 404, &["`nothing`"][..]),
        ("/api/v1/users/ada/connections/Sales", "{}", 400, &["`Sales`"]),
        (&format!("/api/v1/users/{}/connections/salesforce", "x".repeat(256)), "{}", 400, &["user id", "255"]),
        (path, &large, 422, &["`settings`", "16384"]),
        (path, &json!({"credentials": many}).to_string(), 422, &["33", "32"]),
        (path, &heavy, 422, &["80000", "65536"]),
        (path, r#"{"credentials": {"a-b": "hunter9"}}"#, 400, &["credential name", "`a-b`"]),
        (path, r#"{"credentials": {"a": ""}}"#, 422, &["`a`", "empty"]),
        (path, r#"{"credentials": {"a": 98765}}"#, 400, &["a text is expected"]),
        (path, r#"{"setings": {}}"#, 400, &["`setings`"]),
    ] {
        let problem = bench.call("PUT", path, body.to_owned()).await.problem(status, named);
        let text = problem.to_string();
        assert!(!text.contains("hunter9") && !text.contains("98765"), "{text}");
    }
    bench.call("GET", "/api/v1/users/ada", Body::empty()).await.problem(404, &["`ada`"]);
    connected(&bench, "ada", "salesforce", &[]).await;
    bench.call("PUT", &format!("{path}/workflows/nothing"), Body::empty()).await.problem(404, &["`nothing`"]);
    let metadata = json!({"metadata": {"a": "x".repeat(16 << 10)}}).to_string();
    bench.call("PUT", "/api/v1/users/ada", metadata).await.problem(422, &["`metadata`"]);
}

#[tokio::test]
async fn an_app_event_starts_what_its_user_has_enabled_and_nobody_else_s() {
    let bench = Bench::new().await;
    integrations(&bench, &["hubspot", "salesforce"]).await;
    let event = "{ app_event: { name: Contact Created } }";
    for (name, triggers) in [
        ("anywhere", event),
        ("in-salesforce", "{ app_event: { name: Contact Created, integration: salesforce } }"),
        ("of-others", "{ app_event: { name: Contact Removed } }"),
        ("of-large", "{ app_event: { name: Contact Created, when: '$.event.body.id == 8' } }"),
        ("not-enabled", event),
    ] {
        bench.publish(name, &seeing(name, triggers)).await;
    }
    bench.call("PUT", "/api/v1/workflows/draft", seeing("draft", event)).await.is(201);
    let all = ["anywhere", "in-salesforce", "of-others", "of-large", "draft"];
    for (user, integration) in [("ada", "hubspot"), ("ada", "salesforce"), ("bob", "salesforce")] {
        connected(&bench, user, integration, &all).await;
    }
    bench.call("PUT", "/api/v1/users/ada", r#"{"metadata": {"plan": "pro"}}"#).await.is(200);

    let started = send(&bench, "ada", "Contact Created").await;
    let seen = outputs(&bench, &started).await;
    let names: Vec<_> = started.iter().map(|one| one["workflow"].as_str().unwrap()).collect();
    assert_eq!(names, ["anywhere", "anywhere", "in-salesforce"], "{seen:#?}");
    let integrations: Vec<_> =
        seen.iter().map(|output| output["connection"]["integration"].as_str().unwrap()).collect();
    assert_eq!(integrations, ["hubspot", "salesforce", "salesforce"]);
    assert_eq!(
        seen[0]["connection"],
        json!({"user": "ada", "metadata": {"plan": "pro"}, "integration": "hubspot", "settings": {"list": "ada's"}})
    );
    let event = &seen[0]["event"];
    assert_eq!(
        (&event["type"], &event["subject"], &event["body"]),
        (&json!("Contact Created"), &json!("ada"), &json!({"id": 7}))
    );
    let given = bench.hands.seen.lock().unwrap().clone();
    assert!(given.iter().all(|input| input["token"] == format!("Bearer {TOKEN}-ada")), "{given:?}");
    let id = started[0]["execution_id"].as_str().unwrap();
    let journal = bench.call("GET", &format!("/api/v1/executions/{id}/journal"), Body::empty()).await.is(200).text();
    assert!(journal.contains("Bearer <credential token>") && !journal.contains(TOKEN), "{journal}");

    assert_eq!(send(&bench, "bob", "Contact Created").await.len(), 2);
    assert_eq!(send(&bench, "nobody", "Contact Created").await, Vec::<Value>::new());
    assert_eq!(send(&bench, "ada", "contact created").await, Vec::<Value>::new());
    let path = "/api/v1/users/ada/connections";
    bench.call("DELETE", &format!("{path}/hubspot/workflows/anywhere"), Body::empty()).await.is(200);
    bench.call("DELETE", &format!("{path}/salesforce"), Body::empty()).await.is(204);
    assert_eq!(send(&bench, "ada", "Contact Created").await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_app_event_with_a_key_starts_once_for_a_user() {
    let bench = Bench::new().await;
    integrations(&bench, &["salesforce"]).await;
    bench.publish("sync", &seeing("sync", "{ app_event: { name: Made } }")).await;
    for user in ["ada", "bob"] {
        connected(&bench, user, "salesforce", &["sync"]).await;
    }
    let admin = format!("Bearer {}", crate::bench::ADMIN);
    let send = async |user: &str, body: &str| {
        let headers = [("authorization", admin.as_str()), ("idempotency-key", "k1")];
        bench.send("POST", &format!("/api/v1/users/{user}/events"), &headers, body.to_owned()).await
    };
    let first = send("ada", r#"{"name": "Made"}"#).await.is(202).json();
    let again = send("ada", r#"{"name": "Made"}"#).await.is(202).json();
    assert_eq!((&first["executions"], &again["replayed"]), (&again["executions"], &json!(true)));
    let other = send("bob", r#"{"name": "Made"}"#).await.is(202).json();
    assert_ne!(first["executions"], other["executions"]);
    send("ada", r#"{"name": "Made", "payload": 1}"#).await.problem(409, &["`k1`"]);
    send("ada", r#"{"name": ""}"#).await.problem(422, &["`name`"]);
}

#[tokio::test]
async fn a_credential_that_is_gone_is_denied_by_its_name() {
    let bench = Bench::new().await;
    integrations(&bench, &["salesforce"]).await;
    bench.publish("sync", &seeing("sync", "{ app_event: { name: Made } }, { manual: {} }")).await;
    let path = "/api/v1/users/ada/connections/salesforce";
    bench.call("PUT", path, "{}").await.is(201);
    bench.call("PUT", &format!("{path}/workflows/sync"), Body::empty()).await.is(200);
    let started = send(&bench, "ada", "Made").await;
    let ended = bench.ended(started[0]["execution_id"].as_str().unwrap()).await;
    let why = ended["failure"]["message"].as_str().unwrap();
    assert_eq!(why, "the connection of user `ada` to `salesforce` has no credential `token`");
    let without = bench.run("sync", "{}").await;
    assert!(without["failure"]["message"].as_str().unwrap().contains("runs with no connection"), "{without:#}");
}

#[tokio::test]
async fn a_workflow_that_is_triggered_for_a_user_runs_with_their_connection() {
    let bench = Bench::new().await;
    integrations(&bench, &["hubspot", "salesforce"]).await;
    bench.publish("sync", &seeing("sync", "{ manual: {} }")).await;
    connected(&bench, "ada", "salesforce", &["sync"]).await;
    connected(&bench, "ada", "hubspot", &[]).await;
    let ended = bench.run("sync", r#"{"connection": {"user": "ada"}}"#).await;
    assert_eq!(ended["output"]["connection"]["integration"], "salesforce");
    let id = ended["id"].as_str().unwrap();
    let again = bench.call("POST", &format!("/api/v1/executions/{id}/rerun"), "{}").await.is(201).json();
    let again = bench.ended(again["execution_id"].as_str().unwrap()).await;
    assert_eq!(again["output"]["connection"]["user"], "ada", "a rerun runs with what it ran with");
    let path = "/api/v1/workflows/sync/trigger";
    for (connection, status, named) in
        [(r#"{"user": "bob"}"#, 404, "`bob`"), (r#"{"user": "ada", "integration": "hubspot"}"#, 404, "`hubspot`")]
    {
        bench
            .call("POST", path, format!(r#"{{"connection": {connection}}}"#))
            .await
            .problem(status, &[named, "`sync`"]);
    }
    let enable = "/api/v1/users/ada/connections/hubspot/workflows/sync";
    bench.call("PUT", enable, Body::empty()).await.is(200);
    bench.call("POST", path, r#"{"connection": {"user": "ada"}}"#).await.problem(422, &["`hubspot`", "`salesforce`"]);
}

async fn executions(bench: &Bench, query: &str) -> Vec<Value> {
    let listed = bench.get(&format!("/api/v1/executions?{query}")).await;
    listed["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_user_who_has_finished_connecting_is_told_of_once() {
    let bench = Bench::new().await;
    integrations(&bench, &["hubspot", "salesforce"]).await;
    bench.publish("set-up", &seeing("set-up", "{ connected: { integration: salesforce } }")).await;
    let path = "/api/v1/users/ada/connections/salesforce";
    let token = json!({"credentials": {"token": TOKEN}, "complete": false}).to_string();
    bench.call("PUT", path, token).await.is(201);
    bench.call("PUT", "/api/v1/users/ada/connections/hubspot", "{}").await.is(201);
    assert_eq!(executions(&bench, "trigger=connected").await, Vec::<Value>::new(), "it is not set up yet");
    bench.call("PUT", path, r#"{"settings": {"list": "A"}}"#).await.is(200);
    bench.call("PUT", path, r#"{"settings": {"list": "B"}}"#).await.is(200);
    let started = executions(&bench, "trigger=connected").await;
    assert_eq!(started.len(), 1, "{started:#?}");
    let ended = bench.ended(started[0]["id"].as_str().unwrap()).await;
    assert_eq!(ended["output"]["connection"]["settings"], json!({"list": "A"}));
    assert_eq!(ended["output"]["event"]["type"], "connected");
    // Who connects anew has another connection.
    bench.call("DELETE", path, Body::empty()).await.is(204);
    connected(&bench, "ada", "salesforce", &[]).await;
    assert_eq!(executions(&bench, "trigger=connected").await.len(), 2);
}

#[tokio::test]
async fn connected_fires_once_over_a_crash_before_or_behind_it() {
    let store = Arc::new(MemoryStore::new());
    let options = || Options { store: store.clone(), ..Options::default() };
    let of = ConnectionRef { user: UserId::new("ada").unwrap(), integration: Name::new("salesforce").unwrap() };
    // A server that went before it told, as it left the connection.
    let leave = async |bench: &Bench| {
        let kept = bench.app.catalog.connection(&bench.app.workspace, &of).unwrap();
        let spec = ConnectionSpec { unannounced: true, ..kept.spec.clone() };
        let resource = specs::resource(kept.key.clone(), kept.id, &spec, kept.updated_at);
        bench.app.catalog.change(vec![Change::Put { resource, expect: Expect::Any }]).await.unwrap();
    };
    {
        let bench = Bench::with(options()).await;
        integrations(&bench, &["salesforce"]).await;
        connected(&bench, "ada", "salesforce", &[]).await;
        bench.publish("set-up", &seeing("set-up", "{ connected: { integration: salesforce } }")).await;
        leave(&bench).await;
    }
    for _ in 0..2 {
        let bench = Bench::with(options()).await;
        connect::announce_all(&bench.app).await.unwrap();
        assert_eq!(executions(&bench, "trigger=connected").await.len(), 1);
        // And one that told, and went before it wrote so.
        leave(&bench).await;
        connect::announce_all(&bench.app).await.unwrap();
        assert_eq!(executions(&bench, "trigger=connected").await.len(), 1);
        leave(&bench).await;
    }
}

#[tokio::test]
async fn a_resource_starts_once_or_for_the_user_whom_a_delivery_names() {
    let bench = Bench::new().await;
    integrations(&bench, &["internal-api", "salesforce"]).await;
    bench.publish("of-app", &seeing("of-app", "{ resource: { integration: internal-api } }")).await;
    let user = r#"{ resource: { integration: internal-api, user: '$.event.headers["X-User"][0]' } }"#;
    bench.publish("of-user", &seeing("of-user", user)).await;
    for user in ["ada", "bob"] {
        connected(&bench, user, "salesforce", &["of-user", "of-app"]).await;
    }
    let deliver = async |headers: &[(&str, &str)]| {
        let answer = bench.send("POST", "/v1/webhooks/internal-api", headers, "{}").await.is(200).json();
        answer["executions"].as_array().unwrap().clone()
    };
    let started = deliver(&[("x-user", "ada")]).await;
    let names: Vec<_> = started.iter().map(|one| one["workflow"].as_str().unwrap()).collect();
    assert_eq!(names, ["of-app", "of-user"]);
    let of_user = bench.ended(started[1]["execution_id"].as_str().unwrap()).await;
    assert_eq!((&of_user["trigger"], &of_user["output"]["connection"]["user"]), (&json!("resource"), &json!("ada")));
    let of_app = bench.ended(started[0]["execution_id"].as_str().unwrap()).await;
    assert!(of_app["failure"]["message"].as_str().unwrap().contains("no connection"), "{of_app:#}");
    assert_eq!(deliver(&[]).await.len(), 1, "nobody is named");
    assert_eq!(deliver(&[("x-user", "eve")]).await.len(), 1, "somebody who is not connected");
    let one = "/v1/webhooks/internal-api/workflows/of-user/sync";
    let answer = bench.send("POST", one, &[("x-user", "bob")], "{}").await.is(200).json();
    assert_eq!(answer["connection"]["user"], "bob");
    let triggers = bench.get("/api/v1/workflows/of-user/triggers").await;
    assert_eq!(triggers["items"][0]["key"], "resource:internal-api");
    assert!(triggers["items"][0]["curl"]["sync"].as_str().unwrap().contains(one), "{triggers:#}");
}

#[tokio::test]
async fn keys_change_from_one_to_the_next_while_both_are_there() {
    let bench = Bench::new().await;
    let key = |name: &str| {
        let pem = std::fs::read_to_string(format!("{}/tests/keys/{name}.pem", env!("CARGO_MANIFEST_DIR"))).unwrap();
        json!({"public_key": pem}).to_string()
    };
    let made = bench.call("PUT", "/api/v1/signing-keys/old", key("first")).await.is(201).json();
    assert_eq!((&made["bits"], &made["algorithm"]), (&json!(2048), &json!("RS256")));
    bench.call("PUT", "/api/v1/signing-keys/old", key("first")).await.is(200);
    bench.call("PUT", "/api/v1/signing-keys/old", key("second")).await.problem(409, &["`old`"]);
    bench.call("PUT", "/api/v1/signing-keys/new", key("second")).await.is(201);
    bench.call("PUT", "/api/v1/signing-keys/weak", key("weak")).await.problem(422, &["1024", "2048"]);
    bench.call("PUT", "/api/v1/signing-keys/other", key("elliptic")).await.problem(422, &["RSA"]);
    let private = key("first").replace("PUBLIC", "PRIVATE");
    let refused = bench.call("PUT", "/api/v1/signing-keys/other", private).await.problem(422, &["private"]);
    assert!(!refused.to_string().contains("MII"), "{refused}");
    let labels = |list: &Value| {
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["label"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(labels(&bench.get("/api/v1/signing-keys").await), ["new", "old"]);
    bench.call("DELETE", "/api/v1/signing-keys/old", Body::empty()).await.is(204);
    bench.call("DELETE", "/api/v1/signing-keys/old", Body::empty()).await.problem(404, &["`old`"]);
    assert_eq!(labels(&bench.get("/api/v1/signing-keys").await), ["new"]);
    for n in 0..15 {
        bench.call("PUT", &format!("/api/v1/signing-keys/k{n}"), key("first")).await.is(201);
    }
    bench.call("PUT", "/api/v1/signing-keys/more", key("first")).await.problem(422, &["16"]);
}

#[tokio::test]
async fn connections_are_listed_page_by_page() {
    let bench = Bench::new().await;
    integrations(&bench, &["hubspot", "salesforce"]).await;
    for user in ["ada", "a/b c", "bob"] {
        let user = user.replace('/', "%2F").replace(' ', "%20");
        for integration in ["hubspot", "salesforce"] {
            bench.call("PUT", &format!("/api/v1/users/{user}/connections/{integration}"), "{}").await.is(201);
        }
    }
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = bench.get(&format!("/api/v1/connections?limit=2{after}")).await;
        for item in page["items"].as_array().unwrap() {
            seen.push(format!("{} {}", item["user"].as_str().unwrap(), item["integration"].as_str().unwrap()));
        }
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={}", next.replace(' ', "%20"));
    }
    let all = ["a/b c hubspot", "a/b c salesforce", "ada hubspot", "ada salesforce", "bob hubspot", "bob salesforce"];
    assert_eq!(seen, all);
    let count =
        async |query: &str| bench.get(&format!("/api/v1/connections?{query}")).await["items"].as_array().unwrap().len();
    assert_eq!((count("user=ada").await, count("integration=hubspot").await), (2, 3));
    let users = bench.get("/api/v1/users?limit=2").await;
    assert_eq!((users["items"].as_array().unwrap().len(), &users["next"]), (2, &json!("ada")));
    bench.call("GET", "/api/v1/connections?after=x", Body::empty()).await.problem(400, &["`after`"]);
}
