//! Shared workflows of the real binary, from the command line.

use serde_json::Value;

use crate::support::server::Server;

/// What a command prints for programs.
fn told(server: &Server, workspace: &str, arguments: &[&str]) -> Value {
    let output = server.cli(&[&["--json", "--workspace", workspace], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn what_one_workspace_shares_runs_in_the_other_over_a_restart_too() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a folder can be made");
    for part in ["integrations", "workflows"] {
        std::fs::create_dir(folder.path().join(part)).expect("it is empty");
    }
    let document = "name: lent\ntriggers: [ { webhook: { integration: inbox } } ]\n\
                    steps: [ { exit: { status: 200, body: \"{{ $.env.WHERE }}\" } } ]\n";
    std::fs::write(folder.path().join("integrations/inbox.yaml"), "{ adapter: generic }").expect("it is ours");
    std::fs::write(folder.path().join("workflows/lent.yaml"), document).expect("it is ours");
    for workspace in ["acme", "blue"] {
        server.ok("PUT", &format!("/api/v1/workspaces/{workspace}"), "{}");
        told(&server, workspace, &["environment", "set", "production", &format!("WHERE={workspace}")]);
    }
    told(&server, "acme", &["deploy", folder.path().to_str().expect("it is text")]);
    let offered = told(&server, "acme", &["workflow", "share", "lent", "blue"]);
    let offers = told(&server, "blue", &["workflow", "offers"]);
    assert_eq!((&offers[0]["id"], &offers[0]["workspace"]), (&offered["id"], &"acme".into()));
    let share = offered["id"].as_str().expect("an id").to_owned();
    let copy = told(&server, "blue", &["workflow", "accept", &share, "--as", "borrowed"]);
    assert_eq!(copy["name"], "borrowed");
    let shares = told(&server, "acme", &["workflow", "shares", "lent"]);
    assert_eq!(shares[0]["workflow_id"], copy["id"]);

    let hook = format!("/w/acme/v1/webhooks/inbox/workflows/{}/sync", copy["id"].as_str().expect("an id"));
    let call = |server: &Server| server.send("POST", &hook, &[("Content-Type", "application/json")], b"{}");
    let answer = call(&server);
    assert_eq!((answer.status, answer.text().as_str()), (200, "blue"), "{}", answer.text());
    let server = server.crash_and_restart();
    assert_eq!(call(&server).text(), "blue");
    assert_eq!(told(&server, "blue", &["execution", "ls"]).as_array().map(Vec::len), Some(2));
    assert_eq!(told(&server, "acme", &["execution", "ls"]).as_array().map(Vec::len), Some(0));
    told(&server, "acme", &["workflow", "unshare", "lent", "blue"]);
    assert_eq!(call(&server).status, 404);
    assert_eq!(told(&server, "blue", &["execution", "ls"]).as_array().map(Vec::len), Some(2));
}
