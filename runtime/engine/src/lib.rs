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
pub mod decide;
mod drive;
mod live;
mod perform;
mod recover;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use camshaft_model::ids::ExecutionId;
use camshaft_model::language::expression::Jq;
use camshaft_model::seams::{Clock, Directory, Ids, Plugins, Store};
use tokio::sync::Semaphore;

pub use accept::Dispatcher;
use live::Live;

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
    live: Live,
    calls: Arc<Semaphore>,
    stopping: AtomicBool,
    /// Executions with smaller ids were accepted by a former server.
    first: ExecutionId,
}

impl Engine {
    /// An engine that drives nothing yet; [`Engine::recover`] takes up what a former server left open.
    pub fn start(parts: EngineParts) -> Arc<Self> {
        let calls = Arc::new(Semaphore::new(parts.parallel_calls.clamp(1, Semaphore::MAX_PERMITS)));
        let first = parts.ids.execution();
        Arc::new(Self { parts, live: Live::default(), calls, stopping: AtomicBool::new(false), first })
    }

    /// Takes no new work, writes down what every execution has reached, and lets go of them. What was under way goes on
    /// at the next start. Returns when nothing is driven any more.
    pub async fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.live.stop_all();
        self.live.empty().await;
    }

    /// Number of executions under way in this server.
    pub fn under_way(&self) -> usize {
        self.live.len()
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}
