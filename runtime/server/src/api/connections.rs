//! Connections: a user of an app, an integration, the user's settings and credentials, and the workflows that they have enabled.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use camshaft_model::connection::ConnectionRef;
use camshaft_model::ids::{Name, SecretName, UserId};
use camshaft_model::{Map, Value};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::JsonBody;
use super::connect::{self, Changed};
use super::page::{Asked, Page, limit};
use super::problem::{Fault, Problem};
use super::secrets::SecretText;
use super::{App, name_in_url, with_generation};
use crate::catalog::specs::{ConnectionSpec, Kept};

/// A connection, as it shall be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionBody {
    /// What workflows read as `$.connection.settings`, at most 16 KiB; what they were where they are left out.
    #[schema(value_type = Option<Object>)]
    pub settings: Option<Map<String, Value>>,
    /// Credentials to set; null removes one, those that are left out stay. They are never shown again.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Option<String>>)]
    pub credentials: BTreeMap<String, Option<SecretText>>,
    /// Whether the connection is set up with this: `true` where it is left out. What is set up once stays so.
    pub complete: Option<bool>,
}

/// A connection, without the values of its credentials.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectionView {
    /// Its id; connecting anew makes another one.
    pub id: String,
    /// The user.
    pub user: String,
    /// The integration.
    pub integration: String,
    /// What the user has set.
    #[schema(value_type = Object)]
    pub settings: Map<String, Value>,
    /// Names of the credentials.
    pub credentials: Vec<String>,
    /// The workflows that the user has enabled, by name.
    pub workflows: Vec<EnabledView>,
    /// Whether it is set up. Only then do workflows run with it.
    pub complete: bool,
    /// Since when it is set up (RFC 3339).
    pub connected_at: Option<String>,
    /// One more at each change; `If-Match` takes it.
    pub generation: u64,
    /// When it was begun (RFC 3339).
    pub created_at: String,
    /// When it was changed last (RFC 3339).
    pub updated_at: String,
}

/// A workflow that a user has enabled.
#[derive(Debug, Serialize, ToSchema)]
pub struct EnabledView {
    /// Its name.
    pub workflow: String,
    /// Its id.
    pub workflow_id: String,
    /// Since when (RFC 3339).
    pub since: String,
}

/// Which connections.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ConnectionQuery {
    /// Items of a page: 1 to 200, 50 where it is left out.
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub after: Option<String>,
    /// Of this user.
    pub user: Option<String>,
    /// To this integration.
    pub integration: Option<String>,
}

impl ConnectionView {
    pub(crate) fn of(app: &App, kept: &Kept<ConnectionSpec>) -> Self {
        let ConnectionSpec { of, settings, credentials, enabled, connected_at, .. } = &kept.spec;
        let mut workflows: Vec<_> = enabled
            .iter()
            .filter_map(|(id, since)| {
                let workflow = app.catalog.workflow_name(&app.workspace, *id)?.to_string();
                Some(EnabledView { workflow, workflow_id: id.to_string(), since: since.to_string() })
            })
            .collect();
        workflows.sort_by(|a, b| a.workflow.cmp(&b.workflow));
        Self {
            id: kept.id.to_string(),
            user: of.user.to_string(),
            integration: of.integration.to_string(),
            settings: settings.clone(),
            credentials: credentials.keys().map(SecretName::to_string).collect(),
            workflows,
            complete: connected_at.is_some(),
            connected_at: connected_at.map(|at| at.to_string()),
            generation: kept.generation,
            created_at: kept.created_at.to_string(),
            updated_at: kept.updated_at.to_string(),
        }
    }
}

fn named(user: &str, integration: &str) -> Result<ConnectionRef, Problem> {
    Ok(ConnectionRef { user: UserId::new(user)?, integration: name_in_url("integration name", integration)? })
}

/// Connect a user to an integration, or change their connection. A user who is not there yet is made.
#[utoipa::path(
    put, path = "/api/v1/users/{user}/connections/{integration}", tag = "connections", operation_id = "put_connection",
    params(
        ("user" = String, Path, description = "as the app names them"),
        ("integration" = String, Path, description = "its name"),
        ("If-Match" = Option<String>, Header, description = "only if the generation is this"),
    ),
    request_body = ConnectionBody,
    responses(
        (status = 200, description = "changed", body = ConnectionView),
        (status = 201, description = "made", body = ConnectionView),
        (status = 404, description = "unknown integration"),
        (status = 412, description = "changed meanwhile"),
        (status = 413, description = "too large"),
        (status = 422, description = "settings or credentials that cannot be, or too many of something"),
    )
)]
pub async fn put(
    app: App,
    Path((user, integration)): Path<(String, String)>,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<ConnectionBody>,
) -> Result<Response, Problem> {
    let of = named(&user, &integration)?;
    let credentials = wanted.credentials.into_iter().map(|(name, value)| {
        let name = SecretName::new(&name)
            .map_err(|malformed| camshaft_model::ids::Malformed { what: "credential name", ..malformed })?;
        Ok((name, value.map(|SecretText::Text(text)| text)))
    });
    let changed = Changed {
        settings: wanted.settings,
        credentials: credentials.collect::<Result<_, Problem>>()?,
        complete: wanted.complete.unwrap_or(true),
    };
    let (kept, is_new) = connect::connect(&app, &of, changed, Some(&headers)).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(with_generation(status, kept.generation, Json(ConnectionView::of(&app, &kept))))
}

/// Show a connection.
#[utoipa::path(
    get, path = "/api/v1/users/{user}/connections/{integration}", tag = "connections", operation_id = "get_connection",
    params(
        ("user" = String, Path, description = "as the app names them"),
        ("integration" = String, Path, description = "its name"),
    ),
    responses(
        (status = 200, description = "the connection", body = ConnectionView),
        (status = 404, description = "not connected"),
    )
)]
pub async fn show(app: App, Path((user, integration)): Path<(String, String)>) -> Result<Response, Problem> {
    let kept = connect::connection(&app, &named(&user, &integration)?)?;
    Ok(with_generation(StatusCode::OK, kept.generation, Json(ConnectionView::of(&app, &kept))))
}

/// Disconnect a user. What runs goes on; it is given no credential any more.
#[utoipa::path(
    delete, path = "/api/v1/users/{user}/connections/{integration}", tag = "connections", operation_id = "delete_connection",
    params(
        ("user" = String, Path, description = "as the app names them"),
        ("integration" = String, Path, description = "its name"),
    ),
    responses((status = 204, description = "disconnected"), (status = 404, description = "not connected"))
)]
pub async fn remove(app: App, Path((user, integration)): Path<(String, String)>) -> Result<StatusCode, Problem> {
    connect::disconnect(&app, &named(&user, &integration)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List connections by user and integration.
#[utoipa::path(
    get, path = "/api/v1/connections", tag = "connections", operation_id = "list_connections", params(ConnectionQuery),
    responses((status = 200, description = "a page", body = Page<ConnectionView>))
)]
pub async fn list(app: App, Asked(query): Asked<ConnectionQuery>) -> Result<Json<Page<ConnectionView>>, Problem> {
    let limit = limit(query.limit)?;
    let after = query.after.as_deref().map(cursor).transpose()?;
    let user = query.user.as_deref().map(UserId::new).transpose()?;
    let to = query.integration.as_deref().map(|text| name_in_url("integration name", text)).transpose()?;
    let wanted = |spec: &ConnectionSpec| {
        user.as_ref().is_none_or(|user| spec.of.user == *user)
            && to.as_ref().is_none_or(|to| spec.of.integration == *to)
    };
    let mut page = app.catalog.connections_where(&app.workspace, after.as_ref(), limit + 1, wanted);
    let next = (page.len() > limit).then(|| {
        let ConnectionRef { user, integration } = &page[limit - 1].spec.of;
        format!("{integration}/{user}")
    });
    page.truncate(limit);
    Ok(Json(Page { items: page.iter().map(|kept| ConnectionView::of(&app, kept)).collect(), next }))
}

/// `salesforce/ada`: an integration's name has no slash.
fn cursor(text: &str) -> Result<ConnectionRef, Problem> {
    let read = text.split_once('/').and_then(|(integration, user)| {
        Some(ConnectionRef { user: UserId::new(user).ok()?, integration: Name::new(integration).ok()? })
    });
    read.ok_or_else(|| Problem::new(Fault::Malformed, format!("`after` is `{text}`: it is `next` of a page before")))
}

/// Enable a workflow for a user: from now on it runs with this connection.
#[utoipa::path(
    put, path = "/api/v1/users/{user}/connections/{integration}/workflows/{workflow}", tag = "connections",
    operation_id = "enable_workflow",
    params(
        ("user" = String, Path, description = "as the app names them"),
        ("integration" = String, Path, description = "its name"),
        ("workflow" = String, Path, description = "name or id"),
    ),
    responses(
        (status = 200, description = "enabled", body = ConnectionView),
        (status = 404, description = "not connected, or an unknown workflow"),
        (status = 422, description = "too many are enabled"),
    )
)]
pub async fn enable(
    app: App,
    Path((user, integration, workflow)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let kept = connect::enable(&app, &named(&user, &integration)?, &workflow, true).await?;
    Ok(with_generation(StatusCode::OK, kept.generation, Json(ConnectionView::of(&app, &kept))))
}

/// Disable a workflow for a user. What runs goes on.
#[utoipa::path(
    delete, path = "/api/v1/users/{user}/connections/{integration}/workflows/{workflow}", tag = "connections",
    operation_id = "disable_workflow",
    params(
        ("user" = String, Path, description = "as the app names them"),
        ("integration" = String, Path, description = "its name"),
        ("workflow" = String, Path, description = "name or id"),
    ),
    responses(
        (status = 200, description = "disabled", body = ConnectionView),
        (status = 404, description = "not connected, or an unknown workflow"),
    )
)]
pub async fn disable(
    app: App,
    Path((user, integration, workflow)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let kept = connect::enable(&app, &named(&user, &integration)?, &workflow, false).await?;
    Ok(with_generation(StatusCode::OK, kept.generation, Json(ConnectionView::of(&app, &kept))))
}
