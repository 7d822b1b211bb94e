//! The open executions of this server: those that are driven, with the ways to talk to each, and those that are parked
//! until something is due or somebody talks to them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use camshaft_model::entry::{At, Sequence};
use camshaft_model::ids::{ExecutionId, Name};
use camshaft_model::outcome::{AttemptOutcome, Outcome};
use camshaft_model::seams::{Answer, Fence, Message, StoreError, TellError};
use camshaft_model::time::Timestamp;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};

/// Notices of appended entries that a slow listener may lag behind before it has to read the journal anew.
const NOTICES: usize = 4_096;

/// What an execution can be told.
pub(crate) enum Command {
    /// Make durable what has been reached, then answer.
    Flush(oneshot::Sender<Result<(), StoreError>>),
    /// Note the wish to end, make it durable, then answer.
    Cancel(String, oneshot::Sender<Result<(), TellError>>),
    /// Take an event, make it durable, then answer.
    Receive(Message, oneshot::Sender<Result<(), TellError>>),
    /// Take a person's answer, make it durable, then answer.
    Answer(Answer, oneshot::Sender<Result<(), TellError>>),
    /// A child that a step waits for has ended.
    ChildEnded(At, ExecutionId, AttemptOutcome),
    /// The lock that a step stands in line for is its own.
    LockGranted(At),
    /// Its turn has come to run.
    Start,
    /// Something is due.
    Wake,
    /// Write down what has been reached and let go.
    Stop,
}

/// How the driving of an execution stands, for those who wait for it.
#[derive(Debug, Clone)]
pub(crate) enum Progress {
    /// It goes on.
    Going,
    /// It ended, durably.
    Ended(Arc<Outcome>),
    /// It never was: the store would not have its first entries, the delivery that brought it, or one more in a counter.
    Refused(StoreError),
    /// This server let go of it; another start goes on with it.
    LetGo,
}

/// One execution that is driven.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    pub(crate) progress: watch::Receiver<Progress>,
}

/// One open execution.
enum Standing {
    Driven(Handle),
    Parked(Parked),
    /// Its driver begins, or its journal is being read for it; commands are kept for the driver.
    Waking(Vec<Command>),
}

/// An execution that has nothing to do for now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parked {
    pub(crate) due: Option<Timestamp>,
    pub(crate) fence: Fence,
}

/// Entries of an execution have become durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Whose.
    pub execution: ExecutionId,
    /// The sequence of the next entry.
    pub next: Sequence,
}

/// All of them.
pub(crate) struct Live {
    all: Mutex<All>,
    emptied: Notify,
    /// The earliest due time may have changed.
    pub(crate) rescheduled: Notify,
    pub(crate) appended: broadcast::Sender<Appended>,
}

#[derive(Default)]
struct All {
    standing: HashMap<ExecutionId, Standing>,
    driven: usize,
    /// Those that are driven in a moment.
    expected: usize,
    due: BTreeSet<(Timestamp, ExecutionId)>,
    topics: HashMap<(Name, String), BTreeSet<ExecutionId>>,
}

impl All {
    /// Whether nothing is driven, now or in a moment.
    fn is_empty(&self) -> bool {
        self.driven + self.expected == 0
    }
}

impl Default for Live {
    fn default() -> Self {
        Self {
            all: Mutex::default(),
            emptied: Notify::new(),
            rescheduled: Notify::new(),
            appended: broadcast::channel(NOTICES).0,
        }
    }
}

/// What came of handing a command over.
pub(crate) enum Told {
    /// The driver has it.
    Yes,
    /// Somebody has to read the journal and drive the execution; the command waits for that.
    Wake(Parked),
    /// The driver is on its way out; try again in a moment.
    Again(Command),
    /// It is not open here; whoever waits for an answer hears that none comes.
    Unknown,
}

impl Live {
    /// Executions that are driven in a moment; what they are told meanwhile is kept for their drivers.
    pub(crate) fn expect(&self, ids: impl IntoIterator<Item = ExecutionId>) {
        let mut all = self.lock();
        for id in ids {
            all.expected += 1;
            all.standing.entry(id).or_insert_with(|| Standing::Waking(Vec::new()));
        }
    }

    /// One of those that were expected has begun.
    pub(crate) fn begun(&self) {
        let mut all = self.lock();
        all.expected -= 1;
        if all.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    /// The execution is driven from now on. Commands that came for it meanwhile go first.
    pub(crate) fn drive(&self, id: ExecutionId, handle: Handle) {
        let mut all = self.lock();
        all.driven += 1;
        match all.standing.insert(id, Standing::Driven(handle.clone())) {
            Some(Standing::Waking(commands)) => commands.into_iter().for_each(|command| {
                // The driver that is about to run holds the other end.
                let _ = handle.commands.send(command);
            }),
            Some(Standing::Parked(Parked { due: Some(due), .. })) => drop(all.due.remove(&(due, id))),
            _ => {}
        }
    }

    /// The execution is over, or let go of.
    pub(crate) fn remove(&self, id: ExecutionId) {
        let mut all = self.lock();
        match all.standing.remove(&id) {
            Some(Standing::Driven(_)) => {
                all.driven -= 1;
                if all.is_empty() {
                    self.emptied.notify_waiters();
                }
            }
            Some(Standing::Parked(Parked { due: Some(due), .. })) => drop(all.due.remove(&(due, id))),
            _ => {}
        }
    }

    /// A driver lets go of its execution until something is due, unless somebody waits for it.
    pub(crate) fn try_park(&self, id: ExecutionId, parked: Parked, is_alone: impl FnOnce() -> bool) -> bool {
        let mut all = self.lock();
        // Handles are cloned under this lock, so nobody begins to wait meanwhile.
        if !is_alone() {
            return false;
        }
        if let Some(Standing::Driven(_)) = all.standing.insert(id, Standing::Parked(parked)) {
            all.driven -= 1;
            if all.is_empty() {
                self.emptied.notify_waiters();
            }
        }
        self.schedule(all, id, parked.due);
        true
    }

    /// An execution that nobody drives yet.
    pub(crate) fn park(&self, id: ExecutionId, parked: Parked) {
        let mut all = self.lock();
        all.standing.insert(id, Standing::Parked(parked));
        self.schedule(all, id, parked.due);
    }

    fn schedule(&self, mut all: MutexGuard<'_, All>, id: ExecutionId, due: Option<Timestamp>) {
        let Some(due) = due else { return };
        let is_first = all.due.first().is_none_or(|(first, _)| due < *first);
        all.due.insert((due, id));
        drop(all);
        if is_first {
            self.rescheduled.notify_one();
        }
    }

    /// When the next parked execution is due.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.lock().due.first().map(|(due, _)| *due)
    }

    /// Parked executions that are due, at most so many.
    pub(crate) fn due(&self, now: Timestamp, limit: usize) -> Vec<ExecutionId> {
        self.lock().due.iter().take_while(|(due, _)| *due <= now).take(limit).map(|(_, id)| *id).collect()
    }

    pub(crate) fn tell(&self, id: ExecutionId, command: Command) -> Told {
        let mut guard = self.lock();
        let all = &mut *guard;
        match all.standing.get_mut(&id) {
            None => Told::Unknown,
            Some(Standing::Driven(handle)) => match handle.commands.send(command) {
                Ok(()) => Told::Yes,
                Err(refused) => Told::Again(refused.0),
            },
            Some(Standing::Waking(commands)) => {
                commands.push(command);
                Told::Yes
            }
            Some(standing @ Standing::Parked(_)) => {
                let Standing::Parked(parked) = std::mem::replace(standing, Standing::Waking(vec![command])) else {
                    unreachable!("it was parked a line ago");
                };
                if let Some(due) = parked.due {
                    all.due.remove(&(due, id));
                }
                Told::Wake(parked)
            }
        }
    }

    /// A handle of an execution that is driven.
    pub(crate) fn get(&self, id: ExecutionId) -> Option<Handle> {
        match self.lock().standing.get(&id) {
            Some(Standing::Driven(handle)) => Some(handle.clone()),
            _ => None,
        }
    }

    /// Whether it is open here, driven or not.
    pub(crate) fn knows(&self, id: ExecutionId) -> bool {
        self.lock().standing.contains_key(&id)
    }

    /// Executions that are driven.
    pub(crate) fn driven(&self) -> usize {
        self.lock().driven
    }

    /// An execution whose steps wait for events of these topics, now or later.
    pub(crate) fn listen(&self, workspace: &Name, topics: impl IntoIterator<Item = String>, id: ExecutionId) {
        let mut all = self.lock();
        for topic in topics {
            all.topics.entry((workspace.clone(), topic)).or_default().insert(id);
        }
    }

    /// It listens no more.
    pub(crate) fn ignore(&self, workspace: &Name, topics: impl IntoIterator<Item = String>, id: ExecutionId) {
        let mut all = self.lock();
        for topic in topics {
            let key = (workspace.clone(), topic);
            if let Some(listening) = all.topics.get_mut(&key) {
                listening.remove(&id);
                if listening.is_empty() {
                    all.topics.remove(&key);
                }
            }
        }
    }

    /// Executions that listen to a topic, in their order.
    pub(crate) fn listening(&self, workspace: &Name, topic: &str) -> Vec<ExecutionId> {
        let listening = self.lock().topics.get(&(workspace.clone(), topic.to_owned())).cloned();
        listening.unwrap_or_default().into_iter().collect()
    }

    pub(crate) fn stop_all(&self) {
        for standing in self.lock().standing.values() {
            if let Standing::Driven(handle) = standing {
                // One that has just ended no longer listens, and needs not.
                let _ = handle.commands.send(Command::Stop);
            }
        }
    }

    pub(crate) async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            if self.lock().is_empty() {
                return;
            }
            emptied.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        // Nothing panics while holding it; a poisoned map is still whole.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
