//! `kill -9` at any moment loses nothing that was acknowledged: the real binary, killed again and again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::recorder::Recorder;
use crate::support::server::{Server, send};

const ROUNDS: usize = 25;
const CALLERS: usize = 4;

/// A silent step, a call that the outside sees, a silent step, an end.
fn workflow(recorder: &Recorder) -> String {
    format!(
        r#"
name: crash
triggers:
  - webhook: {{ integration: load }}
steps:
  - id: before
    task: echo@1
    with: {{ n: "{{{{ $.event.body.n }}}}" }}
  - id: effect
    task: http-request@1
    with: {{ method: POST, url: "{}/effect", body: "{{{{ $.steps.before }}}}" }}
    retry: {{ attempts: 3, first: 1ms }}
  - id: after
    task: echo@1
    with: {{ n: "{{{{ $.steps.before.n }}}}" }}
  - exit: {{ status: 200, body: {{ n: "{{{{ $.steps.after.n }}}}" }} }}
"#,
        recorder.url
    )
}

#[test]
fn killed_again_and_again_every_acknowledged_execution_ends_once() {
    let recorder = Recorder::start();
    let mut server = Server::start();
    server.ok("PUT", "/api/v1/integrations/load", r#"{"adapter": "generic"}"#);
    let grant = format!(r#"{{"hosts": ["{}"], "private_addresses": true}}"#, recorder.url);
    server.ok("PUT", "/api/v1/plugins/http-request/grant", &grant);
    server.publish("crash", &workflow(&recorder));

    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        // The moment of the crash is counted in acknowledgements, so that it does not hang on the machine's speed;
        // what the server is doing besides at that moment is different each time.
        let enough = 1 + round * 7 % 40;
        let count = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let (count, url) = (count.clone(), format!("{}/v1/webhooks/load/workflows/crash", server.url));
                std::thread::spawn(move || {
                    let mut ids = Vec::new();
                    loop {
                        let body = format!(r#"{{"n": {}}}"#, round * 1000 + caller);
                        let headers = [("Content-Type", "application/json")];
                        match send("POST", &url, &headers, body.as_bytes()) {
                            Ok(answer) if answer.status == 200 => {
                                ids.push(answer.json()["execution_id"].as_str().expect("an id").to_owned());
                                count.fetch_add(1, Ordering::SeqCst);
                            }
                            Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
                            // The server is gone.
                            Err(_) => return ids,
                        }
                    }
                })
            })
            .collect();
        while count.load(Ordering::SeqCst) < enough {
            std::thread::yield_now();
        }
        server = server.crash_and_restart();
        for caller in callers {
            acknowledged.extend(caller.join().expect("callers do not panic"));
        }
    }

    for id in &acknowledged {
        let execution = server.ended(id);
        assert_eq!(execution["status"], "succeeded", "{execution:#}");
        assert!(execution["output"]["body"]["n"].is_number(), "{execution:#}");
    }
    // Each execution's effect carries one key, however often it was made.
    let calls = recorder.calls();
    for id in &acknowledged {
        let own: Vec<_> = calls.iter().filter(|(key, _)| key.contains(id.as_str())).collect();
        assert_eq!(own.len(), 1, "execution {id} was seen outside with the keys {own:?}");
    }
    // Nothing was seen outside that the journal does not know, acknowledged or not.
    for key in calls.keys() {
        let id = key.split('/').next().expect("a key begins with the execution");
        assert!(server.ended(id)["id"] == id, "{key}");
    }
    let repeated = calls.values().filter(|count| **count > 1).count();
    println!(
        "{ROUNDS} crashes: {} acknowledged, {} seen outside, {repeated} of them more than once with the same key",
        acknowledged.len(),
        calls.len()
    );
}

#[test]
fn a_server_that_is_asked_to_stop_ends_cleanly_and_keeps_everything() {
    let server = Server::start();
    server.ok("PUT", "/api/v1/integrations/load", r#"{"adapter": "generic"}"#);
    assert!(server.terminate().success());
}
