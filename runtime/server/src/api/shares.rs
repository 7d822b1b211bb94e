//! Shares: workflows that are offered to another workspace, and what others offer to this one.
//!
//! Who offers does not learn whether there is such a workspace before it accepts. Who accepts learns the names of the workspace and
//! the workflow, and the documents that run in it, and nothing else.

use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use camshaft_model::ids::{Name, ResourceId};
use camshaft_model::limits::SHARES_MAX;
use camshaft_model::resource::{Change, Expect, ResourceKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::JsonBody;
use super::page::{Asked, Page, PageQuery};
use super::problem::{Fault, Problem};
use super::workflows::WorkflowView;
use super::{App, name_in_url, with_generation};
use crate::catalog::shares::{ShareSpec, SharedFrom, key_name};
use crate::catalog::specs::{self, Kept, WorkflowSpec};
use crate::sharing::{Copy, check_own, copy_of};

/// Whom to offer it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShareBody {
    /// The workspace.
    #[schema(value_type = String)]
    pub workspace: Name,
}

/// Under which name to take it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptBody {
    /// Its name here; the same as there where it is left out.
    #[schema(value_type = Option<String>)]
    pub name: Option<Name>,
}

/// A share, as its workflow's workspace sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShareView {
    /// Its id.
    pub id: String,
    /// The workspace that it is for.
    pub workspace: String,
    /// The workflow's id there: what trigger URLs take. Null until it is accepted.
    pub workflow_id: Option<String>,
    /// When it was offered (RFC 3339).
    pub created_at: String,
}

/// A share, as the workspace sees it that it is for.
#[derive(Debug, Serialize, ToSchema)]
pub struct OfferView {
    /// Its id.
    pub id: String,
    /// Whose workflow it is.
    pub workspace: String,
    /// Its name there.
    pub workflow: String,
    /// Its name here. Null until it is accepted.
    pub accepted_as: Option<String>,
    /// When it was offered (RFC 3339).
    pub created_at: String,
}

impl ShareView {
    fn of(kept: &Kept<ShareSpec>) -> Self {
        Self {
            id: kept.id.to_string(),
            workspace: kept.spec.to.to_string(),
            workflow_id: kept.spec.accepted.map(|id| id.to_string()),
            created_at: kept.created_at.to_string(),
        }
    }
}

impl OfferView {
    fn of(app: &App, kept: &Kept<ShareSpec>) -> Self {
        let lender = &kept.key.workspace;
        let name = |workspace, id| app.catalog.workflow_name(workspace, id).map(|name| name.to_string());
        Self {
            id: kept.id.to_string(),
            workspace: lender.to_string(),
            workflow: name(lender, kept.spec.workflow).unwrap_or_default(),
            accepted_as: kept.spec.accepted.and_then(|id| name(&app.workspace, id)),
            created_at: kept.created_at.to_string(),
        }
    }
}

/// Offer a workflow to another workspace. Nothing runs there before somebody there accepts it.
#[utoipa::path(
    post, path = "/api/v1/workflows/{workflow}/shares", tag = "workflows", operation_id = "share_workflow",
    params(("workflow" = String, Path, description = "name or id")),
    request_body = ShareBody,
    responses(
        (status = 200, description = "it is offered already", body = ShareView),
        (status = 201, description = "offered; it tells nothing of whether there is such a workspace", body = ShareView),
        (status = 404, description = "unknown workflow"),
        (status = 409, description = "the workflow is another workspace's"),
        (status = 413, description = "too large"),
        (status = 422, description = "its own workspace, or too many"),
    )
)]
pub async fn offer(
    app: App,
    Path(which): Path<String>,
    JsonBody(ShareBody { workspace: to }): JsonBody<ShareBody>,
) -> Result<Response, Problem> {
    let _editing = app.catalog.edit().await;
    let workflow = app.workflow(&which)?;
    check_own(&workflow)?;
    if to == app.workspace {
        let detail = format!("workflow `{}` is of the workspace `{to}` already", workflow.key.name);
        return Err(Problem::new(Fault::Invalid, detail));
    }
    let shares = app.catalog.shares_of(&app.workspace, workflow.id);
    if let Some(kept) = shares.iter().find(|kept| kept.spec.to == to) {
        return Ok(with_generation(StatusCode::OK, kept.generation, Json(ShareView::of(kept))));
    }
    if shares.len() >= SHARES_MAX {
        let detail = format!("`{to}` would be one more than {SHARES_MAX} workspaces, which is the limit of a workflow");
        return Err(Problem::new(Fault::Invalid, detail));
    }
    let spec = ShareSpec { workflow: workflow.id, to: to.clone(), accepted: None };
    let key = specs::key(ResourceKind::Share, &app.workspace, key_name(workflow.id, &to));
    let resource = specs::resource(key, app.ids.resource(), &spec, app.clock.now());
    app.catalog.change(vec![Change::Put { resource, expect: Expect::Absent }]).await?;
    let kept = share_to(&app, workflow.id, &to)?;
    Ok(with_generation(StatusCode::CREATED, kept.generation, Json(ShareView::of(&kept))))
}

fn share_to(app: &App, workflow: ResourceId, to: &Name) -> Result<Arc<Kept<ShareSpec>>, Problem> {
    let shares = app.catalog.shares_of(&app.workspace, workflow);
    let found = shares.into_iter().find(|kept| kept.spec.to == *to);
    found.ok_or_else(|| Problem::new(Fault::NotFound, format!("it is not shared with the workspace `{to}`")))
}

/// List the workspaces that a workflow is shared with, by name.
#[utoipa::path(
    get, path = "/api/v1/workflows/{workflow}/shares", tag = "workflows", operation_id = "list_shares",
    params(("workflow" = String, Path, description = "name or id"), PageQuery),
    responses((status = 200, description = "a page", body = Page<ShareView>), (status = 404, description = "unknown workflow"))
)]
pub async fn list(
    app: App,
    Path(which): Path<String>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<ShareView>>, Problem> {
    let workflow = app.workflow(&which)?;
    let shares = app.catalog.shares_of(&app.workspace, workflow.id);
    query.page(shares, |kept| kept.spec.to.to_string(), |kept| ShareView::of(kept))
}

/// Share a workflow no more. What runs there goes on, what has run stays readable there, and nothing is started any more.
#[utoipa::path(
    delete, path = "/api/v1/workflows/{workflow}/shares/{to}", tag = "workflows", operation_id = "unshare_workflow",
    params(
        ("workflow" = String, Path, description = "name or id"),
        ("to" = String, Path, description = "the workspace"),
    ),
    responses((status = 204, description = "shared no more"), (status = 404, description = "unknown, or not shared with it"))
)]
pub async fn remove(app: App, Path((which, to)): Path<(String, String)>) -> Result<StatusCode, Problem> {
    let to = name_in_url("workspace name", &to)?;
    let _editing = app.catalog.edit().await;
    let workflow = app.workflow(&which)?;
    let share = share_to(&app, workflow.id, &to)?;
    end(&app, &share).await
}

/// List what other workspaces offer to this one, or have lent it; oldest first.
#[utoipa::path(
    get, path = "/api/v1/shares", tag = "workflows", operation_id = "list_offers", params(PageQuery),
    responses((status = 200, description = "a page", body = Page<OfferView>))
)]
pub async fn offers(app: App, Asked(query): Asked<PageQuery>) -> Result<Json<Page<OfferView>>, Problem> {
    let offers = app.catalog.shares_to(&app.workspace);
    query.page(offers, |kept| kept.id.to_string(), |kept| OfferView::of(&app, kept))
}

/// Accept an offered workflow: it runs here from now on, as it is published there. Again, for one that is behind: try to catch up.
#[utoipa::path(
    post, path = "/api/v1/shares/{share}/accept", tag = "workflows", operation_id = "accept_share",
    params(("share" = String, Path, description = "its id")),
    request_body = AcceptBody,
    responses(
        (status = 200, description = "it was accepted before, and runs what is published there", body = WorkflowView),
        (status = 201, description = "accepted", body = WorkflowView),
        (status = 404, description = "no such offer"),
        (status = 409, description = "a workflow has the name already, or nothing of it is published there"),
        (status = 413, description = "too large"),
        (status = 422, description = "`missing` grants, secrets, plugins or workflows"),
    )
)]
pub async fn accept(
    app: App,
    Path(which): Path<String>,
    JsonBody(AcceptBody { name }): JsonBody<AcceptBody>,
) -> Result<Response, Problem> {
    let _editing = app.catalog.edit().await;
    let share = offered(&app, &which)?;
    let lender = app.within(share.key.workspace.clone());
    let theirs = lender.workflow(&share.spec.workflow.to_string())?;
    let conflict = |detail: String| Err(Problem::new(Fault::Conflict, detail));
    if theirs.spec.published.is_empty() {
        let (theirs, lender) = (&theirs.key.name, &lender.workspace);
        return conflict(format!("nothing of workflow `{theirs}` of the workspace `{lender}` is published"));
    }
    let accepted = copy_of(&lender, &share);
    let is_new = accepted.is_none();
    let mut copy = match accepted {
        Some(copy) => copy,
        None => taken_as(&app, &lender, &theirs, name)?,
    };
    copy.set_ended(false);
    if let Some(missing) = copy.bring(&lender, theirs.id, &theirs.spec.published).await? {
        return Err(missing);
    }
    let (id, name) = (copy.id(), copy.name().clone());
    let mut changes = copy.changes();
    if share.spec.accepted != Some(id) {
        let spec = ShareSpec { accepted: Some(id), ..share.spec.clone() };
        let resource = specs::resource(share.key.clone(), share.id, &spec, app.clock.now());
        changes.push(Change::Put { resource, expect: Expect::Generation(share.generation) });
    }
    if !changes.is_empty() {
        app.catalog.change(changes).await?;
    }
    let kept = app.workflow(name.as_str())?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(with_generation(status, kept.generation, Json(WorkflowView::of(&app, &kept))))
}

/// A copy of a name that is free here, or that was this very workflow's before it was shared no more.
fn taken_as(app: &App, lender: &App, theirs: &Kept<WorkflowSpec>, name: Option<Name>) -> Result<Copy, Problem> {
    let workflow = Name::new(&theirs.key.name)?;
    let name = name.unwrap_or_else(|| workflow.clone());
    let from = SharedFrom {
        workspace: lender.workspace.clone(),
        workflow_id: theirs.id,
        workflow,
        ended: false,
        behind: None,
    };
    let Some(kept) = app.catalog.workflow(&app.workspace, &name) else { return Ok(Copy::new(app, name, from)) };
    let is_the_same = |former: &SharedFrom| former.ended && former.workflow_id == theirs.id;
    if kept.spec.shared_from.as_ref().is_some_and(is_the_same) {
        return Ok(Copy::again(app, name, kept));
    }
    let detail = format!("there is a workflow `{name}` already; take it under another `name`");
    Err(Problem::new(Fault::Conflict, detail))
}

/// Turn an offer down, or give a workflow back: as if it were shared no more.
#[utoipa::path(
    delete, path = "/api/v1/shares/{share}", tag = "workflows", operation_id = "leave_share",
    params(("share" = String, Path, description = "its id")),
    responses((status = 204, description = "shared no more"), (status = 404, description = "no such offer"))
)]
pub async fn leave(app: App, Path(which): Path<String>) -> Result<StatusCode, Problem> {
    let _editing = app.catalog.edit().await;
    let share = offered(&app, &which)?;
    end(&app.within(share.key.workspace.clone()), &share).await
}

fn offered(app: &App, which: &str) -> Result<Arc<Kept<ShareSpec>>, Problem> {
    let id: ResourceId = which.parse()?;
    let found = app.catalog.shares_to(&app.workspace).into_iter().find(|kept| kept.id == id);
    found.ok_or_else(|| Problem::not_found("share", id))
}

async fn end(lender: &App, share: &Kept<ShareSpec>) -> Result<StatusCode, Problem> {
    let mut changes = Vec::new();
    if let Some(mut copy) = copy_of(lender, share) {
        copy.set_ended(true);
        changes.extend(copy.changes());
    }
    let expect = Expect::Generation(share.generation);
    changes.push(Change::Delete { key: share.key.clone(), expect });
    lender.catalog.change(changes).await?;
    Ok(StatusCode::NO_CONTENT)
}
