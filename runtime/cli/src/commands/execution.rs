//! `camshaft execution …`

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Session, read_json, say};
use crate::arguments::Execution;
use crate::client::escape;
use crate::follow::Follow;
use crate::timeline::{entry_line, render};
use crate::view::{duration, status, table, text};

pub(super) fn run(session: &Session, command: Execution) -> Result<ExitCode> {
    let client = &session.client;
    match command {
        Execution::Ls { workflow, status: wanted, limit } => {
            let mut path = format!("/api/v1/executions?limit={limit}");
            if let Some(workflow) = workflow {
                path.push_str(&format!("&workflow={}", escape(&workflow)));
            }
            if let Some(wanted) = wanted {
                path.push_str(&format!("&status={}", escape(&wanted)));
            }
            let page = client.get(&path)?;
            session.print(&page["items"], |items| {
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
            return Ok(if follow(session, &id)? { ExitCode::SUCCESS } else { ExitCode::from(1) });
        }
        Execution::Rerun { id, from, revision } => {
            let path = format!("/api/v1/executions/{}/rerun", escape(&id));
            let begun = client.json("POST", &path, &json!({"from": from, "revision": revision}))?;
            session.print(&begun, |begun| {
                let test = if begun["test"] == true { ", as a test" } else { "" };
                format!("execution {}  repeats {id}{test}", text(&begun["execution_id"]))
            })?;
        }
        Execution::Approve { id, step, reject, comment } => {
            let path = format!("/api/v1/executions/{}/approval", escape(&id));
            let body = json!({"approved": !reject, "step": step, "comment": comment});
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

/// Prints an execution's entries as they come. Whether it succeeded.
pub(super) fn follow(session: &Session, id: &str) -> Result<bool> {
    let mut follow = Follow::new(&session.client, format!("/api/v1/executions/{}/stream", escape(id)));
    let mut succeeded = false;
    while let Some(event) = follow.next()? {
        if event.kind == "end" {
            break;
        }
        let entry: Value = serde_json::from_str(&event.data).context("the server's event is no JSON")?;
        say(&if session.json { entry.to_string() } else { entry_line(&entry) })?;
        succeeded = entry["ended"]["outcome"]["ending"] == "succeeded";
    }
    Ok(succeeded)
}
