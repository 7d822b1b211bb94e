//! Running many executions again: all that a filter holds for, in the background.

use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use camshaft_model::ids::{ExecutionId, ResourceId};
use camshaft_model::limits::LOOKED_AT_MAX;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::body::JsonBody;
use super::filter::{self, Filter};
use super::page::{Asked, Page, PageQuery};
use super::problem::{Fault, Problem};
use crate::reruns::{self, Refusal, RerunSpec, Stage, Told};
use crate::tokens::Caller;

/// Most executions that are run again at once, and how many where nobody says.
const EXECUTIONS_MAX: usize = 10_000;
const EXECUTIONS_DEFAULT: usize = 1_000;
/// Most executions that are looked at to find them.
const LOOKED_AT_IN_ALL_MAX: usize = 100_000;

/// Which executions to run again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RerunsBody {
    /// As in the list of executions; at least one word of it.
    #[serde(default)]
    pub filter: Filter,
    /// The newest of them, at most so many: 1 to 10000, 1000 where it is left out.
    pub limit: Option<usize>,
    /// Only tells how many there are.
    #[serde(default)]
    pub dry_run: bool,
}

/// How many there are.
#[derive(Debug, Serialize, ToSchema)]
pub struct RerunsCounted {
    /// How many are meant.
    pub matched: usize,
    /// Whether the filter holds for more than the limit.
    pub more: bool,
}

/// A rerun of many.
#[derive(Debug, Serialize, ToSchema)]
pub struct RerunsView {
    /// Its id.
    pub id: String,
    /// `running`, `done`, `cancelled`, `given_up`
    pub status: Stage,
    /// Label of the token that asked for it.
    pub by: String,
    /// Which executions.
    pub filter: Filter,
    /// How many are meant.
    pub matched: usize,
    /// Whether the filter held for more than the limit.
    pub more: bool,
    /// How many run again; each says which one it `repeats`.
    pub started: usize,
    /// How many were refused.
    pub refused: usize,
    /// The first hundred of them.
    pub refusals: Vec<Refusal>,
    /// When it began (RFC 3339).
    pub created_at: String,
}

impl From<Told> for RerunsView {
    fn from(Told { id, created_at, spec }: Told) -> Self {
        Self {
            id: id.to_string(),
            status: spec.stage,
            by: spec.by,
            filter: spec.filter,
            matched: spec.matched,
            more: spec.more,
            started: spec.started,
            refused: spec.refused,
            refusals: spec.refusals,
            created_at: created_at.to_string(),
        }
    }
}

/// Run all executions again that a filter holds for, oldest first, in the background.
///
/// Each runs again once, however often the server stops in between.
#[utoipa::path(
    post, path = "/api/v1/executions/rerun", tag = "executions", operation_id = "rerun_executions",
    request_body = RerunsBody,
    responses(
        (status = 200, description = "a dry run: how many there are", body = RerunsCounted),
        (status = 202, description = "it is durable and goes on; its Location tells how far", body = RerunsView),
        (status = 404, description = "unknown workflow"),
        (status = 409, description = "too many reruns go on already"),
        (status = 422, description = "the filter says nothing, or looks through too many executions"),
    )
)]
pub async fn begin(app: App, caller: Caller, JsonBody(body): JsonBody<RerunsBody>) -> Result<Response, Problem> {
    let limit = match body.limit.unwrap_or(EXECUTIONS_DEFAULT) {
        limit @ 1..=EXECUTIONS_MAX => limit,
        other => {
            let detail = format!("`limit` is {other}: 1 to {EXECUTIONS_MAX} executions are run again at once");
            return Err(Problem::new(Fault::Malformed, detail));
        }
    };
    if body.filter == Filter::default() {
        return Err(Problem::new(Fault::Invalid, "the filter says nothing: name a workflow, a status, a time, …"));
    }
    if !body.dry_run && app.reruns.under_way() >= reruns::RUNNING_MAX {
        let detail = format!("{} reruns go on already; wait for one of them or cancel it", reruns::RUNNING_MAX);
        return Err(Problem::new(Fault::Conflict, detail));
    }
    let mut executions = matching(&app, &caller, &body.filter, limit + 1).await?;
    let more = executions.len() > limit;
    executions.truncate(limit);
    executions.reverse();
    let matched = executions.len();
    if body.dry_run {
        return Ok(Json(RerunsCounted { matched, more }).into_response());
    }
    let spec = RerunSpec {
        filter: body.filter,
        by: caller.label.to_string(),
        stage: Stage::Running,
        matched,
        more,
        started: 0,
        refused: 0,
        refusals: Vec::new(),
    };
    let told = reruns::begin(&app, spec, executions).await?;
    let location = [(header::LOCATION, format!("/api/v1/reruns/{}", told.id))];
    Ok((StatusCode::ACCEPTED, location, Json(RerunsView::from(told))).into_response())
}

/// The newest that a filter holds for.
async fn matching(app: &App, caller: &Caller, filter: &Filter, most: usize) -> Result<Vec<ExecutionId>, Problem> {
    let wanted = filter.check(app, caller)?;
    let (mut executions, mut before) = (Vec::new(), None);
    for _ in 0..LOOKED_AT_IN_ALL_MAX / LOOKED_AT_MAX {
        let looked = filter::look(app, &wanted, before, most - executions.len(), |_| true).await?;
        executions.extend(looked.found.iter().map(|summary| summary.id));
        before = looked.next;
        if before.is_none() || executions.len() >= most {
            return Ok(executions);
        }
    }
    let detail = format!(
        "the filter looks through more than {LOOKED_AT_IN_ALL_MAX} executions; narrow it by workflow, status, since or until"
    );
    Err(Problem::new(Fault::Invalid, detail))
}

/// List reruns of many, in the order in which they began; the latest hundred are kept.
#[utoipa::path(
    get, path = "/api/v1/reruns", tag = "executions", operation_id = "list_reruns", params(PageQuery),
    responses((status = 200, description = "a page", body = Page<RerunsView>))
)]
pub async fn list(app: App, Asked(query): Asked<PageQuery>) -> Result<Json<Page<RerunsView>>, Problem> {
    let views = reruns::list(&app).await?.into_iter().map(RerunsView::from).map(Arc::new);
    let Json(Page { items, next }) = query.page(views, |view| view.id.clone(), Arc::clone)?;
    let items = items.into_iter().filter_map(Arc::into_inner).collect();
    Ok(Json(Page { items, next }))
}

/// Show how far a rerun of many is.
#[utoipa::path(
    get, path = "/api/v1/reruns/{rerun}", tag = "executions", operation_id = "get_rerun",
    params(("rerun" = String, Path, description = "its id")),
    responses((status = 200, description = "the rerun", body = RerunsView), (status = 404, description = "unknown"))
)]
pub async fn show(app: App, Path(which): Path<String>) -> Result<Json<RerunsView>, Problem> {
    let id: ResourceId = which.parse()?;
    let told = reruns::show(&app, id).await?.ok_or_else(|| Problem::not_found("rerun", id))?;
    Ok(Json(told.into()))
}

/// Stop a rerun of many. What it has started goes on.
#[utoipa::path(
    post, path = "/api/v1/reruns/{rerun}/cancel", tag = "executions", operation_id = "cancel_rerun",
    params(("rerun" = String, Path, description = "its id")),
    responses(
        (status = 200, description = "it starts nothing more", body = RerunsView),
        (status = 404, description = "unknown"),
        (status = 409, description = "it is over already"),
    )
)]
pub async fn cancel(app: App, Path(which): Path<String>) -> Result<Json<RerunsView>, Problem> {
    let id: ResourceId = which.parse()?;
    let is_cancelled = reruns::cancel(&app, id).await?;
    let told = reruns::show(&app, id).await?.ok_or_else(|| Problem::not_found("rerun", id))?;
    if !is_cancelled {
        return Err(Problem::new(Fault::Conflict, format!("rerun {id} is over already")));
    }
    Ok(Json(told.into()))
}
