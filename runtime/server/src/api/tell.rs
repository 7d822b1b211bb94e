//! Telling executions something: events for steps that wait, and people's answers to approvals.

use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use camshaft_model::seams::{Answer, Message};
use camshaft_model::{Value, json, limits};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::body::JsonBody;
use super::executions::visible;
use super::problem::{Fault, Problem};
use crate::tokens::{Caller, Scope};

/// Longest id, source and subject of an event, bytes.
const TEXT_BYTES_MAX: usize = 1_024;

/// An event for steps that wait.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventBody {
    /// What waits listen to: 1 to 256 bytes.
    pub topic: String,
    /// Its type; the topic where it is left out.
    pub r#type: Option<String>,
    /// With its source, its identity: the same one again counts once. Made where it is left out.
    pub id: Option<String>,
    /// Where it happened; `/api` where it is left out.
    pub source: Option<String>,
    /// What it happened to.
    pub subject: Option<String>,
    /// What it carries.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub data: Value,
}

/// Whom an event has reached.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventReached {
    /// The event's id.
    pub event_id: String,
    /// Executions that keep it now, each until a step takes it.
    pub executions: Vec<String>,
}

/// A person's answer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalBody {
    /// Yes or no.
    pub approved: bool,
    /// Path of the step; may be left out where one approval is asked for.
    pub step: Option<String>,
    /// Turns of the loops around it, outermost first.
    pub iteration: Option<Vec<u32>>,
    /// For whoever reads it later.
    pub comment: Option<String>,
}

/// Checks an event, and fills in what was left out. Answers with its id, too.
pub fn message(app: &App, body: EventBody) -> Result<(String, Message), Problem> {
    let EventBody { topic, r#type, id, source, subject, data } = body;
    let bounded = |field: &str, text: &str, most: usize| {
        let is_fit = (1..=most).contains(&text.len()) && !text.chars().any(char::is_control);
        let rule = format!("`{field}` is {text:?}: it has 1 to {most} bytes and no control characters");
        if is_fit { Ok(()) } else { Err(Problem::new(Fault::Malformed, rule).with("field", field)) }
    };
    bounded("topic", &topic, limits::KEY_BYTES_MAX)?;
    let id = id.unwrap_or_else(|| app.ids.resource().to_string());
    let source = source.unwrap_or_else(|| "/api".to_owned());
    let kind = r#type.unwrap_or_else(|| topic.clone());
    for (field, text) in
        [("id", Some(&id)), ("source", Some(&source)), ("type", Some(&kind)), ("subject", subject.as_ref())]
    {
        text.map_or(Ok(()), |text| bounded(field, text, TEXT_BYTES_MAX))?;
    }
    let time = app.clock.now().to_string();
    let event = json!({"id": id, "type": kind, "topic": topic, "source": source, "subject": subject, "time": time, "data": data});
    Ok((id, Message { topic, event: Arc::new(event) }))
}

/// Send an event to every open execution that has a step which waits for its topic, now or later.
#[utoipa::path(
    post, path = "/api/v1/events", tag = "executions", operation_id = "send_event", request_body = EventBody,
    responses(
        (status = 202, description = "it is durable with each of these executions", body = EventReached),
        (status = 400, description = "a field is not what it should be"),
        (status = 413, description = "too large"),
    )
)]
pub async fn send(
    app: App,
    caller: Caller,
    JsonBody(body): JsonBody<EventBody>,
) -> Result<(StatusCode, Json<EventReached>), Problem> {
    let (event_id, message) = message(&app, body)?;
    let reached = app.dispatch.send(&caller.workspace, message).await?;
    let executions = reached.iter().map(ToString::to_string).collect();
    Ok((StatusCode::ACCEPTED, Json(EventReached { event_id, executions })))
}

/// Send an event to one execution.
#[utoipa::path(
    post, path = "/api/v1/executions/{execution}/events", tag = "executions", operation_id = "send_event_to_execution",
    params(("execution" = String, Path, description = "its id")),
    request_body = EventBody,
    responses(
        (status = 202, description = "it is durable", body = EventReached),
        (status = 400, description = "a field is not what it should be"),
        (status = 404, description = "unknown"),
        (status = 409, description = "it has ended, or no step of it waits for the topic"),
        (status = 413, description = "too large"),
    )
)]
pub async fn send_to(
    app: App,
    caller: Caller,
    Path(which): Path<String>,
    JsonBody(body): JsonBody<EventBody>,
) -> Result<(StatusCode, Json<EventReached>), Problem> {
    let summary = visible(&app, &caller, &which).await?;
    let (event_id, message) = message(&app, body)?;
    app.dispatch.send_to(summary.id, message).await?;
    Ok((StatusCode::ACCEPTED, Json(EventReached { event_id, executions: vec![summary.id.to_string()] })))
}

/// Answer an approval that a step of an execution asks for.
#[utoipa::path(
    post, path = "/api/v1/executions/{execution}/approval", tag = "executions", operation_id = "answer_approval",
    params(("execution" = String, Path, description = "its id")),
    request_body = ApprovalBody,
    responses(
        (status = 200, description = "noted: `{execution_id, approved, by}`", body = Object),
        (status = 403, description = "somebody else is asked"),
        (status = 404, description = "unknown"),
        (status = 409, description = "it has ended, or asks for no such approval"),
        (status = 413, description = "too large"),
    )
)]
pub async fn answer(
    app: App,
    caller: Caller,
    Path(which): Path<String>,
    JsonBody(body): JsonBody<ApprovalBody>,
) -> Result<Json<Value>, Problem> {
    let summary = visible(&app, &caller, &which).await?;
    let ApprovalBody { approved, step, iteration, comment } = body;
    if let Some(comment) = comment.as_ref().filter(|comment| comment.len() > limits::MESSAGE_BYTES_MAX) {
        let (found, most) = (comment.len(), limits::MESSAGE_BYTES_MAX);
        return Err(Problem::new(Fault::Malformed, format!("`comment` has {found} bytes; {most} is the limit")));
    }
    let by = caller.label.to_string();
    let is_operator = caller.scope == Scope::Operator;
    let manages = caller.manages();
    let answer = Answer { step, iteration, approved, by: by.clone(), is_operator, manages, comment };
    app.dispatch.answer(summary.id, answer).await?;
    Ok(Json(json!({"execution_id": summary.id.to_string(), "approved": approved, "by": by})))
}
