//! Executions as ToolJet shows them: polled, and as a stream.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use camshaft_model::entry::{Awaited, Entry};
use camshaft_model::ids::ExecutionId;
use camshaft_model::outcome::Ending;
use camshaft_model::summary::{Status, Summary};
use camshaft_model::{Value, json};
use futures::stream::unfold;

use super::refused::Refused;
use super::{Called, Door};
use crate::api::executions::inspect;
use crate::api::following::{Following, Told};
use crate::api::problem::Problem;
use crate::api::timeline::{Stage, StepView};
use crate::dialects::{Which, named};
use crate::tokens::Right;

/// ToolJet's word for a status.
pub(super) fn word(status: Status) -> &'static str {
    match status {
        Status::Accepted | Status::Running => "running",
        Status::Queued | Status::Waiting => "waiting",
        Status::Succeeded => "completed",
        Status::Failed | Status::TimedOut => "failed",
        Status::Cancelled | Status::Dropped => "terminated",
    }
}

fn node_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Running => "running",
        Stage::Waiting => "waiting",
        Stage::Succeeded | Stage::Kept => "completed",
        Stage::Failed => "failed",
        Stage::Skipped => "skipped",
        Stage::Cancelled => "terminated",
    }
}

fn node(step: &StepView) -> Value {
    let executed = matches!(step.status, Stage::Succeeded | Stage::Kept | Stage::Failed);
    let failed = || step.failure.as_ref().map(|failure| json!({"error": failure.to_string()}));
    json!({
        "id": step.path,
        "name": step.name.as_ref().or(step.id.as_ref()).unwrap_or(&step.path),
        "executed": executed,
        "status": node_word(step.status),
        "result": step.output.clone().or_else(failed),
    })
}

/// GET `…/status/{execution}`
pub(super) async fn status(
    State(door): State<Arc<Door>>,
    which: Which<(String, String)>,
    request: Request,
) -> Result<Response, Refused> {
    let (called, summary) = looked_up(&door, which, request).await?;
    let inspected = inspect(&called.app, summary).await?;
    let nodes: Vec<_> = inspected.timeline.steps.iter().map(node).collect();
    Ok(Json(json!({"status": word(inspected.summary.status), "nodes": nodes, "logs": []})).into_response())
}

/// GET `…/execution/{execution}/stream`
pub(super) async fn stream(
    State(door): State<Arc<Door>>,
    which: Which<(String, String)>,
    request: Request,
) -> Result<Response, Refused> {
    // Before anything is read: an append is either read or told of.
    let notices = (door.instance.appended)();
    let (called, summary) = looked_up(&door, which, request).await?;
    let following = Following::new(called.app, &called.caller, &summary, 0, notices).await;
    let first = event("workflow_connection_initialized", summary.id, json!({}));
    let telling = (following, summary.id, VecDeque::from([first]));
    let events = unfold(telling, |(mut following, id, mut ready)| async move {
        if ready.is_empty() {
            ready.push_back(match following.next().await? {
                Told::Entry(_, entry) => of_entry(&following, id, &entry),
                Told::End(_) => event("workflow_connection_close", id, json!({})),
            });
        }
        let next = ready.pop_front()?;
        Some((Ok::<_, Infallible>(next), (following, id, ready)))
    });
    // A proxy that collects an answer before it hands it on would hand this one on at its end.
    let unbuffered = [("x-accel-buffering", "no")];
    Ok((unbuffered, Sse::new(events).keep_alive(KeepAlive::default())).into_response())
}

/// The execution, where it is one of the workflow.
async fn looked_up(
    door: &Door,
    which: Which<(String, String)>,
    request: Request,
) -> Result<(Called, Summary), Refused> {
    let (head, _) = request.into_parts();
    let (workflow, execution) = named(which);
    let called = door.enter(&workflow, Right::Read, &head)?;
    let id: ExecutionId = execution.parse().map_err(|_| Refused::unknown_execution())?;
    let summary = called.app.store.summary(id).await.map_err(Problem::from)?;
    let is_its = |summary: &Summary| {
        summary.workspace == called.app.workspace && summary.revision.workflow_id == called.workflow.id
    };
    let summary = summary.filter(is_its).ok_or_else(Refused::unknown_execution)?;
    Ok((called, summary))
}

fn of_entry(following: &Following, id: ExecutionId, entry: &Entry) -> Event {
    match entry {
        Entry::Accepted { .. } => event("workflow_execution_triggered", id, json!({"status": "running"})),
        Entry::Started { .. } => event("workflow_execution_running", id, json!({"status": "running"})),
        Entry::Queued { .. } => event("workflow_execution_waiting", id, json!({"status": "waiting"})),
        Entry::WaitStarted { awaited: Awaited::Approval { .. }, .. } => {
            event("workflow_execution_waiting", id, json!({"status": "waiting", "node": at(following, entry)}))
        }
        Entry::ApprovalGiven { .. } => {
            event("workflow_execution_running", id, json!({"status": "running", "node": at(following, entry)}))
        }
        Entry::Ended { outcome, .. } => {
            let name = match outcome.ending {
                Ending::Succeeded => "workflow_execution_completed",
                Ending::Failed | Ending::TimedOut => "workflow_execution_error",
                Ending::Cancelled | Ending::Dropped => "workflow_execution_terminated",
            };
            let error = outcome.failure.as_ref().map(ToString::to_string);
            let status = word(outcome.ending.into());
            event(name, id, json!({"status": status, "result": outcome.output, "error": error}))
        }
        other => {
            event("workflow_connection_streaming", id, json!({"node": at(following, other), "entry": other.word()}))
        }
    }
}

/// The node that an entry is about.
fn at(following: &Following, entry: &Entry) -> Value {
    let shown = following.shown(entry);
    let Some(path) = shown[entry.word()]["step"].as_str() else { return Value::Null };
    let step = following.program.as_ref().and_then(|program| program.steps.iter().find(|step| step.path == path));
    let name = step.and_then(|step| step.name.as_deref().or(step.id.as_deref()));
    json!({"id": path, "name": name.unwrap_or(path)})
}

fn event(name: &str, id: ExecutionId, mut data: Value) -> Event {
    data["type"] = json!(name);
    data["executionId"] = json!(id);
    Event::default().event(name).json_data(data).expect("a value is JSON")
}
