//! Running an execution again: with the event and parameters that it had, from its beginning or from a step on.

use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use camshaft_model::Value;
use camshaft_model::entry::{Entry, FrameId, IllegalEntry};
use camshaft_model::ids::ExecutionId;
use camshaft_model::invocation::{RevisionRef, SeenDelivery};
use camshaft_model::program::{Program, ROOT, StepKind};
use camshaft_model::seams::{Directory, Published, Seed, Start};
use camshaft_model::summary::Summary;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::body::JsonBody;
use super::executions::visible;
use super::problem::{Fault, Problem};
use super::start::{How, Started, start_one};
use crate::catalog::specs::{Kept, WorkflowSpec};
use crate::tokens::Caller;

/// How to run it again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RerunBody {
    /// Which revision: a number, its own where it is left out; or `draft` (also `latest`): the latest, published or not. Any but
    /// its own, and any `draft`, runs as a test.
    #[serde(default)]
    pub revision: Option<Wish>,
    /// Path of a step at the top of the document: the steps before it are not run again, their outputs are kept. Only with
    /// the execution's own revision.
    pub from: Option<String>,
}

/// Which revision is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(untagged, expecting = "a revision is a number, `draft` or `latest`")]
pub enum Wish {
    /// This one.
    Number(u32),
    /// `draft`, `latest`
    Word(String),
}

/// How to run an execution again.
#[derive(Debug, Default)]
pub struct Again {
    /// With which revision; its own where there is none.
    pub revision: Option<Wish>,
    /// From which step on.
    pub from: Option<String>,
    /// An identity, for which a second one starts nothing.
    pub delivery: Option<SeenDelivery>,
}

/// The new execution.
#[derive(Debug, Serialize, ToSchema)]
pub struct Rerun {
    /// Its id.
    pub execution_id: String,
    /// The one that it repeats.
    pub repeats: String,
    /// Its revision.
    pub revision: u32,
    /// Whether it runs as a test.
    pub test: bool,
}

/// Run an execution again, with the event and parameters that it had.
#[utoipa::path(
    post, path = "/api/v1/executions/{execution}/rerun", tag = "executions", operation_id = "rerun_execution",
    params(("execution" = String, Path, description = "its id")),
    request_body = RerunBody,
    responses(
        (status = 201, description = "it is durable and runs", body = Rerun),
        (status = 404, description = "unknown"),
        (status = 409, description = "its revision cannot be read by this release"),
        (status = 413, description = "too large"),
        (status = 422, description = "no such revision, or it cannot begin with that step"),
        (status = 429, description = "a limit of the workflow leaves no room"),
    )
)]
pub async fn rerun(
    app: App,
    caller: Caller,
    Path(which): Path<String>,
    JsonBody(body): JsonBody<RerunBody>,
) -> Result<(StatusCode, Json<Rerun>), Problem> {
    let summary = visible(&app, &caller, &which).await?;
    let again = Again { revision: body.revision, from: body.from, delivery: None };
    if !caller.manages() {
        check_allowed(&app, &caller, &summary, &again).await?;
    }
    Ok((StatusCode::CREATED, Json(start_again(&app, summary.id, &again).await?)))
}

/// What a workflow's own token may not do: run what is not published, or go past an approval that somebody else gave once.
async fn check_allowed(app: &App, caller: &Caller, summary: &Summary, again: &Again) -> Result<(), Problem> {
    let refused = |what: String| {
        let detail =
            format!("token `{}` has the scope `{}`, which does not {what}", caller.label, caller.scope.as_str());
        Err(Problem::new(Fault::Forbidden, detail))
    };
    if again.revision.is_some() {
        return refused("run another revision".to_owned());
    }
    let here = app.catalog.published_here(&app.workspace, &summary.revision.workflow, &summary.environment);
    if here.is_none_or(|published| published.revision != summary.revision) {
        return refused(format!("run revision {}, which is not published any more", summary.revision.revision));
    }
    let Some(from) = &again.from else { return Ok(()) };
    let published = app.catalog.revision(&summary.workspace, &summary.revision, &summary.environment).await?;
    let program = &published.program;
    let before = program.steps.iter().take_while(|step| step.path != *from);
    // Whether somebody approves in a child is not said here.
    match before.into_iter().find(|step| matches!(step.kind, StepKind::Approval(_) | StepKind::Workflow(_))) {
        Some(step) if matches!(step.kind, StepKind::Workflow(_)) => {
            refused(format!("go past the workflow `{}`, in which somebody may have approved", step.path))
        }
        Some(step) => refused(format!("go past the approval `{}`", step.path)),
        None => Ok(()),
    }
}

/// Starts an execution again. Durable when it returns.
pub async fn start_again(app: &App, id: ExecutionId, again: &Again) -> Result<Rerun, Problem> {
    let Some(summary) = app.store.summary(id).await? else { return Err(Problem::not_found("execution", id)) };
    let own = summary.revision.revision;
    let workflow = app.workflow(summary.revision.workflow.as_str())?;
    let number = match &again.revision {
        None => own,
        Some(wish) => wish.number(&workflow)?,
    };
    let revision = RevisionRef { revision: number, ..summary.revision.clone() };
    let published = app.catalog.revision(&summary.workspace, &revision, &summary.environment).await;
    let published = published.map_err(Problem::unreadable)?;
    // From the beginning on only the first entry is needed: it has the event and the parameters.
    let entries = app.store.entries(id, 0, if again.from.is_some() { usize::MAX } else { 1 }).await?;
    let Some(Entry::Accepted { invocation, .. }) = entries.first() else {
        return Err(Problem::internal(format!("the journal of execution {id} has no beginning")));
    };
    let seed = match &again.from {
        Some(from) if number != own => {
            let detail = format!("`from: {from}` needs the execution's own revision {own}, not {number}");
            return Err(Problem::new(Fault::Invalid, detail));
        }
        Some(from) => Some(seed(&published, &entries, from)?),
        None => None,
    };
    let params = match number == own {
        true => invocation.params.clone(),
        // Another revision may take others.
        false => {
            let given = invocation.params.as_object().cloned().unwrap_or_default();
            let bound = published.workflow.bind_params(&given).map_err(Problem::params)?;
            Arc::new(Value::Object(bound))
        }
    };
    let test = invocation.test || number != own || matches!(again.revision, Some(Wish::Word(_)));
    let start = Start {
        published,
        trigger: invocation.trigger.clone(),
        by: None,
        event: invocation.event.clone(),
        params,
        connection: invocation.connection.clone(),
        test,
        repeats: Some(id),
        seed,
    };
    let how = How { delivery: again.delivery.clone(), ..How::default() };
    let Started { execution, .. } = start_one(app, start, how).await?;
    Ok(Rerun { execution_id: execution.to_string(), repeats: id.to_string(), revision: number, test })
}

impl Wish {
    /// The number of a revision that is there.
    pub fn number(&self, workflow: &Kept<WorkflowSpec>) -> Result<u32, Problem> {
        let (name, latest) = (&workflow.key.name, workflow.spec.latest_revision);
        match self {
            Self::Word(word) if word == "draft" || word == "latest" => Ok(latest),
            Self::Word(word) => {
                let detail = format!("`revision` is `{word}`: it is a number, `draft` or `latest`");
                Err(Problem::new(Fault::Malformed, detail).with("field", "revision"))
            }
            Self::Number(number) if (1..=latest).contains(number) => Ok(*number),
            Self::Number(number) => {
                let detail = format!("workflow `{name}` has no revision {number}; the latest is {latest}");
                Err(Problem::new(Fault::Invalid, detail))
            }
        }
    }
}

/// What the steps before `from` have put out, where the execution has come to it.
fn seed(published: &Published, entries: &[Entry], from: &str) -> Result<Seed, Problem> {
    let program: &Program = &published.program;
    let root = program.block(ROOT);
    let Some(next) = root.iter().position(|address| program.step(*address).path == from) else {
        let inside = program.steps.iter().any(|step| step.path == from);
        let why = if inside { "stands inside a block" } else { "is not there" };
        let known: Vec<_> = root.iter().map(|address| format!("`{}`", program.step(*address).path)).collect();
        let detail = format!("step `{from}` {why}; begin with one of {}", known.join(", "));
        return Err(Problem::new(Fault::Invalid, detail));
    };
    // The journal up to the step says what could be read there.
    let internal = |illegal: IllegalEntry| Problem::internal(illegal.to_string());
    let mut entries = entries.iter();
    let mut state = match entries.next() {
        Some(first) => camshaft_model::state::State::begin(first).map_err(internal)?,
        None => return Err(Problem::internal("an execution has no journal")),
    };
    while state.frames.get(&FrameId::ROOT).is_some_and(|root| (root.next as usize) < next) {
        match entries.next() {
            Some(entry) => state.apply(entry).map_err(internal)?,
            None => break,
        }
    }
    let last = match state.frames.get(&FrameId::ROOT) {
        Some(root) if root.next as usize == next => root.last.clone(),
        Some(root) if root.next as usize > next => {
            let original = state.invocation.repeats.map(|id| format!("; run {id} again instead")).unwrap_or_default();
            let detail = format!("the execution began itself behind step `{from}`{original}");
            return Err(Problem::new(Fault::Invalid, detail));
        }
        _ => {
            let detail = format!("the execution has not come to step `{from}`, so there is nothing to begin it with");
            return Err(Problem::new(Fault::Invalid, detail));
        }
    };
    let Value::Object(variables) = state.variables.clone() else {
        return Err(Problem::internal("the variables of an execution are no object"));
    };
    Ok(Seed { outputs: state.root_outputs(), variables: Arc::new(variables), next: next as u32, last })
}
