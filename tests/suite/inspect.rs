//! Looking at executions and repeating them, with the real command line against the real server.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::server::Server;

const ASKING: &str = "
name: asking
triggers: [ { manual: {} } ]
labels: { team: shop }
steps:
  - { id: ok, approval: { ask: 'Ship {{ $.event.order }}?', timeout: 2d } }
  - exit: { body: { shipped: '{{ $.event.order }}' } }
";

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("it prints text")
}

fn begin(server: &Server, name: &str, event: Value) -> String {
    let begun = server.ok("POST", &format!("/api/v1/workflows/{name}/trigger"), &json!({"event": event}).to_string());
    begun["execution_id"].as_str().unwrap_or_else(|| panic!("no id: {begun}")).to_owned()
}

#[test]
fn whoever_watches_sees_each_step_and_learns_how_it_ended() {
    let server = Server::start();
    server.publish("asking", ASKING);
    let id = begin(&server, "asking", json!({"order": 7}));
    std::thread::scope(|scope| {
        let watched = scope.spawn(|| server.cli(&["execution", "watch", &id]));
        let printed = scope.spawn(|| server.cli(&["--json", "execution", "watch", &id]));
        let asked = (0..100_000).map(|_| said(&server.cli(&["approval", "ls"]))).find(|list| list.contains(&id));
        let asked = asked.expect("the approval is listed");
        assert!(asked.contains("Ship 7?") && asked.contains("anybody"), "{asked}");
        said(&server.cli(&["execution", "approve", &id, "--step", "ok"]));

        let watched = said(&watched.join().expect("it does not panic"));
        let words: Vec<&str> = watched.lines().map(|line| line.get(..16).unwrap_or(line).trim()).collect();
        assert_eq!(words.first(), Some(&"accepted"), "{watched}");
        assert!(words.contains(&"wait started") && words.contains(&"approval given"), "{watched}");
        assert!(watched.ends_with("succeeded\n"), "{watched}");
        let printed = said(&printed.join().expect("it does not panic"));
        let journal = server.ok("GET", &format!("/api/v1/executions/{id}/journal"), "");
        let mut lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let paths = lines.iter_mut().filter_map(|entry| entry.as_object_mut()?.values_mut().next());
        let paths: Vec<_> = paths.filter_map(|inside| inside.as_object_mut()?.remove("step")).collect();
        assert!(!paths.is_empty() && paths.iter().all(|path| path == "ok"), "{paths:?}");
        assert_eq!(Some(&lines), journal["items"].as_array());
    });
    assert_eq!(said(&server.cli(&["approval", "ls"])), "nothing here yet\n");
    let listed = said(&server.cli(&["execution", "ls", "--label", "team:shop", "--since", "1h", "--test", "false"]));
    assert!(listed.contains(&id), "{listed}");
    let none = server.cli(&["execution", "ls", "--label", "team:other"]);
    assert_eq!(said(&none), "nothing here yet\n");

    let id = begin(&server, "asking", json!({"order": 8}));
    server.ok("POST", &format!("/api/v1/executions/{id}/cancel"), "");
    assert_eq!(server.cli(&["execution", "watch", &id]).status.code(), Some(1));
}

#[test]
fn what_failed_is_run_again_at_once_and_a_draft_is_tried_out() {
    let server = Server::start();
    let document = |task: &str| {
        format!("name: order\ntriggers: [ {{ manual: {{}} }} ]\nsteps:\n  - {{ id: one, task: {task}, with: {{}} }}\n")
    };
    server.publish("order", &document("fail@1"));
    let ids: Vec<String> = (0..3).map(|n| begin(&server, "order", json!({"n": n}))).collect();
    ids.iter().for_each(|id| assert_eq!(server.ended(id)["status"], "failed"));

    let failed = ["execution", "rerun", "--all", "--workflow", "order", "--status", "failed"];
    assert_eq!(said(&server.cli(&[&failed[..], &["--dry-run"]].concat())), "3 executions\n");
    let unasked = server.cli(&failed);
    assert!(!unasked.status.success() && String::from_utf8_lossy(&unasked.stderr).contains("--yes"));
    let told = said(&server.cli(&[&failed[..], &["--yes"]].concat()));
    assert!(told.contains("done  3 started, 0 refused"), "{told}");
    let repeating = server.ok("GET", "/api/v1/executions?workflow=order", "");
    let repeats: Vec<&str> =
        repeating["items"].as_array().expect("a list").iter().filter_map(|item| item["repeats"].as_str()).collect();
    assert_eq!(repeats, ids.iter().rev().map(String::as_str).collect::<Vec<_>>());

    // The draft is mended, and not published.
    let draft = server.api("PUT", "/api/v1/workflows/order", &document("echo@1"));
    assert_eq!(draft.status, 200, "{}", draft.text());
    let tested = said(&server.cli(&["workflow", "test", "order", "--replay", &ids[0]]));
    assert!(tested.contains("revision 2") && tested.contains(&ids[0]) && tested.contains("✓ one"), "{tested}");
    let tested: Value =
        serde_json::from_str(&said(&server.cli(&["--json", "workflow", "test", "order", "--event", r#"{"n": 9}"#])))
            .expect("JSON");
    assert_eq!(
        (&tested["test"], &tested["event"], &tested["status"]),
        (&json!(true), &json!({"n": 9}), &json!("succeeded"))
    );
    let other = server.cli(&["workflow", "test", "asking", "--replay", &ids[0]]);
    assert!(String::from_utf8_lossy(&other.stderr).contains("is of workflow `order`, not `asking`"));
}
