//! `camshaft trigger …`

use anyhow::Result;
use serde_json::{Value, json};

use super::{Session, say};
use crate::arguments::Trigger;
use crate::client::escape;
use crate::view::{harmless, table, text};

/// Failures of each trigger that are shown.
const FAILURES_SHOWN: usize = 3;

pub(super) fn run(session: &Session, command: Trigger) -> Result<()> {
    match command {
        Trigger::Ls { workflow, environment, curl } => {
            let query = environment.map(|environment| format!("?environment={}", escape(&environment)));
            let path = format!("/api/v1/workflows/{}/triggers{}", escape(&workflow), query.unwrap_or_default());
            let items = session.client.get(&path)?["items"].take();
            session.print(&items, |items| {
                let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
                if curl { curls(items) } else { shown(items) }
            })
        }
        Trigger::Enable { workflow, trigger } => switch(session, &workflow, &trigger, true),
        Trigger::Disable { workflow, trigger } => switch(session, &workflow, &trigger, false),
    }
}

fn switch(session: &Session, workflow: &str, trigger: &str, enabled: bool) -> Result<()> {
    let path = format!("/api/v1/workflows/{}/triggers/{}", escape(workflow), escape(trigger));
    let switched = session.client.json("PATCH", &path, &json!({"enabled": enabled}))?;
    if session.json {
        return session.print(&switched, |_| String::new());
    }
    say(&format!("{workflow}  {trigger} is {}", if enabled { "on" } else { "off" }))
}

/// Every call, one a line.
fn curls(items: &[Value]) -> String {
    let calls = items.iter().flat_map(|trigger| trigger["curl"].as_object().into_iter().flatten());
    calls.map(|(_, call)| harmless(call.as_str().unwrap_or_default())).collect::<Vec<_>>().join("\n")
}

/// A line for each trigger and each of its URLs, and below them why they could not start anything.
fn shown(items: &[Value]) -> String {
    let rows = items.iter().flat_map(|trigger| {
        let enabled = if trigger["enabled"] == json!(true) { "on" } else { "off" };
        let told = |name: &str| text(&trigger[name]);
        let first = vec![
            told("key"),
            enabled.to_owned(),
            told("started"),
            told("last_started_at"),
            told("next_at"),
            told("failed"),
        ];
        let mut urls: Vec<_> = trigger["urls"].as_object().into_iter().flatten().map(|(_, url)| text(url)).collect();
        if urls.is_empty() {
            urls.push("-".to_owned());
        }
        let beside = vec![String::new(); first.len()];
        let lines = std::iter::once(first).chain(std::iter::repeat(beside));
        urls.into_iter().zip(lines).map(|(url, line)| [line, vec![url]].concat()).collect::<Vec<_>>()
    });
    let shown = table(&["trigger", "is", "started", "last", "next", "failed", "url"], rows);
    let failures: Vec<_> = items.iter().flat_map(failures).collect();
    if failures.is_empty() { shown } else { format!("{shown}\n\n{}", failures.join("\n")) }
}

/// The latest failures of a trigger, newest first.
fn failures(trigger: &Value) -> Vec<String> {
    let latest = trigger["last_failures"].as_array().into_iter().flatten().take(FAILURES_SHOWN);
    let line = |failure: &Value| {
        format!("{}  not started at {}: {}", text(&trigger["key"]), text(&failure["time"]), text(&failure["why"]))
    };
    latest.map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_url_the_next_firing_and_why_nothing_was_started_are_shown() {
        let failure = |n: u8| json!({"time": format!("2026-10-0{n}T00:00:00Z"), "why": format!("why {n}")});
        let items = [
            json!({
                "key": "webhook:shop", "enabled": true, "started": 2, "failed": 4, "last_started_at": "2026-10-05T00:00:00Z",
                "urls": {"async": "https://h/async", "sync": "https://h/sync", "webhook": "https://h/all"},
                "curl": {"async": "curl a", "sync": "curl b"},
                "last_failures": [failure(4), failure(3), failure(2), failure(1)],
            }),
            json!({
                "key": "schedule", "enabled": false, "started": 0, "failed": 0, "next_at": "2026-10-09T07:00:00Z", "urls": {},
                "curl": {}, "last_failures": [],
            }),
        ];
        let lines: Vec<_> =
            shown(&items).lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "TRIGGER IS STARTED LAST NEXT FAILED URL",
                "webhook:shop on 2 2026-10-05T00:00:00Z 4 https://h/async",
                "https://h/sync",
                "https://h/all",
                "schedule off 0 2026-10-09T07:00:00Z 0 -",
                "",
                "webhook:shop not started at 2026-10-04T00:00:00Z: why 4",
                "webhook:shop not started at 2026-10-03T00:00:00Z: why 3",
                "webhook:shop not started at 2026-10-02T00:00:00Z: why 2",
            ]
        );
        assert_eq!(curls(&items), "curl a\ncurl b");
    }
}
