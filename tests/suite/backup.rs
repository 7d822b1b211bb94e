//! `camshaft backup` of a live server, and a server on what `camshaft restore` makes of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;
use std::sync::Arc;

use crate::support::server::Server;

const WORKFLOW: &str = "
name: echo-it
triggers: [{ manual: {} }]
steps:
  - exit: { status: 200, body: hello }
";

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_live_server_is_backed_up_and_comes_back_from_the_file() {
    let server = Server::start();
    server.publish("echo-it", WORKFLOW);
    server.ok("PUT", "/api/v1/secrets/api_key", r#"{"value": "v"}"#);
    let started = server.ok("POST", "/api/v1/workflows/echo-it/trigger", "{}");
    let id = started["execution_id"].as_str().unwrap();
    let execution = server.ended(id);

    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("one.backup");
    let path = file.to_str().unwrap();
    let taken = server.cli(&["backup", path]);
    assert!(taken.status.success(), "{}", said(&taken));
    assert!(said(&taken).contains("key of the secrets"), "{}", said(&taken));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = server.cli(&["backup", path]);
    assert_eq!(again.status.code(), Some(1), "nothing is written over: {}", said(&again));
    assert!(said(&again).contains(path), "{}", said(&again));

    let data = Arc::new(tempfile::tempdir().unwrap());
    let folder = data.path().to_str().unwrap();
    let restored = server.cli(&["restore", path, "--data", folder]);
    assert!(restored.status.success() && said(&restored).contains("1 executions"), "{}", said(&restored));
    let again = server.cli(&["restore", path, "--data", folder]);
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("is not empty"), "{}", said(&again));
    drop(server);

    let server = Server::start_on(data, &[]);
    assert_eq!(server.ended(id), execution);
    assert_eq!(server.ok("GET", "/api/v1/secrets", "")["items"][0]["name"], "api_key");
}

#[test]
fn a_backup_that_nobody_gives_leaves_no_file() {
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("one.backup");
    let server = Server::start();
    let refused = server.cli(&["--token", "cst_wrong", "backup", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(!file.exists());
}
