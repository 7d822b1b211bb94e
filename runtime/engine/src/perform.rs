//! Carries out what `decide` asked of the world, as a future whose result becomes an entry.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use camshaft_model::connection::ConnectionRef;
use camshaft_model::entry::{At, Entry};
use camshaft_model::ids::ExecutionId;
use camshaft_model::outcome::{Failure, FailureKind};
use camshaft_model::program::Program;
use camshaft_model::seams::{TaskCall, TaskDone};
use camshaft_model::state::State;
use camshaft_model::time::Timestamp;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::task::JoinHandle;

use crate::Engine;
use crate::decide::{Call, settle};

/// What has come back.
pub(crate) enum Performed {
    /// A plugin call.
    Called { at: At, attempt: u32, done: TaskDone },
    /// An event has reached everybody.
    Emitted { at: At },
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
        connection: ConnectionRef::of(&invocation.connection),
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
        Performed::Called { at, attempt, done }
    }
    .boxed()
}

/// The same for every attempt of a step in an execution, whatever happens in between.
pub(crate) fn idempotency_key(id: ExecutionId, step: &str, iteration: &[u32]) -> String {
    let mut key = format!("{id}/{step}");
    for turn in iteration {
        key.push_str(&format!("/{turn}"));
    }
    key
}

/// The entry that a returned call makes.
pub(crate) fn ended(program: &Program, state: &State, at: At, attempt: u32, done: TaskDone, now: Timestamp) -> Entry {
    let mut entry = settle(state, at, attempt, program.step(at.1), done.result, now);
    if let Entry::AttemptEnded { usage, log, .. } = &mut entry {
        *usage = done.usage;
        *log = done.log;
    }
    entry
}

/// A future on a worker of its own, stopped when this is dropped.
pub(crate) struct Elsewhere<T>(JoinHandle<T>);

impl<T: Send + 'static> Elsewhere<T> {
    pub(crate) fn spawn(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }
}

impl<T> Drop for Elsewhere<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> Future for Elsewhere<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match ready!(self.0.poll_unpin(context)) {
            Ok(value) => Poll::Ready(value),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Nobody stops it but our own drop, or the end of the runtime.
                Err(_) => Poll::Pending,
            },
        }
    }
}
