//! Users, their connections, and the keys of their tokens, from the command line.

use serde_json::{Value, json};

use crate::support::server::{Server, workspace};

const CREDENTIAL: &str = "hunt-me-of-ada-77b0";
const WORKFLOW: &str = "
name: greets
triggers: [ { app_event: { name: greeted } } ]
steps: [ { exit: { body: { who: '{{ $.connection.user }}', list: '{{ $.connection.settings.list }}' } } } ]
";

/// What a command prints for programs; a credential is never among it.
fn told(server: &Server, arguments: &[&str]) -> Value {
    let output = server.cli(&[&["--json"], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains(CREDENTIAL), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// What a command prints for people.
fn said(server: &Server, arguments: &[&str]) -> String {
    let output = server.cli(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text is printed")
}

#[test]
fn a_user_connects_enables_a_workflow_and_is_heard_over_a_crash_too() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("it is ours");
        path.to_str().expect("it is text").to_owned()
    };
    server.ok("PUT", "/api/v1/integrations/shop", r#"{"adapter": "generic"}"#);
    server.publish("greets", WORKFLOW);

    let metadata = format!("@{}", file("metadata.json", r#"{"plan": "gold"}"#));
    assert_eq!(told(&server, &["user", "set", "ada", "--metadata", &metadata])["metadata"], json!({"plan": "gold"}));
    let credentials = file("credentials.json", &json!({"token": CREDENTIAL}).to_string());
    let set = ["connection", "set", "ada", "shop", "--settings", r#"{"list": "l-1"}"#, "--credentials", &credentials];
    assert_eq!(told(&server, &set)["credentials"], json!(["token"]));
    assert_eq!(told(&server, &["connection", "enable", "ada", "shop", "greets"])["workflows"][0]["workflow"], "greets");

    let server = server.crash_and_restart();
    let sent = told(&server, &["user", "send", "ada", "greeted", "--payload", r#"{"id": 7}"#]);
    let id = sent["executions"][0]["execution_id"].as_str().unwrap_or_else(|| panic!("{sent}")).to_owned();
    assert_eq!(server.ended(&id)["output"]["body"], json!({"who": "ada", "list": "l-1"}));
    let listed = said(&server, &["connection", "ls", "--user", "ada"]);
    assert!(listed.contains("shop") && listed.contains("greets"), "{listed}");
    let shown = said(&server, &["connection", "show", "ada", "shop"]);
    assert!(shown.contains("token") && !shown.contains(CREDENTIAL), "{shown}");
    assert!(said(&server, &["user", "ls"]).contains("shop"));

    told(&server, &["connection", "disable", "ada", "shop", "greets"]);
    assert_eq!(told(&server, &["user", "send", "ada", "greeted"])["executions"], json!([]));
    told(&server, &["connection", "rm", "ada", "shop"]);
    assert_eq!(told(&server, &["connection", "ls"]), json!([]));
    told(&server, &["user", "rm", "ada"]);
    assert_eq!(told(&server, &["user", "ls"]), json!([]));
    let gone = server.cli(&["user", "show", "ada"]);
    assert!(gone.status.code() == Some(1) && String::from_utf8_lossy(&gone.stderr).contains("`ada`"), "{gone:?}");
}

#[test]
fn a_signing_key_is_added_listed_and_removed_and_anything_else_is_refused() {
    let server = Server::start();
    let key = |name: &str| workspace().join("runtime/server/tests/keys").join(name).to_str().expect("text").to_owned();
    assert_eq!(told(&server, &["signing-key", "add", "app", &key("first.pem")])["bits"], 2048);
    assert!(said(&server, &["signing-key", "ls"]).contains("RS256"));
    for (file, named) in [("weak.pem", "bits"), ("elliptic.pem", "RSA public key")] {
        let refused = server.cli(&["signing-key", "add", "other", &key(file)]);
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(1) && why.contains(named), "{file}: {refused:?}");
    }
    told(&server, &["signing-key", "rm", "app"]);
    assert_eq!(told(&server, &["signing-key", "ls"]), json!([]));
}
