//! Taking up what a former server left open, and what has been parked until now.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use camshaft_model::entry::Entry;
use camshaft_model::ids::{ExecutionId, ResourceId};
use camshaft_model::seams::{Claim, Fence, Published, StoreError};
use camshaft_model::state::State;
use camshaft_model::summary::{Status, Summary};
use camshaft_model::time::Timestamp;
use futures::stream::{self, StreamExt};

use crate::Engine;
use crate::drive::{Beginning, Driver};
use crate::live::{Command, Parked, Told};

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
                let id = claim.id;
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
        Ok(parked + woken.into_iter().filter(|goes_on| *goes_on).count())
    }

    /// Cancels children whose parent waited for them and has ended: the former server had no time to.
    async fn cancel_orphans(self: &Arc<Self>, children: Vec<(ExecutionId, ExecutionId)>) -> Result<(), StoreError> {
        let mut ended = HashMap::new();
        for (child, parent) in children {
            let is_over = match ended.get(&parent) {
                Some(is_over) => *is_over,
                None => {
                    let summary = self.parts.store.summary(parent).await?;
                    let is_over = summary.is_none_or(|summary| summary.status.is_final());
                    *ended.entry(parent).or_insert(is_over)
                }
            };
            if !is_over {
                continue;
            }
            let first = self.parts.store.entries(child, 0, 1).await?;
            let Some(Entry::Accepted { invocation, .. }) = first.first() else { continue };
            if invocation.parent.as_ref().is_some_and(|parent| parent.waits) {
                let engine = self.clone();
                // One that has ended meanwhile needs no cancelling.
                tokio::spawn(async move { engine.cancel(child, format!("its parent {parent}")).await });
            }
        }
        Ok(())
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
                Err(error) => {
                    let workflow = &summary.revision.workflow;
                    tracing::error!(%workflow, %error, "executions of this workflow stay in line");
                    continue;
                }
            };
            for id in self.gates.widen(workflow, limit) {
                self.tell_later(id, Command::Start);
            }
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
        let published: Arc<Published> = self
            .parts
            .directory
            .revision(&invocation.workspace, &invocation.revision, &invocation.environment)
            .await
            .map_err(|error| error.to_string())?;
        Driver::spawn(self, Beginning { published, state, pending: Vec::new(), delivery: None, fence, seat: None });
        Ok(true)
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
