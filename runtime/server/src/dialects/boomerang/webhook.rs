//! Boomerang's webhook service: starting a workflow, asking how it goes, cancelling it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::Response;
use camshaft_model::ids::ExecutionId;
use camshaft_model::seams::TellError;
use camshaft_model::summary::Summary;
use camshaft_model::{Map, Value, json};

use super::refused::Refused;
use super::{activity, meant, presented, start};
use crate::api::body;
use crate::api::executions::inspect;
use crate::api::problem::Problem;
use crate::api::{App, Instance};
use crate::dialects::{Which, named, with_room};
use crate::tokens::{Caller, Right};

/// POST `/webhook/payload`
pub(super) async fn trigger(State(instance): State<Arc<Instance>>, request: Request) -> Result<Response, Refused> {
    let (head, bytes, body) = read(&instance, request).await?;
    let which = match body.get("workflowId") {
        None | Some(Value::Null) => None,
        Some(Value::String(which)) => Some(which.as_str()),
        Some(other) => return Err(Refused::malformed(format!("`workflowId` is {other}: it is a text."))),
    };
    let (app, caller) = presented(&instance, &body, &head, which)?;
    let workflow = meant(&app, &caller, which)?;
    let none = Map::new();
    let properties = match body.get("properties") {
        None | Some(Value::Null) => &none,
        Some(Value::Object(properties)) => properties,
        Some(_) => return Err(Refused::malformed("`properties` is no object.")),
    };
    let started = start(&app, &workflow, &head, &bytes, Value::Null, properties).await?;
    Ok(with_room(Json(json!({"activityId": started.execution})), started.room))
}

/// GET `/webhook/status/{activityId}`
pub(super) async fn status(
    State(instance): State<Arc<Instance>>,
    which: Which<String>,
    request: Request,
) -> Result<Json<Value>, Refused> {
    let (app, _, summary) = looked_up(&instance, which, Right::Read, request).await?;
    shown(&app, summary).await
}

/// DELETE `/webhook/status/{activityId}`: cancels it. One that has ended stays as it is.
pub(super) async fn cancel(
    State(instance): State<Arc<Instance>>,
    which: Which<String>,
    request: Request,
) -> Result<Json<Value>, Refused> {
    let (app, caller, summary) = looked_up(&instance, which, Right::Trigger, request).await?;
    match app.dispatch.cancel(summary.id, caller.label.to_string()).await {
        Ok(()) | Err(TellError::Ended(..)) => {}
        Err(error) => return Err(Problem::from(error).into()),
    }
    shown(&app, summary).await
}

async fn shown(app: &App, summary: Summary) -> Result<Json<Value>, Refused> {
    let inspected = inspect(app, summary).await?;
    let kept = app.catalog.workspace_kept(&app.workspace);
    let team = kept.as_ref().and_then(|kept| kept.spec.display_name.as_deref());
    Ok(Json(activity::shown(&inspected, team.unwrap_or(app.workspace.as_str()))))
}

async fn looked_up(
    instance: &Arc<Instance>,
    which: Which<String>,
    right: Right,
    request: Request,
) -> Result<(App, Caller, Summary), Refused> {
    let (head, _, body) = read(instance, request).await?;
    let (app, caller) = presented(instance, &body, &head, None)?;
    let which = named(which);
    let unknown = || Refused::unknown_activity(&which);
    let id: ExecutionId = which.parse().map_err(|_| unknown())?;
    let summary = app.store.summary(id).await.map_err(Problem::from)?;
    let is_its =
        |summary: &Summary| summary.workspace == caller.workspace && caller.may(right, summary.revision.workflow_id);
    let summary = summary.filter(is_its).ok_or_else(unknown)?;
    Ok((app, caller, summary))
}

/// A request with its body, an object; GET and DELETE may have one as well.
pub(super) async fn read(
    instance: &Instance,
    request: Request,
) -> Result<(Parts, bytes::Bytes, Map<String, Value>), Refused> {
    let (head, body) = request.into_parts();
    let most = instance.triggers.settings.body_bytes;
    let bytes = body::read(Request::from_parts(head.clone(), body), most).await?;
    let body = body::parse(&bytes)?;
    Ok((head, bytes, body))
}
