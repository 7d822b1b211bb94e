//! The command line as programs and pipes see it.

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::server::{Server, binary};

fn told(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn refused(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    serde_json::from_slice(&output.stderr).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn programs_get_json_whatever_they_ask_for() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    for part in ["integrations", "workflows"] {
        std::fs::create_dir(folder.path().join(part)).unwrap();
    }
    let workflow = folder.path().join("workflows/hello.yaml");
    std::fs::write(folder.path().join("integrations/inbox.yaml"), "{ adapter: generic }").unwrap();
    std::fs::write(&workflow, "name: hello\ntriggers: [ { manual: {} } ]\nsteps: [ { exit: {} } ]\n").unwrap();
    let path = folder.path().to_str().unwrap();

    let deployed = told(&server.cli(&["deploy", path, "--json"]));
    assert_eq!(deployed["integrations"][0]["name"], "inbox");
    assert_eq!(deployed["workflows"][0]["name"], "hello");
    assert_eq!(deployed["published"][0]["published"], json!({"production": 1}));
    assert_eq!((&deployed["plugins"], &deployed["grants"]), (&json!([]), &json!([])));

    assert_eq!(told(&server.cli(&["secret", "set", "pin", "--value", "4711", "--json"])), json!({"name": "pin"}));
    assert_eq!(told(&server.cli(&["secret", "rm", "pin", "--json"])), json!({"name": "pin"}));
    assert_eq!(told(&server.cli(&["integration", "rm", "inbox", "--json"])), json!({"name": "inbox"}));
    let token = told(&server.cli(&["token", "create", "--json"]));
    let id = token["id"].as_str().unwrap();
    assert_eq!(told(&server.cli(&["token", "revoke", id, "--json"])), json!({"id": id}));

    let unknown = refused(&server.cli(&["--json", "workflow", "show", "nope"]));
    assert_eq!((&unknown["status"], &unknown["type"]), (&json!(404), &json!("urn:camshaft:problem:not-found")));
    std::fs::write(&workflow, "name: hello\nsteps: [ { exit: {}, exti: {} } ]\n").unwrap();
    for command in [&["deploy", path, "--json"][..], &["workflow", "apply", workflow.to_str().unwrap(), "--json"]] {
        let faults = refused(&server.cli(command));
        assert_eq!(faults["diagnostics"][0]["line"], 2, "{faults}");
        assert_eq!(faults["diagnostics"][0]["file"], workflow.to_str().unwrap());
    }
    let missing = refused(&server.cli(&["--json", "plugin", "push", "/nowhere/a.wasm"]));
    assert!(missing["detail"].as_str().unwrap().contains("/nowhere/a.wasm"), "{missing}");
}

#[test]
fn a_pipe_that_nobody_reads_is_no_reason_to_panic() {
    for arguments in [&["completions", "bash"][..], &["config"], &["schema", "workflow"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(binary());
        let output = command.args(arguments).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let output = output.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
}

#[test]
fn an_address_or_a_variable_that_is_none_is_named() {
    for (arguments, variable, named) in [
        (&["serve", "--listen", "nonsense"][..], "CAMSHAFT_SEED", "`nonsense` is no address and port"),
        (&["serve"], "CAMSHAFT_LIMIT_BODY_BYTES", "did you mean CAMSHAFT_LIMITS_BODY_BYTES?"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(binary());
        let output = command.args(arguments).current_dir(folder.path()).env(variable, "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(named), "{output:?}");
    }
}

#[test]
fn adapters_are_listed_with_their_vendors_and_events() {
    let server = Server::start();
    let listed = server.cli(&["plugin", "ls", "--kind", "adapter"]);
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let github = text.lines().find(|line| line.trim_start().starts_with("github ")).unwrap_or_else(|| panic!("{text}"));
    assert!(github.contains("GitHub") && github.contains("issues.opened") && github.contains(" more"), "{github}");
    assert!(!text.contains("echo"), "{text}");
}
