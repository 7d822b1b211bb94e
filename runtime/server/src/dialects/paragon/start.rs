//! What a user's app starts: its events, and requests of one workflow.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use camshaft_model::ids::{ExecutionId, Name};
use camshaft_model::invocation::TriggerSource;
use camshaft_model::program::StepKind;
use camshaft_model::seams::Start;
use camshaft_model::{Map, Value, json};
use camshaft_triggers::http::reply;

use super::refused::Refused;
use super::{Called, Door};
use crate::api::app_events::{AppEvent, send_for};
use crate::api::problem::Problem;
use crate::api::publish::production;
use crate::api::start::{Started, start_for};
use crate::api::{App, body, connect};
use crate::dialects::{Which, named, request_trigger, with_room};

/// The status of an execution that did not come to its Exit step in time.
const NOT_COMPLETED: u16 = 542;

/// POST `/sdk/events/trigger`
pub(super) async fn event(
    State(door): State<Arc<Door>>,
    which: Which<String>,
    request: Request,
) -> Result<Response, Refused> {
    let (head, body) = request.into_parts();
    let Called { app, user } = door.user(&named(which), &head)?;
    let headers = head.headers.clone();
    let bytes = body::read(Request::from_parts(head, body), app.body_bytes()).await?;
    let mut given: Map<String, Value> = body::parse(&bytes)?;
    let Some(Value::String(name)) = given.remove("name") else {
        return Err(Refused::key("name", "must be a string"));
    };
    let payload = given.remove("payload").unwrap_or_default();
    if !matches!(payload, Value::Object(_) | Value::Null) {
        return Err(Refused::key("payload", "must be an object"));
    }
    if let Some(other) = given.keys().next() {
        return Err(Refused::key(other, "should not exist"));
    }
    let sent = send_for(&app, &user, &production(), AppEvent { name, payload }, (&headers, &bytes)).await?;
    Ok(with_room((StatusCode::CREATED, Json(json!({}))), sent.room))
}

/// POST `/sdk/triggers/{workflow}`: its body and query are parameters, and `$.event`.
pub(super) async fn request(
    State(door): State<Arc<Door>>,
    which: Which<(String, String)>,
    request: Request,
) -> Result<Response, Refused> {
    let (head, body) = request.into_parts();
    let (project, which) = named(which);
    let Called { app, user } = door.user(&project, &head)?;
    let (headers, uri) = (head.headers.clone(), head.uri.clone());
    let bytes = body::read(Request::from_parts(head, body), app.body_bytes()).await?;

    let workflow = app.workflow(&which).map_err(|_| Refused::unknown("workflow", &which))?;
    let name = Name::new(&workflow.key.name).map_err(Problem::from)?;
    let published = app.catalog.published_here(&app.workspace, &name, &production());
    let by = published.as_deref().and_then(request_trigger);
    let (Some(published), Some(by)) = (published, by) else {
        return Err(Refused::unknown("request trigger of workflow", &which));
    };
    let connection = connect::enabling(&app, &user, None, (workflow.id, name.as_str()))?;
    let event = event_of(&headers, &uri, &bytes)?;
    let params = published.workflow.bind_params(&given(&event)).map_err(Problem::params)?;
    let exits = published.program.steps.iter().any(|step| matches!(step.kind, StepKind::Exit(_)));
    let start = Start {
        published,
        trigger: TriggerSource::Request,
        by: Some(by),
        event: Arc::new(event),
        params: Arc::new(Value::Object(params)),
        connection: connection.value.clone(),
        test: false,
        repeats: None,
        seed: None,
    };
    let submitted = app.clock.now().to_string();
    let window = exits.then_some(door.own.window);
    let Started { execution, outcome, room, .. } = start_for(&app, &headers, &bytes, start, window).await?;
    let answer = match (exits, outcome) {
        (true, Some(outcome)) => reply::outcome(execution, &outcome, Some(500)),
        (true, None) => {
            let status = StatusCode::from_u16(NOT_COMPLETED).expect("542 is a status");
            let mut words = submission(&app, &submitted, workflow.id.to_string(), execution);
            words.insert("message".to_owned(), "Workflow has been enqueued but has not completed.".into());
            (status, Json(words)).into_response()
        }
        (false, _) => {
            let words = submission(&app, &submitted, workflow.id.to_string(), execution);
            (StatusCode::ACCEPTED, Json(words)).into_response()
        }
    };
    Ok(with_room(answer, room))
}

fn submission(app: &App, submitted: &str, workflow: String, execution: ExecutionId) -> Map<String, Value> {
    let words = json!({
        "dateSubmitted": submitted,
        "projectId": app.workspace,
        "workflowId": workflow,
        "executionId": execution,
    });
    words.as_object().cloned().unwrap_or_default()
}

/// `$.event`: `{type, http_method, query, headers, body}`, without the user's token.
fn event_of(headers: &HeaderMap, uri: &Uri, bytes: &[u8]) -> Result<Value, Refused> {
    let body: Value = if bytes.is_empty() { Value::Null } else { body::parse(bytes)? };
    let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let query: Map<String, Value> = query.map(|(key, value)| (key.into_owned(), value.into())).collect();
    let shown = headers.iter().filter(|(name, _)| *name != axum::http::header::AUTHORIZATION);
    let mut headers: Map<String, Value> = Map::new();
    for (name, value) in shown {
        let values = headers.entry(name.as_str()).or_insert_with(|| json!([]));
        if let Value::Array(values) = values {
            values.push(String::from_utf8_lossy(value.as_bytes()).into());
        }
    }
    Ok(json!({"type": "request", "http_method": "POST", "query": query, "headers": headers, "body": body}))
}

/// Parameters: those of the query, and the fields of the body, which go before them.
fn given(event: &Value) -> Map<String, Value> {
    let fields = |key: &str| event[key].as_object().cloned().unwrap_or_default();
    let mut given = fields("query");
    given.extend(fields("body"));
    given
}
