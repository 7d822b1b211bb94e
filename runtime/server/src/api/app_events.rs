//! Events of an app, for one of its users: one event, every workflow that the user has enabled, in one append.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::{Json, response::IntoResponse, response::Response};
use camshaft_model::ids::{ExecutionId, IdOrName, Name, ResourceId, UserId};
use camshaft_model::invocation::{Reply, TriggerSource};
use camshaft_model::limits;
use camshaft_model::matching::{self, Evaluator};
use camshaft_model::outcome::Failure;
use camshaft_model::seams::{Directory, DispatchRequest, Start};
use camshaft_model::workflow::TriggerKey;
use camshaft_model::{Value, json};
use camshaft_triggers::http::Room;
use serde::Deserialize;
use utoipa::ToSchema;

use super::page::Asked;
use super::problem::{Fault, Problem};
use super::publish::production;
use super::start::{delivery_within, is_known, take};
use super::trigger::TriggerQuery;
use super::{App, body};

/// An event.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppEvent {
    /// Its name, as `app_event` triggers ask for it.
    pub name: String,
    /// What it is about: `$.event.body`.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub payload: Value,
}

/// What an event started.
#[derive(Debug)]
pub struct Sent {
    /// Its id.
    pub id: String,
    /// Workflows and their executions; durable.
    pub executions: Vec<(Name, ExecutionId)>,
    /// Whether an earlier event with the same identity started them.
    pub replayed: bool,
    /// What is left of the workspace's second, where this took some of it.
    pub room: Option<Room>,
}

/// Send an event of your app for a user: it starts every workflow with an `app_event` trigger for it that the user has enabled.
#[utoipa::path(
    post, path = "/api/v1/users/{user}/events", tag = "connections", operation_id = "send_app_event",
    params(
        ("user" = String, Path, description = "as the app names them"),
        TriggerQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "the same key again starts nothing"),
    ),
    request_body = AppEvent,
    responses(
        (status = 202, description = "`{id, executions: [{workflow, execution_id}]}`, durable", body = Object),
        (status = 409, description = "the same key came with a different body"),
        (status = 413, description = "too large"),
        (status = 422, description = "a name that cannot be"),
        (status = 429, description = "too many executions a second; Retry-After tells when"),
    )
)]
pub async fn send(
    app: App,
    Path(which): Path<String>,
    Asked(query): Asked<TriggerQuery>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let user = UserId::new(&which)?;
    let bytes = body::read(request, app.body_bytes()).await?;
    let event: AppEvent = body::parse(&bytes)?;
    let environment = query.environment.unwrap_or_else(production);
    let sent = send_for(&app, &user, &environment, event, (&headers, &bytes)).await?;
    let executions = sent.executions.iter();
    let executions: Vec<_> =
        executions.map(|(workflow, execution)| json!({"workflow": workflow, "execution_id": execution})).collect();
    let mut view = json!({"id": sent.id, "executions": executions});
    if sent.replayed {
        view["replayed"] = json!(true);
    }
    let mut response = (StatusCode::ACCEPTED, Json(view)).into_response();
    if let Some(room) = sent.room {
        room.put(response.headers_mut());
    }
    Ok(response)
}

/// Starts what a user's event starts. Durable when it returns, all of it or nothing.
pub async fn send_for(
    app: &App,
    user: &UserId,
    environment: &Name,
    event: AppEvent,
    (headers, bytes): (&HeaderMap, &[u8]),
) -> Result<Sent, Problem> {
    let name = event.name;
    let most = limits::KEY_BYTES_MAX;
    if !(1..=most).contains(&name.len()) || name.chars().any(char::is_control) {
        let detail = format!("`name` is {name:?}: it has 1 to {most} bytes and no control characters");
        return Err(Problem::new(Fault::Invalid, detail).with("field", "name"));
    }
    let scope = || format!("app_event/{user}/environment/{environment}");
    let delivery = delivery_within(app, headers, scope, bytes)?;
    let id = app.ids.resource().to_string();
    let value = Arc::new(json!({
        "id": id,
        "type": name,
        "source": "app",
        "subject": user,
        "time": app.clock.now().to_string(),
        "body": event.payload,
    }));
    let starts = starts(app, user, environment, &name, &value).await?;
    let mut sent = Sent { id, executions: Vec::new(), replayed: false, room: None };
    if starts.is_empty() {
        return Ok(sent);
    }
    if !is_known(app, delivery.as_ref()).await? {
        sent.room = take(app, &starts)?;
    }
    let request_id = headers.get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let (reply, window) = (Reply::Detach, Duration::ZERO);
    let request = DispatchRequest { delivery, starts, reply, window, request_id };
    // A sender that hangs up must not leave it half accepted.
    let dispatch = app.dispatch.clone();
    let dispatched = tokio::spawn(async move { dispatch.dispatch(request).await }).await;
    let dispatched =
        dispatched.map_err(|error| Problem::internal(format!("starting executions of an app event: {error}")))??;
    (sent.executions, sent.replayed) = (dispatched.executions, dispatched.replayed);
    Ok(sent)
}

/// Each workflow that the user has enabled and that asks for the event, with the connection that has it enabled.
async fn starts(
    app: &App,
    user: &UserId,
    environment: &Name,
    name: &str,
    event: &Arc<Value>,
) -> Result<Vec<Start>, Problem> {
    let mut starts = Vec::new();
    for connection in app.catalog.connections(&app.workspace, user) {
        let enabled = connection.enabled.keys();
        let published = |id: &ResourceId| app.catalog.published(&app.workspace, &IdOrName::Id(*id), environment);
        let mut enabled: Vec<_> = enabled.filter_map(published).collect();
        enabled.sort_by(|a, b| a.revision.workflow.cmp(&b.revision.workflow));
        for published in enabled {
            let faulty = |by: &TriggerKey, failure: &Failure| app.triggers.tell_faulty(&published, by, None, failure);
            let evaluator = Evaluator { jq: &*app.triggers.jq, places: &app.triggers.places, faulty: &faulty };
            let matched = matching::matched_app_event(&published, &connection, event, evaluator).await;
            let Some(matched) = matched.map_err(|failure| Problem::busy(&failure))? else { continue };
            starts.extend(app.triggers.bind(&matched, TriggerSource::AppEvent { name: name.to_owned() }, event));
        }
    }
    Ok(starts)
}
