//! Workspaces: tenants of an instance. Operators make them; everybody else sees their own.

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use camshaft_model::ids::Name;
use camshaft_model::limits::{LABEL_BYTES_MAX, WORKSPACES_MAX};
use camshaft_model::resource::{Change, Expect, ResourceKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::JsonBody;
use super::page::{Asked, Page, PageQuery};
use super::problem::{Fault, Problem};
use super::{App, check_generation, name_in_url, with_generation};
use crate::catalog::specs::{self, WorkspaceLimits, WorkspaceSpec};
use crate::tokens::{Caller, Scope};

/// A workspace, as it shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceBody {
    /// For people; its name where it is left out.
    pub display_name: Option<String>,
    /// How much of everything; not limited where it is left out.
    #[serde(default)]
    pub limits: WorkspaceLimits,
}

/// A workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceView {
    /// Its name.
    pub name: String,
    /// For people.
    pub display_name: String,
    /// What its trigger URLs begin with.
    pub url: String,
    /// How much of everything.
    pub limits: WorkspaceLimits,
    /// One more at each change; `If-Match` takes it. 0 for the operators' own, until it is changed.
    pub generation: u64,
    /// When it was made (RFC 3339); null for the operators' own.
    pub created_at: Option<String>,
}

impl WorkspaceView {
    fn of(app: &App, name: &Name) -> Self {
        let kept = app.catalog.workspace_kept(name);
        let display_name = kept.as_ref().and_then(|kept| kept.spec.display_name.clone());
        Self {
            name: name.to_string(),
            display_name: display_name.unwrap_or_else(|| name.to_string()),
            url: app.within(name.clone()).url(),
            limits: kept.as_ref().map(|kept| kept.spec.limits.clone()).unwrap_or_default(),
            generation: kept.as_ref().map_or(0, |kept| kept.generation),
            created_at: kept.map(|kept| kept.created_at.to_string()),
        }
    }
}

/// Make or change a workspace. Only operators do.
#[utoipa::path(
    put, path = "/api/v1/workspaces/{workspace}", tag = "workspaces", operation_id = "put_workspace",
    params(
        ("workspace" = String, Path, description = "its name"),
        ("If-Match" = Option<String>, Header, description = "only if the generation is this"),
    ),
    request_body = WorkspaceBody,
    responses(
        (status = 200, description = "changed", body = WorkspaceView),
        (status = 201, description = "made, with the plugins that Camshaft carries", body = WorkspaceView),
        (status = 412, description = "changed meanwhile"),
        (status = 413, description = "too large"),
        (status = 422, description = "a display name or a limit that cannot be, or too many workspaces"),
    )
)]
pub async fn put(
    app: App,
    Path(which): Path<String>,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<WorkspaceBody>,
) -> Result<Response, Problem> {
    let name = name_in_url("workspace name", &which)?;
    let display_name = wanted.display_name.map(|text| text.trim().to_owned());
    if let Some(text) = display_name
        .as_ref()
        .filter(|text| text.is_empty() || text.len() > LABEL_BYTES_MAX || text.chars().any(char::is_control))
    {
        let detail = format!("`display_name` is {text:?}: it has 1 to {LABEL_BYTES_MAX} bytes, on one line");
        return Err(Problem::new(Fault::Invalid, detail));
    }
    if wanted.limits.execution_time_s == Some(0) {
        let detail = "`limits.execution_time_s` is 0, and at least 1; without it there is no such limit";
        return Err(Problem::new(Fault::Invalid, detail));
    }
    let editing = app.catalog.edit().await;
    let is_new = !app.catalog.has_workspace(&name);
    let before = app.catalog.workspace_kept(&name);
    check_generation(&headers, before.as_ref().map_or(0, |kept| kept.generation))?;
    if is_new && app.catalog.workspaces().len() >= WORKSPACES_MAX {
        let detail = format!("`{name}` would be one more than {WORKSPACES_MAX} workspaces, which is the limit");
        return Err(Problem::new(Fault::Invalid, detail));
    }
    let id = before.as_ref().map_or_else(|| app.ids.resource(), |kept| kept.id);
    let rate = wanted.limits.executions_per_second;
    let spec = WorkspaceSpec { display_name, limits: wanted.limits };
    let resource = specs::resource(specs::key(ResourceKind::Workspace, &name, &name), id, &spec, app.clock.now());
    let expect = before.as_ref().map_or(Expect::Absent, |kept| Expect::Generation(kept.generation));
    app.catalog.change(vec![Change::Put { resource, expect }]).await?;
    app.throttle.set(&name, rate);
    drop(editing);
    if is_new {
        app.ship(&name).await.map_err(|error| Problem::internal(format!("{error:#}")))?;
    }
    let view = WorkspaceView::of(&app, &name);
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(with_generation(status, view.generation, Json(view)))
}

/// Show a workspace: one's own, or any for an operator.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}", tag = "workspaces", operation_id = "show_workspace",
    params(("workspace" = String, Path, description = "its name")),
    responses((status = 200, description = "the workspace", body = WorkspaceView), (status = 404, description = "unknown"))
)]
pub async fn show(app: App, caller: Caller, Path(which): Path<String>) -> Result<Response, Problem> {
    let name = name_in_url("workspace name", &which)?;
    let is_seen =
        if caller.scope == Scope::Operator { app.catalog.has_workspace(&name) } else { name == app.workspace };
    if !is_seen {
        return Err(Problem::not_found("workspace", name));
    }
    let view = WorkspaceView::of(&app, &name);
    Ok(with_generation(StatusCode::OK, view.generation, Json(view)))
}

/// List the workspaces, by name: all of them for an operator, one's own otherwise.
#[utoipa::path(
    get, path = "/api/v1/workspaces", tag = "workspaces", operation_id = "list_workspaces", params(PageQuery),
    responses((status = 200, description = "a page", body = Page<WorkspaceView>))
)]
pub async fn list(
    app: App,
    caller: Caller,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<WorkspaceView>>, Problem> {
    let all = if caller.scope == Scope::Operator { app.catalog.workspaces() } else { vec![app.workspace.clone()] };
    query.page(all, ToString::to_string, |name| WorkspaceView::of(&app, name))
}
