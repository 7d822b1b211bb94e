//! What happens next: the pure core (`decide`) and the small shell that appends and performs (`drive`).
//!
//! ```text
//!   dispatch ─► accept ─► drive: ┌─► decide(program, state, now) ─► actions
//!                                │        │ record: apply, keep for the next append
//!                                │        └ call: flush first if the plugin can be seen from outside ─► perform
//!                                └── results, commands, due times ◄──────────────────────────────────────┘
//! ```
//! The engine knows the seams of the model and nothing of redb, wasmtime or HTTP.

mod accept;
mod counted;
pub mod decide;
mod dispatch;
mod drive;
mod evaluate;
mod gate;
mod live;
mod locks;
mod messages;
mod perform;
mod recover;
mod seats;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use camshaft_model::ids::{ExecutionId, ResourceId};
use camshaft_model::language::expression::Jq;
use camshaft_model::places::Places;
use camshaft_model::seams::{Clock, Directory, Ids, Plugins, Store, Witness};
use tokio::sync::{Semaphore, broadcast, watch};

use counted::Full;
pub use dispatch::Dispatcher;
use evaluate::Matched;
use gate::Gates;
pub use gate::Occupancy;
pub use live::Appended;
use live::Live;
use locks::Locks;
use seats::Seats;

/// What an engine is made of.
pub struct EngineParts {
    /// Durability.
    pub store: Arc<dyn Store>,
    /// Runs task plugins.
    pub plugins: Arc<dyn Plugins>,
    /// Finds revisions.
    pub directory: Arc<dyn Directory>,
    /// Evaluates what is more than a plain path.
    pub jq: Arc<dyn Jq>,
    /// A place for each that may evaluate at once: as many as can be on a processor, so that a crowd waits without a thread each.
    pub places: Arc<Places>,
    /// Is told what triggers have started.
    pub witness: Arc<dyn Witness>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Fresh ids.
    pub ids: Arc<dyn Ids>,
    /// Most plugin calls under way at once; further ones wait their turn.
    pub parallel_calls: usize,
}

/// Runs executions. Cheap to share; see [`camshaft_model::seams::Dispatch`] for what it does.
pub struct Engine {
    parts: EngineParts,
    live: Arc<Live>,
    locks: Locks,
    gates: Gates,
    seats: Arc<Seats>,
    full: Full,
    calls: Arc<Semaphore>,
    matched: Matched,
    stopping: AtomicBool,
    /// Whether everything that a former server left is in its place.
    completed: watch::Sender<bool>,
    /// Executions with smaller ids were accepted by a former server.
    first: ExecutionId,
}

impl Engine {
    /// An engine that drives nothing yet; [`Engine::recover`] takes up what a former server left open, and has to be called
    /// before locks, limits and events work and before what is parked wakes. Within a tokio runtime.
    pub fn start(parts: EngineParts) -> Arc<Self> {
        let calls = Arc::new(Semaphore::new(parts.parallel_calls.clamp(1, Semaphore::MAX_PERMITS)));
        let first = parts.ids.execution();
        let engine = Arc::new(Self {
            parts,
            live: Arc::default(),
            locks: Locks::default(),
            gates: Gates::default(),
            seats: Arc::default(),
            full: Full::default(),
            calls,
            matched: Matched::default(),
            stopping: AtomicBool::new(false),
            completed: watch::Sender::new(false),
            first,
        });
        tokio::spawn(recover::wake_when_due(Arc::downgrade(&engine)));
        engine
    }

    /// Hears of every append from now on; who lags behind misses some and is told so.
    pub fn appended(&self) -> broadcast::Receiver<Appended> {
        self.live.appended.subscribe()
    }

    /// Takes no new work, writes down what every execution has reached, and lets go of them. What was under way goes on
    /// at the next start. Returns when nothing is driven any more.
    pub async fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.live.rescheduled.notify_one();
        self.live.stop_all();
        self.live.empty().await;
    }

    /// Number of executions under way in this server.
    pub fn under_way(&self) -> usize {
        self.live.driven()
    }

    /// How far a workflow's concurrency is used. Counted only for workflows that limit it.
    pub fn occupancy(&self, workflow: ResourceId) -> Occupancy {
        self.gates.occupancy(workflow)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}
