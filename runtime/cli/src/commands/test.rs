//! `camshaft workflow test`: a run of what may not be published yet, and what came of it.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{Session, execution};
use crate::client::escape;
use crate::timeline::{entry_line, render};
use crate::view::text;

/// Begins with the event and parameters of an execution.
pub(super) fn replay(session: &Session, name: &str, execution: &str, revision: Option<u32>) -> Result<Value> {
    let path = format!("/api/v1/executions/{}", escape(execution));
    let former = session.client.get(&path)?;
    let (workflow, id) = (text(&former["workflow"]), text(&former["workflow_id"]));
    ensure!(workflow == name || id == name, "execution {execution} is of workflow `{workflow}`, not `{name}`");
    let revision = revision.map_or(json!("draft"), |revision| json!(revision));
    session.client.json("POST", &format!("{path}/rerun"), &json!({"revision": revision}))
}

/// Waits for the end and shows all of it.
pub(super) fn show(session: &Session, id: &str, logs: bool) -> Result<ExitCode> {
    let succeeded = execution::follow(session, id, |entry| {
        // Whoever sits in front of it shall know what it waits for.
        if entry.get("wait_started").is_some() && !session.json {
            eprintln!("{}  {}", entry_line(entry), entry["wait_started"]["awaited"]);
        }
        Ok(())
    })?;
    let execution = session.client.get(&format!("/api/v1/executions/{}", escape(id)))?;
    session.print(&execution, |execution| render(execution, logs))?;
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
