//! Clients of other systems, written from those systems' documents alone, against the real binary.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::server::{Server, TOKEN, send, workspace};

/// Runs a program of `tests/clients` against a server. It is given what somebody who prepared the workflows would tell it.
fn run(program: &str, server: &Server, given: &Value) {
    let mut child = Command::new("python3")
        .arg(workspace().join("tests/clients").join(program))
        .arg(&server.url)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 is there");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(given.to_string().as_bytes()).expect("the program reads");
    drop(stdin);
    let output = child.wait_with_output().expect("the program is ours");
    let (told, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program}: {told}{wrong}\nthe log: {}", server.log());
    assert!(told.contains("things held"), "{program} did not come to its end: {told}{wrong}");
    let log = server.log();
    for secret in secrets(given) {
        assert!(!log.contains(&secret), "a token stands in the log: {log}");
    }
}

/// The secret parts of every token among these.
fn secrets(given: &Value) -> Vec<String> {
    match given {
        Value::String(text) if text.starts_with("cst_") => {
            text.rsplit('_').next().map(str::to_owned).into_iter().collect()
        }
        Value::Object(fields) => fields.values().flat_map(secrets).collect(),
        _ => Vec::new(),
    }
}

fn token(server: &Server, workflow: &str, scopes: &Value) -> (String, String) {
    let body = json!({"label": "a client", "scopes": scopes}).to_string();
    let made = server.ok("POST", &format!("/api/v1/workflows/{workflow}/tokens"), &body);
    let text = |field: &str| made[field].as_str().expect("a token has an id and a text").to_owned();
    (text("id"), text("token"))
}

fn usual(server: &Server, workflow: &str) -> String {
    token(server, workflow, &json!(["trigger", "read"])).1
}

/// The id of each workflow.
fn ids(server: &Server) -> Value {
    let listed = server.ok("GET", "/api/v1/workflows?limit=200", "");
    let items = listed["items"].as_array().expect("a page has items");
    items.iter().map(|item| (item["name"].as_str().expect("a name").to_owned(), item["id"].clone())).collect()
}

fn document(name: &str, triggers: &str, rest: &str) -> String {
    format!("name: {name}\ntriggers: [ {triggers} ]\n{rest}")
}

/// A server that logs all of its own.
fn begin(limits: [(&str, &str); 2]) -> Server {
    let log = ("CAMSHAFT_LOG_LEVEL", "info,camshaft_server=trace,camshaft_triggers=trace,camshaft_engine=trace");
    Server::start_with(&[log, limits[0], limits[1]])
}

/// These programs make more requests than ToolJet lets one address make.
const UNLIMITED: [(&str, &str); 2] = [("WEBHOOK_THROTTLE_LIMIT", "0"), ("CAMSHAFT_LIMITS_EXECUTIONS_PER_SECOND", "0")];
const LIMITED: [(&str, &str); 2] = [("WEBHOOK_THROTTLE_LIMIT", "3"), ("CAMSHAFT_LIMITS_EXECUTIONS_PER_SECOND", "1")];

const REQUEST: &str = "{ request: {} }";
const FAIL: &str = "steps: [ { id: fails, task: fail@1, with: { message: it was told to } } ]\n";

fn torq(server: &Server, limited: bool) {
    let (integration, value) =
        (r#"{"adapter": "generic", "config": {"auth": {"header": "auth_header_name"}}"#, "s3cret-of-torq");
    let body = format!(r#"{integration}, "secrets": {{"header_value": "{value}"}}}}"#);
    server.ok("PUT", "/api/v1/integrations/inbox", &body);
    let webhook = "{ webhook: { integration: inbox } }";
    for (name, steps) in [
        ("outputs", r#"[ { exit: { sum: "{{ $.event.body.body | add }}", of: "{{ $.event.body.body }}" } } ]"#),
        (
            "answer",
            r#"[ { exit: { status: 202, headers: { X-From: the workflow }, body: { taken: "{{ $.event.body.body }}" }, other: 1 } } ]"#,
        ),
        ("text", r#"[ { exit: { headers: { Content-Type: text/csv }, body: "a,b\n1,2\n" } } ]"#),
        ("failing", "[ { task: fail@1, with: { message: it was told to } } ]"),
        ("slow", "[ { wait: 1h } ]"),
        (
            "cors",
            r#"[ { if: '$.event.http_method == "OPTIONS"', then: [ { exit: { status: 204,
               headers: { Access-Control-Allow-Origin: "{{ $.event.headers.Origin[0] }}" } } } ] },
               { exit: { body: { method: "{{ $.event.http_method }}" } } } ]"#,
        ),
    ] {
        server.publish(name, &document(name, webhook, &format!("steps: {steps}\n")));
    }
    let line = "{ webhook: { integration: inbox, when: '$.event.body.line == true' } }";
    let rest = "limits: { concurrency: 1 }\nsteps: [ { wait: 1h } ]\n";
    server.publish("one-at-a-time", &document("one-at-a-time", line, rest));
    let draft = document("draft", webhook, "steps: [ { exit: {} } ]\n");
    server.ok("PUT", "/api/v1/workflows/draft", &draft);
    let reads = server.ok("POST", "/api/v1/tokens", r#"{"label": "a client", "scope": "read"}"#);
    let given = json!({
        "limited": limited,
        "header_value": value,
        "admin": TOKEN,
        "client_id": reads["id"],
        "client_secret": reads["token"],
        "other": usual(server, "draft"),
        "ids": ids(server),
    });
    run("torq.py", server, &given);
    assert!(!server.log().contains(value), "the header's value stands in the log");
}

#[test]
fn a_client_of_torq_is_answered_as_torq_answers() {
    torq(&begin(UNLIMITED), false);
}

fn tooljet(server: &Server, limited: bool) {
    let greet = |steps: &str| {
        let params = "params: { name: string, emp_id: { type: number, default: 7 } }\n";
        document("greet", REQUEST, &format!("{params}steps: {steps}\n"))
    };
    server.publish("greet", &greet(r#"[ { exit: { body: { first: "{{ $.params.name }}" } } } ]"#));
    let said = r#"
  - id: said
    name: Say it
    task: echo@1
    with: { name: "{{ $.params.name }}", number: "{{ $.params.emp_id }}" }
  - exit: { body: { hello: "{{ $.steps.said.name }}", number: "{{ $.steps.said.number }}", all: "{{ $.params }}" } }"#;
    server.publish("greet", &greet(said));
    server.ok("PUT", "/api/v1/workflows/greet", &greet("[ { exit: { body: a draft } } ]"));
    let bounded =
        |limits: &str| format!("limits: {{ {limits} }}\nparams: {{ name: string }}\nsteps: [ {{ exit: {{}} }} ]\n");
    for (name, rest) in [
        (
            "text",
            "steps: [ { exit: { status: 203, headers: { X-From: the workflow }, body: as it is } } ]\n".to_owned(),
        ),
        ("nothing-to-say", "steps: [ { exit: { status: 204 } } ]\n".to_owned()),
        ("any-object", "params: { it: object }\nsteps: [ { exit: { body: \"{{ $.params.it }}\" } } ]\n".to_owned()),
        ("asks", "steps: [ { approval: { ask: Shall it go on? } } ]\n".to_owned()),
        ("fails", FAIL.to_owned()),
        ("once-a-day", bounded("per_day: 1")),
        ("once-a-month", bounded("per_month: 1")),
    ] {
        server.publish(name, &document(name, REQUEST, &rest));
    }
    server.publish("closed", &document("closed", "{ manual: {} }", "steps: [ { exit: {} } ]\n"));
    server.ok("PUT", "/api/v1/workflows/unpublished", &document("unpublished", REQUEST, "steps: [ { exit: {} } ]\n"));
    let ids = ids(server);
    let names = ids.as_object().expect("ids by name").keys();
    let tokens: Value = names.map(|name| (name.clone(), json!(usual(server, name)))).collect();
    let given = json!({
        "limited": limited,
        "tokens": tokens,
        "reads": token(server, "greet", &json!(["read"])).1,
        "triggers": token(server, "greet", &json!(["trigger"])).1,
        "manages": {
            "text": token(server, "text", &json!(["manage"])).1,
            "closed": token(server, "closed", &json!(["manage"])).1,
        },
        "admin": TOKEN,
        "ids": ids,
    });
    run("tooljet.py", server, &given);
}

#[test]
fn a_client_of_tooljet_is_answered_as_tooljet_answers() {
    tooljet(&begin(UNLIMITED), false);
}

fn boomerang(server: &Server, limited: bool) {
    let params = "params: { name: { type: string, default: nobody }, count: { type: number, default: 7 } }\n";
    let said = r#"steps:
  - id: said
    name: Say it
    task: echo@1
    with: { name: "{{ $.params.name }}", count: "{{ $.params.count }}" }
  - exit: {}
"#;
    server.publish("greet", &document("greet", REQUEST, &format!("{params}{said}")));
    let waits = r#"steps:
  - id: paid
    wait: { event: { topic: paid } }
  - exit: { body: "{{ $.steps.paid.data }}" }
"#;
    server.publish("waits", &document("waits", REQUEST, waits));
    server.publish("fails", &document("fails", REQUEST, FAIL));
    let event = "{ event: { type: order.placed, topic: orders } }";
    server.publish("orders", &document("orders", event, "steps: [ { exit: { body: \"{{ $.event.data }}\" } } ]\n"));
    server.publish("closed", &document("closed", "{ manual: {} }", "steps: [ { exit: {} } ]\n"));
    server.ok("PUT", "/api/v1/workflows/unpublished", &document("unpublished", REQUEST, "steps: [ { exit: {} } ]\n"));
    let (second_id, second) = token(server, "greet", &json!(["trigger", "read"]));
    let own = |name: &str| (name.to_owned(), json!(usual(server, name)));
    let tokens: Value = ["waits", "fails", "orders", "closed", "unpublished"].map(own).into_iter().collect();
    let given = json!({
        "limited": limited,
        "token": usual(server, "greet"),
        "second": second,
        "second_id": second_id,
        "other": usual(server, "waits"),
        "reads": token(server, "greet", &json!(["read"])).1,
        "tokens": tokens,
        "admin": TOKEN,
        "ids": ids(server),
    });
    run("boomerang.py", server, &given);
}

#[test]
fn a_client_of_boomerang_flow_is_answered_as_boomerang_answers() {
    boomerang(&begin(UNLIMITED), false);
}

/// What an app signs with, and what its project knows of it.
fn key(name: &str) -> (String, String) {
    let file = |ending: &str| workspace().join("runtime/server/tests/keys").join(format!("{name}.{ending}"));
    let private = std::fs::read(file("pk8")).expect("a private key of the tests");
    (hex::encode(private), std::fs::read_to_string(file("pem")).expect("its public half"))
}

#[test]
fn a_client_of_paragon_is_answered_as_paragon_answers() {
    let log = ("CAMSHAFT_LOG_LEVEL", "info,camshaft_server=trace,camshaft_triggers=trace,camshaft_engine=trace");
    let server = Server::start_with(&[log, ("CAMSHAFT_PARAGON_WINDOW", "1s")]);
    let headers = [("authorization", format!("Bearer {TOKEN}")), ("camshaft-workspace", "app".to_owned())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let within = |method: &str, path: &str, body: &str| {
        let answer = send(method, &format!("{}{path}", server.url), &headers, body.as_bytes()).expect("it is there");
        assert!(answer.status < 300, "{method} {path}: {}", answer.text());
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    };
    for project in ["app", "other"] {
        server.ok("PUT", &format!("/api/v1/workspaces/{project}"), "{}");
    }
    for (integration, config) in [("crm", "{}"), ("mail", "{}"), ("my-api", r#"{"subject": {"header": "X-User"}}"#)] {
        let body = format!(r#"{{"adapter": "generic", "config": {config}}}"#);
        within("PUT", &format!("/api/v1/integrations/{integration}"), &body);
    }
    let said = r#"steps:
  - { id: said, task: echo@1, with: { token: "{{ $.connection.credentials.token }}" } }
  - exit: { user: "{{ $.connection.user }}", plan: "{{ $.connection.metadata.plan }}", list: "{{ $.connection.settings.list }}",
            name: "{{ $.event.body.name }}", given: "{{ $.steps.said.token }}" }
"#;
    let search = r#"params: { query: string, limit: { type: string, required: false } }
steps:
  - exit: { status: 203, body: { found: "{{ $.params.query }}", limit: "{{ $.params.limit }}",
            user: "{{ $.connection.user }}", integration: "{{ $.connection.integration }}" } }
"#;
    let told = r#"steps: [ { exit: { user: "{{ $.connection.user }}", plan: "{{ $.event.body.plan }}" } } ]
"#;
    for (name, triggers, rest) in [
        ("anywhere", "{ app_event: { name: Contact Created } }", said),
        ("in-crm", "{ app_event: { name: Contact Created, integration: crm } }", said),
        ("set-up", "{ connected: { integration: crm } }", said),
        ("search", REQUEST, search),
        ("enqueue", REQUEST, "steps: [ { set: { a: 1 } } ]\n"),
        ("slow", REQUEST, "steps: [ { wait: 1h }, { exit: {} } ]\n"),
        ("fails", REQUEST, "steps: [ { task: fail@1, with: { message: it was told to } }, { exit: {} } ]\n"),
        ("of-app", "{ resource: { integration: my-api } }", told),
        ("of-user", "{ resource: { integration: my-api, user: $.event.subject } }", told),
    ] {
        let path = format!("/api/v1/workflows/{name}");
        within("PUT", &path, &document(name, triggers, rest));
        within("POST", &format!("{path}/publish"), "{}");
    }
    let ((old, old_public), (new, new_public)) = (key("first"), key("second"));
    within("PUT", "/api/v1/signing-keys/old", &json!({"public_key": old_public}).to_string());
    let token = |scope: &str| {
        within("POST", "/api/v1/tokens", &json!({"label": "a client", "scope": scope}).to_string())["token"].clone()
    };
    let listed = within("GET", "/api/v1/workflows?limit=200", "");
    let items = listed["items"].as_array().expect("a page has items");
    let ids: Value =
        items.iter().map(|item| (item["name"].as_str().expect("a name").to_owned(), item["id"].clone())).collect();
    let secret = "s3cret-of-ada-at-the-crm";
    let given = json!({
        "project": "app",
        "keys": {"old": old, "new": new},
        "public": {"old": old_public, "new": new_public},
        "secret": secret,
        "api_key": token("admin"),
        "reads": token("read"),
        "other_key": server.ok("POST", "/api/v1/tokens", r#"{"label": "other", "scope": "admin"}"#)["token"],
        "admin": TOKEN,
        "ids": ids,
    });
    run("paragon.py", &server, &given);
    assert!(!server.log().contains(secret), "a credential stands in the log");
}

#[test]
fn clients_are_told_in_their_system_s_words_that_they_ask_for_too_much() {
    let server = begin(LIMITED);
    torq(&server, true);
    tooljet(&server, true);
    boomerang(&server, true);
}
