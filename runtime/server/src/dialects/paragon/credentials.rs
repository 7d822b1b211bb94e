//! What there is to connect, and connecting: settings and credentials go in, credentials never come out.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use camshaft_model::connection::ConnectionRef;
use camshaft_model::ids::{IdOrName, Name, SecretName, UserId};
use camshaft_model::seams::Directory;
use camshaft_model::{Map, Value, json, limits};

use super::refused::Refused;
use super::{Called, Door, carried_out, me};
use crate::api::connect::{self, Changed};
use crate::api::{App, body};
use crate::catalog::specs::{ConnectionSpec, Kept};
use crate::dialects::{Which, named};

/// GET `/sdk/metadata`
pub(super) async fn metadata(
    State(door): State<Arc<Door>>,
    which: Which<String>,
    request: Request,
) -> Result<Json<Value>, Refused> {
    let (head, _) = request.into_parts();
    let Called { app, .. } = door.user(&named(which), &head)?;
    let all = app.catalog.integrations(&app.workspace);
    let one = |name: &str| json!({"type": name, "name": name});
    Ok(Json(all.iter().map(|kept| one(&kept.key.name)).collect()))
}

/// GET `/sdk/integrations`
pub(super) async fn integrations(
    State(door): State<Arc<Door>>,
    which: Which<String>,
    request: Request,
) -> Result<Json<Value>, Refused> {
    let (head, _) = request.into_parts();
    let Called { app, user } = door.user(&named(which), &head)?;
    let workflows = app.catalog.workflows(&app.workspace);
    let all = app.catalog.integrations(&app.workspace);
    let one = |name: &str, id: String| {
        let for_it = workflows.iter().filter(|kept| me::integrations(&kept.spec).any(|to| to.as_str() == name));
        let workflows: Vec<_> = for_it.map(|kept| json!({"id": kept.id, "name": kept.key.name})).collect();
        let connected = Name::new(name).ok().is_some_and(|integration| {
            let of = ConnectionRef { user: user.clone(), integration };
            app.catalog.connection_ready(&app.workspace, &of).is_some()
        });
        json!({"id": id, "type": name, "name": name, "connected": connected, "workflows": workflows})
    };
    Ok(Json(all.iter().map(|kept| one(&kept.key.name, kept.id.to_string())).collect()))
}

/// DELETE `/sdk/integrations/{integration}`
pub(super) async fn disconnect(
    State(door): State<Arc<Door>>,
    which: Which<(String, String)>,
    request: Request,
) -> Result<Response, Refused> {
    let (head, _) = request.into_parts();
    let (project, which) = named(which);
    let Called { app, user } = door.user(&project, &head)?;
    let of = ConnectionRef { user, integration: integration(&app, &which)? };
    carried_out(async move { connect::disconnect(&app, &of).await }).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// GET `/sdk/credentials`
pub(super) async fn list(
    State(door): State<Arc<Door>>,
    which: Which<String>,
    request: Request,
) -> Result<Json<Value>, Refused> {
    let (head, _) = request.into_parts();
    let Called { app, user } = door.user(&named(which), &head)?;
    let all = app.catalog.connections_of(&app.workspace, &user);
    Ok(Json(all.iter().map(|kept| shown(&app, kept)).collect()))
}

/// PATCH `/sdk/credentials`: `{integrationId, config, payload}`. `config` replaces the settings; `payload` sets credentials. A user who
/// is not connected to the integration is from now on.
pub(super) async fn change(
    State(door): State<Arc<Door>>,
    which: Which<String>,
    request: Request,
) -> Result<Json<Value>, Refused> {
    let (head, body) = request.into_parts();
    let Called { app, user } = door.user(&named(which), &head)?;
    let bytes = body::read(Request::from_parts(head, body), limits::BODY_BYTES_MAX).await?;
    let mut given: Map<String, Value> = body::parse(&bytes)?;
    let integration = match given.remove("integrationId") {
        Some(Value::String(which)) => integration(&app, &which)?,
        None => only(&app, &user)?,
        Some(_) => return Err(Refused::key("integrationId", "must be a string")),
    };
    let settings = match given.remove("config") {
        None => None,
        Some(Value::Object(config)) => Some(config),
        Some(_) => return Err(Refused::key("config", "must be an object")),
    };
    let mut changed = Changed { settings, complete: true, ..Changed::default() };
    match given.remove("payload") {
        None => {}
        Some(Value::Object(payload)) => {
            for (name, value) in payload {
                let value = match value {
                    Value::String(value) => Some(value),
                    Value::Null => None,
                    _ => return Err(Refused::key(&format!("payload.{name}"), "must be a string")),
                };
                let name = SecretName::new(&name)
                    .map_err(|malformed| camshaft_model::ids::Malformed { what: "credential name", ..malformed })?;
                changed.credentials.insert(name, value);
            }
        }
        Some(_) => return Err(Refused::key("payload", "must be an object")),
    }
    if let Some(other) = given.keys().next() {
        return Err(Refused::key(other, "should not exist"));
    }
    let of = ConnectionRef { user, integration };
    let in_app = app.clone();
    let (kept, _) = carried_out(async move { connect::connect(&in_app, &of, changed, None).await }).await?;
    Ok(Json(shown(&app, &kept)))
}

/// The integration that an id or a name is of.
fn integration(app: &App, which: &str) -> Result<Name, Refused> {
    let unknown = || Refused::unknown("integration", which);
    let asked = IdOrName::parse("integration id", which).map_err(|_| unknown())?;
    let found = app.catalog.integration(&app.workspace, &asked).ok_or_else(unknown)?;
    Ok(found.name.clone())
}

/// The only integration that the user has connected.
fn only(app: &App, user: &UserId) -> Result<Name, Refused> {
    match &app.catalog.connections_of(&app.workspace, user)[..] {
        [only] => Ok(only.spec.of.integration.clone()),
        _ => Err(Refused::key("integrationId", "must be a string: the user has not connected exactly one integration")),
    }
}

fn shown(app: &App, kept: &Kept<ConnectionSpec>) -> Value {
    let of = &kept.spec.of;
    let integration = app.catalog.integration_kept(&app.workspace, &of.integration);
    json!({
        "id": kept.id,
        "projectId": app.workspace,
        "personaId": of.user,
        "integrationId": integration.map(|kept| kept.id),
        "integrationType": of.integration,
        "config": kept.spec.settings,
        "status": status(kept),
        "dateCreated": kept.created_at.to_string(),
        "dateUpdated": kept.updated_at.to_string(),
    })
}

/// Paragon's word for whether a connection is set up.
pub(super) fn status(kept: &Kept<ConnectionSpec>) -> &'static str {
    if kept.spec.connected_at.is_some() { "VALID" } else { "PENDING" }
}
