//! Executions: listed newest first, shown with every step, attempt, log line and use, cancelled. Which ones is `filter`'s.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use camshaft_model::entry::Entry;
use camshaft_model::ids::ExecutionId;
use camshaft_model::invocation::Invocation;
use camshaft_model::outcome::Failure;
use camshaft_model::seams::Directory;
use camshaft_model::summary::{Status, Summary};
use camshaft_model::time::Timestamp;
use camshaft_model::{Value, json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::filter::{self, Filter, ListQuery, Listing};
use super::page::{Asked, Page, limit};
use super::problem::Problem;
use super::timeline::{self, StepView, Timeline};
use crate::tokens::Caller;

/// Entries that are read for one view; what follows is not shown, and the view says so.
const ENTRIES_MAX: usize = 20_000;

/// An execution, as lists show it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExecutionItem {
    /// Its id.
    pub id: String,
    /// Name of its workflow.
    pub workflow: String,
    /// Id of its workflow.
    pub workflow_id: String,
    /// Its revision.
    pub revision: u32,
    /// Where it runs.
    pub environment: String,
    /// `manual`, `webhook`, `request`, `schedule`
    pub trigger: &'static str,
    /// `accepted`, `queued`, `running`, `waiting`, `succeeded`, `failed`, `cancelled`, `timed_out`, `dropped`
    pub status: &'static str,
    /// When it was accepted (RFC 3339).
    pub accepted_at: String,
    /// When it began to run (RFC 3339).
    pub started_at: Option<String>,
    /// When it ended (RFC 3339).
    pub ended_at: Option<String>,
    /// From accepted to ended.
    pub duration_us: Option<u64>,
    /// Kind and message of its failure, shortened.
    pub failure: Option<String>,
    /// Labels of its workflow.
    pub labels: BTreeMap<String, String>,
    /// The connection that it runs with: `{user, integration}`.
    #[schema(value_type = Option<Object>)]
    pub connection: Option<Value>,
    /// Whether it is a test: plugins are told so.
    pub test: bool,
    /// The execution whose step started it.
    pub parent: Option<String>,
    /// The execution that it repeats.
    pub repeats: Option<String>,
    /// When it goes on though nothing happens, while it waits or stands in line (RFC 3339).
    pub due_at: Option<String>,
}

/// An execution.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExecutionView {
    /// Its id.
    pub id: String,
    /// Name of its workflow.
    pub workflow: String,
    /// Id of its workflow.
    pub workflow_id: String,
    /// Its revision.
    pub revision: u32,
    /// Where it runs.
    pub environment: String,
    /// `manual`, `webhook`, `request`, `schedule`
    pub trigger: &'static str,
    /// Where it stands.
    pub status: &'static str,
    /// When it was accepted (RFC 3339).
    pub accepted_at: String,
    /// When it began to run (RFC 3339).
    pub started_at: Option<String>,
    /// When it ended (RFC 3339).
    pub ended_at: Option<String>,
    /// From accepted to ended.
    pub duration_us: Option<u64>,
    /// What it put out.
    #[schema(value_type = Object)]
    pub output: Value,
    /// What its Exit step tells a synchronous caller, beside the body.
    pub answer: Option<AnswerView>,
    /// Why it did not succeed.
    #[schema(value_type = Option<Object>)]
    pub failure: Option<Failure>,
    /// Path of the step that failed.
    pub failed_step: Option<String>,
    /// `$.event`
    #[schema(value_type = Object)]
    pub event: Value,
    /// `$.params`
    #[schema(value_type = Object)]
    pub params: Value,
    /// `$.connection`; null where it runs with none.
    #[schema(value_type = Object)]
    pub connection: Value,
    /// `X-Request-Id` of the request that started it.
    pub request_id: Option<String>,
    /// Labels of its workflow.
    pub labels: BTreeMap<String, String>,
    /// Whether it is a test: plugins are told so.
    pub test: bool,
    /// The execution whose step started it.
    pub parent: Option<String>,
    /// The execution that it repeats.
    pub repeats: Option<String>,
    /// When it goes on though nothing happens, while it waits or stands in line (RFC 3339).
    pub due_at: Option<String>,
    /// Its steps, in the order in which they began.
    pub steps: Vec<StepView>,
    /// True where it has more entries than are shown; its journal has them all.
    pub truncated: bool,
}

/// What an Exit step says.
#[derive(Debug, Serialize, ToSchema)]
pub struct AnswerView {
    /// The status.
    pub status: u16,
    /// Names and values.
    #[schema(value_type = Vec<Vec<String>>)]
    pub headers: Vec<(String, String)>,
}

/// Which entries.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JournalQuery {
    /// Position of the first, from 0.
    pub from: Option<u64>,
    /// Items of a page: 1 to 200, 50 where it is left out.
    pub limit: Option<usize>,
}

/// A page of a journal.
#[derive(Debug, Serialize, ToSchema)]
pub struct JournalPage {
    /// The entries as they are kept; times are microseconds since 1970.
    #[schema(value_type = Vec<Object>)]
    pub items: Vec<Entry>,
    /// `from` of the next page; null where there is nothing more now.
    pub next: Option<u64>,
}

impl ExecutionItem {
    fn of(summary: &Summary) -> Self {
        Self {
            id: summary.id.to_string(),
            workflow: summary.revision.workflow.to_string(),
            workflow_id: summary.revision.workflow_id.to_string(),
            revision: summary.revision.revision,
            environment: summary.environment.to_string(),
            trigger: summary.trigger.word(),
            status: summary.status.as_str(),
            accepted_at: summary.accepted_at.to_string(),
            started_at: summary.started_at.map(|at| at.to_string()),
            ended_at: summary.ended_at.map(|at| at.to_string()),
            duration_us: duration_us(summary),
            failure: summary.failure.clone(),
            labels: summary.labels.clone(),
            connection: summary.connection.as_ref().map(|of| json!(of)),
            test: summary.test,
            parent: summary.parent.map(|parent| parent.to_string()),
            repeats: summary.repeats.map(|repeats| repeats.to_string()),
            due_at: due_at(summary).map(|at| at.to_string()),
        }
    }
}

/// A due time that is not behind its latest entry only says that a server has to look at it.
fn due_at(summary: &Summary) -> Option<Timestamp> {
    let waits = matches!(summary.status, Status::Waiting | Status::Queued);
    summary.outlook.due.filter(|due| waits && *due > summary.updated_at)
}

fn duration_us(summary: &Summary) -> Option<u64> {
    let ended_at = summary.ended_at?;
    Some(u64::try_from(ended_at.since(summary.accepted_at).as_micros()).unwrap_or(u64::MAX))
}

/// List executions, newest first.
///
/// One request looks at a bounded number of executions: with filters that hold for few, a page may be short or empty and still
/// have a `next`.
#[utoipa::path(
    get, path = "/api/v1/executions", tag = "executions", operation_id = "list_executions", params(Filter, ListQuery),
    responses((status = 200, description = "a page", body = Page<ExecutionItem>), (status = 404, description = "unknown workflow"))
)]
pub async fn list(app: App, caller: Caller, listing: Listing) -> Result<Json<Page<ExecutionItem>>, Problem> {
    let limit = limit(listing.query.limit)?;
    let wanted = listing.filter.check(&app, &caller)?;
    let before = listing.query.before.as_deref().map(str::parse).transpose()?;
    let looked = filter::look(&app, &wanted, before, limit, |_| true).await?;
    let next = looked.next.map(|next| next.to_string());
    Ok(Json(Page { items: looked.found.iter().map(ExecutionItem::of).collect(), next }))
}

/// The summary of an execution that this caller may see; of any other it does not learn that it is there.
pub(crate) async fn visible(app: &App, caller: &Caller, which: &str) -> Result<Summary, Problem> {
    let id: ExecutionId = which.parse()?;
    let summary = app.store.summary(id).await?;
    let own = |summary: &Summary| summary.workspace == caller.workspace && caller.sees(summary.revision.workflow_id);
    summary.filter(own).ok_or_else(|| Problem::not_found("execution", id))
}

/// An execution with its journal folded.
pub struct Inspected {
    /// It, as lists show it, and as far as its entries go.
    pub summary: Summary,
    /// What began it.
    pub invocation: Arc<Invocation>,
    /// Its steps, and how it ended.
    pub timeline: Timeline,
    /// True where it has more entries than were read.
    pub truncated: bool,
}

/// Reads an execution's journal.
pub async fn inspect(app: &App, summary: Summary) -> Result<Inspected, Problem> {
    let mut entries = app.store.entries(summary.id, 0, ENTRIES_MAX + 1).await?;
    let truncated = entries.len() > ENTRIES_MAX;
    entries.truncate(ENTRIES_MAX);
    let Some(Entry::Accepted { invocation, .. }) = entries.first() else {
        return Err(Problem::internal(format!("the journal of execution {} has no beginning", summary.id)));
    };
    let revision = app.catalog.revision(&summary.workspace, &summary.revision, &summary.environment).await;
    if let Err(error) = &revision {
        tracing::warn!(execution = %summary.id, %error, "an execution is shown without its program");
    }
    let timeline = timeline::fold(revision.as_ref().ok().map(|published| &*published.program), &entries);
    // The journal may have grown since the summary was read; what the entries say goes.
    let status = timeline.outcome.as_ref().map_or(summary.status, |outcome| outcome.ending.into());
    let ended_at = summary.ended_at.or_else(|| timeline.outcome.as_ref().and(entries.last()).map(Entry::time));
    let started = |entry: &Entry| matches!(entry, Entry::Started { .. }).then(|| entry.time());
    let started_at = summary.started_at.or_else(|| entries.iter().find_map(started));
    let summary = Summary { status, started_at, ended_at, ..summary };
    Ok(Inspected { summary, invocation: invocation.clone(), timeline, truncated })
}

/// Show an execution with its steps, attempts, logs and use.
#[utoipa::path(
    get, path = "/api/v1/executions/{execution}", tag = "executions", operation_id = "get_execution",
    params(("execution" = String, Path, description = "its id")),
    responses((status = 200, description = "the execution", body = ExecutionView), (status = 404, description = "unknown"))
)]
pub async fn show(app: App, caller: Caller, Path(which): Path<String>) -> Result<Json<ExecutionView>, Problem> {
    let summary = visible(&app, &caller, &which).await?;
    let Inspected { summary, invocation, timeline, truncated } = inspect(&app, summary).await?;
    let outcome = timeline.outcome.as_ref();
    let failure = outcome.and_then(|outcome| outcome.failure.clone());
    let item = ExecutionItem::of(&summary);
    Ok(Json(ExecutionView {
        id: item.id,
        workflow: item.workflow,
        workflow_id: item.workflow_id,
        revision: item.revision,
        environment: item.environment,
        trigger: item.trigger,
        status: item.status,
        accepted_at: item.accepted_at,
        started_at: item.started_at,
        ended_at: item.ended_at,
        duration_us: item.duration_us,
        output: outcome.map(|outcome| (*outcome.output).clone()).unwrap_or_default(),
        answer: outcome
            .and_then(|outcome| outcome.exit.as_ref())
            .map(|exit| AnswerView { status: exit.status, headers: exit.headers.clone() }),
        failed_step: outcome.filter(|_| failure.is_some()).and_then(|outcome| outcome.step.clone()),
        failure,
        event: (*invocation.event).clone(),
        params: (*invocation.params).clone(),
        connection: (*invocation.connection).clone(),
        request_id: invocation.request_id.clone(),
        labels: item.labels,
        test: item.test,
        parent: item.parent,
        repeats: item.repeats,
        due_at: item.due_at,
        steps: timeline.steps,
        truncated,
    }))
}

/// Read an execution's journal.
#[utoipa::path(
    get, path = "/api/v1/executions/{execution}/journal", tag = "executions", operation_id = "get_journal",
    params(("execution" = String, Path, description = "its id"), JournalQuery),
    responses((status = 200, description = "a page", body = JournalPage), (status = 404, description = "unknown"))
)]
pub async fn journal(
    app: App,
    caller: Caller,
    Path(which): Path<String>,
    Asked(query): Asked<JournalQuery>,
) -> Result<Json<JournalPage>, Problem> {
    let limit = limit(query.limit)?;
    let from = query.from.unwrap_or(0);
    let summary = visible(&app, &caller, &which).await?;
    let mut items = app.store.entries(summary.id, from, limit + 1).await?;
    let next = (items.len() > limit).then(|| from + limit as u64);
    items.truncate(limit);
    Ok(Json(JournalPage { items, next }))
}

/// Ask for an execution's end.
#[utoipa::path(
    post, path = "/api/v1/executions/{execution}/cancel", tag = "executions", operation_id = "cancel_execution",
    params(("execution" = String, Path, description = "its id")),
    responses(
        (status = 202, description = "it ends as soon as its attempts are stopped", body = Object),
        (status = 404, description = "unknown"),
        (status = 409, description = "it has ended already"),
    )
)]
pub async fn cancel(app: App, caller: Caller, Path(which): Path<String>) -> Result<(StatusCode, Json<Value>), Problem> {
    let summary = visible(&app, &caller, &which).await?;
    app.dispatch.cancel(summary.id, caller.label.to_string()).await?;
    let id = summary.id.to_string();
    Ok((StatusCode::ACCEPTED, Json(serde_json::json!({"execution_id": id, "status": "cancelling"}))))
}
