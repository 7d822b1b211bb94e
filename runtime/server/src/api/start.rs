//! Starting one workflow: the one place in which the management API and the dialects hand something to the engine.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use camshaft_model::ids::{Digest, ExecutionId};
use camshaft_model::invocation::{DeliveryKey, Reply, SeenDelivery};
use camshaft_model::limits;
use camshaft_model::outcome::Outcome;
use camshaft_model::seams::{DispatchError, DispatchRequest, LimitReached, Start, Witness};
use camshaft_model::time::Timestamp;
use camshaft_triggers::http::{Room, seconds};

use super::App;
use super::problem::{Fault, Problem};

/// How one workflow is started.
#[derive(Debug, Default)]
pub struct How {
    /// An identity, for which a second one starts nothing.
    pub delivery: Option<SeenDelivery>,
    /// How long the caller waits for the outcome; not at all where there is none.
    pub wait: Option<Duration>,
    /// `X-Request-Id`.
    pub request_id: Option<String>,
}

/// What was started.
#[derive(Debug)]
pub struct Started {
    /// The execution; durable.
    pub execution: ExecutionId,
    /// For a caller that waits, unless its time was over first.
    pub outcome: Option<Arc<Outcome>>,
    /// Whether an earlier request with the same identity started it.
    pub replayed: bool,
    /// What is left of the workspace's second, where this took some of it.
    pub room: Option<Room>,
}

/// Why a request starts nothing.
#[derive(Debug)]
pub enum StartRefused {
    /// A limit of the workflow leaves no room.
    Limit(LimitReached),
    /// Anything else.
    Other(Problem),
}

impl From<Problem> for StartRefused {
    fn from(problem: Problem) -> Self {
        Self::Other(problem)
    }
}

impl From<StartRefused> for Problem {
    fn from(refused: StartRefused) -> Self {
        match refused {
            StartRefused::Limit(reached) => DispatchError::LimitReached(reached).into(),
            StartRefused::Other(problem) => problem,
        }
    }
}

/// Starts a workflow.
pub async fn start_one(app: &App, start: Start, how: How) -> Result<Started, StartRefused> {
    let request = DispatchRequest {
        delivery: how.delivery,
        starts: vec![start],
        reply: if how.wait.is_some() { Reply::Wait } else { Reply::Detach },
        window: how.wait.unwrap_or_default(),
        request_id: how.request_id,
    };
    // A caller that hangs up drops this future. What it started must not be left half accepted, so it goes on by itself.
    let dispatch = app.dispatch.clone();
    let dispatched = match tokio::spawn(async move { dispatch.dispatch(request).await }).await {
        Ok(Ok(dispatched)) => dispatched,
        Ok(Err(DispatchError::LimitReached(reached))) => return Err(StartRefused::Limit(reached)),
        Ok(Err(error)) => return Err(StartRefused::Other(error.into())),
        Err(error) => return Err(Problem::internal(format!("starting an execution: {error}")).into()),
    };
    let Some((_, execution)) = dispatched.executions.first() else {
        return Err(Problem::internal("a dispatch of one workflow started none").into());
    };
    Ok(Started { execution: *execution, outcome: dispatched.outcome, replayed: dispatched.replayed, room: None })
}

/// Starts a workflow for a request: within the workspace's rate, and once for an `Idempotency-Key`.
pub async fn start_for(
    app: &App,
    headers: &HeaderMap,
    bytes: &[u8],
    start: Start,
    wait: Option<Duration>,
) -> Result<Started, StartRefused> {
    let delivery = delivery(app, headers, &start, wait.is_some(), bytes)?;
    let request_id = headers.get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    start_within(app, start, How { delivery, wait, request_id }).await
}

/// Starts a workflow within its workspace's rate.
pub async fn start_within(app: &App, start: Start, how: How) -> Result<Started, StartRefused> {
    let mut room = None;
    if !is_known(app, how.delivery.as_ref()).await? {
        room = take(app, std::slice::from_ref(&start))?;
    }
    Ok(Started { room, ..start_one(app, start, how).await? })
}

/// The identity that the caller gave with `Idempotency-Key`. Callers that wait and those that do not are told apart, since
/// they are answered differently.
fn delivery(
    app: &App,
    headers: &HeaderMap,
    start: &Start,
    waits: bool,
    bytes: &[u8],
) -> Result<Option<SeenDelivery>, Problem> {
    let (workflow, environment) = (&start.published.revision.workflow, &start.published.environment);
    let waiting = if waits { "/sync" } else { "" };
    delivery_within(app, headers, || format!("workflow/{workflow}/environment/{environment}{waiting}"), bytes)
}

/// The same, unique within a scope.
pub fn delivery_within(
    app: &App,
    headers: &HeaderMap,
    scope: impl FnOnce() -> String,
    bytes: &[u8],
) -> Result<Option<SeenDelivery>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let id = key.to_str().unwrap_or_default().trim();
    if id.is_empty() || id.len() > 255 {
        return Err(Problem::new(Fault::Malformed, "Idempotency-Key is not 1 to 255 visible characters"));
    }
    let scope = scope();
    let key = DeliveryKey { workspace: app.workspace.clone(), scope, id: id.to_owned() };
    let body = Digest(*blake3::hash(bytes).as_bytes());
    Ok(Some(SeenDelivery { key, body, at: app.clock.now(), executions: Vec::new() }))
}

/// A delivery that came before starts nothing, so it takes nothing of the rate.
pub async fn is_known(app: &App, delivery: Option<&SeenDelivery>) -> Result<bool, Problem> {
    let Some(delivery) = delivery else { return Ok(false) };
    let window_us = u64::try_from(limits::DEDUPE_WINDOW.as_micros()).unwrap_or(u64::MAX);
    let since = Timestamp(delivery.at.0.saturating_sub(window_us));
    Ok(app.store.delivery(&delivery.key, since).await?.is_some())
}

/// Takes room for all of these in the workspace's second, or for none. What is turned away is told of.
pub fn take(app: &App, starts: &[Start]) -> Result<Option<Room>, Problem> {
    app.throttle.take(&app.workspace, starts.len()).map_err(|room| {
        let problem = too_many(app, room);
        app.tallies.turned_away(starts, app.clock.now(), problem.detail());
        problem
    })
}

fn too_many(app: &App, room: Room) -> Problem {
    let (seconds, limit) = (seconds(room.wait), room.limit);
    let detail =
        format!("workspace `{}` starts more than {limit} executions a second; try again in {seconds} s", app.workspace);
    let mut headers = HeaderMap::new();
    room.put(&mut headers);
    let problem = Problem::new(Fault::TooMany, detail).with_header(header::RETRY_AFTER, seconds.into());
    headers.into_iter().fold(problem, |problem, (name, value)| match name {
        Some(name) => problem.with_header(name, value),
        None => problem,
    })
}
