//! The key file of a data folder.

use std::process::Command;
use std::sync::Arc;

use crate::support::server::{Server, binary};

#[test]
fn a_lost_key_file_is_not_replaced_while_something_is_sealed_with_it() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let server = Server::start_on(data.clone(), &[]);
    server.ok("PUT", "/api/v1/secrets/pin", r#"{"value": "4711"}"#);
    assert!(server.terminate().success());
    let (keys, aside) = (data.path().join("keys"), data.path().join("keys.aside"));
    std::fs::rename(&keys, &aside).unwrap();

    let mut command = Command::new(binary());
    let output = command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no file `keys`") && said.contains("pin"), "{said}");
    assert!(!keys.exists(), "who puts the file back must not find another one in its place");

    std::fs::rename(&aside, &keys).unwrap();
    let server = Server::start_on(data, &[]);
    assert_eq!(server.ok("GET", "/api/v1/secrets", "")["items"][0]["name"], "pin");
}
