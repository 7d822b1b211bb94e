//! Workflows: put a document, look at workflows and their revisions.
//!
//! A document that differs, or that means other plugin releases now, makes a new revision. The same document again makes
//! none. Revision and head are written together.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use camshaft_engine::Occupancy;
use camshaft_model::ids::Name;
use camshaft_model::invocation::RevisionRef;
use camshaft_model::language::diagnose::Diagnostic;
use camshaft_model::language::{self, Compiled};
use camshaft_model::limits::DOCUMENT_BYTES_MAX;
use camshaft_model::resource::{Change, Expect, ResourceKind};
use camshaft_model::seams::{CountKey, Directory, Limited, Quota, StoreError};
use camshaft_model::time::Period;
use camshaft_model::workflow::WhenFull;
use serde::Serialize;
use utoipa::ToSchema;

use super::page::{Asked, Page, PageQuery};
use super::problem::{Fault, Problem};
use super::triggers::TriggerItem;
use super::{App, body, check_generation, name_in_url, with_generation};
use crate::catalog::WorkspaceTasks;
use crate::catalog::shares::SharedFrom;
use crate::catalog::specs::{self, Kept, RevisionSpec, TriggerSpec, WorkflowSpec};
use crate::sharing::check_own;

/// A workflow.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkflowView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// One more at each change; `If-Match` takes it.
    pub generation: u64,
    /// Number of the latest revision.
    pub latest_revision: u32,
    /// Environment and the revision that runs there.
    pub published: BTreeMap<String, u32>,
    /// To find executions by.
    pub labels: BTreeMap<String, String>,
    /// What starts the latest revision.
    pub triggers: Vec<TriggerItem>,
    /// The workspace that has lent it, and changes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_from: Option<SharedFromView>,
    /// When it was made (RFC 3339).
    pub created_at: String,
    /// When it was changed (RFC 3339).
    pub updated_at: String,
}

/// Where a workflow comes from that another workspace has lent.
#[derive(Debug, Serialize, ToSchema)]
pub struct SharedFromView {
    /// Whose it is.
    pub workspace: String,
    /// Its name there.
    pub workflow: String,
    /// Whether it is shared no more: nothing is started, and what has run is kept.
    pub ended: bool,
    /// Why what is published there does not run here; accept the share again once that is mended.
    pub behind: Option<String>,
}

impl SharedFromView {
    fn of(from: &SharedFrom) -> Self {
        let SharedFrom { workspace, workflow, ended, behind, .. } = from.clone();
        Self { workspace: workspace.to_string(), workflow: workflow.to_string(), ended, behind }
    }
}

/// A workflow, and how far its limits are used.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkflowShown {
    /// The workflow.
    #[serde(flatten)]
    pub workflow: WorkflowView,
    /// What is published in `production`, or else where it is published, or else of the latest revision: its limits.
    /// Null where that revision cannot be read.
    pub limits: Option<LimitsView>,
    /// Why that revision, which an earlier release took, starts nothing any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// Limits of a workflow, and how far they are used. What is not limited is null.
#[derive(Debug, Serialize, ToSchema)]
pub struct LimitsView {
    /// How long an execution may take, seconds.
    pub timeout_s: u64,
    /// What bounds it closer.
    pub execution_time: Option<TimeLimitView>,
    /// Executions at once.
    pub concurrency: Option<ConcurrencyView>,
    /// Executions accepted today (UTC).
    pub per_day: Option<CountView>,
    /// Executions accepted this month (UTC).
    pub per_month: Option<CountView>,
}

/// How long executions of a workflow may take, as something around it says.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimeLimitView {
    /// Whose limit it is: `workspace`, `server`
    pub of: &'static str,
    /// How long an execution may take, seconds.
    pub limit_s: f64,
}

/// Executions at once.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConcurrencyView {
    /// How many may run; waiting ones count.
    pub limit: u32,
    /// How many do.
    pub running: u32,
    /// How many stand in line.
    pub queued: usize,
    /// What becomes of one more: `queue`, `reject`
    pub when_full: &'static str,
}

/// Executions in a period.
#[derive(Debug, Serialize, ToSchema)]
pub struct CountView {
    /// How many may be accepted.
    pub limit: u64,
    /// How many were.
    pub count: u64,
    /// When the count begins anew (RFC 3339).
    pub ends_at: Option<String>,
}

/// A revision, without its document.
#[derive(Debug, Serialize, ToSchema)]
pub struct RevisionItem {
    /// 1, 2, 3…
    pub revision: u32,
    /// When it was made (RFC 3339).
    pub created_at: String,
    /// Environments where it is published.
    pub published: Vec<String>,
}

/// A revision.
#[derive(Debug, Serialize, ToSchema)]
pub struct RevisionView {
    /// 1, 2, 3…
    pub revision: u32,
    /// The document as it came.
    pub document: String,
    /// Each plugin as the document writes it, and the release that it means.
    pub pins: BTreeMap<String, PinView>,
    /// When it was made (RFC 3339).
    pub created_at: String,
}

/// A plugin's release, pinned.
#[derive(Debug, Serialize, ToSchema)]
pub struct PinView {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// BLAKE3 digest of its component.
    pub digest: String,
    /// Whether its calls can be seen from outside.
    pub observable: bool,
}

impl WorkflowView {
    pub(super) fn of(app: &App, kept: &Kept<WorkflowSpec>) -> Self {
        let WorkflowSpec { description, labels, latest_revision, published, .. } = &kept.spec;
        Self {
            id: kept.id.to_string(),
            name: kept.key.name.clone(),
            description: description.clone(),
            generation: kept.generation,
            latest_revision: *latest_revision,
            published: published.iter().map(|(environment, revision)| (environment.to_string(), *revision)).collect(),
            labels: labels.clone(),
            triggers: TriggerItem::all(app, kept),
            shared_from: kept.spec.shared_from.as_ref().map(SharedFromView::of),
            created_at: kept.created_at.to_string(),
            updated_at: kept.updated_at.to_string(),
        }
    }
}

/// Make a workflow, or a new revision of it, of a document (YAML or JSON, whatever the content type).
#[utoipa::path(
    put, path = "/api/v1/workflows/{workflow}", tag = "workflows", operation_id = "put_workflow",
    params(
        ("workflow" = String, Path, description = "the name; the document says the same"),
        ("If-Match" = Option<String>, Header, description = "only if the generation is this"),
    ),
    request_body(content = String, content_type = "application/yaml", description = "the workflow document"),
    responses(
        (status = 200, description = "changed, or the same document again", body = WorkflowView),
        (status = 201, description = "made", body = WorkflowView),
        (status = 409, description = "another workspace has lent it, and changes it"),
        (status = 412, description = "changed meanwhile"),
        (status = 413, description = "too large"),
        (status = 422, description = "faulty; `diagnostics` tells every fault with line and column"),
    )
)]
pub async fn put(
    app: App,
    Path(which): Path<String>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let name = name_in_url("workflow name", &which)?;
    let bytes = body::read(request, DOCUMENT_BYTES_MAX).await?;
    let document = String::from_utf8(bytes.into()).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Problem::new(Fault::Invalid, format!("the document is no UTF-8: byte {at} cannot be read"))
    })?;
    let (document, compiled) = compile(&app, document).await?;
    if compiled.workflow.name != name {
        let found = &compiled.workflow.name;
        return Err(Problem::new(Fault::Invalid, format!("the document's name is `{found}`, the URL's is `{name}`")));
    }

    let workspace = &app.workspace;
    let _editing = app.catalog.edit().await;
    let before = app.catalog.workflow(workspace, &name);
    check_generation(&headers, before.as_ref().map_or(0, |kept| kept.generation))?;
    before.as_deref().map_or(Ok(()), check_own)?;
    let revision = RevisionSpec { document, pins: compiled.pins };
    if let Some(before) = &before {
        let latest = app.catalog.revision_document(workspace, before.id, before.spec.latest_revision).await?;
        if latest.is_some_and(|latest| latest.spec == revision) {
            let view = WorkflowView::of(&app, before);
            return Ok(with_generation(StatusCode::OK, before.generation, Json(view)));
        }
    }

    let now = app.clock.now();
    let id = before.as_ref().map_or_else(|| app.ids.resource(), |kept| kept.id);
    let number = before.as_ref().map_or(0, |kept| kept.spec.latest_revision) + 1;
    let head = WorkflowSpec {
        description: compiled.workflow.description.clone(),
        labels: compiled.workflow.labels.clone(),
        triggers: TriggerSpec::all(&compiled.workflow.triggers),
        latest_revision: number,
        published: before.as_ref().map(|kept| kept.spec.published.clone()).unwrap_or_default(),
        former: before.as_ref().map(|kept| kept.spec.former.clone()).unwrap_or_default(),
        disabled_triggers: before.as_ref().map(|kept| kept.spec.disabled_triggers.clone()).unwrap_or_default(),
        since: before.as_ref().map(|kept| kept.spec.since.clone()).unwrap_or_default(),
        shared_from: None,
    };
    let revision_key = specs::revision_key(workspace, id, number);
    let head_key = specs::key(ResourceKind::Workflow, workspace, &name);
    let changes = vec![
        Change::Put {
            resource: specs::resource(revision_key, app.ids.resource(), &revision, now),
            expect: Expect::Absent,
        },
        Change::Put {
            resource: specs::resource(head_key, id, &head, now),
            expect: before.as_ref().map_or(Expect::Absent, |kept| Expect::Generation(kept.generation)),
        },
    ];
    app.catalog.change(changes).await?;
    let status = if before.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    let kept = app.workflow(name.as_str())?;
    Ok(with_generation(status, kept.generation, Json(WorkflowView::of(&app, &kept))))
}

/// Compiles a document off the threads that answer requests; a large one takes its time.
async fn compile(app: &App, document: String) -> Result<(String, Compiled), Problem> {
    let app = app.clone();
    let compiling = tokio::task::spawn_blocking(move || {
        let tasks = WorkspaceTasks { catalog: &app.catalog, workspace: &app.workspace };
        let compiled = language::compile(&document, &tasks);
        (document, compiled)
    });
    match compiling.await {
        Ok((document, Ok(compiled))) => Ok((document, compiled)),
        Ok((_, Err(diagnostics))) => Err(faulty(&diagnostics)),
        Err(error) => Err(Problem::internal(format!("a document was not compiled: {error}"))),
    }
}

fn faulty(diagnostics: &[Diagnostic]) -> Problem {
    let detail = match diagnostics {
        [one] => one.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
        [] => "the document is faulty".to_owned(),
    };
    let diagnostics: Vec<_> = diagnostics
        .iter()
        .map(|fault| {
            serde_json::json!({
                "line": fault.mark.line,
                "column": fault.mark.column,
                "path": fault.path,
                "message": fault.message,
                "suggestion": fault.suggestion,
            })
        })
        .collect();
    Problem::new(Fault::Invalid, detail).with("diagnostics", diagnostics)
}

/// List workflows by name.
#[utoipa::path(
    get, path = "/api/v1/workflows", tag = "workflows", operation_id = "list_workflows", params(PageQuery),
    responses(
        (status = 200, description = "a page", body = Page<WorkflowView>),
    )
)]
pub async fn list(app: App, Asked(query): Asked<PageQuery>) -> Result<Json<Page<WorkflowView>>, Problem> {
    let workflows = app.catalog.workflows(&app.workspace);
    query.page(workflows, |kept| kept.key.name.clone(), |kept| WorkflowView::of(&app, kept))
}

/// Show a workflow.
#[utoipa::path(
    get, path = "/api/v1/workflows/{workflow}", tag = "workflows", operation_id = "get_workflow",
    params(("workflow" = String, Path, description = "name or id")),
    responses(
        (status = 200, description = "the workflow", body = WorkflowShown),
        (status = 404, description = "unknown"),
    )
)]
pub async fn show(app: App, Path(which): Path<String>) -> Result<Response, Problem> {
    let kept = app.workflow(&which)?;
    let (limits, fault) = match limits(&app, &kept).await? {
        Ok(limits) => (Some(limits), None),
        Err(why) => (None, Some(why)),
    };
    let shown = WorkflowShown { workflow: WorkflowView::of(&app, &kept), limits, fault };
    Ok(with_generation(StatusCode::OK, kept.generation, Json(shown)))
}

/// Limits of what is published; or why that cannot be read.
async fn limits(app: &App, kept: &Kept<WorkflowSpec>) -> Result<Result<LimitsView, String>, Problem> {
    let WorkflowSpec { published, latest_revision, .. } = &kept.spec;
    let production = super::publish::production();
    let environment = published.get_key_value(&production).or_else(|| published.first_key_value());
    let (environment, revision) = environment.map_or((&production, *latest_revision), |(name, number)| (name, *number));
    let workflow = Name::new(kept.key.name.as_str())?;
    let revision = RevisionRef { workflow_id: kept.id, workflow, revision };
    let published = match app.catalog.revision(&app.workspace, &revision, environment).await {
        Ok(published) => published,
        Err(StoreError::Damaged(why)) => return Ok(Err(why)),
        Err(error) => return Err(error.into()),
    };
    let limits = &published.workflow.limits;
    let now = app.clock.now();
    let count = async |limit: Option<u64>, period: Period| -> Result<Option<CountView>, Problem> {
        let Some(limit) = limit else { return Ok(None) };
        let ends_at = period.end().map(|end| end.to_string());
        let count = app.store.count(&CountKey { period, owner: kept.id }).await?;
        Ok(Some(CountView { limit, count, ends_at }))
    };
    Ok(Ok(LimitsView {
        timeout_s: limits.timeout.as_secs(),
        execution_time: Quota::closest(&app.catalog.quotas(&app.workspace), limits.timeout).map(|closest| {
            let of = if closest.of == Limited::Instance { "server" } else { "workspace" };
            TimeLimitView { of, limit_s: closest.limit().as_secs_f64() }
        }),
        concurrency: limits.concurrency.map(|limit| {
            let Occupancy { running, queued } = (app.occupancy)(kept.id);
            let when_full = match limits.when_full {
                WhenFull::Queue => "queue",
                WhenFull::Reject => "reject",
            };
            ConcurrencyView { limit, running, queued, when_full }
        }),
        per_day: count(limits.per_day, Period::day(now)).await?,
        per_month: count(limits.per_month, Period::month(now)).await?,
    }))
}

/// List a workflow's revisions, newest first.
#[utoipa::path(
    get, path = "/api/v1/workflows/{workflow}/revisions", tag = "workflows", operation_id = "list_revisions",
    params(("workflow" = String, Path, description = "name or id"), PageQuery),
    responses(
        (status = 200, description = "a page", body = Page<RevisionItem>),
        (status = 404, description = "unknown"),
    )
)]
pub async fn revisions(
    app: App,
    Path(which): Path<String>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<RevisionItem>>, Problem> {
    let kept = app.workflow(&which)?;
    let limit = super::page::limit(query.limit)?;
    let newest = match &query.after {
        None => kept.spec.latest_revision,
        Some(after) => {
            let after: u32 = after.parse().map_err(|_| {
                Problem::new(Fault::Malformed, format!("`after` is `{after}`: it is a revision's number"))
            })?;
            after.saturating_sub(1).min(kept.spec.latest_revision)
        }
    };
    let mut items = Vec::new();
    for number in (1..=newest).rev().take(limit) {
        let Some(revision) = app.catalog.revision_document(&app.workspace, kept.id, number).await? else { continue };
        let published = kept.spec.published.iter().filter(|(_, at)| **at == number);
        items.push(RevisionItem {
            revision: number,
            created_at: revision.created_at.to_string(),
            published: published.map(|(environment, _)| environment.to_string()).collect(),
        });
    }
    let next = items.last().map(|last| last.revision).filter(|last| *last > 1 && items.len() == limit);
    Ok(Json(Page { items, next: next.map(|last| last.to_string()) }))
}

/// Show a revision with its document.
#[utoipa::path(
    get, path = "/api/v1/workflows/{workflow}/revisions/{revision}", tag = "workflows", operation_id = "get_revision",
    params(
        ("workflow" = String, Path, description = "name or id"),
        ("revision" = u32, Path, description = "its number"),
    ),
    responses(
        (status = 200, description = "the revision", body = RevisionView),
        (status = 404, description = "unknown"),
    )
)]
pub async fn revision(app: App, Path((which, number)): Path<(String, String)>) -> Result<Json<RevisionView>, Problem> {
    let kept = app.workflow(&which)?;
    let revision: u32 = number
        .parse()
        .map_err(|_| Problem::new(Fault::Malformed, format!("revision `{number}` is malformed: it is a number")))?;
    let stored = app.catalog.revision_document(&app.workspace, kept.id, revision).await?;
    let stored = stored.ok_or_else(|| {
        let latest = kept.spec.latest_revision;
        Problem::new(Fault::NotFound, format!("workflow `{which}` has no revision {revision}; the latest is {latest}"))
    })?;
    let created_at = stored.created_at.to_string();
    let RevisionSpec { document, pins } = stored.spec;
    let pins = pins.into_iter().map(|(written, pin)| {
        let version = pin.version.to_string();
        let digest = pin.digest.to_string();
        (written, PinView { name: pin.name.to_string(), version, digest, observable: pin.observable })
    });
    Ok(Json(RevisionView { revision, document, pins: pins.collect(), created_at }))
}
