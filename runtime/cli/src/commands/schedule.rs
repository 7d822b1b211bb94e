//! `camshaft schedule …`

use anyhow::{Result, anyhow};
use camshaft_server::preview::PreviewQuery;
use serde_json::{Value, json};

use super::Session;
use crate::arguments::Schedule;
use crate::client::escape;
use crate::view::{table, text};

pub(super) fn run(session: &Session, command: Schedule) -> Result<()> {
    match command {
        Schedule::Ls { workflow, environment } => {
            let named = [("workflow", workflow), ("environment", environment)];
            let query = named.into_iter().filter_map(|(key, value)| Some(format!("&{key}={}", escape(&value?))));
            let path = format!("/api/v1/schedules?next=1{}", query.collect::<String>());
            let items = session.client.list(&path)?;
            session.print(&Value::Array(items), |items| {
                let header = ["workflow", "environment", "trigger", "is", "when", "timezone", "next", "last"];
                table(&header, items.as_array().into_iter().flatten().map(row))
            })
        }
        Schedule::Preview { cron, at, every, timezone, gap, fold, after, next } => {
            let query = PreviewQuery { cron, at, every, timezone, gap, fold, after, next: Some(next) };
            let preview = camshaft_server::preview_of_schedule(&query).map_err(|fault| anyhow!("{fault}"))?;
            session.print(&preview, |preview| {
                let times = preview["next"].as_array().into_iter().flatten();
                table(&["due", "on the wall clock"], times.map(|time| vec![text(&time["due"]), text(&time["local"])]))
            })
        }
    }
}

fn row(item: &Value) -> Vec<String> {
    let timing = ["cron", "at", "every"].iter().find_map(|kind| Some((kind, item[*kind].as_str()?)));
    let last = &item["last"];
    let last = match (last["became"].as_str(), last["status"].as_str()) {
        (Some("started"), Some(status)) => format!("{} {status}", text(&last["due"])),
        (Some(became), _) => format!("{} {became}", text(&last["due"])),
        (None, _) => String::new(),
    };
    vec![
        text(&item["workflow"]),
        text(&item["environment"]),
        text(&item["trigger"]),
        if item["enabled"] == json!(true) { "on" } else { "off" }.to_owned(),
        timing.map(|(kind, value)| format!("{kind} {}", text(&json!(value)))).unwrap_or_default(),
        text(&item["timezone"]),
        text(&item["next"][0]["due"]),
        last,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_when_it_is_due_and_what_the_last_firing_came_to() {
        let item = json!({"workflow": "w", "environment": "production", "trigger": "schedule", "enabled": true, "cron": "@daily",
            "at": null, "every": null, "timezone": "UTC", "next": [{"due": "soon"}], "last": null});
        assert_eq!(row(&item), ["w", "production", "schedule", "on", "cron @daily", "UTC", "soon", ""]);
        let with = |last| {
            let mut item = item.clone();
            item["last"] = last;
            row(&item).pop().unwrap()
        };
        assert_eq!(with(json!({"due": "then", "became": "started", "status": "failed"})), "then failed");
        assert_eq!(with(json!({"due": "then", "became": "started", "status": null})), "then started");
        assert_eq!(with(json!({"due": "then", "became": "skipped", "status": "running"})), "then skipped");
    }
}
