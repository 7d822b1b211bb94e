//! What ran, as Paragon's task history shows it, and running it again. With an API key.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use camshaft_model::ids::{IdOrName, UserId};
use camshaft_model::summary::{Status, Summary};
use camshaft_model::time::Timestamp;
use camshaft_model::{Value, json};

use super::Door;
use super::refused::Refused;
use crate::api::App;
use crate::api::executions::{inspect, visible};
use crate::api::filter::{Filter, look};
use crate::api::page::limit;
use crate::api::problem::Problem;
use crate::api::rerun::{Again, start_again};
use crate::api::timeline::{Stage, StepView};
use crate::dialects::{Which, named};

/// Paragon's words for where an execution stands, with ours.
const STATUSES: [(&str, &[Status]); 4] = [
    ("EXECUTING", &[Status::Accepted, Status::Queued, Status::Running]),
    ("DELAYED", &[Status::Waiting]),
    ("SUCCEEDED", &[Status::Succeeded]),
    ("FAILED", &[Status::Failed, Status::TimedOut, Status::Cancelled, Status::Dropped]),
];

/// GET `…/workflow-executions?workflowId=&status=&userId=&startDate=&endDate=&limit=&cursor=`
pub(super) async fn list(
    State(door): State<Arc<Door>>,
    which: Which<String>,
    request: Request,
) -> Result<Json<Value>, Refused> {
    let (head, _) = request.into_parts();
    let project = named(which);
    let (app, caller) = door.holder(&project, &head)?;
    let Asked { filter, limit: wanted, cursor, rest } = Asked::read(&head.uri)?;
    let limit = limit(wanted).map_err(|_| Refused::key("limit", "must be a number from 1 to 200"))?;
    let before = cursor.as_deref().map(str::parse).transpose();
    let before = before.map_err(|_| Refused::key("cursor", "must be the one of a nextLink"))?;
    let wanted = filter.check(&app, &caller)?;
    let looked = look(&app, &wanted, before, limit, |_| true).await.map_err(Problem::from)?;
    let data: Vec<_> = looked.found.iter().map(|summary| item(&app, summary)).collect();
    let link = looked.next.map(|next| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&rest).append_pair("cursor", &next.to_string());
        let path = format!("/projects/{project}/task-history/workflow-executions");
        format!("{}{path}?{}", app.public_url, query.finish())
    });
    Ok(Json(json!({"data": data, "nextLink": link})))
}

/// What a list is asked for.
#[derive(Default)]
struct Asked {
    filter: Filter,
    limit: Option<usize>,
    cursor: Option<String>,
    /// Everything but the cursor, for the link to the next page.
    rest: Vec<(String, String)>,
}

impl Asked {
    fn read(uri: &Uri) -> Result<Self, Refused> {
        let mut asked = Self::default();
        for (key, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            let value = value.into_owned();
            if key != "cursor" {
                asked.rest.push((key.to_string(), value.clone()));
            }
            match &*key {
                "workflowId" => {
                    let wrong = |_| Refused::key("workflowId", "must be the id or the name of a workflow");
                    IdOrName::parse("workflow id", &value).map_err(wrong)?;
                    asked.filter.workflow = Some(value);
                }
                "userId" => {
                    let wrong = |_| Refused::key("userId", "must have 1 to 255 bytes and no control characters");
                    UserId::new(&value).map_err(wrong)?;
                    asked.filter.user = Some(value);
                }
                "startDate" | "endDate" => {
                    let wrong = |_| Refused::key(&key, "must be a time such as 2026-10-01T00:00:00Z");
                    value.parse::<Timestamp>().map_err(wrong)?;
                    let place = if key == "startDate" { &mut asked.filter.since } else { &mut asked.filter.until };
                    *place = Some(value);
                }
                "cursor" => asked.cursor = Some(value),
                "limit" => {
                    let limit = value.parse().map_err(|_| Refused::key("limit", "must be a number from 1 to 200"))?;
                    asked.limit = Some(limit);
                }
                "status" => {
                    let Some((_, ours)) = STATUSES.iter().find(|(word, _)| *word == value) else {
                        return Err(Refused::key("status", "must be EXECUTING, DELAYED, SUCCEEDED or FAILED"));
                    };
                    let words: Vec<_> = ours.iter().map(|status| status.as_str()).collect();
                    asked.filter.status = Some(words.join(","));
                }
                other => return Err(Refused::key(other, "should not exist")),
            }
        }
        Ok(asked)
    }
}

/// GET `…/workflow-executions/{execution}`
pub(super) async fn show(
    State(door): State<Arc<Door>>,
    which: Which<(String, String)>,
    request: Request,
) -> Result<Json<Value>, Refused> {
    let (head, _) = request.into_parts();
    let (project, execution) = named(which);
    let (app, caller) = door.holder(&project, &head)?;
    let summary = found(visible(&app, &caller, &execution).await, &execution)?;
    let inspected = inspect(&app, summary).await?;
    let mut shown = item(&app, &inspected.summary);
    let steps: Vec<_> = inspected.timeline.steps.iter().map(|one| step_of(&execution, one)).collect();
    shown["stepExecutions"] = json!(steps);
    shown["output"] = inspected.timeline.outcome.map(|outcome| (*outcome.output).clone()).unwrap_or_default();
    Ok(Json(shown))
}

/// GET `…/workflow-executions/{execution}/step-executions/{step}`
pub(super) async fn step(
    State(door): State<Arc<Door>>,
    which: Which<(String, String, String)>,
    request: Request,
) -> Result<Json<Value>, Refused> {
    let (head, _) = request.into_parts();
    let (project, execution, step) = named(which);
    let (app, caller) = door.holder(&project, &head)?;
    let summary = found(visible(&app, &caller, &execution).await, &execution)?;
    let inspected = inspect(&app, summary).await?;
    let mut steps = inspected.timeline.steps.iter();
    let one = steps.find(|one| step_id(one) == step).ok_or_else(|| Refused::unknown("step execution", &step))?;
    let mut shown = step_of(&execution, one);
    shown["input"] = one.attempts.last().map(|attempt| attempt.input.clone()).unwrap_or_default();
    shown["output"] = one.output.clone().unwrap_or_default();
    Ok(Json(shown))
}

/// POST `…/workflow-executions/{execution}/replay`: with the revision that it ran.
pub(super) async fn replay(
    State(door): State<Arc<Door>>,
    which: Which<(String, String)>,
    request: Request,
) -> Result<Response, Refused> {
    let (head, _) = request.into_parts();
    let (project, execution) = named(which);
    let (app, caller) = door.holder(&project, &head)?;
    if !caller.manages() {
        return Err(Refused::no_api_key());
    }
    let summary = found(visible(&app, &caller, &execution).await, &execution)?;
    let again = start_again(&app, summary.id, &Again::default()).await?;
    let body = json!({"workflowExecutionId": again.execution_id, "replayOf": again.repeats});
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// An execution that there is; a text that is no id names none.
fn found(summary: Result<Summary, Problem>, which: &str) -> Result<Summary, Refused> {
    summary.map_err(|problem| match problem.status() {
        400 | 404 => Refused::unknown("workflow execution", which),
        _ => problem.into(),
    })
}

fn item(app: &App, summary: &Summary) -> Value {
    let connection = summary.connection.as_ref();
    json!({
        "id": summary.id,
        "projectId": app.workspace,
        "workflowId": summary.revision.workflow_id,
        "workflowName": summary.revision.workflow,
        "integration": connection.map(|of| &of.integration),
        "userId": connection.map(|of| &of.user),
        "status": word(summary.status),
        "dateStarted": summary.accepted_at.to_string(),
        "dateEnded": summary.ended_at.map(|at| at.to_string()),
        "error": summary.failure,
        "replayOf": summary.repeats,
    })
}

fn step_of(execution: &str, step: &StepView) -> Value {
    json!({
        "id": step_id(step),
        "workflowExecutionId": execution,
        "name": step.name.as_ref().or(step.id.as_ref()).unwrap_or(&step.path),
        "type": step.kind,
        "status": stage_word(step.status),
        "dateStarted": step.started_at,
        "error": step.failure.as_ref().map(ToString::to_string),
    })
}

/// A step's path with the turns of the loops around it: `lookup`, `price[2]`.
fn step_id(step: &StepView) -> String {
    let turns: String = step.iteration.iter().map(|turn| format!("[{turn}]")).collect();
    format!("{}{turns}", step.path)
}

fn word(status: Status) -> &'static str {
    let found = STATUSES.iter().find(|(_, ours)| ours.contains(&status));
    found.map_or("EXECUTING", |(word, _)| word)
}

fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Running => "EXECUTING",
        Stage::Waiting => "DELAYED",
        Stage::Succeeded | Stage::Kept | Stage::Skipped => "SUCCEEDED",
        Stage::Failed | Stage::Cancelled => "FAILED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_one_of_paragon_s_words() {
        for status in Status::ALL {
            assert!(STATUSES.iter().any(|(_, ours)| ours.contains(&status)), "{status}");
        }
    }
}
