//! `camshaft execution …`

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Session, read_json, rerun, say};
use crate::arguments::{Execution, Which};
use crate::client::escape;
use crate::follow::Follow;
use crate::timeline::{entry_line, render};
use crate::view::{duration, status, table, text};

pub(super) fn run(session: &Session, command: Execution) -> Result<ExitCode> {
    let client = &session.client;
    match command {
        Execution::Ls { which, limit } => {
            let items = client.newest(&format!("/api/v1/executions?{}", query(&filter(&which)?)), limit)?;
            session.print(&Value::Array(items), |items| {
                let row = |e: &Value| {
                    let took = e["duration_us"].as_u64().map(duration).unwrap_or_default();
                    vec![
                        text(&e["id"]),
                        text(&e["workflow"]),
                        status(&text(&e["status"])),
                        took,
                        text(&e["accepted_at"]),
                    ]
                };
                table(
                    &["id", "workflow", "status", "took", "accepted"],
                    items.as_array().into_iter().flatten().map(row),
                )
            })?;
        }
        Execution::Show { id, logs, journal: false } => {
            let execution = client.get(&format!("/api/v1/executions/{}", escape(&id)))?;
            session.print(&execution, |execution| render(execution, logs))?;
        }
        Execution::Show { id, journal: true, .. } => {
            for entry in entries(session, &id)? {
                say(&entry.to_string())?;
            }
        }
        Execution::Cancel { id } => {
            let cancelled = client.json("POST", &format!("/api/v1/executions/{}/cancel", escape(&id)), &Value::Null)?;
            session.print(&cancelled, |_| format!("execution {id}  asked to end"))?;
        }
        Execution::Watch { id } => {
            let line = |entry: &Value| if session.json { entry.to_string() } else { entry_line(entry) };
            let succeeded = follow(session, &id, |entry| say(&line(entry)))?;
            return Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::from(1) });
        }
        Execution::Rerun { id: Some(id), from, revision, .. } => {
            rerun::one(session, &id, from.as_deref(), revision.as_deref())?;
        }
        Execution::Rerun { id: None, which, limit, dry_run, yes, .. } => {
            return rerun::all(session, &filter(&which)?, limit, dry_run, yes);
        }
        Execution::Approve { id, step, turn, reject, comment } => {
            let path = format!("/api/v1/executions/{}/approval", escape(&id));
            let body = json!({"approved": !reject, "step": step, "iteration": turn, "comment": comment});
            let noted = client.json("POST", &path, &body)?;
            session.print(&noted, |noted| {
                let word = if reject { "rejected" } else { "approved" };
                format!("execution {id}  {word} by {}", text(&noted["by"]))
            })?;
        }
        Execution::Send { topic, data, event_id, execution } => {
            let data = data.as_deref().map(|data| read_json(data, "--data")).transpose()?;
            let path = match &execution {
                Some(id) => format!("/api/v1/executions/{}/events", escape(id)),
                None => "/api/v1/events".to_owned(),
            };
            let sent = client.json("POST", &path, &json!({"topic": topic, "data": data, "id": event_id}))?;
            session.print(&sent, |sent| {
                let reached = sent["executions"].as_array().map_or(0, Vec::len);
                let noun = if reached == 1 { "execution" } else { "executions" };
                format!("event {}  reached {reached} {noun}", text(&sent["event_id"]))
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A filter as the server takes it, as JSON.
pub(super) fn filter(which: &Which) -> Result<Value> {
    let Which { workflow, status, labels, trigger, environment, since, until, test } = which;
    let mut filter =
        json!({"workflow": workflow, "status": status, "trigger": trigger, "environment": environment, "test": test});
    filter["since"] = json!(since.as_deref().map(|since| moment("--since", since)).transpose()?);
    filter["until"] = json!(until.as_deref().map(|until| moment("--until", until)).transpose()?);
    filter["label"] = json!(labels);
    if let Value::Object(words) = &mut filter {
        words.retain(|_, value| !value.is_null() && value.as_array().is_none_or(|all| !all.is_empty()));
    }
    Ok(filter)
}

/// The same as a query.
fn query(filter: &Value) -> String {
    let mut words = Vec::new();
    for (name, value) in filter.as_object().into_iter().flatten() {
        match value {
            Value::Array(all) => words.extend(all.iter().map(|one| (name, text(one)))),
            value => words.push((name, text(value))),
        }
    }
    words.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect::<Vec<_>>().join("&")
}

/// A time, or how long ago it was.
fn moment(what: &str, text: &str) -> Result<String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        let then = SystemTime::now().checked_sub(ago).filter(|then| *then >= UNIX_EPOCH);
        let then = then.with_context(|| format!("{what} is `{text}`: too long ago"))?;
        return Ok(humantime::format_rfc3339_millis(then).to_string());
    }
    Ok(text.to_owned())
}

/// A whole journal.
fn entries(session: &Session, id: &str) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    loop {
        let page = session.client.get(&format!("/api/v1/executions/{}/journal?from={}", escape(id), all.len()))?;
        all.extend(page["items"].as_array().cloned().unwrap_or_default());
        if page["next"].is_null() {
            return Ok(all);
        }
    }
}

/// Hands out an execution's entries as they come. Whether it succeeded.
pub(super) fn follow(session: &Session, id: &str, mut take: impl FnMut(&Value) -> Result<()>) -> Result<bool> {
    let mut follow = Follow::new(&session.client, format!("/api/v1/executions/{}/stream", escape(id)));
    let mut succeeded = false;
    while let Some(event) = follow.next()? {
        if event.kind == "end" {
            break;
        }
        let entry: Value = serde_json::from_str(&event.data).context("the server's event is no JSON")?;
        take(&entry)?;
        succeeded = entry["ended"]["outcome"]["ending"] == "succeeded";
    }
    Ok(succeeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_one_filter_for_queries_and_bodies() {
        let which = Which {
            workflow: Some("triage".to_owned()),
            status: None,
            labels: vec!["team:a b".to_owned(), "tier:1".to_owned()],
            trigger: None,
            environment: None,
            since: Some("2026-11-21T07:00:00Z".to_owned()),
            until: None,
            test: Some(false),
        };
        let filter = filter(&which).unwrap();
        let since = "2026-11-21T07:00:00Z";
        assert_eq!(
            filter,
            json!({"workflow": "triage", "test": false, "since": since, "label": ["team:a b", "tier:1"]})
        );
        assert_eq!(
            query(&filter),
            "workflow=triage&test=false&since=2026-11-21T07%3A00%3A00Z&label=team%3Aa%20b&label=tier%3A1"
        );
    }

    #[test]
    fn a_time_may_be_how_long_ago_it_was() {
        assert_eq!(moment("--since", "2026-11-21T07:00:00Z").unwrap(), "2026-11-21T07:00:00Z");
        assert!(moment("--since", "2d").unwrap().ends_with('Z'));
        assert!(moment("--since", "9000000years").unwrap_err().to_string().contains("9000000years"));
    }
}
