//! Accepting executions, waiting for them, cancelling them: the engine as triggers know it.

use std::sync::Arc;
use std::time::Duration;

use camshaft_model::entry::Entry;
use camshaft_model::ids::{ExecutionId, Name};
use camshaft_model::invocation::{Invocation, Reply, SeenDelivery};
use camshaft_model::limits;
use camshaft_model::outcome::Outcome;
use camshaft_model::seams::{
    Append, CancelError, Dispatch, DispatchError, DispatchRequest, Dispatched, JournalAppend, Start, StoreError,
};
use camshaft_model::state::State;
use camshaft_model::time::Timestamp;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;

use crate::Engine;
use crate::drive::Driver;
use crate::live::{Command, Handle, Progress};

/// An execution that is accepted in memory.
struct Accepted {
    start: Start,
    entry: Arc<Entry>,
    state: State,
}

impl Engine {
    fn accept(&self, start: Start, request_id: &Option<String>, now: Timestamp) -> Accepted {
        let published = &start.published;
        let invocation = Arc::new(Invocation {
            id: self.parts.ids.execution(),
            workspace: published.workspace.clone(),
            revision: published.revision.clone(),
            environment: published.environment.clone(),
            trigger: start.trigger.clone(),
            event: start.event.clone(),
            params: start.params.clone(),
            labels: published.workflow.labels.clone(),
            request_id: request_id.clone(),
            test: start.test,
        });
        let entry = Arc::new(Entry::Accepted { time: now, invocation });
        let state = State::begin(&entry).expect("an `accepted` entry begins a state");
        Accepted { start, entry, state }
    }

    async fn dispatch_all(self: Arc<Self>, request: DispatchRequest) -> Result<Dispatched, DispatchError> {
        if self.is_stopping() {
            return Err(DispatchError::Stopping);
        }
        let now = self.parts.clock.now();
        let seen_after = Timestamp(now.0.saturating_sub(limits::DEDUPE_WINDOW.as_micros() as u64));
        let DispatchRequest { delivery, starts, reply, window, request_id } = request;

        if let Some(delivery) = &delivery {
            match self.parts.store.delivery(&delivery.key, seen_after).await {
                Ok(None) => {}
                Ok(Some(seen)) => return self.replay(delivery, seen, reply, window).await,
                Err(error) => return Err(DispatchError::NotDurable(error.to_string())),
            }
        }

        let accepted: Vec<_> = starts.into_iter().map(|start| self.accept(start, &request_id, now)).collect();
        let executions: Vec<(Name, ExecutionId)> = accepted
            .iter()
            .map(|accepted| (accepted.start.published.revision.workflow.clone(), accepted.state.invocation.id))
            .collect();
        let delivery =
            delivery.map(|delivery| (SeenDelivery { executions: executions.clone(), ..delivery }, seen_after));

        let outcome = match reply {
            Reply::Detach => {
                if let Some(seen) = self.accept_durably(accepted, &delivery).await? {
                    let (delivery, _) = delivery.expect("only a delivery is seen before");
                    return self.replay(&delivery, seen, reply, window).await;
                }
                None
            }
            Reply::Wait => {
                let mut outcome = None;
                for Accepted { start, entry, state } in accepted {
                    let fence = self.parts.store.fence();
                    let handle = Driver::spawn(&self, start.published, state, vec![entry], delivery.clone(), fence);
                    match self.wait(handle, window).await? {
                        Waited::Ended(ended) => outcome = Some(ended),
                        Waited::Going => {}
                        Waited::Duplicate(seen) => {
                            let (delivery, _) = delivery.expect("only a delivery is seen before");
                            return self.replay(&delivery, *seen, reply, window).await;
                        }
                    }
                }
                outcome
            }
        };
        Ok(Dispatched { executions, replayed: false, outcome })
    }

    /// One append for all of them, then they run. Answers with the delivery if it was seen before after all.
    async fn accept_durably(
        self: &Arc<Self>,
        accepted: Vec<Accepted>,
        delivery: &Option<(SeenDelivery, Timestamp)>,
    ) -> Result<Option<SeenDelivery>, DispatchError> {
        // Nothing was started, so there is nothing that a crash could forget.
        if accepted.is_empty() {
            return Ok(None);
        }
        let fence = self.parts.store.fence();
        let journals = accepted
            .iter()
            .map(|accepted| JournalAppend {
                id: accepted.state.invocation.id,
                fence,
                from: 0,
                entries: vec![accepted.entry.clone()],
                summary: accepted.state.summary(),
            })
            .collect();
        match self.parts.store.append(Append { journals, delivery: delivery.clone(), ..Append::default() }).await {
            Ok(()) => {}
            Err(StoreError::Duplicate(seen)) => return Ok(Some(*seen)),
            Err(error) => return Err(DispatchError::NotDurable(error.to_string())),
        }
        for Accepted { start, state, .. } in accepted {
            Driver::spawn(self, start.published, state, Vec::new(), None, fence);
        }
        Ok(None)
    }

    /// The answer of a delivery that came before: the same executions, and for one that waits their outcome.
    async fn replay(
        &self,
        delivery: &SeenDelivery,
        seen: SeenDelivery,
        reply: Reply,
        window: Duration,
    ) -> Result<Dispatched, DispatchError> {
        if seen.body != delivery.body {
            return Err(DispatchError::DifferentBody { id: delivery.key.id.clone() });
        }
        let outcome = match (reply, seen.executions.last()) {
            (Reply::Wait, Some((_, id))) => {
                self.outcome(*id, window).await.map_err(|error| DispatchError::NotDurable(error.to_string()))?
            }
            _ => None,
        };
        Ok(Dispatched { executions: seen.executions, replayed: true, outcome })
    }

    async fn wait(&self, mut handle: Handle, window: Duration) -> Result<Waited, DispatchError> {
        let over = self.parts.clock.sleep_until(self.parts.clock.now().plus(window));
        tokio::select! {
            biased;
            progress = settled(&mut handle) => match progress {
                Progress::Ended(outcome) => return Ok(Waited::Ended(outcome)),
                Progress::Duplicate(seen) => return Ok(Waited::Duplicate(seen)),
                Progress::NotDurable(why) => return Err(DispatchError::NotDurable(why)),
                Progress::Going | Progress::LetGo => return Err(DispatchError::Stopping),
            },
            () = over => {}
        }
        // The window is over. What we are about to say ("it goes on") must survive a crash.
        let (answer, flushed) = oneshot::channel();
        let sent = handle.commands.send(Command::Flush(answer)).is_ok();
        match (sent, flushed.await) {
            (true, Ok(Ok(()))) => Ok(Waited::Going),
            (true, Ok(Err(StoreError::Duplicate(seen)))) => Ok(Waited::Duplicate(seen)),
            (true, Ok(Err(error))) => Err(DispatchError::NotDurable(error.to_string())),
            // It ended at the very moment; its progress tells how.
            _ => match settled(&mut handle).await {
                Progress::Ended(outcome) => Ok(Waited::Ended(outcome)),
                Progress::Duplicate(seen) => Ok(Waited::Duplicate(seen)),
                Progress::NotDurable(why) => Err(DispatchError::NotDurable(why)),
                Progress::Going | Progress::LetGo => Err(DispatchError::Stopping),
            },
        }
    }
}

enum Waited {
    Ended(Arc<Outcome>),
    Going,
    Duplicate(Box<SeenDelivery>),
}

/// Waits until driving is over. A driver that vanished without a word (it panicked) reads as let go.
async fn settled(handle: &mut Handle) -> Progress {
    match handle.progress.wait_for(|progress| !matches!(progress, Progress::Going)).await {
        Ok(progress) => progress.clone(),
        Err(_) => Progress::LetGo,
    }
}

/// The engine behind the seam. A handle of its own, because executions hold the engine for as long as they run.
#[derive(Clone)]
pub struct Dispatcher(pub Arc<Engine>);

impl Dispatch for Dispatcher {
    fn dispatch(&self, request: DispatchRequest) -> BoxFuture<'_, Result<Dispatched, DispatchError>> {
        self.0.clone().dispatch_all(request).boxed()
    }

    fn outcome(&self, id: ExecutionId, window: Duration) -> BoxFuture<'_, Result<Option<Arc<Outcome>>, StoreError>> {
        self.0.outcome(id, window).boxed()
    }

    fn cancel(&self, id: ExecutionId, by: String) -> BoxFuture<'_, Result<(), CancelError>> {
        self.0.cancel(id, by).boxed()
    }
}

impl Engine {
    /// Waits for an execution, for at most `window`.
    async fn outcome(&self, id: ExecutionId, window: Duration) -> Result<Option<Arc<Outcome>>, StoreError> {
        if let Some(mut handle) = self.live.get(id) {
            let over = self.parts.clock.sleep_until(self.parts.clock.now().plus(window));
            let progress = tokio::select! {
                biased;
                progress = settled(&mut handle) => progress,
                () = over => return Ok(None),
            };
            if let Progress::Ended(outcome) = progress {
                return Ok(Some(outcome));
            }
        }
        match self.parts.store.summary(id).await? {
            Some(summary) if summary.status.is_final() => {}
            _ => return Ok(None),
        }
        let entries = self.parts.store.entries(id, 0, usize::MAX).await?;
        Ok(entries.into_iter().find_map(|entry| match entry {
            Entry::Ended { outcome, .. } => Some(outcome),
            _ => None,
        }))
    }

    async fn cancel(&self, id: ExecutionId, by: String) -> Result<(), CancelError> {
        if let Some(handle) = self.live.get(id) {
            let (answer, noted) = oneshot::channel();
            if handle.commands.send(Command::Cancel(by, answer)).is_ok()
                && let Ok(noted) = noted.await
            {
                return Ok(noted?);
            }
        }
        match self.parts.store.summary(id).await? {
            None => Err(CancelError::Unknown(id)),
            Some(summary) if summary.status.is_final() => Err(CancelError::Ended(id, summary.status)),
            Some(_) => Err(StoreError::Unavailable(format!("execution {id} is not driven now; try again")).into()),
        }
    }
}
