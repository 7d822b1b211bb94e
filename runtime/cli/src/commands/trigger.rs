//! `camshaft trigger …`

use anyhow::Result;
use serde_json::{Value, json};

use super::{Session, say};
use crate::arguments::Trigger;
use crate::client::escape;
use crate::view::{table, text};

pub(super) fn run(session: &Session, command: Trigger) -> Result<()> {
    match command {
        Trigger::Ls { workflow, environment, curl } => {
            let query = environment.map(|environment| format!("?environment={}", escape(&environment)));
            let path = format!("/api/v1/workflows/{}/triggers{}", escape(&workflow), query.unwrap_or_default());
            let items = session.client.get(&path)?["items"].take();
            session.print(&items, |items| {
                let items = items.as_array().into_iter().flatten();
                if curl {
                    return items.map(|t| text(&t["curl"])).collect::<Vec<_>>().join("\n");
                }
                let row = |t: &Value| {
                    let enabled = if t["enabled"] == json!(true) { "on" } else { "off" };
                    let url =
                        ["sync", "events", "trigger"].iter().find_map(|kind| t["urls"][*kind].as_str()).unwrap_or("-");
                    vec![
                        text(&t["key"]),
                        enabled.to_owned(),
                        text(&t["started"]),
                        text(&t["last_started_at"]),
                        text(&t["failed"]),
                        url.to_owned(),
                    ]
                };
                table(&["trigger", "is", "started", "last", "failed", "url"], items.map(row))
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
