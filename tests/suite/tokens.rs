//! Tokens over the command line and over a restart.

use serde_json::{Value, json};

use crate::support::server::Server;

fn told(server: &Server, arguments: &[&str]) -> Value {
    let output = server.cli(arguments);
    let (told, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {told}{wrong}");
    serde_json::from_str(&told).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {told}"))
}

#[test]
fn a_token_is_made_with_its_scopes_and_its_last_use_outlives_a_stop() {
    let server = Server::start();
    server.publish("calm", "name: calm\ntriggers: [ { request: {} } ]\nsteps: [ { exit: {} } ]\n");
    let own = ["token", "create", "--json", "--label", "app", "--workflow", "calm"];
    assert_eq!(told(&server, &own)["scopes"], json!(["trigger", "read"]));
    let made = told(&server, &[own.as_slice(), &["--scope", "manage,trigger"]].concat());
    assert_eq!(made["scopes"], json!(["trigger", "manage"]));
    let refused = server.cli(&["token", "create", "--scope", "admin,read"]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("admin,read"));

    let token = made["token"].as_str().expect("its text");
    let trigger = "/api/v1/workflows/calm/trigger";
    assert_eq!(server.api_as(token, "POST", trigger, b"{}").status, 200);
    let used = told(&server, &["token", "ls", "--json"]);
    assert!(used[0].get("last_used_at").is_none() && used[1]["last_used_at"].is_string(), "{used:#}");

    let server = server.stop_and_restart();
    assert_eq!(told(&server, &["token", "ls", "--json"]), used);
    assert_eq!(server.api_as(token, "POST", trigger, b"{}").status, 200);
}
