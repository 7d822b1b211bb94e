//! The engine as triggers know it: a request becomes executions, which are waited for, told and cancelled.

use std::sync::Arc;
use std::time::Duration;

use camshaft_model::entry::Entry;
use camshaft_model::ids::{ExecutionId, Name};
use camshaft_model::invocation::{Reply, SeenDelivery};
use camshaft_model::limits;
use camshaft_model::outcome::Outcome;
use camshaft_model::seams::{
    Answer, Append, Dispatch, DispatchError, DispatchRequest, Dispatched, LimitReached, Message, Start, StoreError,
    TellError,
};
use camshaft_model::summary::Status;
use camshaft_model::time::Timestamp;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;

use crate::Engine;
use crate::accept::{Accepted, begin_all};
use crate::live::{Command, Handle, Progress};

impl Engine {
    /// Starts executions, and tells the witness what became of it.
    pub(crate) async fn dispatch_all(self: Arc<Self>, request: DispatchRequest) -> Result<Dispatched, DispatchError> {
        let asked = |start: &Start| (start.published.clone(), start.by.clone());
        let starts: Vec<_> = request.starts.iter().map(asked).collect();
        let (witness, at) = (self.parts.witness.clone(), self.parts.clock.now());
        let result = self.dispatch_unseen(request).await;
        match &result {
            Ok(dispatched) if dispatched.replayed => {}
            Ok(Dispatched { executions, refused, .. }) => {
                let mut executions = executions.iter().peekable();
                for (published, trigger) in starts {
                    let workflow = &published.revision.workflow;
                    let started = executions.next_if(|(of, _)| of == workflow);
                    let refused = refused.iter().find(|refused| refused.workflow == *workflow);
                    match (trigger, started, refused) {
                        (Some(trigger), Some((_, id)), _) => witness.started(&published, &trigger, at, *id),
                        (Some(trigger), None, Some(refused)) => {
                            witness.not_started(&published, &trigger, at, refused.to_string());
                        }
                        _ => {}
                    }
                }
            }
            Err(error) => {
                let why = match error {
                    // Its text is the operator's.
                    DispatchError::NotDurable(_) => "it could not be made durable".to_owned(),
                    error => error.to_string(),
                };
                for (published, trigger) in starts {
                    trigger.iter().for_each(|trigger| witness.not_started(&published, trigger, at, why.clone()));
                }
            }
        }
        result
    }

    async fn dispatch_unseen(self: Arc<Self>, request: DispatchRequest) -> Result<Dispatched, DispatchError> {
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

        if starts.iter().any(|start| start.published.workflow.limits.concurrency.is_some()) {
            self.complete().await;
        }
        let (mut accepted, mut refused) = (Vec::new(), Vec::new());
        for start in starts {
            match self.accept(start, &request_id, None, now) {
                Ok(one) => accepted.push(one),
                Err(reached) => refused.push(reached),
            }
        }
        if let ([], Some(first)) = (accepted.as_slice(), refused.first()) {
            return Err(DispatchError::LimitReached(first.clone()));
        }

        let executions = |accepted: &[Accepted]| -> Vec<(Name, ExecutionId)> {
            accepted.iter().map(|accepted| (accepted.workflow().clone(), accepted.id())).collect()
        };
        if reply == Reply::Wait
            && accepted.len() == 1
            && let Some(one) = accepted.pop_if(|one| !one.is_in_line())
        {
            if let Some(reached) = self.full.turns_away(&one.counted, now) {
                self.turn_away(&one);
                return Err(DispatchError::LimitReached(reached));
            }
            let (executions, id) = (executions(std::slice::from_ref(&one)), one.id());
            let delivery =
                delivery.map(|delivery| (SeenDelivery { executions: executions.clone(), ..delivery }, seen_after));
            let counted = one.counted.clone();
            let outcome = match self.wait(id, one.run_ahead(&self, delivery.clone(), now), window).await? {
                Waited::Ended(outcome) => Some(outcome),
                Waited::Going => None,
                Waited::Refused(StoreError::Duplicate(seen)) => {
                    let (delivery, _) = delivery.expect("only a delivery is seen before");
                    return self.replay(&delivery, *seen, reply, window).await;
                }
                Waited::Refused(StoreError::LimitReached { key, limit }) => {
                    let reached = counted.reached(&key, limit, now);
                    self.full.note(key, limit, now);
                    return Err(DispatchError::LimitReached(reached));
                }
                Waited::Refused(error) => return Err(DispatchError::NotDurable(error.to_string())),
            };
            return Ok(Dispatched { executions, replayed: false, refused, outcome });
        }

        let delivery = delivery.map(|delivery| (delivery, seen_after));
        let begun = match self.accept_durably(accepted, &mut refused, &delivery, now).await? {
            Ok(begun) => begun,
            Err(seen) => {
                let (delivery, _) = delivery.expect("only a delivery is seen before");
                return self.replay(&delivery, *seen, reply, window).await;
            }
        };
        let outcome = match (reply, begun.last()) {
            (Reply::Wait, Some((_, id))) => {
                self.outcome(*id, window).await.map_err(|error| DispatchError::NotDurable(error.to_string()))?
            }
            _ => None,
        };
        Ok(Dispatched { executions: begun, replayed: false, refused, outcome })
    }

    /// One append for all of them, then they run. What a counter turns away is left out. Answers with what was begun, or
    /// with the delivery if it was seen before after all.
    async fn accept_durably(
        self: &Arc<Self>,
        mut accepted: Vec<Accepted>,
        refused: &mut Vec<LimitReached>,
        delivery: &Option<(SeenDelivery, Timestamp)>,
        now: Timestamp,
    ) -> Result<Result<Vec<(Name, ExecutionId)>, Box<SeenDelivery>>, DispatchError> {
        let fence = self.parts.store.fence();
        // Nothing was started, so there is nothing that a crash could forget.
        while !accepted.is_empty() {
            let executions: Vec<_> = accepted.iter().map(|one| (one.workflow().clone(), one.id())).collect();
            let mut append = Append::default();
            for one in &accepted {
                let Append { journals, counts, .. } = one.append(fence, now);
                append.journals.extend(journals);
                append.counts.extend(counts);
            }
            append.delivery = delivery
                .clone()
                .map(|(delivery, after)| (SeenDelivery { executions: executions.clone(), ..delivery }, after));
            match self.parts.store.append(append).await {
                Ok(()) => {
                    begin_all(self, accepted);
                    return Ok(Ok(executions));
                }
                Err(StoreError::LimitReached { key, limit }) => {
                    let is_of_it = |one: &Accepted| one.counted.is_by(key.owner);
                    let count = self.parts.store.count(&key).await.unwrap_or(limit);
                    // At least one goes, so that this comes to an end.
                    let most = accepted.iter().filter(|one| is_of_it(one)).count().saturating_sub(1);
                    let mut room = most.min(usize::try_from(limit.saturating_sub(count)).unwrap_or(usize::MAX));
                    let (over, rest): (Vec<_>, _) = accepted.into_iter().partition(|one| {
                        let is_over = is_of_it(one) && room == 0;
                        room -= usize::from(is_of_it(one) && !is_over);
                        is_over
                    });
                    accepted = rest;
                    for one in over {
                        self.turn_away(&one);
                        refused.push(one.counted.reached(&key, limit, now));
                    }
                    if let ([], Some(first)) = (accepted.as_slice(), refused.first()) {
                        return Err(DispatchError::LimitReached(first.clone()));
                    }
                }
                Err(error) => {
                    accepted.iter().for_each(|one| self.turn_away(one));
                    return match error {
                        StoreError::Duplicate(seen) => Ok(Err(seen)),
                        error => Err(DispatchError::NotDurable(error.to_string())),
                    };
                }
            }
        }
        Ok(Ok(Vec::new()))
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
        Ok(Dispatched { executions: seen.executions, replayed: true, refused: Vec::new(), outcome })
    }

    async fn wait(&self, id: ExecutionId, mut handle: Handle, window: Duration) -> Result<Waited, DispatchError> {
        let over = self.parts.clock.sleep_until(self.parts.clock.now().plus(window));
        tokio::select! {
            biased;
            progress = settled(&mut handle) => return self.waited(id, progress).await,
            () = over => {}
        }
        // The window is over. What we are about to say ("it goes on") must survive a crash.
        let (answer, flushed) = oneshot::channel();
        let sent = handle.commands.send(Command::Flush(answer)).is_ok();
        match (sent, flushed.await) {
            (true, Ok(Ok(()))) => Ok(Waited::Going),
            (true, Ok(Err(error))) => Ok(Waited::Refused(error)),
            // It ended at the very moment; its progress tells how.
            _ => self.waited(id, settled(&mut handle).await).await,
        }
    }

    /// What came of waiting until driving was over.
    async fn waited(&self, id: ExecutionId, progress: Progress) -> Result<Waited, DispatchError> {
        match progress {
            Progress::Ended(outcome) => Ok(Waited::Ended(outcome)),
            Progress::Refused(error) => Ok(Waited::Refused(error)),
            // The server is going down. What is durable goes on at its next start.
            Progress::Going | Progress::LetGo => match self.parts.store.summary(id).await {
                Ok(Some(_)) => Ok(Waited::Going),
                Ok(None) | Err(_) => Err(DispatchError::Stopping),
            },
        }
    }
}

enum Waited {
    Ended(Arc<Outcome>),
    Going,
    /// It never was: the store would not have it.
    Refused(StoreError),
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

    fn cancel(&self, id: ExecutionId, by: String) -> BoxFuture<'_, Result<(), TellError>> {
        self.0.cancel(id, by).boxed()
    }

    fn send<'a>(&'a self, workspace: &'a Name, message: Message) -> BoxFuture<'a, Result<Vec<ExecutionId>, TellError>> {
        self.0.send(workspace, message).boxed()
    }

    fn send_to(&self, id: ExecutionId, message: Message) -> BoxFuture<'_, Result<(), TellError>> {
        self.0.ask(id, |answer| Command::Receive(message, answer)).boxed()
    }

    fn answer(&self, id: ExecutionId, answer: Answer) -> BoxFuture<'_, Result<(), TellError>> {
        self.0.ask(id, |noted| Command::Answer(answer, noted)).boxed()
    }
}

impl Engine {
    /// Waits for an execution, for at most `window`; one that is parked or stands in line too.
    async fn outcome(&self, id: ExecutionId, window: Duration) -> Result<Option<Arc<Outcome>>, StoreError> {
        let over = self.parts.clock.sleep_until(self.parts.clock.now().plus(window));
        tokio::pin!(over);
        let mut notices = self.live.appended.subscribe();
        loop {
            if let Some(mut handle) = self.live.get(id) {
                let progress = tokio::select! {
                    biased;
                    progress = settled(&mut handle) => progress,
                    () = &mut over => return Ok(None),
                };
                match progress {
                    Progress::Ended(outcome) => return Ok(Some(outcome)),
                    // Its driver is on its way out.
                    _ => tokio::task::yield_now().await,
                }
            }
            if !self.live.knows(id) || self.is_stopping() {
                return Ok(self.ended(id).await?.map(|(_, outcome)| outcome));
            }
            if self.live.get(id).is_none() {
                tokio::select! {
                    biased;
                    // Whatever it is, also that we lagged behind: look again.
                    _ = notices.recv() => {}
                    () = &mut over => return Ok(None),
                }
            }
        }
    }

    /// How an execution ended, with its workflow; none where it has not, or where there is none.
    pub(crate) async fn ended(&self, id: ExecutionId) -> Result<Option<(Name, Arc<Outcome>)>, StoreError> {
        let Some(summary) = self.parts.store.summary(id).await?.filter(|summary| summary.status.is_final()) else {
            return Ok(None);
        };
        let entries = self.parts.store.entries(id, 0, usize::MAX).await?;
        Ok(entries.into_iter().find_map(|entry| match entry {
            Entry::Ended { outcome, .. } => Some((summary.revision.workflow.clone(), outcome)),
            _ => None,
        }))
    }

    pub(crate) async fn cancel(self: &Arc<Self>, id: ExecutionId, by: String) -> Result<(), TellError> {
        self.ask(id, |answer| Command::Cancel(by, answer)).await
    }

    /// Tells an execution something and waits until it is durable.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        id: ExecutionId,
        command: impl FnOnce(oneshot::Sender<Result<(), TellError>>) -> Command,
    ) -> Result<(), TellError> {
        let (answer, noted) = oneshot::channel();
        if self.tell(id, command(answer)).await
            && let Ok(noted) = noted.await
        {
            return noted;
        }
        match self.parts.store.summary(id).await?.map(|summary| summary.status) {
            None => Err(TellError::Unknown(id)),
            Some(status) if Status::is_final(status) => Err(TellError::Ended(id, status)),
            Some(_) => Err(StoreError::Unavailable(format!("execution {id} is not driven now; try again")).into()),
        }
    }
}
