//! Hostile expressions against the real server: each fails its own step with kind `expression`, or its document is refused;
//! and everybody else is served meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::server::{Server, TOKEN};

/// Endless, enormous or exponential: each is jq that can be read, so each is run.
const HOSTILE: [&str; 26] = [
    "[repeat(1)]",
    "def f: f; f",
    "[range(1e9)]",
    "[range(1e9)] | length",
    "[range(1e5)] | map([range(1e5)])",
    "[range(1e4) | range(1e4) | range(1e4)] | length",
    "[range(infinite)] | add",
    "last(range(1e12))",
    "reduce range(60) as $i (\"x\"; . + .)",
    "reduce range(60) as $i (\"x\"; . + .) | length",
    "reduce range(40) as $i ([1]; . + .)",
    "\"x\" * 1e10",
    "def f: [f]; f",
    "def f: 1 + f; f",
    "reduce range(1e6) as $i (null; [.])",
    "[limit(1e12; repeat(\"x\"))]",
    "[recurse([., .])] | length",
    "until(false; .)",
    "[while(true; . + 1)]",
    "[.. , .. | repeat(.)]",
    "(\"a\" * 50000) | test(\"(a|aa)+(a|aa)+(a|aa)+$b\")",
    "(\"a\" * 5000) as $a | [range(1e6) | $a | test(\"(a*)*b\")] | any",
    "\"a\" | test(\"((a{1,1000}){1,1000}){1,1000}\")",
    "[[range(300)] | combinations(300)] | length",
    "[range(9) | [range(9)]] | [combinations] | length",
    "def f($n): if $n == 0 then 1 else f($n - 1) + f($n - 1) end; f(60)",
];

/// What would tell an expression of the machine or of the server; a document that names it is refused.
const OUTSIDE: [&str; 14] = [
    "env",
    "env.PATH",
    "$ENV",
    "$ENV.CAMSHAFT_ADMIN_TOKEN",
    "input",
    "inputs",
    "[inputs]",
    "input_filename",
    "input_line_number",
    "now",
    "halt",
    "\"x\" | halt_error",
    "import \"a\" as a; 1",
    "include \"/etc/passwd\"; 1",
];

fn publish(server: &Server, name: &str, expression: &str) {
    let document = json!({
        "name": name,
        "triggers": [{ "manual": {} }],
        "steps": [{ "id": "work", "set": { "value": format!("{{{{ {expression} }}}}") } }, { "exit": { "body": "{{ $.steps.work.value }}" } }],
    });
    server.publish(name, &document.to_string());
}

fn begin(server: &Server, name: &str) -> String {
    let begun = server.ok("POST", &format!("/api/v1/workflows/{name}/trigger"), "{}");
    begun["execution_id"].as_str().unwrap_or_else(|| panic!("no id: {begun}")).to_owned()
}

/// Runs a harmless workflow and waits for its answer.
fn answer(server: &Server, number: usize) -> (u16, Value) {
    let body = json!({ "event": { "n": number } }).to_string();
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("Prefer", "wait=50"), ("Content-Type", "application/json"), ("Authorization", bearer.as_str())];
    let answer = server.send("POST", "/api/v1/workflows/harmless/trigger", &headers, body.as_bytes());
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_else(|_| json!(answer.text())))
}

#[test]
fn hostile_expressions_fail_their_own_step_and_others_are_answered_meanwhile() {
    let server = Server::start();
    publish(&server, "harmless", "[range($.event.n)] | add");
    let names: Vec<_> = (0..HOSTILE.len()).map(|number| format!("hostile-{number}")).collect();
    for (name, expression) in names.iter().zip(HOSTILE) {
        publish(&server, name, expression);
    }
    let harmless = |number: usize| {
        let (status, body) = answer(&server, number);
        assert_eq!((status, body), (200, json!(number * (number - 1) / 2)), "the harmless one, number {number}");
    };
    // Hostile ones come all the time, until the others were answered; every one of them at least once.
    let enough = AtomicBool::new(false);
    let ids = std::thread::scope(|scope| {
        let hostile = scope.spawn(|| {
            let mut ids = Vec::new();
            loop {
                let round: Vec<_> = names.iter().map(|name| begin(&server, name)).collect();
                round.iter().for_each(|id| drop(server.ended(id)));
                ids.extend(round);
                if enough.load(Ordering::SeqCst) {
                    return ids;
                }
            }
        });
        for number in 2..22 {
            assert!(!hostile.is_finished(), "the hostile ones came to an end; the log: {}", server.log());
            harmless(number);
        }
        enough.store(true, Ordering::SeqCst);
        hostile.join().expect("starting does not panic")
    });
    for (id, expression) in ids.iter().zip(HOSTILE.iter().cycle()) {
        let execution = server.ended(id);
        // Matching takes time in proportion to the text, so what would be a catastrophe elsewhere may even come to its answer here.
        if expression.contains("test(") && execution["status"] == "succeeded" {
            continue;
        }
        assert_eq!(execution["status"], "failed", "`{expression}`: {execution:#}");
        assert_eq!(execution["failure"]["kind"], "expression", "`{expression}`: {execution:#}");
        let message = execution["failure"]["message"].as_str().expect("a failure has a message");
        assert!(message.contains(expression), "`{expression}` is not named: {message}");
        assert_eq!(execution["failed_step"], "work", "{execution:#}");
    }
    println!("{} hostile executions failed, 20 others were answered meanwhile", ids.len());
    assert!(!server.log().contains("panicked"), "{}", server.log());
    harmless(1);
}

#[test]
fn what_reaches_outside_is_refused_with_its_document() {
    let server = Server::start();
    for expression in OUTSIDE {
        let document = json!({
            "name": "curious",
            "triggers": [{ "manual": {} }],
            "steps": [{ "set": { "value": format!("{{{{ {expression} }}}}") } }],
        });
        let refused = server.api("PUT", "/api/v1/workflows/curious", &document.to_string());
        assert_eq!(refused.status, 422, "`{expression}`: {}", refused.text());
        assert!(!refused.text().contains(TOKEN), "{}", refused.text());
    }
}
