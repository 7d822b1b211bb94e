//! Drives one execution: decide, apply, append, perform, until it has ended or has nothing to do for a while.
//!
//! **The output rule** lives here. Entries are applied at once and kept in `pending`; they are appended together when
//! something is about to be seen from outside (a call of an observable plugin, an event, a child, an answer, a lock given
//! back, an acknowledged command), and otherwise once they have lagged behind the disk for [`limits::JOURNAL_LAG_MAX`].

mod append;
mod child;
mod obey;
mod pace;

use std::collections::BTreeMap;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use camshaft_model::entry::{At, Awaited, Entry};
use camshaft_model::ids::ExecutionId;
use camshaft_model::invocation::SeenDelivery;
use camshaft_model::limits;
use camshaft_model::outcome::{Ending, Failure, FailureKind, Outcome, StepOutcome};
use camshaft_model::seams::{Count, Fence, Published, StoreError};
use camshaft_model::state::{Stage, State};
use camshaft_model::time::Timestamp;
use futures::future::{AbortHandle, Abortable, Aborted, BoxFuture};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::{mpsc, watch};

use crate::Engine;
use crate::decide::{Action, Call, next_due, resume};
use crate::evaluate::PutOff;
use crate::live::{Command, Handle, Parked, Progress};
use crate::perform::{self, Elsewhere, Performed, perform};
use crate::seats::Seat;

/// One execution being driven.
pub(crate) struct Driver {
    engine: Arc<Engine>,
    id: ExecutionId,
    fence: Fence,
    published: Arc<Published>,
    state: State,
    /// Applied and not yet durable, and since when.
    pending: Vec<Arc<Entry>>,
    pending_since: Timestamp,
    first: First,
    calls: FuturesUnordered<Abortable<BoxFuture<'static, Performed>>>,
    /// The way to stop each call.
    under_way: BTreeMap<At, AbortHandle>,
    /// Locks that steps hold or stand in line for.
    locks: BTreeMap<At, String>,
    /// Locks to be given back once what led to it is durable.
    returned: Vec<(At, String)>,
    /// Children that steps wait for.
    children: BTreeMap<At, ExecutionId>,
    /// Children to be cancelled once what led to it is durable.
    forsaken: Vec<ExecutionId>,
    /// Whether nothing is to be done without the world's help.
    is_idle: bool,
    commands: mpsc::UnboundedReceiver<Command>,
    progress: watch::Sender<Progress>,
    /// It is under way.
    _seat: Seat,
}

/// What the first append of an execution carries besides.
#[derive(Default)]
pub(crate) struct First {
    /// The delivery that brought it, and since when it must not have been seen.
    pub(crate) delivery: Option<(SeenDelivery, Timestamp)>,
    /// One more in each.
    pub(crate) counts: Vec<Count>,
}

/// What an execution begins to be driven with.
pub(crate) struct Beginning {
    pub(crate) published: Arc<Published>,
    pub(crate) state: State,
    /// Its entries that are not durable yet.
    pub(crate) pending: Vec<Arc<Entry>>,
    pub(crate) first: First,
    pub(crate) fence: Fence,
    /// Its place among those under way, where it has one already.
    pub(crate) seat: Option<Seat>,
}

/// Why driving stopped early.
enum Stop {
    /// The store will not have it; nothing more is to be done here.
    Store(StoreError),
    /// The server is going down, or another one took over.
    LetGo,
    /// There is nothing to do for a while.
    Parked,
}

impl Driver {
    /// Begins to drive.
    pub(crate) fn spawn(engine: &Arc<Engine>, beginning: Beginning) -> Handle {
        let Beginning { published, state, pending, first, fence, seat } = beginning;
        let seat = seat.unwrap_or_else(|| engine.seats.sit(&published.workspace));
        let (sender, commands) = mpsc::unbounded_channel();
        let (progress, watch) = watch::channel(Progress::Going);
        let id = state.invocation.id;
        let handle = Handle { commands: sender, progress: watch };
        engine.live.listen(&published.workspace, published.program.topics().map(str::to_owned), id);
        engine.live.drive(id, handle.clone());
        if engine.is_stopping() {
            // Begun while the others were told to stop.
            let _ = handle.commands.send(Command::Stop);
        }
        let driver = Self {
            engine: engine.clone(),
            id,
            fence,
            published,
            pending_since: state.updated_at,
            state,
            pending,
            first,
            calls: FuturesUnordered::new(),
            under_way: BTreeMap::new(),
            locks: BTreeMap::new(),
            returned: Vec::new(),
            children: BTreeMap::new(),
            forsaken: Vec::new(),
            is_idle: false,
            commands,
            progress,
            _seat: seat,
        };
        tokio::spawn(driver.run());
        handle
    }

    async fn run(mut self) {
        let guard = Guard { engine: self.engine.clone(), id: self.id, is_over: true };
        let stopped = match AssertUnwindSafe(self.drive()).catch_unwind().await {
            Ok(stopped) => stopped,
            Err(_) => AssertUnwindSafe(self.break_off()).catch_unwind().await.unwrap_or(Err(Stop::LetGo)),
        };
        let last = match stopped {
            Ok(()) => match &self.state.outcome {
                Some(outcome) => Progress::Ended(outcome.clone()),
                None => Progress::LetGo,
            },
            Err(Stop::Parked) => return self.hand_over(guard),
            Err(Stop::LetGo) => Progress::LetGo,
            Err(Stop::Store(error)) => Progress::Refused(error),
        };
        if !matches!(last, Progress::LetGo) {
            self.depart();
        }
        self.progress.send_replace(last);
        drop(guard);
    }

    /// Driving panicked: a fault of ours, which going on would only meet again. The execution ends, so that whoever waits for
    /// it, its place or its locks does not wait for ever.
    async fn break_off(&mut self) -> Result<(), Stop> {
        tracing::error!(execution = %self.id, "driving panicked; the execution ends as failed");
        self.calls.clear();
        let why = "the server failed while it ran this execution; its log says more";
        let failure = Some(Failure::new(FailureKind::Failed, why));
        let outcome = Outcome { ending: Ending::Failed, output: Arc::default(), exit: None, failure, step: None };
        self.record(Entry::Ended { time: self.engine.parts.clock.now(), outcome: Arc::new(outcome) })?;
        self.flush().await
    }

    /// It is parked: what came for it in the last moment wakes it again.
    fn hand_over(mut self, mut guard: Guard) {
        guard.is_over = false;
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            self.engine.tell_later(self.id, command);
        }
    }

    /// It is over for everybody: whoever waited for its place, its locks or itself goes on.
    fn depart(&mut self) {
        let workspace = &self.published.workspace;
        self.engine.live.ignore(workspace, self.published.program.topics().map(str::to_owned), self.id);
        for (at, key) in std::mem::take(&mut self.locks).into_iter().chain(std::mem::take(&mut self.returned)) {
            self.engine.give_back(workspace, &key, (self.id, at));
        }
        if self.published.workflow.limits.concurrency.is_some() {
            self.engine.leave_gate(self.published.revision.workflow_id, self.id);
        }
        self.forsaken.extend(std::mem::take(&mut self.children).into_values());
        self.cancel_forsaken();
        self.engine.tell_parent(&self.state);
    }

    async fn drive(&mut self) -> Result<(), Stop> {
        self.take_up().await?;
        loop {
            let mut place = None;
            loop {
                let (mut actions, put_off) = self.decide(place.take());
                // An event on its way needs no second sending.
                actions.retain(|action| !matches!(action, Action::Emit { at, .. } if self.under_way.contains_key(at)));
                if !actions.is_empty() {
                    self.carry_out(actions).await?;
                    self.keep_up().await?;
                    continue;
                }
                match put_off {
                    Some(PutOff::Full) => place = self.stand_in_line().await?,
                    Some(PutOff::Late) => self.give_way().await?,
                    None => {
                        self.is_idle = true;
                        break;
                    }
                }
            }
            if self.state.outcome.is_some() {
                self.calls.clear();
                return self.flush().await;
            }
            if !self.returned.is_empty() || !self.forsaken.is_empty() {
                self.flush().await?;
                continue;
            }
            self.park().await?;
            self.wait().await?;
        }
    }

    /// Goes on where a former driver stopped.
    async fn take_up(&mut self) -> Result<(), Stop> {
        let is_in_line = || self.engine.gates.is_in_line(self.published.revision.workflow_id, self.id);
        if self.state.queued_at.is_some() && self.state.started_at.is_none() && !is_in_line() {
            // It was let in while nobody could tell it.
            self.record(Entry::Started { time: self.engine.parts.clock.now() })?;
        }
        for claim in self.state.locks() {
            let claimant = (self.id, claim.at);
            self.locks.insert(claim.at, claim.key.clone());
            // It may be its own since it was parked; one that it holds already is not asked for again.
            if !claim.held && self.engine.locks.ask(&self.published.workspace, &claim.key, claimant, claim.since) {
                self.take_lock(claim.at)?;
            }
        }
        self.children.extend(self.state.children());
        self.ask_for_children();
        let resumed = resume(&self.published.program, &self.state, self.engine.parts.clock.now());
        self.carry_out(resumed).await
    }

    async fn carry_out(&mut self, actions: Vec<Action>) -> Result<(), Stop> {
        let mut observable = Vec::new();
        for action in actions {
            if self.state.outcome.is_some() {
                // One frame ended the execution; what the others would have done no longer counts.
                return Ok(());
            }
            match action {
                Action::Record(entry) => {
                    let stands_in_line = matches!(&entry, Entry::WaitStarted { awaited: Awaited::Lock { .. }, .. });
                    if stands_in_line && !self.returned.is_empty() {
                        // It may be the same step that gives the lock back, tried again: first the one, then the other.
                        self.flush().await?;
                    }
                    self.record(entry)?;
                }
                Action::Call { entry, call } => {
                    if let Some(entry) = entry {
                        self.record(entry)?;
                    }
                    match call.plugin.observable {
                        true => observable.push(call),
                        false => self.call(call),
                    }
                }
                Action::StartChild { at, workflow, params, waits } => {
                    self.start_child(at, &workflow, params, waits).await?;
                }
                Action::Emit { at, event } => {
                    self.flush().await?;
                    let future = self.engine.clone().emit(self.state.invocation.clone(), at, event);
                    self.begin(at, future);
                }
            }
        }
        if !observable.is_empty() {
            // One append for all that begin together.
            self.flush().await?;
            observable.into_iter().for_each(|call| self.call(call));
        }
        Ok(())
    }

    fn call(&mut self, call: Call) {
        let at = call.at;
        let future = perform(&self.engine, &self.published.program, &self.state, call);
        self.begin(at, future);
    }

    /// The first call runs right here, which costs nothing; further ones on workers of their own, so that they really run
    /// at the same time.
    fn begin(&mut self, at: At, future: BoxFuture<'static, Performed>) {
        let future = if self.calls.is_empty() { future } else { Box::pin(Elsewhere::spawn(future)) };
        let (handle, registration) = AbortHandle::new_pair();
        self.under_way.insert(at, handle);
        self.calls.push(Abortable::new(future, registration));
    }

    /// Waits for a result, a command, a due time, or for the journal's lag to run out.
    async fn wait(&mut self) -> Result<(), Stop> {
        let due = next_due(&self.published.program, &self.state);
        self.wait_or(pending::<()>(), due).await.map(drop)
    }

    /// The same, or for something else, which goes first and is what it then answers with.
    async fn wait_or<T>(&mut self, other: impl Future<Output = T>, due: Option<Timestamp>) -> Result<Option<T>, Stop> {
        let clock = self.engine.parts.clock.clone();
        let lag_end = self.pending_since.plus(limits::JOURNAL_LAG_MAX);
        let due = due.unwrap_or(Timestamp(u64::MAX));
        tokio::select! {
            biased;
            other = other => return Ok(Some(other)),
            Some(performed) = self.calls.next() => self.settle_all(performed)?,
            command = self.commands.recv() => match command {
                Some(command) => self.obey(command).await?,
                // Nobody can reach it any more; it still has its work to do.
                None => return Err(Stop::LetGo),
            },
            () = clock.sleep_until(due), if due.0 != u64::MAX => {}
            () = clock.sleep_until(lag_end), if !self.pending.is_empty() => self.flush().await?,
        }
        Ok(None)
    }

    /// Takes in all that is there already, so that what follows from it begins together.
    fn settle_all(&mut self, first: Result<Performed, Aborted>) -> Result<(), Stop> {
        let mut next = Some(first);
        while let Some(performed) = next {
            if let Ok(performed) = performed {
                self.settle(performed)?;
            }
            next = self.calls.next().now_or_never().flatten();
        }
        Ok(())
    }

    fn settle(&mut self, performed: Performed) -> Result<(), Stop> {
        let now = self.engine.parts.clock.now();
        match performed {
            Performed::Called { at, attempt, done } => {
                self.under_way.remove(&at);
                let is_meant = |open: &&camshaft_model::state::Open| {
                    open.attempt == attempt && matches!(open.stage, Stage::Attempting { .. })
                };
                if self.state.open.get(&at).filter(is_meant).is_none() {
                    // What it was for is over.
                    return Ok(());
                }
                let entry = perform::ended(&self.published.program, &self.state, at, attempt, done, now);
                self.record(entry)
            }
            Performed::Emitted { at } => {
                self.under_way.remove(&at);
                match self.state.open.get(&at).map(|open| &open.stage) {
                    Some(Stage::Emitting { event }) => {
                        let outcome = StepOutcome::Succeeded(event.clone());
                        self.record(Entry::StepEnded { time: now, at, outcome, go_on: false })
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    /// Lets go where nothing is to be done for a while and nobody waits.
    async fn park(&mut self) -> Result<(), Stop> {
        if !self.calls.is_empty() || !self.commands.is_empty() || self.progress.receiver_count() > 1 {
            return Ok(());
        }
        let due = next_due(&self.published.program, &self.state);
        let soon = self.engine.parts.clock.now().plus(limits::PARK_AFTER);
        if due.is_some_and(|due| due <= soon) {
            return Ok(());
        }
        self.flush().await?;
        let parked = Parked { due, fence: self.fence };
        let is_alone = || self.commands.is_empty() && self.progress.receiver_count() == 1;
        if self.engine.live.try_park(self.id, parked, is_alone) { Err(Stop::Parked) } else { Ok(()) }
    }

    /// Applies an entry and keeps it for the next append. `decide` makes only entries that follow; should one ever not,
    /// driving stops here, since going on would repeat the same mistake for ever.
    fn record(&mut self, entry: Entry) -> Result<(), Stop> {
        let ended = match &entry {
            Entry::StepEnded { at, .. } | Entry::RetryScheduled { at, .. } => Some(*at),
            _ => None,
        };
        let others = |state: &State| state.open.len() - ended.map_or(0, |at| usize::from(state.open.contains_key(&at)));
        let before = others(&self.state);
        if let Err(illegal) = self.state.apply(&entry) {
            tracing::error!(execution = %self.id, %illegal, "driving stopped: an entry does not follow");
            return Err(Stop::LetGo);
        }
        if self.pending.is_empty() {
            self.pending_since = entry.time();
        }
        let standing_in_line = match &entry {
            Entry::WaitStarted { at, awaited: Awaited::Lock { key }, time, .. } => Some((*at, key.clone(), *time)),
            _ => None,
        };
        self.pending.push(Arc::new(entry));
        self.is_idle = false;
        if let Some(at) = ended {
            self.tidy(at, others(&self.state) < before);
        }
        if let Some((at, key, since)) = standing_in_line {
            let is_its_own = self.engine.locks.ask(&self.published.workspace, &key, (self.id, at), since);
            self.locks.insert(at, key);
            if is_its_own {
                self.take_lock(at)?;
            }
        }
        Ok(())
    }

    fn take_lock(&mut self, at: At) -> Result<(), Stop> {
        self.record(Entry::LockTaken { time: self.engine.parts.clock.now(), at })
    }

    /// A step has ended, perhaps with others inside it: what they had under way is stopped.
    fn tidy(&mut self, at: At, with_others: bool) {
        let over = match with_others {
            true => self.under_way.keys().chain(self.locks.keys()).chain(self.children.keys()).copied().collect(),
            false => vec![at],
        };
        for at in over {
            let stage = self.state.open.get(&at).map(|open| &open.stage);
            if !matches!(stage, Some(Stage::Attempting { .. } | Stage::Emitting { .. }))
                && let Some(handle) = self.under_way.remove(&at)
            {
                handle.abort();
            }
            if !matches!(stage, Some(Stage::Locked { .. } | Stage::Waiting { awaited: Awaited::Lock { .. }, .. }))
                && let Some(key) = self.locks.remove(&at)
            {
                self.returned.push((at, key));
            }
            if !matches!(stage, Some(Stage::Waiting { awaited: Awaited::Child { .. }, .. })) {
                self.forsaken.extend(self.children.remove(&at));
            }
        }
    }
}

/// Takes the execution off the list, even if driving it panicked.
struct Guard {
    engine: Arc<Engine>,
    id: ExecutionId,
    is_over: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.is_over {
            self.engine.live.remove(self.id);
        }
    }
}
