//! Workspaces of the real binary, from the command line.

use serde_json::{Value, json};

use crate::support::server::Server;

const WAITS: &str = "name: waits\ntriggers: [ { manual: {} } ]\nsteps: [ { wait: 1h } ]\n";

fn text(server: &Server, arguments: &[&str]) -> String {
    let output = server.cli(arguments);
    let (told, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {told}{wrong}");
    told.into_owned()
}

#[test]
fn an_operator_bounds_what_a_tenant_s_executions_take() {
    let server = Server::start();
    let made = text(&server, &["workspace", "create", "acme", "--per-day", "9", "--execution-time", "10m", "--json"]);
    let made: Value = serde_json::from_str(&made).expect("it is JSON");
    assert_eq!(made["limits"], json!({"per_day": 9, "execution_time_s": 600}));
    for wrong in ["soon", "0s", "900ms"] {
        let refused = server.cli(&["workspace", "create", "acme", "--execution-time", wrong]);
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && why.contains(&format!("--execution-time `{wrong}`")), "{why}");
    }
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("waits.yaml");
    std::fs::write(&file, WAITS).expect("it is ours");
    text(&server, &["--workspace", "acme", "workflow", "apply", file.to_str().expect("it is text")]);

    let server = server.stop_and_restart();
    let listed = text(&server, &["workspace", "ls"]);
    assert!(listed.contains("per_day 9, execution_time 10m"), "{listed}");
    let shown = text(&server, &["--workspace", "acme", "workflow", "show", "waits"]);
    assert!(shown.contains("10m, as the workspace allows no more; its own is 1day"), "{shown}");
    text(&server, &["workspace", "create", "acme"]);
    let shown = text(&server, &["--workspace", "acme", "workflow", "show", "waits"]);
    assert!(!shown.contains("allows"), "{shown}");
}

#[test]
fn an_operator_bounds_what_executions_of_the_whole_server_take() {
    let server = Server::start_with(&[("CAMSHAFT_LIMITS_EXECUTION_TIME", "20ms")]);
    server.publish("waits", WAITS);
    server.cli(&["workflow", "trigger", "waits", "--wait"]);
    let list = server.ok("GET", "/api/v1/executions", "");
    let ended = &list["items"][0];
    let why = "timeout: the execution took longer than this server allows: 20ms";
    assert_eq!((&ended["status"], &ended["failure"]), (&json!("timed_out"), &json!(why)), "{list:#}");
}
