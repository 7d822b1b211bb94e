//! Every step kind with the real binary: a document in, what its `exit` says out; and what waits survives `kill -9`.

use serde_json::{Value, json};

use crate::support::server::{Server, TOKEN};

/// Publishes a workflow that is started by hand.
fn publish(server: &Server, name: &str, steps: &str) {
    server.publish(name, &format!("name: {name}\ntriggers: [ {{ manual: {{}} }} ]\n{steps}"));
}

/// Runs a workflow and waits: status and body of the answer.
fn run(server: &Server, name: &str, event: Value) -> (u16, Value) {
    let body = json!({"event": event}).to_string();
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("Prefer", "wait=50"), ("Content-Type", "application/json"), ("Authorization", bearer.as_str())];
    let answer = server.send("POST", &format!("/api/v1/workflows/{name}/trigger"), &headers, body.as_bytes());
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_else(|_| json!(answer.text())))
}

/// Begins an execution and does not wait.
fn begin(server: &Server, name: &str, event: Value) -> String {
    let begun = server.ok("POST", &format!("/api/v1/workflows/{name}/trigger"), &json!({"event": event}).to_string());
    begun["execution_id"].as_str().unwrap_or_else(|| panic!("no id: {begun}")).to_owned()
}

/// Returns once an execution has come to a status.
fn until(server: &Server, id: &str, status: &str) -> Value {
    for _ in 0..1_000_000 {
        let execution = server.ok("GET", &format!("/api/v1/executions/{id}"), "");
        if execution["status"] == status {
            return execution;
        }
        assert!(execution["ended_at"].is_null(), "it ended otherwise: {execution}");
        std::thread::yield_now();
    }
    panic!("execution {id} does not come to {status}");
}

const SHAPES: [(&str, &str, &str, &str); 6] = [
    (
        "loops",
        r#"
steps:
  - id: lines
    for_each: $.event.items
    as: line
    concurrency: 3
    do:
      - { id: one, task: echo@1, with: { twice: "{{ $.line * 2 }}", at: "{{ $.index }}" } }
    collect: $.steps.one.twice + $.steps.one.at
  - set: { n: 0 }
  - repeat: [ { set: { n: "{{ $.vars.n + 1 }}" } } ]
    until: $.vars.n >= 4
  - exit: { body: { lines: "{{ $.steps.lines }}", n: "{{ $.vars.n }}" } }
"#,
        r#"{"items": [5, 6, 7, 8]}"#,
        r#"{"lines": [10, 13, 16, 19], "n": 4}"#,
    ),
    (
        "branches",
        r#"
steps:
  - id: both
    parallel:
      left: [ { task: echo@1, with: { side: left } } ]
      right: [ { task: echo@1, with: { side: right } } ]
  - id: first
    parallel:
      bad: [ { task: fail@1, with: {} } ]
      good: [ { task: echo@1, with: fine } ]
    join: any
  - exit: { body: { both: "{{ $.steps.both }}", first: "{{ $.steps.first }}" } }
"#,
        "{}",
        r#"{"both": {"left": {"side": "left"}, "right": {"side": "right"}}, "first": {"good": "fine"}}"#,
    ),
    (
        "careful",
        r#"
steps:
  - try:
      - { id: charge, task: fail@1, with: { message: no money }, retry: { attempts: 2, first: 1ms, on: [failed] } }
    catch:
      - { id: why, task: echo@1, with: "{{ $.error }}" }
    finally:
      - set: { tidied: true }
  - exit: { body: { error: "{{ $.steps.why }}", tidied: "{{ $.vars.tidied }}" } }
"#,
        "{}",
        r#"{"error": {"step": "charge", "kind": "failed", "message": "no money", "attempt": 2}, "tidied": true}"#,
    ),
    (
        "early",
        r#"
steps:
  - for_each: "{{ [1, 2, 3] }}"
    do:
      - try:
          - { if: $.item == 2, then: [ { exit: { status: 418, body: { stopped_at: "{{ $.item }}" } } } ] }
        finally:
          - { task: echo@1, with: done }
  - exit: { body: never }
"#,
        "{}",
        r#"{"stopped_at": 2}"#,
    ),
    (
        "short-wait",
        "steps:\n  - wait: 10ms\n  - lock: { key: k }\n    do: [ { id: inside, task: echo@1, with: 7 } ]\n  - exit: { body: { got: '{{ $.steps.inside }}' } }\n",
        "{}",
        r#"{"got": 7}"#,
    ),
    (
        "caller",
        "steps:\n  - { id: child, workflow: callee, with: { n: 20 } }\n  - exit: { body: { child: '{{ $.steps.child }}' } }\n",
        "{}",
        r#"{"child": {"sum": 21}}"#,
    ),
];

#[test]
fn each_kind_of_step_does_what_its_page_says() {
    let server = Server::start();
    let callee = "params: { n: number }\nsteps: [ { exit: { sum: '{{ $.params.n + 1 }}' } } ]\n";
    publish(&server, "callee", callee);
    for (name, steps, event, expected) in SHAPES {
        publish(&server, name, steps);
        let event = serde_json::from_str(event).expect("a test's event is JSON");
        let (status, body) = run(&server, name, event);
        let expected: Value = serde_json::from_str(expected).expect("a test's answer is JSON");
        assert_eq!(body, expected, "{name}");
        assert_eq!(status, if name == "early" { 418 } else { 200 }, "{name}");
    }
}

#[test]
fn an_event_of_another_workflow_is_waited_for_through_a_crash() {
    let server = Server::start();
    let waits = r#"
steps:
  - id: paid
    wait: { event: { topic: invoice.paid, match: '$.received.data.invoice == $.event.invoice' }, timeout: 2d }
  - exit: { body: { paid: "{{ $.steps.paid.data }}" } }
"#;
    publish(&server, "dunning", waits);
    let emits = "steps:\n  - emit: { type: invoice.paid, data: { invoice: '{{ $.event.invoice }}', by: card } }\n";
    publish(&server, "payment", emits);
    let (mine, other) =
        (begin(&server, "dunning", json!({"invoice": 7})), begin(&server, "dunning", json!({"invoice": 8})));
    until(&server, &mine, "waiting");
    until(&server, &other, "waiting");

    let server = server.crash_and_restart();
    assert_eq!(run(&server, "payment", json!({"invoice": 7})).0, 200);
    let execution = until(&server, &mine, "succeeded");
    assert_eq!(execution["output"]["body"], json!({"paid": {"invoice": 7, "by": "card"}}), "{execution}");
    let other = server.ok("GET", &format!("/api/v1/executions/{other}"), "");
    assert_eq!(other["status"], "waiting", "the event was of another invoice");
}

#[test]
fn what_is_beyond_a_workflow_s_limits_stands_in_line_or_is_told_so() {
    let server = Server::start();
    let one_at_a_time = "limits: { concurrency: 1 }\nsteps:\n  - wait: { event: { topic: go } }\n";
    publish(&server, "one-at-a-time", one_at_a_time);
    publish(&server, "goes", "steps:\n  - emit: { type: go, data: null }\n");
    let (first, second) = (begin(&server, "one-at-a-time", json!({})), begin(&server, "one-at-a-time", json!({})));
    until(&server, &first, "waiting");
    until(&server, &second, "queued");
    let server = server.crash_and_restart();
    until(&server, &second, "queued");
    run(&server, "goes", json!({}));
    until(&server, &first, "succeeded");
    // It had its event while it stood in line.
    until(&server, &second, "succeeded");

    publish(&server, "twice-a-day", "limits: { per_day: 2 }\nsteps: [ { exit: { status: 204 } } ]\n");
    for _ in 0..2 {
        assert_eq!(run(&server, "twice-a-day", json!({})).0, 204);
    }
    let server = server.crash_and_restart();
    let (status, problem) = run(&server, "twice-a-day", json!({}));
    assert_eq!(status, 429, "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|text| text.contains("2 executions a day")), "{problem}");
}
