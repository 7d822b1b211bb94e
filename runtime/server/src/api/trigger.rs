//! Starting one workflow directly: a person or program with the admin token, or an app with one of the workflow's tokens.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use camshaft_model::ids::{Name, UserId};
use camshaft_model::invocation::TriggerSource;
use camshaft_model::seams::Start;
use camshaft_model::workflow::Trigger;
use camshaft_model::{Map, Value};
use camshaft_triggers::http::reply;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::page::Asked;
use super::problem::{Fault, Problem};
use super::publish::production;
use super::start::{Started, start_for};
use super::{App, body, connect};
use crate::tokens::{Caller, Scope};

/// What a workflow is started with.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerBody {
    /// Its parameters.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub params: Map<String, Value>,
    /// `$.event`.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub event: Value,
    /// The connection that it runs with: `$.connection`.
    #[serde(default)]
    pub connection: Option<ConnectionWish>,
}

/// Which connection a workflow shall run with: one that has it enabled.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionWish {
    /// The user.
    #[schema(value_type = String)]
    pub user: UserId,
    /// The integration; may be left out where the user has the workflow enabled in one connection alone.
    #[schema(value_type = Option<String>)]
    pub integration: Option<Name>,
}

/// Where it is started.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TriggerQuery {
    /// `production` where it is left out.
    #[param(value_type = Option<String>)]
    pub environment: Option<Name>,
}

/// Start a workflow. With `Prefer: wait=N` the answer is the Exit step's, as at the synchronous trigger URL.
#[utoipa::path(
    post, path = "/api/v1/workflows/{workflow}/trigger", tag = "workflows", operation_id = "trigger_workflow",
    params(
        ("workflow" = String, Path, description = "name or id"),
        TriggerQuery,
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait for up to N seconds"),
        ("Idempotency-Key" = Option<String>, Header, description = "the same key again starts nothing"),
    ),
    request_body = TriggerBody,
    responses(
        (status = 200, description = "`{execution_id, status: \"ok\"}`; or what the Exit step says", body = Object),
        (status = 201, description = "`{execution_id, status: \"in_progress\"}` and a Location", body = Object),
        (status = 403, description = "the workflow has no `manual` (admin token) or `request` (its token) trigger"),
        (status = 404, description = "unknown or not published, or the user has no such connection"),
        (status = 409, description = "the same key came with a different body"),
        (status = 413, description = "too large"),
        (status = 422, description = "parameters that the workflow does not take"),
        (status = 429, description = "too many executions a second; Retry-After tells when"),
        (
            status = "default", content_type = "*/*",
            description = "with `Prefer: wait`: what the Exit step says, whatever its status and content type", body = String,
        ),
    )
)]
pub async fn trigger(
    app: App,
    caller: Caller,
    Path(which): Path<String>,
    Asked(query): Asked<TriggerQuery>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let workflow = app.workflow(&which)?;
    caller.check_sees(workflow.id, &which)?;
    let waits = wait(&headers)?;
    let bytes = body::read(request, app.body_bytes()).await?;
    let given: TriggerBody = body::parse(&bytes)?;

    let environment = query.environment.unwrap_or_else(production);
    let name = Name::new(&workflow.key.name)?;
    let published = app.catalog.published_here(&app.workspace, &name, &environment).ok_or_else(|| {
        Problem::new(Fault::NotFound, format!("workflow `{name}` is not published in `{environment}`"))
    })?;
    let (source, trigger) = match caller.scope {
        Scope::Workflow(_) => (TriggerSource::Request, Trigger::Request),
        Scope::Operator | Scope::Admin | Scope::Read | Scope::Events => (TriggerSource::Manual, Trigger::Manual),
    };
    let Some(by) = published.triggers().find(|(_, one)| **one == trigger).map(|(by, _)| by.clone()) else {
        let word = source.word();
        let why = if published.workflow.triggers.contains(&trigger) { "is switched off" } else { "is not there" };
        return Err(Problem::new(Fault::Forbidden, format!("the `{word}` trigger of workflow `{name}` {why}")));
    };
    let params = published.workflow.bind_params(&given.params).map_err(Problem::params)?;

    let connection = match &given.connection {
        Some(ConnectionWish { user, integration }) => {
            connect::enabling(&app, user, integration.as_ref(), (workflow.id, name.as_str()))?.value.clone()
        }
        None => Arc::default(),
    };
    let window = waits.map(|wanted| wanted.min(app.sync_window));
    let start = Start {
        published,
        trigger: source,
        by: Some(by),
        event: Arc::new(given.event),
        params: Arc::new(params.into()),
        connection,
        test: false,
        repeats: None,
        seed: None,
    };
    let Started { execution, outcome, replayed, room } = start_for(&app, &headers, &bytes, start, window).await?;
    let mut response = match (window, &outcome) {
        (None, _) => reply::accepted(execution),
        (Some(_), Some(outcome)) => reply::outcome(execution, outcome, None),
        (Some(_), None) => reply::in_progress(execution),
    };
    if let Some(window) = window {
        let applied = HeaderValue::from_str(&format!("wait={}", window.as_secs()));
        response.headers_mut().insert("preference-applied", applied.expect("a number is visible ASCII"));
    }
    if let Some(room) = room {
        room.put(response.headers_mut());
    }
    if replayed {
        response.headers_mut().insert(reply::REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// `Prefer: wait=N` (RFC 7240), whole seconds.
fn wait(headers: &HeaderMap) -> Result<Option<Duration>, Problem> {
    for value in headers.get_all("prefer") {
        for preference in value.to_str().unwrap_or_default().split([',', ';']) {
            let Some((name, seconds)) = preference.split_once('=') else { continue };
            if !name.trim().eq_ignore_ascii_case("wait") {
                continue;
            }
            let seconds = seconds.trim().trim_matches('"');
            return match seconds.parse() {
                Ok(seconds) => Ok(Some(Duration::from_secs(seconds))),
                Err(_) => {
                    let detail = format!("Prefer says `wait={seconds}`: it is a whole number of seconds");
                    Err(Problem::new(Fault::Malformed, detail))
                }
            };
        }
    }
    Ok(None)
}
