//! Boomerang Flow: <https://www.useboomerang.io/docs/boomerang-flow>.
//!
//! | call | answer |
//! |---|---|
//! | POST `/webhook/payload` `{token or workflowId, properties}` | `{activityId}` |
//! | GET `/webhook/status/{activityId}` | the activity; DELETE cancels it |
//! | PUT `/listener/event` | a CloudEvent for a workflow or an activity |
//! | POST `/listener/webhook?workflowId=&type=` | starts a workflow with the payload |
//! | GET, POST `/listener/webhook/wfe?workflowId=&workflowActivityId=&topic=` | an event for a step that waits |
//!
//! A token comes in the body, in `Authorization`, or as `?token=` or `?access_token=`; the first that is there counts.

mod activity;
mod listener;
mod refused;
mod webhook;

use std::sync::Arc;

use axum::Router;
use axum::http::request::Parts;
use axum::routing::{get, post, put};
use camshaft_model::ids::Name;
use camshaft_model::invocation::TriggerSource;
use camshaft_model::seams::Start;
use camshaft_model::{Map, Value};

use super::{asked, place, recognise, request_trigger};
use crate::api::caller;
use crate::api::problem::{Fault, Problem};
use crate::api::publish::production;
use crate::api::start::{Started, start_for};
use crate::api::{App, Instance};
use crate::catalog::specs::{Kept, WorkflowSpec};
use crate::tokens::{Caller, Right, Scope};
use refused::Refused;

/// The routes.
pub(super) fn router(instance: Arc<Instance>) -> Router {
    Router::new()
        .route("/webhook/payload", post(webhook::trigger))
        .route("/webhook/status/{activity}", get(webhook::status).delete(webhook::cancel))
        .route("/listener/event", put(listener::event))
        .route("/listener/webhook", post(listener::webhook))
        .route("/listener/webhook/wfe", get(listener::wait_for_event).post(listener::wait_for_event))
        .method_not_allowed_fallback(wrong_method)
        .with_state(instance)
}

async fn wrong_method() -> Refused {
    Problem::new(Fault::MethodNotAllowed, "This method is not allowed here.").into()
}

/// Who presents a token, wherever it stands, and what it reaches.
fn presented(
    instance: &Arc<Instance>,
    body: &Map<String, Value>,
    head: &Parts,
    which: Option<&str>,
) -> Result<(App, Caller), Refused> {
    let told = body.get("token").and_then(Value::as_str).map(str::to_owned);
    let token = told
        .or_else(|| caller::bearer(&head.headers).map(str::to_owned))
        .or_else(|| asked(&head.uri, "access_token"))
        .or_else(|| asked(&head.uri, "token"));
    let caller = token.and_then(|token| recognise(instance, &token));
    let mut caller = caller.ok_or_else(Refused::unauthorized)?;
    Ok((place(instance, Some(&mut caller), which.unwrap_or_default()), caller))
}

/// The workflow that is meant: the one that is named, or else the token's own. One that the caller may not start is not told
/// from one that is not there.
fn meant(app: &App, caller: &Caller, which: Option<&str>) -> Result<Arc<Kept<WorkflowSpec>>, Refused> {
    let workflow = match (which, caller.scope) {
        (Some(which), _) => app.workflow(which).ok(),
        (None, Scope::Workflow(own)) => app.workflow(&own.id.to_string()).ok(),
        (None, _) => return Err(Refused::malformed("`workflowId` is missing: this token is of no workflow.")),
    };
    workflow.filter(|workflow| caller.may(Right::Trigger, workflow.id)).ok_or_else(Refused::unauthorized)
}

/// Starts what is published of a workflow in production.
async fn start(
    app: &App,
    workflow: &Kept<WorkflowSpec>,
    head: &Parts,
    bytes: &[u8],
    event: Value,
    given: &Map<String, Value>,
) -> Result<Started, Refused> {
    let name = Name::new(&workflow.key.name).map_err(Problem::from)?;
    let published = app.catalog.published_here(&app.workspace, &name, &production());
    let published = published.ok_or_else(Refused::trigger_disabled)?;
    let by = request_trigger(&published).ok_or_else(Refused::trigger_disabled)?;
    let params = published.workflow.bind_params(given).map_err(|faults| Refused::malformed(faults.join("; ")))?;
    let start = Start {
        published,
        trigger: TriggerSource::Request,
        by: Some(by),
        event: Arc::new(event),
        params: Arc::new(Value::Object(params)),
        connection: Arc::default(),
        test: false,
        repeats: None,
        seed: None,
    };
    Ok(start_for(app, &head.headers, bytes, start, None).await?)
}
