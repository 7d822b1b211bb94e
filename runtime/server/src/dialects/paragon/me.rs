//! The user: what the app says of them, what they have connected, and which workflows they have enabled.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use camshaft_model::connection::ConnectionRef;
use camshaft_model::ids::{Name, UserId};
use camshaft_model::{Map, Value, json, limits};

use super::refused::Refused;
use super::{Called, Door, carried_out};
use crate::api::problem::Problem;
use crate::api::{App, body, connect};
use crate::catalog::specs::{ConnectionSpec, Kept, WorkflowSpec};
use crate::dialects::{Which, named};

/// GET `/sdk/me`
pub(super) async fn show(State(door): State<Arc<Door>>, which: Which<String>, request: Request) -> Json<Value> {
    let (head, _) = request.into_parts();
    match door.user(&named(which), &head) {
        Ok(Called { app, user }) => Json(shown(&app, &user)),
        Err(_) => Json(json!({"authenticated": false})),
    }
}

/// PATCH `/sdk/me`: `{meta}`
pub(super) async fn change(
    State(door): State<Arc<Door>>,
    which: Which<String>,
    request: Request,
) -> Result<Json<Value>, Refused> {
    let (head, body) = request.into_parts();
    let Called { app, user } = door.user(&named(which), &head)?;
    let bytes = body::read(Request::from_parts(head, body), limits::BODY_BYTES_MAX).await?;
    let mut given: Map<String, Value> = body::parse(&bytes)?;
    let Some(Value::Object(meta)) = given.remove("meta") else {
        return Err(Refused::key("meta", "must be an object"));
    };
    let (of, in_app) = (user.clone(), app.clone());
    carried_out(async move { connect::put_user(&in_app, &of, Some(meta), None).await }).await?;
    Ok(Json(shown(&app, &user)))
}

fn shown(app: &App, user: &UserId) -> Value {
    let meta = app.catalog.user(&app.workspace, user).map(|kept| kept.spec.metadata.clone()).unwrap_or_default();
    let connections = app.catalog.connections_of(&app.workspace, user);
    let integrations: Map<String, Value> =
        connections.iter().map(|kept| (kept.spec.of.integration.to_string(), integration(kept))).collect();
    json!({"authenticated": true, "userId": user, "meta": meta, "integrations": integrations})
}

fn integration(kept: &Kept<ConnectionSpec>) -> Value {
    let workflows: Map<String, Value> =
        kept.spec.enabled.keys().map(|id| (id.to_string(), json!({"enabled": true}))).collect();
    json!({
        "enabled": kept.spec.connected_at.is_some(),
        "credentialId": kept.id,
        "credentialStatus": super::credentials::status(kept),
        "configuredWorkflows": workflows,
        "settings": kept.spec.settings,
    })
}

/// POST `/sdk/workflows/{workflow}`
pub(super) async fn enable(
    State(door): State<Arc<Door>>,
    which: Which<(String, String)>,
    request: Request,
) -> Result<Json<Value>, Refused> {
    switch(&door, which, request, true).await
}

/// DELETE `/sdk/workflows/{workflow}`
pub(super) async fn disable(
    State(door): State<Arc<Door>>,
    which: Which<(String, String)>,
    request: Request,
) -> Result<Json<Value>, Refused> {
    switch(&door, which, request, false).await
}

async fn switch(
    door: &Door,
    which: Which<(String, String)>,
    request: Request,
    enabled: bool,
) -> Result<Json<Value>, Refused> {
    let (head, _) = request.into_parts();
    let (project, which) = named(which);
    let Called { app, user } = door.user(&project, &head)?;
    let workflow = app.workflow(&which).map_err(|_| Refused::unknown("workflow", &which))?;
    let meant = meant(&app, &user, &workflow);
    if meant.is_empty() && enabled {
        return Err(Refused::unknown("connection of the user for workflow", &which));
    }
    let id = workflow.id.to_string();
    let switched = carried_out(async move {
        for of in meant {
            connect::enable(&app, &of, &id, enabled).await?;
        }
        Ok(id)
    });
    Ok(Json(json!({"id": switched.await?, "enabled": enabled})))
}

/// The connections of a user that a workflow is for: those to integrations that its triggers name, or all of them where they name
/// none.
fn meant(app: &App, user: &UserId, workflow: &Kept<WorkflowSpec>) -> Vec<ConnectionRef> {
    let named: Vec<_> = integrations(&workflow.spec).collect();
    let all = app.catalog.connections_of(&app.workspace, user).into_iter().map(|kept| kept.spec.of.clone());
    all.filter(|of| named.is_empty() || named.contains(&&of.integration)).collect()
}

/// The integrations that a workflow's triggers run for the connections of.
pub(super) fn integrations(workflow: &WorkflowSpec) -> impl Iterator<Item = &Name> {
    let of_connections = |kind: &str| matches!(kind, "app_event" | "connected" | "schedule");
    let triggers = workflow.triggers.iter().filter(move |trigger| of_connections(&trigger.kind));
    triggers.filter_map(|trigger| trigger.integration.as_ref())
}

impl From<camshaft_model::ids::Malformed> for Refused {
    fn from(malformed: camshaft_model::ids::Malformed) -> Self {
        Problem::from(malformed).into()
    }
}
