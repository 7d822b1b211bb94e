//! Taking up what a former server left open, and what has been parked until now.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use camshaft_model::entry::Entry;
use camshaft_model::ids::{ExecutionId, ResourceId};
use camshaft_model::outcome::{Ending, Failure, FailureKind, Outcome};
use camshaft_model::seams::{Append, Claim, Fence, JournalAppend, Published, StoreError};
use camshaft_model::state::State;
use camshaft_model::summary::{Status, Summary};
use camshaft_model::time::Timestamp;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::Engine;
use crate::drive::{Beginning, Driver, First};
use crate::live::{Appended, Command, Parked, Told};

/// Open executions that are claimed at once.
const PAGE: usize = 1_024;
/// Journals that are read at once.
const AT_ONCE: usize = 32;
/// Parked executions that are woken in one go.
const DUE: usize = 1_024;
/// How long a claimed execution is ours before another server may take it. The embedded store has no other.
const LEASE: Duration = Duration::from_secs(30);
/// When to try again with an execution that cannot be read now.
const AGAIN: Duration = Duration::from_secs(60);

impl Engine {
    /// Takes up every open execution: puts locks, lines and topics back, parks all of them, and goes on with those that have
    /// something to do. Returns how many go on or wait. One that cannot be read is reported and tried again later; it keeps
    /// nobody else from going on.
    pub async fn recover(self: &Arc<Self>) -> Result<usize, StoreError> {
        let (mut parked, mut to_wake, mut children) = (0, Vec::new(), Vec::new());
        let mut gated: HashMap<ResourceId, Summary> = HashMap::new();
        let mut holding: HashMap<_, (Summary, Vec<ExecutionId>)> = HashMap::new();
        let mut after = None;
        'pages: loop {
            let claims = self.parts.store.claim(after, PAGE, LEASE).await?;
            let Some(last) = claims.last() else { break };
            after = Some(last.id);
            for claim in claims {
                // Accepted since this server began, and driven already. Ids are ordered by time, so none follows.
                if claim.id >= self.first {
                    break 'pages;
                }
                if claim.summary.outlook.gated {
                    gated.insert(claim.summary.revision.workflow_id, claim.summary.clone());
                }
                let (id, summary) = (claim.id, &claim.summary);
                if summary.outlook.gated || !summary.outlook.locks.is_empty() {
                    let revision =
                        (summary.revision.workflow_id, summary.revision.revision, summary.environment.clone());
                    holding.entry(revision).or_insert_with(|| (summary.clone(), Vec::new())).1.push(id);
                }
                children.extend(claim.summary.parent.map(|parent| (id, parent)));
                match self.place(claim) {
                    true => to_wake.push(id),
                    false => parked += 1,
                }
            }
        }
        self.let_in(&gated).await;
        for (id, at) in self.locks.complete() {
            self.tell_later(id, Command::LockGranted(at));
        }
        self.completed.send_replace(true);
        self.cancel_orphans(children).await?;
        let woken = stream::iter(to_wake).map(|id| async move {
            match self.live.tell(id, Command::Wake) {
                Told::Wake(parked) => self.wake(id, parked).await,
                // Somebody was faster.
                Told::Yes => true,
                Told::Again(_) | Told::Unknown => false,
            }
        });
        let woken: Vec<bool> = woken.buffer_unordered(AT_ONCE).collect().await;
        self.wake_unreadable(holding.into_values()).await;
        Ok(parked + woken.into_iter().filter(|goes_on| *goes_on).count())
    }

    /// Wakes what holds something that others wait for and whose revision cannot be read, so that it ends. Others of such a
    /// revision end when something is due, or when somebody talks to them.
    async fn wake_unreadable(self: &Arc<Self>, holding: impl Iterator<Item = (Summary, Vec<ExecutionId>)>) {
        for (Summary { workspace, revision, environment, .. }, executions) in holding {
            let found = self.parts.directory.revision(&workspace, &revision, &environment).await;
            if matches!(found, Err(StoreError::Damaged(_))) {
                executions.into_iter().for_each(|id| self.tell_later(id, Command::Wake));
            }
        }
    }

    /// Cancels children that a step of their parent waited for and waits for no more, because it was left or the parent has
    /// ended: the former server had no time to.
    async fn cancel_orphans(self: &Arc<Self>, children: Vec<(ExecutionId, ExecutionId)>) -> Result<(), StoreError> {
        let mut of_parents: HashMap<ExecutionId, Vec<ExecutionId>> = HashMap::new();
        for (child, parent) in children {
            of_parents.entry(parent).or_default().push(child);
        }
        let looked_at = stream::iter(of_parents).map(|(parent, children)| async move {
            let Some(waited_for) = self.waited_for(parent).await? else { return Ok(()) };
            for child in children.into_iter().filter(|child| !waited_for.contains(child)) {
                let first = self.parts.store.entries(child, 0, 1).await?;
                let Some(Entry::Accepted { invocation, .. }) = first.first() else { continue };
                if invocation.parent.as_ref().is_some_and(|parent| parent.waits) {
                    self.cancel_child(child, parent);
                }
            }
            Ok(())
        });
        looked_at.buffer_unordered(AT_ONCE).try_collect().await
    }

    /// The children that steps of an execution wait for, which are none where it has ended; or none where that cannot be said.
    async fn waited_for(&self, parent: ExecutionId) -> Result<Option<HashSet<ExecutionId>>, StoreError> {
        let summary = self.parts.store.summary(parent).await?;
        if summary.is_none_or(|summary| summary.status.is_final()) {
            return Ok(Some(HashSet::new()));
        }
        // One that cannot be read is told of when it is taken up, and keeps nobody else from going on.
        let Ok(entries) = self.parts.store.entries(parent, 0, usize::MAX).await else { return Ok(None) };
        let Ok(Some(state)) = State::fold(&entries) else { return Ok(None) };
        Ok(Some(state.children().map(|(_, child)| child).collect()))
    }

    /// Puts an execution in its place, going by its summary alone. Whether it has something to do.
    fn place(&self, claim: Claim) -> bool {
        let Claim { id, fence, summary } = claim;
        let is_queued = summary.status == Status::Queued;
        let outlook = summary.outlook;
        for lock in &outlook.locks {
            self.locks.restore(&summary.workspace, id, lock);
        }
        if outlook.gated {
            self.gates.restore(summary.revision.workflow_id, id, is_queued);
        }
        let is_due = outlook.due.is_some_and(|due| due <= self.parts.clock.now());
        let waits = matches!(summary.status, Status::Waiting | Status::Queued);
        let goes_on = !waits || is_due;
        self.live.listen(&summary.workspace, outlook.topics, id);
        // One that goes on is woken once everything is in its place.
        self.live.park(id, Parked { due: outlook.due.filter(|_| !goes_on), fence });
        goes_on
    }

    /// There may be room for executions that stand in line: the former server had no time to say so.
    async fn let_in(self: &Arc<Self>, gated: &HashMap<ResourceId, Summary>) {
        for (workflow, _) in self.gates.in_line() {
            let Some(summary) = gated.get(&workflow) else { continue };
            let revision =
                self.parts.directory.revision(&summary.workspace, &summary.revision, &summary.environment).await;
            let limit = match revision {
                Ok(published) => published.workflow.limits.concurrency.unwrap_or(u32::MAX),
                // Each ends when its turn comes.
                Err(StoreError::Damaged(_)) => 1,
                Err(error) => {
                    let workflow = &summary.revision.workflow;
                    tracing::error!(%workflow, %error, "executions of this workflow stay in line");
                    continue;
                }
            };
            self.widen(workflow, limit);
        }
    }

    /// So many executions of a workflow run at once from now on: those that stand in line are let in where there is room.
    pub fn widen(self: &Arc<Self>, workflow: ResourceId, limit: u32) {
        for id in self.gates.widen(workflow, limit) {
            self.tell_later(id, Command::Start);
        }
    }

    /// Returns once what a former server left is in its place.
    pub(crate) async fn complete(&self) {
        let mut completed = self.completed.subscribe();
        // The engine holds the other end.
        let _ = completed.wait_for(|completed| *completed).await;
    }

    /// A parked execution that somebody talks to, or that is due. Whether it goes on.
    pub(crate) async fn wake(self: &Arc<Self>, id: ExecutionId, parked: Parked) -> bool {
        self.complete().await;
        match self.take_up(id, parked.fence).await {
            Ok(true) => true,
            Ok(false) => {
                self.live.remove(id);
                false
            }
            Err(why) => {
                tracing::error!(execution = %id, why, "a parked execution cannot go on; trying again in a minute");
                let due = Some(self.parts.clock.now().plus(AGAIN));
                self.live.park(id, Parked { due, ..parked });
                false
            }
        }
    }

    async fn take_up(self: &Arc<Self>, id: ExecutionId, fence: Fence) -> Result<bool, String> {
        let entries = self.parts.store.entries(id, 0, usize::MAX).await.map_err(|error| error.to_string())?;
        let state = State::fold(&entries).map_err(|illegal| illegal.to_string())?;
        let Some(state) = state else {
            return Err("its journal is empty".to_owned());
        };
        if state.outcome.is_some() {
            // It ended between the claim and now.
            return Ok(false);
        }
        let invocation = &state.invocation;
        let found =
            self.parts.directory.revision(&invocation.workspace, &invocation.revision, &invocation.environment).await;
        let published: Arc<Published> = match found {
            Ok(published) => published,
            Err(StoreError::Damaged(why)) => {
                self.give_up(state, fence, &why).await.map_err(|error| error.to_string())?;
                return Ok(false);
            }
            Err(error) => return Err(error.to_string()),
        };
        Driver::spawn(
            self,
            Beginning { published, state, pending: Vec::new(), first: First::default(), fence, seat: None },
        );
        Ok(true)
    }

    /// Ends an execution whose revision cannot be read any more, which needs no program: nobody is to wait for ever for it, its
    /// locks or its place.
    async fn give_up(self: &Arc<Self>, mut state: State, fence: Fence, why: &str) -> Result<(), StoreError> {
        let (invocation, time) = (state.invocation.clone(), self.parts.clock.now());
        let (id, from) = (invocation.id, state.next_sequence);
        tracing::error!(execution = %id, why, "an execution ends as failed: its revision cannot be read");
        let summary = self.parts.store.summary(id).await?;
        let outlook = summary.map(|summary| summary.outlook).unwrap_or_default();
        let (locks, children): (_, Vec<_>) = (state.locks(), state.children().collect());

        let message = format!("its revision cannot be read any more: {why}");
        let failure = Some(Failure::new(FailureKind::Failed, message));
        let outcome = Outcome { ending: Ending::Failed, output: Arc::default(), exit: None, failure, step: None };
        let started = state.started_at.is_none().then_some(Entry::Started { time });
        let entries: Vec<_> = started.into_iter().chain([Entry::Ended { time, outcome: Arc::new(outcome) }]).collect();
        for entry in &entries {
            state.apply(entry).map_err(|illegal| StoreError::Damaged(illegal.to_string()))?;
        }
        let entries = entries.into_iter().map(Arc::new).collect();
        let journal = JournalAppend { id, fence, from, entries, summary: state.summary() };
        self.parts.store.append(Append { journals: vec![journal], ..Append::default() }).await?;

        // What it was woken to be told finds that it has ended.
        self.live.remove(id);
        self.live.ignore(&invocation.workspace, outlook.topics, id);
        for claim in locks {
            self.give_back(&invocation.workspace, &claim.key, (id, claim.at));
        }
        if outlook.gated {
            self.leave_gate(invocation.revision.workflow_id, id);
        }
        children.into_iter().for_each(|(_, child)| self.cancel_child(child, id));
        self.tell_parent(&state);
        // Nobody may be listening.
        let _ = self.live.appended.send(Appended { execution: id, next: state.next_sequence });
        Ok(())
    }
}

/// Wakes parked executions when they are due, for as long as there is an engine.
pub(crate) async fn wake_when_due(engine: Weak<Engine>) {
    loop {
        let (sleep, rescheduled) = {
            let Some(engine) = engine.upgrade().filter(|engine| !engine.is_stopping()) else { return };
            let now = engine.parts.clock.now();
            let due = engine.live.due(now, DUE);
            if !due.is_empty() {
                for id in due {
                    engine.tell(id, Command::Wake).await;
                }
                continue;
            }
            let next = engine.live.next_due().unwrap_or(Timestamp(u64::MAX));
            let live = engine.live.clone();
            (engine.parts.clock.sleep_until(next), async move { live.rescheduled.notified().await })
        };
        tokio::select! { () = sleep => {}, () = rescheduled => {} }
    }
}
