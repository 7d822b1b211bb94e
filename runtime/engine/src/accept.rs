//! Accepting an execution in memory: its id, its first entries, its place, and what counts it.

use std::sync::Arc;

use camshaft_model::entry::Entry;
use camshaft_model::ids::{ExecutionId, Name};
use camshaft_model::invocation::{Invocation, Parent, SeenDelivery};
use camshaft_model::limits;
use camshaft_model::seams::{Append, Fence, JournalAppend, LimitReached, Limited, Quota, Start};
use camshaft_model::state::State;
use camshaft_model::summary::Outlook;
use camshaft_model::time::Timestamp;

use crate::Engine;
use crate::counted::Counted;
use crate::drive::{Beginning, Driver, First};
use crate::gate::Admission;
use crate::live::{Command, Handle, Parked};
use crate::seats::Seat;

/// What a limit of executions under way is told as.
const AT_ONCE: &str = "executions at once";

/// An execution that is accepted in memory.
pub(crate) struct Accepted {
    start: Start,
    entries: Vec<Arc<Entry>>,
    state: State,
    pub(crate) counted: Counted,
    seat: Seat,
}

impl Accepted {
    pub(crate) fn id(&self) -> ExecutionId {
        self.state.invocation.id
    }

    pub(crate) fn workflow(&self) -> &Name {
        &self.start.published.revision.workflow
    }

    /// What makes it durable: its first entries, and one more in each counter of its workflow.
    pub(crate) fn append(&self, fence: Fence, now: Timestamp) -> Append {
        let mut summary = self.state.summary();
        let (program, limits) = (&self.start.published.program, &self.start.published.workflow.limits);
        summary.outlook = Outlook {
            due: self.state.queued_at.map(|at| at.plus(limits::QUEUED_MAX)),
            topics: program.topics().map(str::to_owned).collect(),
            locks: Vec::new(),
            asked: Vec::new(),
            gated: limits.concurrency.is_some(),
        };
        let journal = JournalAppend { id: self.id(), fence, from: 0, entries: self.entries.clone(), summary };
        Append { journals: vec![journal], counts: self.counted.counts(now), ..Append::default() }
    }

    /// Whether it stands in line for its workflow's concurrency.
    pub(crate) fn is_in_line(&self) -> bool {
        self.state.queued_at.is_some()
    }

    /// Runs ahead of the disk: nothing of it is durable, and nobody but its own caller has to know of it. Where its first append is
    /// refused, it never was.
    pub(crate) fn run_ahead(
        self,
        engine: &Arc<Engine>,
        delivery: Option<(SeenDelivery, Timestamp)>,
        now: Timestamp,
    ) -> Handle {
        let first = First { delivery, counts: self.counted.counts(now) };
        let Self { start, entries, state, seat, .. } = self;
        let fence = engine.parts.store.fence();
        let published = start.published;
        Driver::spawn(engine, Beginning { published, state, pending: entries, first, fence, seat: Some(seat) })
    }
}

/// Executions that are durable: those in line wait for their turn, the others run. Each can be told something once this returns; whoever
/// brought them does not wait until all have begun.
pub(crate) fn begin_all(engine: &Arc<Engine>, accepted: Vec<Accepted>) {
    let fence = engine.parts.store.fence();
    let (in_line, ready): (Vec<_>, Vec<_>) = accepted.into_iter().partition(Accepted::is_in_line);
    for Accepted { start: Start { published, .. }, state, .. } in in_line {
        let topics = published.program.topics().map(str::to_owned);
        let id = state.invocation.id;
        engine.live.listen(&published.workspace, topics, id);
        engine.live.park(id, Parked { due: state.queued_at.map(|at| at.plus(limits::QUEUED_MAX)), fence });
        if !engine.gates.is_in_line(published.revision.workflow_id, id) {
            // Its turn came before it could be told.
            engine.tell_later(id, Command::Start);
        }
    }
    engine.live.expect(ready.iter().map(Accepted::id));
    for Accepted { start: Start { published, .. }, state, .. } in &ready {
        engine.live.listen(&published.workspace, published.program.topics().map(str::to_owned), state.invocation.id);
    }
    let engine = engine.clone();
    tokio::spawn(async move {
        for Accepted { start: Start { published, .. }, state, seat, .. } in ready {
            let (pending, first) = (Vec::new(), First::default());
            Driver::spawn(&engine, Beginning { published, state, pending, first, fence, seat: Some(seat) });
            engine.live.begun();
        }
    });
}

impl Engine {
    /// An execution in memory, with its place in its workflow's concurrency.
    pub(crate) fn accept(
        &self,
        start: Start,
        request_id: &Option<String>,
        parent: Option<Parent>,
        now: Timestamp,
    ) -> Result<Accepted, LimitReached> {
        let published = &start.published;
        let quotas = self.parts.directory.quotas(&published.workspace);
        let seat = match parent {
            // Its parent was let in, and may wait for it.
            Some(_) => self.seats.sit(&published.workspace),
            None => self.seats.try_sit(&published.workspace, &quotas).map_err(|(quota, limit)| LimitReached {
                of: quota.of.clone(),
                workflow: published.revision.workflow.clone(),
                what: AT_ONCE,
                limit: limit.into(),
                retry_after_s: 1,
            })?,
        };
        let id = self.parts.ids.execution();
        let invocation = Arc::new(Invocation {
            id,
            workspace: published.workspace.clone(),
            revision: published.revision.clone(),
            environment: published.environment.clone(),
            trigger: start.trigger.clone(),
            event: start.event.clone(),
            params: start.params.clone(),
            connection: start.connection.clone(),
            env: self.parts.directory.variables(&published.workspace, &published.environment).unwrap_or_default(),
            labels: published.workflow.labels.clone(),
            request_id: request_id.clone(),
            test: start.test,
            parent,
            repeats: start.repeats,
            time_limit: Quota::closest(&quotas, published.program.timeout),
        });
        let mut entries = vec![Entry::Accepted { time: now, invocation }];
        if let Some(seed) = &start.seed {
            let (outputs, variables) = (seed.outputs.clone(), seed.variables.clone());
            let last = Some(seed.last.clone());
            entries.push(Entry::Seeded { time: now, outputs, variables, next: seed.next, last });
        }
        let limits = &published.workflow.limits;
        if let Some(limit) = limits.concurrency {
            match self.gates.enter(published.revision.workflow_id, id, limit, limits.when_full) {
                Admission::Runs => {}
                Admission::Queues => entries.push(Entry::Queued { time: now }),
                Admission::Rejected => {
                    let (workflow, limit) = (published.revision.workflow.clone(), limit.into());
                    return Err(LimitReached {
                        of: Limited::Workflow,
                        workflow,
                        what: AT_ONCE,
                        limit,
                        retry_after_s: 1,
                    });
                }
            }
        }
        let state = State::fold(&entries).ok().flatten().expect("entries of our own making follow");
        let entries = entries.into_iter().map(Arc::new).collect();
        let counted = Counted { published: start.published.clone(), quotas };
        Ok(Accepted { start, entries, state, counted, seat })
    }

    /// An accepted execution comes to nothing.
    pub(crate) fn turn_away(self: &Arc<Self>, accepted: &Accepted) {
        if accepted.start.published.workflow.limits.concurrency.is_some() {
            self.leave_gate(accepted.start.published.revision.workflow_id, accepted.id());
        }
    }
}
