//! Accepting executions, waiting for them: the engine as triggers know it.

use std::sync::Arc;
use std::time::Duration;

use camshaft_model::entry::Entry;
use camshaft_model::ids::{ExecutionId, Name, ResourceId};
use camshaft_model::invocation::{Invocation, Parent, Reply, SeenDelivery};
use camshaft_model::limits;
use camshaft_model::outcome::Outcome;
use camshaft_model::seams::{
    Answer, Append, Count, CountKey, Dispatch, DispatchError, DispatchRequest, Dispatched, Fence, JournalAppend,
    LimitReached, Limited, Message, Quota, Start, StoreError, TellError,
};
use camshaft_model::state::State;
use camshaft_model::summary::{Outlook, Status};
use camshaft_model::time::{Period, Timestamp};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;

use crate::Engine;
use crate::drive::{Beginning, Driver};
use crate::gate::Admission;
use crate::live::{Command, Handle, Parked, Progress};
use crate::seats::Seat;

/// What a limit of executions under way is told as.
const AT_ONCE: &str = "executions at once";

/// An execution that is accepted in memory.
pub(crate) struct Accepted {
    start: Start,
    entries: Vec<Arc<Entry>>,
    state: State,
    quotas: Arc<[Quota]>,
    seat: Seat,
}

impl Accepted {
    pub(crate) fn id(&self) -> ExecutionId {
        self.state.invocation.id
    }

    fn workflow(&self) -> &Name {
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
        let mut counts = Vec::new();
        let mut count = |owner, per_day: Option<u64>, per_month: Option<u64>| {
            let day = per_day.map(|limit| Count { key: CountKey { period: Period::day(now), owner }, limit });
            let month = per_month.map(|limit| Count { key: CountKey { period: Period::month(now), owner }, limit });
            counts.extend(day.into_iter().chain(month));
        };
        count(self.start.published.revision.workflow_id, limits.per_day, limits.per_month);
        self.quotas.iter().for_each(|quota| count(quota.owner, quota.per_day, quota.per_month));
        Append { journals: vec![journal], counts, ..Append::default() }
    }

    /// Whether a counter counts it.
    fn is_counted_by(&self, owner: ResourceId) -> bool {
        self.start.published.revision.workflow_id == owner || self.quotas.iter().any(|quota| quota.owner == owner)
    }

    /// What it is told when a counter has no room for it.
    pub(crate) fn reached(&self, key: &CountKey, limit: u64, now: Timestamp) -> LimitReached {
        let quota = self.quotas.iter().find(|quota| quota.owner == key.owner);
        let what = match key.period.kind() {
            "day/" => "executions a day",
            _ => "executions a month",
        };
        let retry_after_s = key.period.end().map_or(1, |end| end.since(now).as_secs() + 1);
        let of = quota.map_or(Limited::Workflow, |quota| quota.of.clone());
        LimitReached { of, workflow: self.workflow().clone(), what, limit, retry_after_s }
    }

    /// Whether it may run before anything of it is durable: nobody but its own caller has to agree.
    fn is_free(&self) -> bool {
        let limits = &self.start.published.workflow.limits;
        let is_counted = |quota: &Quota| quota.per_day.is_some() || quota.per_month.is_some();
        limits.concurrency.is_none()
            && limits.per_day.is_none()
            && limits.per_month.is_none()
            && !self.quotas.iter().any(is_counted)
    }
}

/// Durable executions begin to run, or stand in line.
pub(crate) fn begin_all(engine: &Arc<Engine>, accepted: Vec<Accepted>) {
    let fence = engine.parts.store.fence();
    for Accepted { start, state, seat, .. } in accepted {
        let published = start.published;
        if let Some(queued_at) = state.queued_at {
            let topics = published.program.topics().map(str::to_owned);
            engine.live.listen(&published.workspace, topics, state.invocation.id);
            let due = Some(queued_at.plus(limits::QUEUED_MAX));
            let id = state.invocation.id;
            engine.live.park(id, Parked { due, fence });
            if !engine.gates.is_in_line(published.revision.workflow_id, id) {
                // Its turn came before it could be told.
                engine.tell_later(id, Command::Start);
            }
            continue;
        }
        Driver::spawn(
            engine,
            Beginning { published, state, pending: Vec::new(), delivery: None, fence, seat: Some(seat) },
        );
    }
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
        Ok(Accepted { start, entries, state, quotas, seat })
    }

    /// An accepted execution comes to nothing.
    pub(crate) fn turn_away(self: &Arc<Self>, accepted: &Accepted) {
        if accepted.start.published.workflow.limits.concurrency.is_some() {
            self.leave_gate(accepted.start.published.revision.workflow_id, accepted.id());
        }
    }

    pub(crate) async fn dispatch_all(self: Arc<Self>, request: DispatchRequest) -> Result<Dispatched, DispatchError> {
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
            && let [one] = accepted.as_slice()
            && one.is_free()
        {
            let executions = executions(&accepted);
            let delivery =
                delivery.map(|delivery| (SeenDelivery { executions: executions.clone(), ..delivery }, seen_after));
            let Some(Accepted { start, entries, state, seat, .. }) = accepted.pop() else {
                unreachable!("there is one")
            };
            let (published, fence) = (start.published, self.parts.store.fence());
            let beginning =
                Beginning { published, state, pending: entries, delivery: delivery.clone(), fence, seat: Some(seat) };
            let handle = Driver::spawn(&self, beginning);
            let outcome = match self.wait(handle, window).await? {
                Waited::Ended(outcome) => Some(outcome),
                Waited::Going => None,
                Waited::Duplicate(seen) => {
                    let (delivery, _) = delivery.expect("only a delivery is seen before");
                    return self.replay(&delivery, *seen, reply, window).await;
                }
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
                    let is_of_it = |one: &Accepted| one.is_counted_by(key.owner);
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
                        refused.push(one.reached(&key, limit, now));
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
