//! Subscriptions of the real binary: killed while it tells, it tells of every end, signed, and with one id for each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::receiver::Receiver;
use crate::support::server::{Server, send};

const KILLS: usize = 8;
const CALLERS: usize = 3;
/// What each caller starts before a kill, at most.
const EACH: usize = 20;
const OPEN: [(&str, &str); 2] =
    [("CAMSHAFT_SUBSCRIPTIONS_HTTP", "true"), ("CAMSHAFT_SUBSCRIPTIONS_PRIVATE_ADDRESSES", "true")];

/// Every third letter is refused once.
fn refuses(id: &str) -> bool {
    id.bytes().map(u32::from).sum::<u32>().is_multiple_of(3)
}

fn subscribe(server: &Server, receiver: &Receiver) {
    let body = json!({"url": format!("{}/told", receiver.url), "on": ["accepted", "succeeded", "failed"]}).to_string();
    let made = server.ok("PUT", "/api/v1/subscriptions/all", &body);
    receiver.trust(made["secret"].as_str().expect("it is shown once"));
}

/// Every execution that there is.
fn executions(server: &Server) -> BTreeSet<String> {
    let (mut found, mut before) = (BTreeSet::new(), String::new());
    loop {
        let page = server.ok("GET", &format!("/api/v1/executions?limit=200{before}"), "");
        let items = page["items"].as_array().expect("a page has items");
        found.extend(items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()));
        match page["next"].as_str() {
            Some(next) => before = format!("&before={next}"),
            None => return found,
        }
    }
}

#[test]
fn killed_while_it_tells_it_tells_of_every_end() {
    let receiver = Receiver::start(refuses);
    let mut server = Server::start_with(&OPEN);
    server.ok("PUT", "/api/v1/integrations/load", r#"{"adapter": "generic"}"#);
    let document =
        "name: told\ntriggers: [ { webhook: { integration: load } } ]\nsteps: [ { wait: 1ms }, { exit: {} } ]\n";
    server.publish("told", document);
    subscribe(&server, &receiver);
    for kill in 0..KILLS {
        let told = receiver.until(|came| Some(came.letters.len()));
        let count = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let (count, url) = (count.clone(), format!("{}/v1/webhooks/load/workflows/told", server.url));
                std::thread::spawn(move || {
                    let mut acknowledged = 0;
                    while acknowledged < EACH
                        && let Ok(answer) = send("POST", &url, &[("Content-Type", "application/json")], b"{}")
                    {
                        assert!(matches!(answer.status, 200 | 503), "{}", answer.text());
                        acknowledged += usize::from(answer.status == 200);
                        count.fetch_add(usize::from(answer.status == 200), Ordering::SeqCst);
                    }
                })
            })
            .collect();
        // Counted in what was acknowledged and in what was told: it does not hang on the machine's speed.
        let enough = 3 + kill * 5 % 17;
        while count.load(Ordering::SeqCst) < enough {
            std::thread::yield_now();
        }
        receiver.until(|came| (came.letters.len() > told + kill).then_some(()));
        server = server.crash_and_restart();
        for caller in callers {
            caller.join().expect("callers do not panic");
        }
    }
    let all = executions(&server);
    for id in &all {
        assert_eq!(server.ended(id)["status"], "succeeded");
    }
    let told_of = |kind: &str, event: &Option<Value>| {
        let event = event.as_ref().filter(|event| event["type"] == format!("dev.camshaft.execution.{kind}"))?;
        Some(event["data"]["execution_id"].as_str().expect("it says which").to_owned())
    };
    let tried = receiver.until(|came| {
        let of = |kind| came.letters.values().filter_map(|(_, event)| told_of(kind, event)).collect::<BTreeSet<_>>();
        (of("succeeded").is_superset(&all) && of("accepted").is_superset(&all))
            .then(|| came.letters.values().map(|(tries, _)| *tries).sum::<u32>())
    });
    receiver.until(|came| {
        assert_eq!(came.faults, [""; 0]);
        assert_eq!(came.letters.len(), 2 * all.len(), "a letter of nothing that ever was");
        Some(())
    });
    // Whatever the receiver has is not kept any more once the server has written so.
    loop {
        let shown = server.ok("GET", "/api/v1/subscriptions/all", "");
        assert_eq!(shown["dead"], 0, "{shown}");
        if shown["waiting"] == 0 {
            break;
        }
        std::thread::yield_now();
    }
    println!("{KILLS} kills: {} executions, {} letters, {tried} tries", all.len(), 2 * all.len());
}

#[test]
fn a_url_that_the_operator_does_not_allow_is_refused_and_nothing_goes_there() {
    let receiver = Receiver::start(|_| false);
    let server = Server::start();
    let port = receiver.url.rsplit(':').next().expect("it has a port");
    for (url, named) in [
        (receiver.url.clone(), "not https"),
        (format!("https://127.0.0.1:{port}"), "a private address"),
        ("https://169.254.169.254/latest".to_owned(), "metadata"),
    ] {
        let body = json!({"url": url}).to_string();
        let refused = server.api("PUT", "/api/v1/subscriptions/ops", &body);
        assert!(refused.status == 422 && refused.text().contains(named), "{}", refused.text());
    }
    // A name shows where it leads when it is sent to.
    let body = json!({"url": format!("https://localhost:{port}/")}).to_string();
    server.ok("PUT", "/api/v1/subscriptions/ops", &body);
    let told = server.ok("POST", "/api/v1/subscriptions/ops/test", "");
    assert!(told["why"].as_str().is_some_and(|why| why.contains("a private address")), "{told}");
}

#[test]
fn a_subscription_is_made_tried_and_removed_from_the_command_line() {
    let receiver = Receiver::start(|_| false);
    let server = Server::start_with(&OPEN);
    let told = |arguments: &[&str]| {
        let output = server.cli(arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let made = told(&["subscription", "add", "ops", &receiver.url, "--on", "failed,timed_out", "--label", "team=ops"]);
    let secret = made.lines().find_map(|line| line.strip_prefix("secret ")).expect("it is shown once");
    receiver.trust(secret);
    assert!(told(&["subscription", "test", "ops"]).contains("taken: answered 204"));
    receiver.until(|came| (came.letters.len() == 1 && came.faults.is_empty()).then_some(()));
    let shown = told(&["subscription", "show", "ops"]);
    assert!(shown.contains("failed, timed_out") && shown.contains("team") && !shown.contains("whsec_"), "{shown}");
    assert!(told(&["subscription", "ls"]).contains(&receiver.url));
    assert!(told(&["subscription", "rotate", "ops"]).contains("whsec_"));
    assert!(told(&["subscription", "letters", "ops"]).contains("nothing here yet"));
    assert!(told(&["subscription", "redrive", "ops"]).contains("0 letters"));
    assert!(told(&["subscription", "rm", "ops"]).contains("removed"));
    assert!(!server.log().contains(secret), "a secret stands in the log");
}
