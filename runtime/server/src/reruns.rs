//! Many executions run again, one after the other in the background: a resource that says which ones, how far it is, and what
//! was refused.
//!
//! ```text
//!   which ones (written once) ─► the next of them ─► rate ─► dispatch, as the delivery `rerun/ID` EXECUTION ─► count
//!                                        ▲                                                                  │
//!                                        └──────────── how far it is, written every few ◄───────────────────┘
//! ```
//! The delivery is what makes each run again once and no more: a server that stopped in between goes on from what was written
//! last, and what it had started behind that is told to be there already. A delivery is remembered for a day; a rerun that was
//! left for longer is given up, since it might repeat what it has repeated.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use camshaft_model::ids::{Digest, ExecutionId, Name, ResourceId};
use camshaft_model::invocation::{DeliveryKey, SeenDelivery};
use camshaft_model::limits::DEDUPE_WINDOW;
use camshaft_model::resource::{Change, Expect, Resource, ResourceKey, ResourceKind};
use camshaft_model::seams::{Clock, StoreError};
use camshaft_model::time::Timestamp;
use camshaft_triggers::http::Throttle;
use serde::{Deserialize, Serialize};

use crate::api::App;
use crate::api::filter::Filter;
use crate::api::problem::Problem;
use crate::api::rerun::{Again, start_again};
use crate::catalog::specs::{self, Kept};

/// Reruns of many at once.
pub const RUNNING_MAX: usize = 4;
/// Reruns that are kept once they are over; the oldest go first.
const KEPT_MAX: usize = 100;
/// Refusals that are kept with their reasons; further ones are counted.
const REFUSALS_MAX: usize = 100;
/// How often it is written down how far a rerun is, in executions.
const SAVE_EVERY: usize = 20;
/// When to try again where the store takes no writes.
const AGAIN: Duration = Duration::from_secs(1);
/// How much sooner than its deliveries are forgotten a rerun is given up.
const MARGIN: Duration = Duration::from_secs(60 * 60);
/// Resources that are read at once.
const PAGE: usize = 200;

/// How a rerun of many stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It goes on.
    Running,
    /// It has come to its end.
    Done,
    /// Somebody stopped it.
    Cancelled,
    /// No server went on with it for so long that it might repeat what it has repeated.
    GivenUp,
}

/// An execution that was not run again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Refusal {
    /// Which.
    pub execution_id: String,
    /// Why.
    pub why: String,
}

/// A rerun of many.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RerunSpec {
    /// Which were asked for.
    pub filter: Filter,
    /// Label of the token that asked.
    pub by: String,
    /// How it stands.
    pub stage: Stage,
    /// How many there are.
    pub matched: usize,
    /// Whether the filter held for more, which were left out.
    #[serde(default)]
    pub more: bool,
    /// How many run again.
    pub started: usize,
    /// How many were refused.
    pub refused: usize,
    /// The first of them.
    #[serde(default)]
    pub refusals: Vec<Refusal>,
}

/// What is run again: written once.
#[derive(Debug, Serialize, Deserialize)]
struct Which {
    executions: Vec<ExecutionId>,
}

/// The reruns of this server that go on.
pub struct Reruns {
    running: Mutex<HashMap<ResourceId, Arc<Running>>>,
    /// Beside that of what comes from outside, so that neither waits for the other.
    throttle: Throttle,
}

/// One that goes on.
struct Running {
    id: ResourceId,
    workspace: Name,
    created_at: Timestamp,
    spec: Mutex<RerunSpec>,
}

/// A rerun as it stands.
#[derive(Debug)]
pub struct Told {
    /// Its id.
    pub id: ResourceId,
    /// When it began.
    pub created_at: Timestamp,
    /// What it is and how far.
    pub spec: RerunSpec,
}

impl Reruns {
    /// None goes on yet. `executions_per_second` is how many they start at most; 0 is no limit.
    pub fn new(executions_per_second: u32, clock: Arc<dyn Clock>) -> Self {
        Self { running: Mutex::default(), throttle: Throttle::new(executions_per_second, clock) }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<ResourceId, Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many go on.
    pub fn under_way(&self) -> usize {
        self.running().len()
    }
}

impl Running {
    fn spec(&self) -> MutexGuard<'_, RerunSpec> {
        self.spec.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> Told {
        Told { id: self.id, created_at: self.created_at, spec: self.spec().clone() }
    }
}

/// Begins to run these again, in their order. Durable when it returns.
pub async fn begin(app: &App, spec: RerunSpec, executions: Vec<ExecutionId>) -> Result<Told, StoreError> {
    forget_old(app).await?;
    let (id, now) = (app.ids.resource(), app.clock.now());
    let which = Which { executions };
    let changes = vec![
        put(specs::resource(key(&app.workspace, id), id, &spec, now)),
        put(specs::resource(which_key(&app.workspace, id), app.ids.resource(), &which, now)),
    ];
    app.store.change(changes).await?;
    let running = Arc::new(Running { id, workspace: app.workspace.clone(), created_at: now, spec: Mutex::new(spec) });
    let told = running.told();
    spawn(app, running, which);
    Ok(told)
}

/// Goes on with those of a workspace that a former server left. Call it once, when executions can be started. One that cannot be read is
/// reported and left as it is.
pub async fn resume(app: &App) -> Result<(), StoreError> {
    for kept in all(app).await?.into_iter().filter(|kept| kept.spec.stage == Stage::Running) {
        let id = kept.id;
        if let Err(error) = go_on(app, kept).await {
            tracing::error!(rerun = %id, %error, "a rerun cannot go on");
        }
    }
    Ok(())
}

async fn go_on(app: &App, kept: Kept<RerunSpec>) -> Result<(), StoreError> {
    let (id, idle) = (kept.id, app.clock.now().since(kept.updated_at));
    let (workspace, created_at) = (app.workspace.clone(), kept.created_at);
    let running = Arc::new(Running { id, workspace, created_at, spec: Mutex::new(kept.spec) });
    if idle >= DEDUPE_WINDOW.saturating_sub(MARGIN) {
        running.spec().stage = Stage::GivenUp;
        tracing::warn!(rerun = %id, "a rerun was left for too long to go on with it");
        return save(app, &running).await;
    }
    let which = app.store.resource(which_key(&app.workspace, id)).await?;
    let which = which.ok_or_else(|| StoreError::Damaged(format!("rerun `{id}` has lost its executions")))?;
    spawn(app, running, Kept::read(&which)?.spec);
    Ok(())
}

/// A rerun, whether or not it goes on.
pub async fn show(app: &App, id: ResourceId) -> Result<Option<Told>, StoreError> {
    if let Some(running) = running(app, id) {
        return Ok(Some(running.told()));
    }
    let Some(resource) = app.store.resource(key(&app.workspace, id)).await? else { return Ok(None) };
    Kept::read(&resource).map(|kept| Some(told(kept)))
}

/// All of them, in the order in which they began.
pub async fn list(app: &App) -> Result<Vec<Told>, StoreError> {
    let mut told: Vec<_> = all(app).await?.into_iter().map(told).collect();
    let running = app.reruns.running();
    for one in &mut told {
        if let Some(running) = running.get(&one.id) {
            *one = running.told();
        }
    }
    Ok(told)
}

/// Stops one: what it has not started yet it never will. Durable when it returns. False where it is over already.
pub async fn cancel(app: &App, id: ResourceId) -> Result<bool, StoreError> {
    let Some(running) = running(app, id) else { return Ok(false) };
    {
        let mut spec = running.spec();
        if spec.stage != Stage::Running {
            return Ok(false);
        }
        spec.stage = Stage::Cancelled;
    }
    save(app, &running).await?;
    Ok(true)
}

/// One of this workspace that goes on.
fn running(app: &App, id: ResourceId) -> Option<Arc<Running>> {
    app.reruns.running().get(&id).filter(|running| running.workspace == app.workspace).cloned()
}

fn told(kept: Kept<RerunSpec>) -> Told {
    Told { id: kept.id, created_at: kept.created_at, spec: kept.spec }
}

fn spawn(app: &App, running: Arc<Running>, which: Which) {
    app.reruns.running().insert(running.id, running.clone());
    let app = app.clone();
    tokio::spawn(async move {
        run(&app, &running, &which.executions).await;
        app.reruns.running().remove(&running.id);
    });
}

async fn run(app: &App, running: &Running, executions: &[ExecutionId]) {
    let mut next = {
        let spec = running.spec();
        spec.started + spec.refused
    };
    while let Some(execution) = executions.get(next) {
        if let Err(room) = app.reruns.throttle.take(&app.workspace, 1) {
            if !wait(app, room.wait).await {
                return;
            }
            continue;
        }
        if running.spec().stage != Stage::Running {
            break;
        }
        let again = Again { delivery: Some(delivery(app, running.id, *execution)), ..Again::default() };
        let refused = match start_again(app, *execution, &again).await {
            Ok(_) => None,
            Err(problem) if problem.status() == 503 => {
                if !wait(app, AGAIN).await {
                    return;
                }
                continue;
            }
            Err(problem) => Some(problem),
        };
        count(running, *execution, refused);
        next += 1;
        if next.is_multiple_of(SAVE_EVERY)
            && let Err(error) = save(app, running).await
        {
            // What is started again after a crash is known to be there.
            tracing::warn!(rerun = %running.id, %error, "how far a rerun is was not written down");
        }
    }
    {
        let mut spec = running.spec();
        if spec.stage == Stage::Running {
            spec.stage = Stage::Done;
        }
    }
    while let Err(error) = save(app, running).await {
        tracing::warn!(rerun = %running.id, %error, "the end of a rerun was not written down; trying again");
        if !wait(app, AGAIN).await {
            return;
        }
    }
}

fn count(running: &Running, execution: ExecutionId, refused: Option<Problem>) {
    let mut spec = running.spec();
    match refused {
        None => spec.started += 1,
        Some(problem) => {
            if problem.status() >= 500 {
                tracing::error!(rerun = %running.id, %execution, ?problem, "an execution was not run again");
            }
            spec.refused += 1;
            if spec.refusals.len() < REFUSALS_MAX {
                let why = problem.detail().to_owned();
                spec.refusals.push(Refusal { execution_id: execution.to_string(), why });
            }
        }
    }
}

/// False where the server stops meanwhile; the next one goes on.
async fn wait(app: &App, pause: Duration) -> bool {
    let over = app.clock.sleep_until(app.clock.now().plus(pause));
    tokio::select! { () = over => true, () = app.readiness.until_stopping() => false }
}

/// The identity of a rerun of one execution by one rerun of many.
fn delivery(app: &App, id: ResourceId, execution: ExecutionId) -> SeenDelivery {
    let key = DeliveryKey { workspace: app.workspace.clone(), scope: format!("rerun/{id}"), id: execution.to_string() };
    SeenDelivery { key, body: Digest([0; 32]), at: app.clock.now(), executions: Vec::new() }
}

async fn save(app: &App, running: &Running) -> Result<(), StoreError> {
    let spec = running.spec().clone();
    let resource = specs::resource(key(&app.workspace, running.id), running.id, &spec, app.clock.now());
    app.store.change(vec![put(resource)]).await.map(drop)
}

async fn all(app: &App) -> Result<Vec<Kept<RerunSpec>>, StoreError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = app.store.resources(ResourceKind::Rerun, Some(app.workspace.clone()), after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(all) };
        after = Some(last.key.clone());
        for resource in page.iter().filter(|resource| !resource.key.name.contains('/')) {
            all.push(Kept::read(resource)?);
        }
    }
}

/// Makes room for one more.
async fn forget_old(app: &App) -> Result<(), StoreError> {
    let over: Vec<_> = all(app).await?.into_iter().filter(|kept| kept.spec.stage != Stage::Running).collect();
    let old = over.len().saturating_sub(KEPT_MAX - 1);
    let delete = |key| Change::Delete { key, expect: Expect::Any };
    let keys = over.iter().take(old).flat_map(|kept| [kept.key.clone(), which_key(&app.workspace, kept.id)]);
    let changes: Vec<_> = keys.map(delete).collect();
    if !changes.is_empty() {
        app.store.change(changes).await?;
    }
    Ok(())
}

fn put(resource: Resource) -> Change {
    Change::Put { resource, expect: Expect::Any }
}

/// Ids are ordered by time, and so are the names.
fn key(workspace: &Name, id: ResourceId) -> ResourceKey {
    specs::key(ResourceKind::Rerun, workspace, id)
}

fn which_key(workspace: &Name, id: ResourceId) -> ResourceKey {
    specs::key(ResourceKind::Rerun, workspace, format!("{id}/executions"))
}
