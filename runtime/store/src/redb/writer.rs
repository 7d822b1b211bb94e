//! The one writer: a thread that makes everything that is waiting durable with one commit.
//!
//! ```text
//! callers ─► queue ─► [ batch: check and write each ] ─► commit (one sync) ─► every caller its answer
//!              ▲                                             │
//!              └── fills while the disk syncs ◄──────────────┘ failed: revert, open again
//! ```
//!
//! The batch grows with the load by itself: whatever came while the disk was busy goes together next. Nobody is answered
//! before the outcome of the commit is known; if it failed, not even those that were refused, since a refusal may rest on
//! a neighbour that is not there after all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use camshaft_model::ids::Digest;
use camshaft_model::resource::{Change, Resource};
use camshaft_model::seams::{Fence, Prune, Pruned, StoreError};
use camshaft_model::time::{Period, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::apply::{Batch, Refusal};
use super::codec::EncodedAppend;
use super::database::{Slot, disk_error};

/// Most requests that wait; callers beyond wait for a place.
const QUEUE_REQUESTS: usize = 4096;
/// Most KiB that wait, roughly; a single request may be larger and then waits alone.
const QUEUE_KIB: usize = 64 << 10;
/// A batch takes no further request once it holds so many bytes.
const BATCH_BYTES: usize = 8 << 20;
/// Most requests of a batch, so that the first of them does not wait for long.
const BATCH_REQUESTS: usize = 1024;

/// What a caller wants done.
pub(crate) enum Work {
    Append(EncodedAppend),
    Change(Vec<Change>),
    Forget { before: Timestamp, limit: usize },
    ForgetCounts { before: Period, limit: usize },
    Prune(Prune),
    PutBlob { digest: Digest, bytes: Vec<u8> },
}

/// What was done.
pub(crate) enum Done {
    Appended,
    Changed(Vec<Option<Resource>>),
    Forgotten(usize),
    Pruned(Pruned),
    Kept,
}

type Answer = Result<Done, StoreError>;

struct Request {
    work: Work,
    bytes: usize,
    answer: oneshot::Sender<Answer>,
    _room: OwnedSemaphorePermit,
}

enum Message {
    Request(Box<Request>),
    /// Try whether the disk is back, by a commit if nothing else is to be written.
    Revive,
}

/// The callers' end of the writer.
pub(crate) struct Writer {
    queue: Option<mpsc::Sender<Message>>,
    room: Arc<Semaphore>,
    healthy: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(crate) fn start(slot: Arc<Slot>, fence: Fence) -> Result<Self, StoreError> {
        let (queue, waiting) = mpsc::channel(QUEUE_REQUESTS);
        let healthy = Arc::new(AtomicBool::new(true));
        let health = Health(healthy.clone());
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || Loop { slot, fence, waiting, health, broken: false }.run())
            .map_err(|error| StoreError::Unavailable(format!("the writer's thread cannot start: {error}")))?;
        Ok(Self {
            queue: Some(queue),
            room: Arc::new(Semaphore::new(QUEUE_KIB)),
            healthy,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Hands in work of a size and waits until it is durable or refused. Work that was handed in is carried out even if
    /// the caller no longer waits.
    pub(crate) async fn submit(&self, work: Work, bytes: usize) -> Answer {
        let gone = || StoreError::Unavailable("the writer has stopped".to_owned());
        let room = (bytes / 1024 + 1).min(QUEUE_KIB) as u32;
        let room = self.room.clone().acquire_many_owned(room).await.map_err(|_| gone())?;
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(gone)?;
        queue
            .send(Message::Request(Box::new(Request { work, bytes, answer, _room: room })))
            .await
            .map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// Whether the latest commit became durable. Where it did not, this makes the writer try another.
    pub(crate) fn healthy(&self) -> bool {
        let healthy = self.healthy.load(Ordering::Acquire);
        if !healthy {
            self.bell().ring();
        }
        healthy
    }

    /// Where readers tell of a failing disk.
    pub(crate) fn bell(&self) -> Bell {
        Bell(self.queue.as_ref().map(mpsc::Sender::downgrade))
    }
}

/// Wakes the writer when a reader met an error of the disk, which ends the database until the writer has opened it again.
/// It does not keep the writer alive.
#[derive(Clone)]
pub(crate) struct Bell(Option<mpsc::WeakSender<Message>>);

impl Bell {
    pub(crate) fn ring(&self) {
        if let Some(queue) = self.0.as_ref().and_then(mpsc::WeakSender::upgrade) {
            // A full queue wakes the writer as well.
            let _ = queue.try_send(Message::Revive);
        }
    }
}

impl Drop for Writer {
    /// Waits until everything handed in is written and the database is closed.
    fn drop(&mut self) {
        self.queue = None;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the store's writer ended by a panic");
        }
    }
}

/// Says that appends cannot become durable once the thread is gone, even by a panic.
struct Health(Arc<AtomicBool>);

impl Health {
    fn is(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self, healthy: bool) {
        self.0.store(healthy, Ordering::Release);
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        self.set(false);
    }
}

/// The thread.
struct Loop {
    slot: Arc<Slot>,
    fence: Fence,
    waiting: mpsc::Receiver<Message>,
    health: Health,
    /// The database is closed, and what a failed commit left on the disk may not be undone yet.
    broken: bool,
}

impl Loop {
    fn run(mut self) {
        let mut batch = Vec::new();
        while let Some(first) = self.waiting.blocking_recv() {
            self.fill(first, &mut batch);
            let slot = self.slot.clone();
            let _writing = slot.writing();
            if self.broken
                && let Err(error) = self.recover()
            {
                for request in batch.drain(..) {
                    let _ = request.answer.send(Err(error.clone()));
                }
                continue;
            }
            if !batch.is_empty() {
                self.carry_out(&mut batch);
            } else if !self.health.is() {
                self.probe();
            }
        }
        self.slot.shut();
    }

    /// Takes what is waiting, as much as a batch may hold.
    fn fill(&mut self, first: Message, batch: &mut Vec<Request>) {
        let (mut bytes, mut messages) = (0, 0);
        let mut next = Some(first);
        while let Some(message) = next {
            messages += 1;
            match message {
                Message::Request(request) => {
                    bytes += request.bytes;
                    batch.push(*request);
                }
                // A reader failed, or somebody asked while the store was not well.
                Message::Revive => self.broken |= self.slot.fails(),
            }
            // Messages of any kind count: who asks after the health again and again must not keep the others waiting.
            if bytes >= BATCH_BYTES || messages >= BATCH_REQUESTS {
                break;
            }
            next = self.waiting.try_recv().ok();
        }
    }

    /// One batch, one commit.
    fn carry_out(&mut self, batch: &mut Vec<Request>) {
        let commits = self.slot.commits();
        match self.write(batch) {
            Ok(answers) => {
                if self.slot.commits() > commits {
                    self.committed();
                }
                answer_all(batch, answers);
            }
            Err((error, answers)) => {
                let landed = self.slot.commits() > commits;
                tracing::error!(%error, landed, "the store's disk failed");
                self.health.set(false);
                self.broken = true;
                match answers {
                    // The commit itself was durable before something behind it failed.
                    Some(answers) if landed => {
                        answer_all(batch, answers);
                        let _ = self.recover();
                    }
                    _ => {
                        let recovered = self.recover();
                        let error = recovered.err().unwrap_or(error);
                        for request in batch.drain(..) {
                            let _ = request.answer.send(Err(error.clone()));
                        }
                    }
                }
            }
        }
    }

    /// Writes and commits. An error comes with the answers that would have been given, where the commit was tried.
    fn write(&self, batch: &[Request]) -> Result<Vec<Answer>, (StoreError, Option<Vec<Answer>>)> {
        let transaction = self.slot.write().map_err(|error| (error, None))?;
        let mut answers = Vec::with_capacity(batch.len());
        let mut tables = Batch::new(&transaction, self.fence);
        for request in batch {
            match carry_out(&mut tables, &request.work) {
                Ok(done) => answers.push(Ok(done)),
                Err(Refusal::Refused(error)) => answers.push(Err(error)),
                Err(Refusal::Failed(error)) => return Err((disk_error(error), None)),
            }
        }
        let written = tables.written();
        match tables.finish() {
            Ok(()) => {}
            Err(Refusal::Failed(error)) => return Err((disk_error(error), None)),
            Err(Refusal::Refused(error)) => return Err((error, None)),
        }
        if !written {
            return match transaction.abort() {
                Ok(()) => Ok(answers),
                Err(error) => Err((disk_error(error.into()), None)),
            };
        }
        match transaction.commit() {
            Ok(()) => Ok(answers),
            Err(error) => Err((disk_error(error.into()), Some(answers))),
        }
    }

    /// A commit is durable: only that shows that the disk takes writes. A full one is opened, read and reverted all the same.
    fn committed(&self) {
        if !self.health.is() {
            self.health.set(true);
            tracing::info!("the store's disk is back");
        }
    }

    /// Commits something that nobody needs, since a server that is not ready may be given nothing else to commit.
    fn probe(&mut self) {
        match self.slot.probe() {
            Ok(()) => self.committed(),
            Err(error) => {
                tracing::debug!(%error, "the store's disk still fails");
                self.broken = true;
                // What can be read goes on being read.
                let _ = self.recover();
            }
        }
    }

    /// Undoes what the failed commit may have left, and opens the database again. Whether it takes writes shows with the next.
    fn recover(&mut self) -> Result<(), StoreError> {
        self.slot.reopen()?;
        self.broken = false;
        Ok(())
    }
}

fn carry_out(tables: &mut Batch<'_>, work: &Work) -> Result<Done, Refusal> {
    match work {
        Work::Append(append) => tables.append(append).map(|()| Done::Appended),
        Work::Change(changes) => tables.change(changes).map(Done::Changed),
        Work::Forget { before, limit } => tables.forget(*before, *limit).map(Done::Forgotten),
        Work::ForgetCounts { before, limit } => tables.forget_counts(before, *limit).map(Done::Forgotten),
        Work::Prune(prune) => tables.prune(prune).map(Done::Pruned),
        Work::PutBlob { digest, bytes } => tables.put_blob(*digest, bytes).map(|()| Done::Kept),
    }
}

/// A caller that no longer waits is no error.
fn answer_all(batch: &mut Vec<Request>, answers: Vec<Answer>) {
    for (request, answer) in batch.drain(..).zip(answers) {
        let _ = request.answer.send(answer);
    }
}
