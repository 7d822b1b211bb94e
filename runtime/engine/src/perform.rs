//! Carries out what `decide` asked of the world: one plugin call, and its result as an entry.

use std::sync::Arc;

use camshaft_model::entry::{At, Entry};
use camshaft_model::outcome::{Failure, FailureKind};
use camshaft_model::program::Program;
use camshaft_model::seams::{TaskCall, TaskDone};
use camshaft_model::state::State;
use camshaft_model::time::Timestamp;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::Engine;
use crate::decide::{Call, settle};

/// A call that has come back.
pub(crate) struct Performed {
    pub(crate) at: At,
    pub(crate) attempt: u32,
    pub(crate) done: TaskDone,
}

/// Starts a call. The future owns all it needs, and may be dropped to stop the call.
pub(crate) fn perform(
    engine: &Arc<Engine>,
    program: &Program,
    state: &State,
    call: Call,
) -> BoxFuture<'static, Performed> {
    let Call { at, attempt, plugin, input, timeout } = call;
    let invocation = &state.invocation;
    let step = program.step(at.1).path.clone();
    let iteration = state.turns(at.0);
    let task = TaskCall {
        idempotency_key: idempotency_key(invocation.id, &step, &iteration),
        plugin,
        input,
        execution: invocation.id,
        step,
        attempt,
        iteration,
        workspace: invocation.workspace.clone(),
        environment: invocation.environment.clone(),
        dry_run: invocation.test,
        timeout,
    };
    let engine = engine.clone();
    async move {
        let done = match engine.calls.acquire().await {
            Ok(_permit) => engine.parts.plugins.call(task).await,
            Err(_closed) => TaskDone {
                result: Err(Failure::new(FailureKind::Unavailable, "the server is stopping")),
                usage: Default::default(),
                log: Vec::new(),
            },
        };
        Performed { at, attempt, done }
    }
    .boxed()
}

/// The same for every attempt of a step in an execution, whatever happens in between.
pub(crate) fn idempotency_key(id: camshaft_model::ids::ExecutionId, step: &str, iteration: &[u32]) -> String {
    let mut key = format!("{id}/{step}");
    for turn in iteration {
        key.push_str(&format!("/{turn}"));
    }
    key
}

/// The entry that a returned call makes.
pub(crate) fn entry(program: &Program, state: &State, performed: Performed, now: Timestamp) -> Entry {
    let Performed { at, attempt, done } = performed;
    let mut entry = settle(state, at, attempt, program.step(at.1), done.result, now);
    if let Entry::AttemptEnded { usage, log, .. } = &mut entry {
        *usage = done.usage;
        *log = done.log;
    }
    entry
}
