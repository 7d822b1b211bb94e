//! Drives one execution: decide, apply, append, perform, until it has ended.
//!
//! **The output rule** lives here. Entries are applied at once and kept in `pending`; they are appended together when
//! something is about to be seen from outside (a call of an observable plugin, an answer, an acknowledged command), and
//! otherwise once they have lagged behind the disk for [`limits::JOURNAL_LAG_MAX`].

use std::sync::Arc;
use std::time::Duration;

use camshaft_model::entry::{Entry, Sequence};
use camshaft_model::ids::ExecutionId;
use camshaft_model::invocation::SeenDelivery;
use camshaft_model::limits;
use camshaft_model::seams::{Append, Fence, JournalAppend, Published, StoreError};
use camshaft_model::state::State;
use camshaft_model::time::Timestamp;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};

use crate::Engine;
use crate::decide::{Action, decide, next_due, resume};
use crate::live::{Command, Handle, Progress};
use crate::perform::{self, Performed, perform};

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
    /// The delivery to be remembered with the first append.
    delivery: Option<(SeenDelivery, Timestamp)>,
    calls: FuturesUnordered<BoxFuture<'static, Performed>>,
    commands: mpsc::UnboundedReceiver<Command>,
    progress: watch::Sender<Progress>,
}

/// Why driving stopped early.
enum Stop {
    /// The store will not have it; nothing more is to be done here.
    Store(StoreError),
    /// The server is going down, or another one took over.
    LetGo,
}

impl Driver {
    /// Begins to drive a state. `pending` are its entries that are not durable yet, with the delivery that brought them.
    pub(crate) fn spawn(
        engine: &Arc<Engine>,
        published: Arc<Published>,
        state: State,
        pending: Vec<Arc<Entry>>,
        delivery: Option<(SeenDelivery, Timestamp)>,
        fence: Fence,
    ) -> Handle {
        let (sender, commands) = mpsc::unbounded_channel();
        let (progress, watch) = watch::channel(Progress::Going);
        let id = state.invocation.id;
        let handle = Handle { commands: sender, progress: watch };
        engine.live.insert(id, handle.clone());
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
            delivery,
            calls: FuturesUnordered::new(),
            commands,
            progress,
        };
        let guard = Guard { engine: engine.clone(), id };
        tokio::spawn(async move {
            driver.run().await;
            drop(guard);
        });
        handle
    }

    async fn run(mut self) {
        let last = match self.drive().await {
            Ok(()) => match &self.state.outcome {
                Some(outcome) => Progress::Ended(outcome.clone()),
                None => Progress::LetGo,
            },
            Err(Stop::LetGo) => Progress::LetGo,
            Err(Stop::Store(StoreError::Duplicate(seen))) => Progress::Duplicate(seen),
            Err(Stop::Store(error)) => Progress::NotDurable(error.to_string()),
        };
        self.progress.send_replace(last);
    }

    async fn drive(&mut self) -> Result<(), Stop> {
        let resumed = resume(&self.published.program, &self.state, self.engine.parts.clock.now());
        self.carry_out(resumed).await?;
        loop {
            loop {
                let now = self.engine.parts.clock.now();
                let actions = decide(&self.published.program, &self.state, now, &*self.engine.parts.jq);
                if actions.is_empty() {
                    break;
                }
                self.carry_out(actions).await?;
            }
            if self.state.outcome.is_some() {
                self.calls.clear();
                return self.flush().await;
            }
            self.wait().await?;
        }
    }

    async fn carry_out(&mut self, actions: Vec<Action>) -> Result<(), Stop> {
        for action in actions {
            if self.state.outcome.is_some() {
                // One frame ended the execution; what the others would have done no longer counts.
                return Ok(());
            }
            match action {
                Action::Record(entry) => self.record(entry)?,
                Action::Call { entry, call } => {
                    if let Some(entry) = entry {
                        self.record(entry)?;
                    }
                    if call.plugin.observable {
                        self.flush().await?;
                    }
                    self.calls.push(perform(&self.engine, &self.published.program, &self.state, call));
                }
            }
        }
        Ok(())
    }

    /// Waits for a result, a command, a due time, or for the journal's lag to run out.
    async fn wait(&mut self) -> Result<(), Stop> {
        let clock = self.engine.parts.clock.clone();
        let lag_end = self.pending_since.plus(limits::JOURNAL_LAG_MAX);
        let due = next_due(&self.published.program, &self.state).unwrap_or(Timestamp(u64::MAX));
        tokio::select! {
            biased;
            Some(performed) = self.calls.next() => {
                let entry = perform::entry(&self.published.program, &self.state, performed, clock.now());
                self.record(entry)
            }
            command = self.commands.recv() => match command {
                Some(command) => self.obey(command).await,
                // Nobody can reach it any more; it still has its work to do.
                None => Err(Stop::LetGo),
            },
            () = clock.sleep_until(due), if due.0 != u64::MAX => Ok(()),
            () = clock.sleep_until(lag_end), if !self.pending.is_empty() => self.flush().await,
        }
    }

    async fn obey(&mut self, command: Command) -> Result<(), Stop> {
        match command {
            Command::Flush(answer) => {
                let flushed = self.flush().await;
                let _ = answer.send(told(&flushed));
                flushed
            }
            Command::Cancel(by, answer) => {
                self.record(Entry::CancelRequested { time: self.engine.parts.clock.now(), by })?;
                let flushed = self.flush().await;
                let _ = answer.send(told(&flushed));
                flushed
            }
            Command::Stop => {
                self.flush().await?;
                Err(Stop::LetGo)
            }
        }
    }

    /// Applies an entry and keeps it for the next append. `decide` makes only entries that follow; should one ever not,
    /// driving stops here, since going on would repeat the same mistake for ever.
    fn record(&mut self, entry: Entry) -> Result<(), Stop> {
        if let Err(illegal) = self.state.apply(&entry) {
            tracing::error!(execution = %self.id, %illegal, "driving stopped: an entry does not follow");
            return Err(Stop::LetGo);
        }
        if self.pending.is_empty() {
            self.pending_since = entry.time();
        }
        self.pending.push(Arc::new(entry));
        Ok(())
    }

    /// Returns once everything recorded so far is durable.
    ///
    /// An execution that has nothing durable yet is given up when the store refuses: nobody was told of it. A later
    /// refusal is waited out, since the execution was acknowledged.
    async fn flush(&mut self) -> Result<(), Stop> {
        let mut pause = Duration::from_millis(50);
        while !self.pending.is_empty() {
            let from: Sequence = self.state.next_sequence - self.pending.len() as Sequence;
            let journal = JournalAppend {
                id: self.id,
                fence: self.fence,
                from,
                entries: self.pending.clone(),
                summary: self.state.summary(),
            };
            let append = Append { journals: vec![journal], delivery: self.delivery.clone(), ..Append::default() };
            match self.engine.parts.store.append(append).await {
                Ok(()) => {
                    self.pending.clear();
                    self.delivery = None;
                }
                Err(error) if from == 0 => return Err(Stop::Store(error)),
                Err(StoreError::Fenced(_)) => return Err(Stop::LetGo),
                Err(error) => {
                    tracing::error!(execution = %self.id, %error, "entries are not durable yet; trying again");
                    if self.engine.is_stopping() {
                        return Err(Stop::LetGo);
                    }
                    let clock = &self.engine.parts.clock;
                    clock.sleep_until(clock.now().plus(pause)).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
        }
        Ok(())
    }
}

fn told(flushed: &Result<(), Stop>) -> Result<(), StoreError> {
    match flushed {
        Ok(()) => Ok(()),
        Err(Stop::Store(error)) => Err(error.clone()),
        Err(Stop::LetGo) => Err(StoreError::Unavailable("the server is stopping".to_owned())),
    }
}

/// Takes the execution off the list, even if driving it panicked.
struct Guard {
    engine: Arc<Engine>,
    id: ExecutionId,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.engine.live.remove(self.id);
    }
}
