//! Trying integrations out, with the real adapters: each signs a sample of each of its events, and takes what it has signed.

use serde_json::{Value, json};

use crate::support::server::Server;

/// Of characters that JSON, XML and URLs escape.
fn secret_of(adapter: &str, field: &str) -> String {
    match adapter {
        "standard-webhooks" | "gitlab" => "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".to_owned(),
        _ => format!("<{field}>&\"{adapter}\""),
    }
}

/// A workflow that every event of the integration starts.
fn listen(server: &Server, integration: &str) {
    let document = json!({
        "name": format!("on-{integration}"),
        "triggers": [{"webhook": {"integration": integration}}],
        "steps": [{"exit": {"body": "{{ $.event }}"}}],
    });
    server.publish(&format!("on-{integration}"), &document.to_string());
}

fn put(server: &Server, name: &str, spec: &Value) {
    server.ok("PUT", &format!("/api/v1/integrations/{name}"), &spec.to_string());
}

fn tried(server: &Server, integration: &str, wanted: &Value) -> Value {
    server.ok("POST", &format!("/api/v1/integrations/{integration}/test"), &wanted.to_string())
}

/// Why it was not tried.
fn refused(server: &Server, integration: &str, wanted: &Value) -> String {
    let answer = server.api("POST", &format!("/api/v1/integrations/{integration}/test"), &wanted.to_string());
    assert_eq!(answer.status, 422, "{}", answer.text());
    answer.json()["detail"].as_str().expect("a problem has a detail").to_owned()
}

/// The only execution that it started.
fn started(delivered: &Value) -> String {
    let executions = delivered["executions"].as_array().expect("a list");
    assert_eq!(executions.len(), 1, "{delivered}");
    executions[0]["execution_id"].as_str().expect("an id").to_owned()
}

#[test]
fn each_sample_of_every_adapter_that_signs_starts_something_each_time_and_shows_no_secret() {
    let server = Server::start();
    let adapters = server.ok("GET", "/api/v1/plugins?kind=adapter&limit=200", "");
    let adapters = adapters["items"].as_array().expect("a page has items").clone();
    let mut unsigned = Vec::new();
    for adapter in &adapters {
        let name = adapter["name"].as_str().expect("adapters have names");
        if adapter["signs"] == json!(false) {
            unsigned.push(name);
            continue;
        }
        let fields = adapter["descriptor"]["secrets"].as_array().expect("a list").iter();
        let fields = fields.filter(|field| field["required"] == json!(true));
        let secrets: serde_json::Map<String, Value> = fields
            .map(|field| field["name"].as_str().expect("secrets have names"))
            .map(|field| (field.to_owned(), json!(secret_of(name, field))))
            .collect();
        put(&server, name, &json!({"adapter": name, "secrets": secrets}));
        listen(&server, name);
        for event in adapter["descriptor"]["events"].as_array().expect("a list") {
            let wanted = json!({"event": event["name"]});
            let first = tried(&server, name, &wanted);
            let second = tried(&server, name, &wanted);
            assert_ne!(started(&first), started(&second), "{name}: {first}");
            let execution = server.ended(&started(&first));
            let seen = &execution["trigger"];
            assert_eq!(execution["status"], "succeeded", "{name}: {seen}");
            assert_eq!(execution["output"]["body"]["type"], event["name"], "{name}");
            for secret in secrets.values().filter_map(Value::as_str) {
                let json = json!(secret).to_string();
                for shown in [&first, &second] {
                    let shown = shown.to_string();
                    assert!(!shown.contains(secret) && !shown.contains(json.trim_matches('"')), "{name}: {shown}");
                    // As JSON within JSON, as XML and in a URL.
                    let twice = json!(json.trim_matches('"')).to_string();
                    assert!(!shown.contains(twice.trim_matches('"')), "{name}: {shown}");
                    assert!(!shown.contains("&lt;") && !shown.contains("%3C"), "{name}: {shown}");
                }
            }
        }
    }
    assert_eq!(unsigned, ["aws-sns", "discord"], "their vendors keep the keys that sign");
}

#[test]
fn another_event_body_and_environment_go_the_same_way() {
    let server = Server::start();
    put(&server, "hub", &json!({"adapter": "github", "secrets": {"signing_secret": ["first-key", "second-key"]}}));
    listen(&server, "hub");
    let body = "{\"ref\": \"refs/tags/v1\",\n \"first-key\": 1}";
    let delivered = tried(&server, "hub", &json!({"event": "push", "body": body}));
    assert_eq!(delivered["sent"]["body_bytes"], body.len(), "as it is, byte for byte");
    assert!(delivered["sent"]["body"].as_str().expect("a text").contains("<secret signing_secret>"), "{delivered}");
    let id = started(&delivered);
    assert_eq!(delivered["executions"][0]["workflow"], "on-hub");
    assert!(delivered["executions"][0]["url"].as_str().expect("a URL").ends_with(&format!("/api/v1/executions/{id}")));
    let event = server.ended(&id)["output"]["body"].clone();
    assert_eq!((&event["type"], &event["subject"]), (&json!("push"), &json!("refs/tags/v1")));
    assert_eq!(event["path"], "/v1/webhooks/hub");

    // The handshake is an event like any other, which the adapter answers by itself.
    let ping = tried(&server, "hub", &json!({"event": "ping", "body": {"zen": "Keep it simple.", "hook_id": 7}}));
    assert_eq!((&ping["answer"]["status"], &ping["executions"]), (&json!(200), &json!([])));
    assert!(ping["answer"]["body"].as_str().expect("a text").contains("Keep it simple."), "{ping}");
    assert!(ping["notes"][0].as_str().expect("a note").contains("answered it by itself"), "{ping}");

    let elsewhere = tried(&server, "hub", &json!({"event": "push", "environment": "staging"}));
    assert_eq!(elsewhere["executions"], json!([]), "nothing is published there");
    assert!(elsewhere["notes"][0].as_str().expect("a note").contains("published in `staging`"), "{elsewhere}");
    server.ok("POST", "/api/v1/workflows/on-hub/publish", r#"{"environment": "staging"}"#);
    let elsewhere = tried(&server, "hub", &json!({"event": "push", "environment": "staging"}));
    assert_eq!(server.ended(&started(&elsewhere))["environment"], "staging");

    let counts = server.ok("GET", "/api/v1/integrations/hub", "");
    assert_eq!((&counts["received"], &counts["refused"]), (&json!(4), &json!(0)), "each is a delivery: {counts}");
}

#[test]
fn what_cannot_be_tried_is_named() {
    let server = Server::start();
    put(&server, "hub", &json!({"adapter": "github", "secrets": {"signing_secret": "k"}}));
    let unknown = refused(&server, "hub", &json!({"event": "pusch"}));
    assert!(unknown.contains("no event `pusch`") && unknown.contains("`push`, `issues.opened`"), "{unknown}");
    assert!(unknown.contains("did you mean `push`?"), "{unknown}");

    let key = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    put(&server, "bot", &json!({"adapter": "discord", "secrets": {"signing_secret": key}}));
    let cannot = refused(&server, "bot", &json!({"event": "message_component"}));
    assert!(cannot.contains("adapter `discord` cannot sign"), "{cannot}");

    let public = "whpk_PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";
    put(&server, "shop", &json!({"adapter": "standard-webhooks", "secrets": {"signing_secret": public}}));
    let verifies = refused(&server, "shop", &json!({"event": "contact.created"}));
    assert!(verifies.contains("public key") && !verifies.contains("PUAXw"), "{verifies}");

    assert_eq!(server.api("POST", "/api/v1/integrations/hbu/test", r#"{"event": "push"}"#).status, 404);
    let nowhere = refused(&server, "hub", &json!({"event": "push", "environment": "nowhere"}));
    assert!(nowhere.contains("no environment `nowhere`"), "{nowhere}");
}

#[test]
fn the_command_shows_what_was_sent_and_what_it_started() {
    let server = Server::start();
    put(&server, "hub", &json!({"adapter": "github", "secrets": {"signing_secret": "tell-nobody"}}));
    listen(&server, "hub");
    let shown = server.cli(&["integration", "test", "hub", "--event", "push"]);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.status.success(), "{shown:?}");
    for part in ["POST http://", "X-GitHub-Event: push", "answered 200", "started on-hub  camshaft execution show 0"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("tell-nobody"), "{text}");

    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("body.json");
    std::fs::write(&file, r#"{"ref":"refs/heads/next"}"#).expect("it is ours");
    let file = file.to_str().expect("it is text");
    let output = server.cli(&["--json", "integration", "test", "hub", "--event", "push", "--body", file]);
    let delivered: Value = serde_json::from_slice(&output.stdout).expect("JSON for programs");
    assert_eq!(server.ended(&started(&delivered))["output"]["body"]["subject"], "refs/heads/next");

    // What is sent and not taken is a failure for scripts, too.
    std::fs::write(file, "no JSON").expect("it is ours");
    let output = server.cli(&["integration", "test", "hub", "--event", "push", "--body", file]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.code() == Some(1) && text.contains("answered 400") && text.contains("doctor hub"),
        "{output:?}"
    );
}
