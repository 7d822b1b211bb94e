//! The main path with the real binary: a signed GitHub webhook in, the example's workflow through, the answer out.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::server::{Answer, Server, workspace};

/// The secret of GitHub's own documentation, which the example's integration uses.
const SECRET: &str = "It's a Secret to Everybody";

fn sign(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("HMAC takes any key");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn deployed() -> Server {
    let server = Server::start();
    let deploy = server.cli(&["deploy", "examples/github-triage"]);
    assert!(
        deploy.status.success(),
        "{}{}",
        String::from_utf8_lossy(&deploy.stdout),
        String::from_utf8_lossy(&deploy.stderr)
    );
    server
}

fn payload(name: &str) -> Vec<u8> {
    let path = workspace().join("examples/github-triage/payloads").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn deliver(server: &Server, path: &str, event: &str, delivery: &str, signature: &str, body: &[u8]) -> Answer {
    let headers = [
        ("Content-Type", "application/json"),
        ("X-GitHub-Event", event),
        ("X-GitHub-Delivery", delivery),
        ("X-Hub-Signature-256", signature),
    ];
    server.send("POST", path, &headers, body)
}

const ALL: &str = "/v1/webhooks/github";
const ASYNC: &str = "/v1/webhooks/github/workflows/github-triage";
const SYNC: &str = "/v1/webhooks/github/workflows/github-triage/sync";

#[test]
fn a_signed_issue_is_classified_and_answered_and_can_be_inspected() {
    let server = deployed();
    let body = payload("issues.opened.json");
    let answer = deliver(&server, SYNC, "issues", "d-1", &sign(&body), &body);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let category = answer.json()["category"].as_str().expect("a category").to_owned();
    assert_eq!(answer.header("x-triage"), Some(category.as_str()));

    let list = server.ok("GET", "/api/v1/executions?workflow=github-triage", "");
    let id = list["items"][0]["id"].as_str().expect("an id").to_owned();
    let execution = server.ok("GET", &format!("/api/v1/executions/{id}"), "");
    assert_eq!(execution["status"], "succeeded");
    assert_eq!(execution["event"]["type"], "issues.opened");
    assert_eq!(execution["answer"]["status"], 201);
    let steps = execution["steps"].as_array().expect("steps");
    let classify = steps.iter().find(|step| step["id"] == "classify").expect("the step is shown");
    assert_eq!(classify["attempts"][0]["output"]["category"], category.as_str());
    assert!(classify["attempts"][0]["usage"]["wall_us"].as_u64().expect("use is recorded") > 0);

    let public = server.ok("GET", &format!("/public/v1alpha/executions/{id}"), "");
    assert_eq!(public["status"], "SUCCESS");
    assert_eq!(public["workflow_name"], "github-triage");

    let shown = server.cli(&["execution", "show", &id]);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.status.success() && text.contains("classify") && text.contains("succeeded"), "{text}");
}

#[test]
fn pushes_start_nothing_and_other_events_are_answered_202() {
    let server = deployed();
    let push = payload("push.json");
    let answer = deliver(&server, ALL, "push", "p-1", &sign(&push), &push);
    assert_eq!((answer.status, answer.json()), (200, json!({"status": "ok", "executions": []})));

    let star = br#"{"action":"created","starred_at":"2026-11-21T00:00:00Z"}"#;
    let answer = deliver(&server, SYNC, "star", "s-1", &sign(star), star);
    assert_eq!(answer.status, 202, "{}", answer.text());
}

#[test]
fn an_async_delivery_is_acknowledged_with_its_execution_and_the_same_one_again_starts_nothing() {
    let server = deployed();
    let body = payload("pull_request.opened.json");
    let first = deliver(&server, ASYNC, "pull_request", "same", &sign(&body), &body);
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(first.json()["status"], "ok");
    let id = first.json()["execution_id"].as_str().expect("an id").to_owned();
    assert_eq!(server.ended(&id)["status"], "succeeded");
    let again = deliver(&server, ASYNC, "pull_request", "same", &sign(&body), &body);
    assert_eq!(again.json(), first.json());
    assert_eq!(again.header("camshaft-replayed"), Some("true"));
    let list = server.ok("GET", "/api/v1/executions", "");
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));

    // It is remembered across a crash, too.
    let server = server.crash_and_restart();
    let again = deliver(&server, ASYNC, "pull_request", "same", &sign(&body), &body);
    assert_eq!(again.json(), first.json());
}

#[test]
fn a_tampered_delivery_is_401_starts_nothing_and_is_counted_with_its_id() {
    let server = deployed();
    let body = payload("issues.opened.json");
    let answer = deliver(&server, SYNC, "issues", "evil-77", &sign(b"something else"), &body);
    assert_eq!(answer.status, 401, "{}", answer.text());
    assert_eq!(server.ok("GET", "/api/v1/executions", "")["items"], json!([]));
    let integration = server.ok("GET", "/api/v1/integrations/github", "");
    assert_eq!(integration["refused"], 1);
    assert_eq!(integration["last_refusals"][0]["delivery"], "evil-77");
    assert!(server.log().contains("evil-77"), "{}", server.log());
}

#[test]
fn the_ways_to_call_it_wrongly_each_have_their_status() {
    let server = deployed();
    let json = [("Content-Type", "application/json")];
    for (method, path, status, named) in [
        ("POST", "/v1/webhooks/nobody", 404, "nobody"),
        ("POST", "/v1/webhooks/No%20Name", 400, "No Name"),
        ("POST", "/v1/webhooks/github/workflows/UPPER/sync", 400, "UPPER"),
    ] {
        let answer = server.send(method, path, &json, b"{}");
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(answer.text().contains(named), "{path}: {}", answer.text());
        assert!(answer.header("x-request-id").is_some());
    }

    server.ok("PUT", "/api/v1/integrations/inbox", r#"{"adapter": "generic"}"#);
    server.publish(
        "taker",
        "name: taker\ntriggers: [ { webhook: { integration: inbox } } ]\nsteps: [ { exit: { status: 204 } } ]\n",
    );
    let nothing = server.send("POST", "/v1/webhooks/inbox/workflows/nothing/sync", &json, b"{}");
    assert_eq!(nothing.status, 404, "{}", nothing.text());
    assert!(nothing.text().contains("nothing"), "{}", nothing.text());
    let broken = server.send("POST", "/v1/webhooks/inbox/workflows/taker/sync", &json, b"{\"a\": }");
    assert_eq!(broken.status, 400, "{}", broken.text());
    let at_limit = vec![b'x'; 1 << 20];
    let text = [("Content-Type", "text/plain")];
    assert_eq!(server.send("POST", "/v1/webhooks/inbox/workflows/taker/sync", &text, &at_limit).status, 204);
    let over = vec![b'x'; (1 << 20) + 1];
    assert_eq!(server.send("POST", "/v1/webhooks/inbox/workflows/taker/sync", &text, &over).status, 413);
}

#[test]
fn past_the_rate_it_is_429_with_retry_after() {
    let server = Server::start_with(&[("CAMSHAFT_LIMITS_EXECUTIONS_PER_SECOND", "1")]);
    server.ok("PUT", "/api/v1/integrations/inbox", r#"{"adapter": "generic"}"#);
    server.publish(
        "taker",
        "name: taker\ntriggers: [ { webhook: { integration: inbox } } ]\nsteps: [ { exit: { status: 204 } } ]\n",
    );
    let answers: Vec<_> =
        (0..20).map(|_| server.send("POST", "/v1/webhooks/inbox/workflows/taker/sync", &[], b"x")).collect();
    assert_eq!(answers[0].status, 204);
    let refused =
        answers.iter().find(|answer| answer.status == 429).expect("twenty at once are more than one a second");
    assert!(
        refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok_and(|seconds| seconds >= 1))
    );
}

#[test]
fn a_draft_and_an_unpublished_workflow_do_not_run() {
    let server = deployed();
    let body = payload("issues.opened.json");
    server.ok("POST", "/api/v1/workflows/github-triage/unpublish", "{}");
    let answer = deliver(&server, SYNC, "issues", "u-1", &sign(&body), &body);
    assert_eq!(answer.status, 404, "{}", answer.text());
}

#[test]
fn exits_with_an_impossible_status_or_header_fail_clearly() {
    let server = Server::start();
    server.ok("PUT", "/api/v1/integrations/inbox", r#"{"adapter": "generic"}"#);
    let literal = server.api(
        "PUT",
        "/api/v1/workflows/bad",
        "name: bad\ntriggers: [ { manual: {} } ]\nsteps: [ { exit: { status: 42 } } ]\n",
    );
    assert_eq!(literal.status, 422, "{}", literal.text());
    assert!(
        literal.json()["diagnostics"][0]["message"].as_str().is_some_and(|text| text.contains("42")),
        "{}",
        literal.text()
    );
    for (name, exit, named) in [
        ("late-status", r#"status: "{{ $.event.body.s }}""#, "42"),
        ("late-header", r#"headers: { X-A: "{{ $.event.body.h }}" }"#, "X-A"),
    ] {
        server.publish(name, &format!("name: {name}\ntriggers: [ {{ webhook: {{ integration: inbox, on_failure: {{ status: 500 }} }} }} ]\nsteps: [ {{ exit: {{ {exit} }} }} ]\n"));
        let path = format!("/v1/webhooks/inbox/workflows/{name}/sync");
        let body = json!({"s": 42, "h": "a\nSet-Cookie: b"}).to_string();
        let answer = server.send("POST", &path, &[("Content-Type", "application/json")], body.as_bytes());
        assert_eq!(answer.status, 500, "{}", answer.text());
        assert!(answer.header("set-cookie").is_none());
        let id = answer.json()["execution-id"].as_str().expect("the execution is named").to_owned();
        let failure = server.ended(&id)["failure"]["message"].to_string();
        assert!(failure.contains(named), "{failure}");
    }
}

#[test]
fn hostile_plugins_end_as_the_right_failure_and_the_next_call_is_unhurt() {
    let server = Server::start_with(&[("CAMSHAFT_SANDBOX_CPU", "300ms"), ("CAMSHAFT_SANDBOX_WALL", "5s")]);
    let guests = workspace().join("target/guests");
    for (guest, input, kind) in [
        ("loop", "{}", "budget"),
        ("recurse", "{}", "budget"),
        ("allocate", "{}", "budget"),
        ("trap", "panic", "trap"),
        ("flood-output", "{}", "budget"),
        ("flood-log", "{}", "budget"),
    ] {
        let path = guests.join(format!("{guest}.wasm"));
        let bytes = std::fs::read(&path)
            .unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask plugins`", path.display()));
        let pushed = server.api_as(crate::support::server::TOKEN, "POST", "/api/v1/plugins", &bytes);
        assert_eq!(pushed.status, 201, "{guest}: {}", pushed.text());
        server.publish("run", &format!("name: run\ntriggers: [ {{ manual: {{}} }} ]\nsteps: [ {{ id: bad, task: {guest}@1, on_error: continue, with: {input} }}, {{ id: good, task: echo@1, with: {{ still: here }} }} ]\n"));
        let started = server.ok("POST", "/api/v1/workflows/run/trigger", "{}");
        let execution = server.ended(started["execution_id"].as_str().expect("an id"));
        let bad = &execution["steps"][0]["attempts"][0];
        assert_eq!(bad["failure"]["kind"], kind, "{guest}: {execution:#}");
        assert_eq!(execution["output"], json!({"still": "here"}), "{guest}");
    }
}

#[test]
fn a_secret_reaches_the_task_and_nothing_else() {
    const HUNTED: &str = "hunted-3f9a-unlikely-text";
    let server = Server::start();
    server.ok("PUT", "/api/v1/secrets/api_key", &json!({"value": HUNTED}).to_string());
    server.publish(
        "leak",
        r#"
name: leak
triggers: [ { manual: {} } ]
steps:
  - { id: echo, task: echo@1, with: { header: "Bearer {{ $.secrets.api_key }}" } }
  - { id: length, task: transform@1, with: { input: "{{ $.secrets.api_key }}", filter: length } }
  - { id: fail, task: fail@1, with: { message: "it was {{ $.secrets.api_key }}", kind: failed } }
"#,
    );
    let started = server.ok("POST", "/api/v1/workflows/leak/trigger", "{}");
    let id = started["execution_id"].as_str().expect("an id").to_owned();
    let execution = server.ended(&id);
    let length =
        execution["steps"].as_array().expect("steps").iter().find(|step| step["id"] == "length").expect("it ran");
    assert_eq!(length["output"], json!(HUNTED.len()), "the task saw the value itself: {execution:#}");
    assert!(execution.to_string().contains("<secret api_key>"), "{execution:#}");

    let mut places: Vec<(String, Vec<u8>)> = vec![
        ("the execution".into(), execution.to_string().into_bytes()),
        ("the journal".into(), server.api("GET", &format!("/api/v1/executions/{id}/journal"), "").body),
        ("the list of secrets".into(), server.api("GET", "/api/v1/secrets", "").body),
        ("the log".into(), server.log().into_bytes()),
        ("the command line".into(), server.cli(&["execution", "show", &id, "--logs"]).stdout),
    ];
    for file in std::fs::read_dir(server.data()).expect("the data folder can be read").flatten() {
        if file.path().is_file() {
            places.push((file.path().display().to_string(), std::fs::read(file.path()).expect("the file can be read")));
        }
    }
    for (place, bytes) in places {
        let found = bytes.windows(HUNTED.len()).any(|window| window == HUNTED.as_bytes());
        assert!(!found, "the secret stands in {place}");
    }
}

#[test]
fn uploads_are_refused_with_the_check_that_failed() {
    let server = Server::start();
    let push = |bytes: &[u8]| server.api_as(crate::support::server::TOKEN, "POST", "/api/v1/plugins", bytes);
    let guest = |name: &str| {
        std::fs::read(workspace().join("target/guests").join(format!("{name}.wasm")))
            .expect("cargo xtask plugins made it")
    };
    for (bytes, status, named) in [
        (b"not wasm at all".to_vec(), 422, "WebAssembly"),
        (b"\0asm\x01\0\0\0".to_vec(), 422, "core module"),
        (guest("other-world"), 422, "export"),
        (guest("unknown-import"), 422, "import"),
    ] {
        let answer = push(&bytes);
        assert_eq!(answer.status, status, "{named}: {}", answer.text());
        assert!(answer.text().contains(named), "{named}: {}", answer.text());
    }
    assert_eq!(push(&guest("same-version-a")).status, 201);
    assert_eq!(push(&guest("same-version-a")).status, 200, "the same bytes are the same plugin");
    let taken = push(&guest("same-version-b"));
    assert_eq!(taken.status, 409, "{}", taken.text());
}

#[test]
fn a_bad_document_is_refused_with_every_fault_at_once() {
    let server = Server::start();
    let document = "name: bad\ntriggres: []\nsteps:\n  - id: a\n    task: ehco@1\n  - id: a\n    set: { x: \"{{ $.steps.b.c }}\" }\n  - jump: there\n";
    let answer = server.api("PUT", "/api/v1/workflows/bad", document);
    assert_eq!(answer.status, 422);
    let diagnostics: Vec<Value> = answer.json()["diagnostics"].as_array().expect("diagnostics").clone();
    for (line, named, suggestion) in [
        (2, "triggres", Some("triggers")),
        (5, "ehco", Some("echo")),
        (6, "a", None),
        (7, "b", None),
        (8, "jump", None),
    ] {
        let found =
            diagnostics.iter().find(|d| d["line"] == line && d["message"].as_str().is_some_and(|m| m.contains(named)));
        let found = found.unwrap_or_else(|| panic!("line {line} `{named}`: {diagnostics:#?}"));
        if let Some(suggestion) = suggestion {
            assert_eq!(found["suggestion"], suggestion);
        }
    }
}

#[test]
fn without_a_token_or_with_a_wrong_one_nothing_is_told() {
    let server = Server::start();
    assert_eq!(server.send("GET", "/api/v1/workflows", &[], b"").status, 401);
    assert_eq!(server.api_as("cst_wrong_token", "GET", "/api/v1/workflows", b"").status, 401);
    for open in ["/healthz", "/api/openapi.json"] {
        assert_eq!(server.send("GET", open, &[], b"").status, 200, "{open}");
    }
    // Ready once what was open goes on again; until then it says 503.
    let ready = (0..100_000).map(|_| server.send("GET", "/readyz", &[], b"").status).find(|status| *status != 503);
    assert_eq!(ready, Some(200));
}
