//! Schedules of the real binary: killed around their firings, again and again, each firing happens once and none is lost.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::server::Server;

const KILLS: usize = 20;

/// Every execution of a workflow that its schedule started: when it was due, and its id.
fn fired(server: &Server, workflow: &str) -> Vec<(String, String)> {
    let (mut found, mut before) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/executions?workflow={workflow}&trigger=schedule&limit=200{before}");
        let page = server.ok("GET", &path, "");
        for item in page["items"].as_array().expect("a page has items") {
            let id = item["id"].as_str().expect("an id").to_owned();
            let execution = server.ok("GET", &format!("/api/v1/executions/{id}"), "");
            found.push((execution["event"]["time"].as_str().expect("it was due at a time").to_owned(), id));
        }
        match page["next"].as_str() {
            Some(next) => before = format!("&before={next}"),
            None => return found,
        }
    }
}

/// Waits until a schedule has fired in this server.
fn until_fired(server: &Server, times: u64) {
    until_came_to(server, "started", times);
}

/// Waits until so many firings have come to this in this server.
fn until_came_to(server: &Server, became: &str, times: u64) {
    let counted = format!("camshaft_schedule_firings_total{{became=\"{became}\"}} ");
    loop {
        let metrics =
            server.send("GET", "/metrics", &[("Authorization", "Bearer cst_test_admin_token_for_loopback_only")], b"");
        let text = metrics.text();
        let count = text.lines().find_map(|line| line.strip_prefix(counted.as_str()));
        if count.and_then(|count| count.parse().ok()).is_some_and(|count: u64| count >= times) {
            return;
        }
        std::thread::yield_now();
    }
}

#[test]
fn killed_around_each_second_a_schedule_fires_once_for_each_and_none_is_missing() {
    let mut server = Server::start();
    for (name, overlap) in [("every-second", "allow"), ("one-by-one", "queue")] {
        let schedule = format!("{{ every: 1s, missed: all, overlap: {overlap} }}");
        let document =
            format!("name: {name}\ntriggers: [ {{ schedule: {schedule} }} ]\nsteps: [ {{ set: {{ x: 1 }} }} ]\n");
        server.publish(name, &document);
    }
    for kill in 0..KILLS {
        // As soon as a firing is counted: the other schedule's, and what is written behind them, is under way.
        until_fired(&server, 1 + kill as u64 % 5);
        server = server.crash_and_restart();
    }
    // What a later firing finds behind it is all there.
    until_fired(&server, 8);
    let all = fired(&server, "every-second");
    let dues: BTreeSet<&str> = all.iter().map(|(due, _)| due.as_str()).collect();
    assert_eq!(dues.len(), all.len(), "a firing started something twice: {all:?}");
    let seconds: Vec<u64> = dues.iter().map(|due| seconds(due)).collect();
    let missing: Vec<_> = seconds.windows(2).filter(|pair| pair[1] - pair[0] != 1).collect();
    assert!(missing.is_empty(), "firings are missing between {missing:?}; the log: {}", server.log());
    assert!(seconds.len() >= 4, "{} firings in {KILLS} lives", seconds.len());

    let by_due = fired(&server, "one-by-one").into_iter().fold(BTreeMap::new(), |mut by_due, (due, id)| {
        by_due.entry(due).or_insert_with(Vec::new).push(id);
        by_due
    });
    assert!(by_due.values().all(|ids| ids.len() == 1), "a firing started something twice: {by_due:?}");
    println!("{KILLS} kills: {} firings of one schedule, {} of the other, each once", seconds.len(), by_due.len());
}

/// Seconds of the day; a test that runs over midnight counts on.
fn seconds(time: &str) -> u64 {
    let part = |range: std::ops::Range<usize>| time[range].parse::<u64>().expect("a time has numbers");
    part(8..10) * 86_400 + part(11..13) * 3_600 + part(14..16) * 60 + part(17..19)
}

#[test]
fn a_schedule_is_listed_with_what_its_last_firing_came_to_also_by_a_later_server() {
    let server = Server::start();
    let document =
        "name: tick\ntriggers: [ { schedule: { every: 1s, overlap: allow } } ]\nsteps: [ { set: { x: 1 } } ]\n";
    server.publish("tick", document);
    until_fired(&server, 1);
    let item = server.ok("GET", "/api/v1/schedules?next=3", "")["items"][0].take();
    assert_eq!((&item["workflow"], &item["every"]), (&Value::from("tick"), &Value::from("1s")));
    assert_eq!(item["last"]["became"], "started");
    assert_eq!(item["next"].as_array().map(Vec::len), Some(3));
    server.ok("PATCH", "/api/v1/workflows/tick/triggers/schedule", r#"{"enabled": false}"#);
    let server = server.crash_and_restart();
    let shown = String::from_utf8(server.cli(&["schedule", "ls"]).stdout).expect("it is text");
    assert!(shown.contains("tick") && shown.contains("off") && shown.contains("every 1s"), "{shown}");
    let last = server.ok("GET", "/api/v1/schedules", "")["items"][0]["last"].take();
    assert_eq!((&last["became"], &last["status"]), (&Value::from("started"), &Value::from("succeeded")), "{last:#}");
}

#[test]
fn what_a_schedule_could_not_start_is_told_by_a_later_server_too() {
    let server = Server::start();
    let document = "name: tick\nlimits: { per_day: 1 }\ntriggers: [ { schedule: { every: 1s, overlap: allow } } ]\n\
                    steps: [ { set: { x: 1 } } ]\n";
    server.publish("tick", document);
    // Over midnight it starts one more, and the others are refused all the same.
    until_came_to(&server, "refused", 2);
    server.ok("PATCH", "/api/v1/workflows/tick/triggers/schedule", r#"{"enabled": false}"#);
    let told = |server: &Server| {
        let mut schedule = server.ok("GET", "/api/v1/schedules", "")["items"][0].take();
        let trigger = server.ok("GET", "/api/v1/workflows/tick/triggers", "")["items"][0].take();
        let told = ["failed", "last_failures"].map(|key| schedule[key].take());
        assert_eq!(told, ["failed", "last_failures"].map(|key| trigger[key].clone()), "both tell the same");
        told
    };
    let server = server.stop_and_restart();
    let [failed, failures] = told(&server);
    let failures = failures.as_array().expect("it is a list");
    assert!(failed.as_u64() >= Some(2) && failures.len() >= 2, "{failed} {failures:?}");
    let why = failures[0]["why"].as_str().expect("a reason");
    assert_eq!(why, "workflow `tick` has reached its limit of 1 executions a day");
    let server = server.crash_and_restart();
    assert_eq!(told(&server)[0], failed);
}

#[test]
fn a_preview_needs_no_server() {
    let output = std::process::Command::new(crate::support::server::binary())
        .args(["--url", "http://127.0.0.1:1", "schedule", "preview", "30 2 * * *", "--timezone", "Europe/Berlin"])
        .args(["--after", "2027-03-27T00:00:00Z", "--next", "2"])
        .output()
        .expect("the binary starts");
    let shown = String::from_utf8(output.stdout).expect("it is text");
    assert!(shown.contains("2027-03-27T02:30:00+01:00") && shown.contains("2027-03-28T03:00:00+02:00"), "{shown}");
}
