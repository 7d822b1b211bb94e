//! Users of an app: whoever has connections.

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use camshaft_model::ids::UserId;
use camshaft_model::{Map, Value};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::JsonBody;
use super::connect::{self, known};
use super::page::{Asked, Page, PageQuery, limit};
use super::problem::Problem;
use super::{App, with_generation};
use crate::catalog::specs::{Kept, UserSpec};

/// A user, as they shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserBody {
    /// What workflows read as `$.connection.metadata`, at most 16 KiB; what it was where it is left out.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserView {
    /// As the app names them.
    pub user: String,
    /// What the app says of them.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// The integrations that they have connected, or begun to.
    pub connections: Vec<String>,
    /// One more at each change; `If-Match` takes it.
    pub generation: u64,
    /// When they were made (RFC 3339).
    pub created_at: String,
    /// When they were changed last (RFC 3339).
    pub updated_at: String,
}

impl UserView {
    fn of(app: &App, kept: &Kept<UserSpec>) -> Self {
        let user = UserId::new(&kept.key.name).ok();
        let connections = user.map(|user| app.catalog.connections_of(&app.workspace, &user)).unwrap_or_default();
        Self {
            user: kept.key.name.clone(),
            metadata: kept.spec.metadata.clone(),
            connections: connections.iter().map(|kept| kept.spec.of.integration.to_string()).collect(),
            generation: kept.generation,
            created_at: kept.created_at.to_string(),
            updated_at: kept.updated_at.to_string(),
        }
    }
}

/// Make or change a user.
#[utoipa::path(
    put, path = "/api/v1/users/{user}", tag = "connections", operation_id = "put_user",
    params(
        ("user" = String, Path, description = "as the app names them: 1 to 255 bytes"),
        ("If-Match" = Option<String>, Header, description = "only if the generation is this"),
    ),
    request_body = UserBody,
    responses(
        (status = 200, description = "changed", body = UserView),
        (status = 201, description = "made", body = UserView),
        (status = 412, description = "changed meanwhile"),
        (status = 413, description = "too large"),
        (status = 422, description = "metadata that are too large, or too many users"),
    )
)]
pub async fn put(
    app: App,
    Path(which): Path<String>,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<UserBody>,
) -> Result<Response, Problem> {
    let (kept, is_new) = connect::put_user(&app, &UserId::new(&which)?, wanted.metadata, Some(&headers)).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(with_generation(status, kept.generation, Json(UserView::of(&app, &kept))))
}

/// List users by id.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "connections", operation_id = "list_users", params(PageQuery),
    responses((status = 200, description = "a page", body = Page<UserView>))
)]
pub async fn list(app: App, Asked(query): Asked<PageQuery>) -> Result<Json<Page<UserView>>, Problem> {
    let page = app.catalog.users(&app.workspace, query.after.as_deref(), limit(query.limit)? + 1);
    query.page(page, |kept| kept.key.name.clone(), |kept| UserView::of(&app, kept))
}

/// Show a user.
#[utoipa::path(
    get, path = "/api/v1/users/{user}", tag = "connections", operation_id = "get_user",
    params(("user" = String, Path, description = "as the app names them")),
    responses((status = 200, description = "the user", body = UserView), (status = 404, description = "unknown"))
)]
pub async fn show(app: App, Path(which): Path<String>) -> Result<Response, Problem> {
    let kept = known(&app, &UserId::new(&which)?)?;
    Ok(with_generation(StatusCode::OK, kept.generation, Json(UserView::of(&app, &kept))))
}

/// Remove a user with every connection and credential. Executions go on; none is given a credential any more.
#[utoipa::path(
    delete, path = "/api/v1/users/{user}", tag = "connections", operation_id = "delete_user",
    params(("user" = String, Path, description = "as the app names them")),
    responses((status = 204, description = "removed"), (status = 404, description = "unknown"))
)]
pub async fn remove(app: App, Path(which): Path<String>) -> Result<StatusCode, Problem> {
    connect::remove_user(&app, &UserId::new(&which)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
