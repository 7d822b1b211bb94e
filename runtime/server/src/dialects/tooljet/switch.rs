//! Switching a workflow's webhook on and off, as ToolJet does: its `request` trigger.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use camshaft_model::{Map, Value, json, limits};

use super::refused::Refused;
use super::{Called, Door};
use crate::api::body;
use crate::api::problem::Problem;
use crate::api::triggers::set_enabled;
use crate::dialects::{Which, named};
use crate::tokens::Right;

/// PATCH: `{"isEnable": true}`. A workflow that has no such trigger has it off, and keeps it so.
pub(super) async fn switch(
    State(door): State<Arc<Door>>,
    which: Which<String>,
    request: Request,
) -> Result<Json<Value>, Refused> {
    let (head, body) = request.into_parts();
    let Called { app, workflow, .. } = door.enter(&named(which), Right::Manage, &head)?;
    let bytes = body::read(Request::from_parts(head, body), limits::BODY_BYTES_MAX).await?;
    let wanted: Map<String, Value> = body::parse(&bytes)?;
    let Some(Value::Bool(enabled)) = wanted.get("isEnable") else { return Err(Refused::no_switch()) };
    let (id, enabled) = (workflow.id.to_string(), *enabled);
    let which = id.clone();
    // A change that began is carried out though its caller hangs up: the catalog must follow the store.
    let switching = tokio::spawn(async move { set_enabled(&app, &which, "request", None, enabled).await });
    match switching.await {
        Ok(Ok(_)) => Ok(Json(json!({"id": id, "isEnable": enabled}))),
        Ok(Err(problem)) if problem.status() == 404 && enabled => Err(Refused::disabled_trigger()),
        Ok(Err(problem)) if problem.status() == 404 => Ok(Json(json!({"id": id, "isEnable": false}))),
        Ok(Err(problem)) => Err(problem.into()),
        Err(error) => Err(Problem::internal(format!("switching a trigger: {error}")).into()),
    }
}
