//! The write-ahead log: what commits change, in one piece.
//!
//! A commit changes pages all over the file, and a disk takes many times as long for pages that lie apart as for as many side by side.
//! So a sync appends what was written since the one before to a log, and syncs that alone. The file is synced much later, for many
//! commits at once and beside them: a checkpoint. Where the server dies in between, the next one brings the log into the file.
//!
//! ```text
//! log      half, half: one is written while what stands in the other is brought into the file
//! half     records, each from the beginning of a page, so that none is written over by half
//! record   mark 8, sequence 8, length of the file 8, bytes of writes 8, digest of the record before 32, digest 32, writes
//! write    offset 8, length 4, bytes
//! ```
//!
//! A stamp stands in the file and says up to which record the file has everything; the records behind that are a chain of digests, which
//! begins with the stamp's. So the log of another file is none, and a file whose log is missing is refused.
//!
//! To redb this is a disk like any other: what was synced is there after a crash, and of the rest anything may be. Only its header, whose
//! writing makes a commit, is kept back until everything that it names is durable.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use redb::{BackendError, StorageBackend};

use record::{Record, Stamp, Stamped};

mod record;

/// Bytes of a half. A sync of more goes to the file.
pub(crate) const HALF_BYTES: u64 = 4 << 20;
/// What records are filled up to.
const PAGE: u64 = 4096;
/// Bytes of memory that are kept for the next writes.
const KEPT_BYTES: usize = 256 << 10;
/// Syncs before a log that could not be begun is tried again.
const WITHOUT: u32 = 1_000;
/// Where redb's header is. Of its page redb uses some hundred bytes; stamps stand at the end.
const HEADER: u64 = 0;

/// When the file is synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkpoints {
    /// Beside the commits.
    Beside,
    /// Before the next commit, so that a test knows the order.
    Before,
}

/// A file with its log.
pub(crate) struct Logged {
    file: Arc<dyn StorageBackend>,
    log: Box<dyn StorageBackend>,
    half_bytes: u64,
    checkpoints: Checkpoints,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether file and log were looked at, under the lock of the file.
    known: bool,
    /// Whether syncs go to the log, and the file says so.
    logging: bool,
    /// Syncs until the log is begun again, where it could not be.
    without: u32,
    /// Writes since the latest sync, as a record has them; not all where they are more than a half holds, and nothing failed.
    writes: Vec<u8>,
    /// The latest header since then, which the file does not have.
    header: Option<Vec<u8>>,
    /// The file got another length since then.
    resized: bool,
    /// The latest record.
    last: Stamp,
    /// Up to which the file has everything, and says so.
    reached: Stamp,
    half: u64,
    /// Where in that half the next record begins.
    tail: u64,
    /// Brings what stands in the other half into the file.
    checkpoint: Option<JoinHandle<io::Result<Stamp>>>,
    /// A sync failed. A record that must not count may stand behind the latest, and what the system kept of the file is not certain.
    failed: bool,
}

impl State {
    /// Everything that was written is durable.
    fn settle(&mut self) {
        self.writes.clear();
        self.writes.shrink_to(KEPT_BYTES);
        (self.header, self.resized, self.failed) = (None, false, false);
    }
}

impl Logged {
    /// Nothing is read before redb has the lock on the file.
    pub(crate) fn new(
        file: impl StorageBackend,
        log: impl StorageBackend,
        half_bytes: u64,
        checkpoints: Checkpoints,
    ) -> Self {
        Self { file: Arc::new(file), log: Box::new(log), half_bytes, checkpoints, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first look: brings into the file what only the log has. redb asks for the length when it has the lock and before it reads
    /// anything.
    fn look(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.known {
            return Ok(());
        }
        if let Some(Stamped { stamp, is_needed, .. }) = Stamped::read(&*self.file)? {
            (state.reached, state.last) = (stamp, stamp);
            if is_needed {
                let records = self.bring_in(&mut state, None)?;
                self.file.sync_data()?;
                tracing::info!(records, "the store was not closed; what its write-ahead log held is in it now");
            }
            // In any case: where a sync failed, the disk may have another one than is read, and what comes next is in no log.
            Stamped::write(&*self.file, state.last, false)?;
            state.reached = state.last;
        }
        state.known = true;
        Ok(())
    }

    /// Writes what the log holds behind the file's stamp into the file, up to a record if one is named, and what was written since.
    fn bring_in(&self, state: &mut State, until: Option<u64>) -> io::Result<usize> {
        let half_bytes = self.log.len()? / 2;
        let mut halves = [vec![0; half_bytes as usize], vec![0; half_bytes as usize]];
        for (half, offset) in halves.iter_mut().zip([0, half_bytes]) {
            self.log.read(offset, half)?;
        }
        let mut chains = halves.each_ref().map(|half| Record::chain(half));
        chains.sort_by_key(|chain| chain.first().map(|record| record.stamp.sequence));
        let records = || chains.iter().flatten();
        let is_known = records().any(|record| record.stamp == state.reached);
        let (mut last, mut behind) = (state.reached, Vec::new());
        for record in records().skip_while(|record| record.stamp.sequence <= state.reached.sequence) {
            if !record.follows(&last) || until.is_some_and(|until| last.sequence == until) {
                break;
            }
            last = record.stamp;
            behind.push(record);
        }
        let is_short = until.is_some_and(|until| last.sequence != until);
        if is_short || behind.is_empty() && !is_known {
            return Err(missing());
        }
        Record::carry_out(&behind, &state.writes, &*self.file)?;
        state.last = last;
        Ok(behind.len())
    }

    /// Begins the log anew, with a record of nothing, and has the file say that it is needed.
    fn begin(&self, state: &mut State) -> io::Result<()> {
        if self.file.len()? < PAGE {
            return Ok(());
        }
        // In any case, as in the beginning.
        if Stamped::read(&*self.file)?.is_some() {
            Stamped::write(&*self.file, state.last, false)?;
        }
        let length = 2 * self.half_bytes;
        if self.log.len()? != length {
            self.log.set_len(0)?;
            self.log.set_len(length)?;
        }
        // All of it, so that the disk has a place for each page, and nothing of an earlier time is taken for a record.
        self.log.write(0, &vec![0; length as usize])?;
        (state.half, state.tail) = (0, 0);
        state.last.digest = something_else();
        self.append(state, &[])?;
        Stamped::write(&*self.file, state.last, true)?;
        (state.reached, state.logging) = (state.last, true);
        Ok(())
    }

    /// Makes writes durable, as a record; it has to fit.
    fn append(&self, state: &mut State, writes: &[u8]) -> io::Result<()> {
        let (last, bytes) = record::encode(&state.last, self.file.len()?, writes);
        self.log.write(state.half * self.half_bytes + state.tail, &bytes)?;
        self.log.sync_data()?;
        state.tail += bytes.len() as u64;
        state.last = last;
        Ok(())
    }

    /// Goes on in the other half, once the file has what stands there; then the file gets what stands in this one.
    fn turn(&self, state: &mut State) -> io::Result<()> {
        self.end_checkpoint(state)?;
        let (file, last) = (self.file.clone(), state.last);
        let checkpoint = move || {
            file.sync_data()?;
            Stamped::write(&*file, last, true)?;
            Ok(last)
        };
        match self.checkpoints {
            Checkpoints::Before => state.reached = checkpoint()?,
            Checkpoints::Beside => {
                let thread = thread::Builder::new().name("store-checkpoint".to_owned());
                state.checkpoint = Some(thread.spawn(checkpoint)?);
            }
        }
        (state.half, state.tail) = (1 - state.half, 0);
        Ok(())
    }

    fn end_checkpoint(&self, state: &mut State) -> io::Result<()> {
        if let Some(checkpoint) = state.checkpoint.take() {
            state.reached = checkpoint.join().map_err(|_| io::Error::other("a checkpoint panicked"))??;
        }
        Ok(())
    }

    /// Makes durable what the log does not hold, or what comes behind a failure.
    fn sync_past_the_log(&self, state: &mut State) -> io::Result<()> {
        let ended = self.end_checkpoint(state);
        if !state.failed {
            ended?;
        } else {
            // What the system could not write it may have forgotten.
            let until = state.last.sequence;
            self.bring_in(state, Some(until))?;
        }
        self.file.sync_data()?;
        Stamped::write(&*self.file, state.last, true)?;
        state.reached = state.last;
        if state.tail + PAGE > self.half_bytes {
            (state.half, state.tail) = (1 - state.half, 0);
        }
        // In place of a record that failed. What the header names is durable, and the file has none of a commit that is not.
        let mut header = Vec::new();
        state.header.iter().for_each(|bytes| record::add(&mut header, HEADER, bytes));
        self.append(state, &header)?;
        self.write_header(state);
        Ok(())
    }

    /// Leaves a file that needs no log, unless something was not synced.
    fn finish(&self, state: &mut State) -> io::Result<()> {
        // In any case: it must not stamp the file once another server has it.
        let ended = self.end_checkpoint(state);
        if !state.known || state.failed || !state.writes.is_empty() || state.header.is_some() {
            return Ok(());
        }
        ended?;
        self.file.sync_data()?;
        state.logging = false;
        // Also where the log could not be begun: the file may say all the same that it is needed.
        if Stamped::read(&*self.file)?.is_some() { Stamped::write(&*self.file, state.last, false) } else { Ok(()) }
    }

    /// Everything is durable; the file gets the header as well.
    fn write_header(&self, state: &mut State) {
        match state.header.as_ref().map_or(Ok(()), |header| self.file.write(HEADER, header)) {
            Ok(()) => state.settle(),
            Err(error) => {
                // The next sync brings it into the file.
                tracing::warn!(%error, "a commit is in the write-ahead log alone");
                state.writes.clear();
                state.failed = true;
            }
        }
    }

    fn sync(&self, state: &mut State) -> io::Result<()> {
        if !state.logging {
            self.end_checkpoint(state)?;
            if let Some(header) = &state.header {
                self.file.write(HEADER, header)?;
            }
            self.file.sync_data()?;
            state.settle();
            if state.without > 0 {
                state.without -= 1;
            } else if let Err(error) = self.begin(state) {
                tracing::warn!(%error, "the write-ahead log cannot be begun; commits take longer");
                state.without = WITHOUT;
            }
            return Ok(());
        }
        let header = state.header.as_ref().map_or(0, Vec::len);
        let bytes = record::bytes_of(state.writes.len() + header);
        if state.failed || bytes > self.half_bytes {
            return self.sync_past_the_log(state);
        }
        if state.writes.is_empty() && state.header.is_none() && !state.resized {
            return Ok(());
        }
        if state.tail + bytes > self.half_bytes {
            self.turn(state)?;
        }
        let mut writes = std::mem::take(&mut state.writes);
        let pages = writes.len();
        state.header.iter().for_each(|header| record::add(&mut writes, HEADER, header));
        let appended = self.append(state, &writes);
        writes.truncate(pages);
        state.writes = writes;
        appended?;
        self.write_header(state);
        Ok(())
    }
}

/// What no other log begins with.
fn something_else() -> [u8; 32] {
    let mut bytes = [0; 32];
    for part in bytes.chunks_exact_mut(8) {
        part.copy_from_slice(&RandomState::new().build_hasher().finish().to_be_bytes());
    }
    bytes
}

fn missing() -> io::Error {
    io::Error::other(
        "it was not closed, and its write-ahead log is not there, or is another's: put back the file that has `-wal` behind its name, or restore a backup",
    )
}

impl fmt::Debug for Logged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(f)
    }
}

impl StorageBackend for Logged {
    fn len(&self) -> io::Result<u64> {
        self.look()?;
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)?;
        if offset == HEADER
            && let Some(header) = &self.state().header
        {
            let length = header.len().min(out.len());
            out[..length].copy_from_slice(&header[..length]);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.resized = true;
        // The stamp goes with it.
        state.logging &= len >= PAGE;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        self.sync(&mut state).inspect_err(|_| {
            // What was written is refused; perhaps not all of it is here.
            state.writes.clear();
            state.failed = true;
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        if offset == HEADER {
            state.header = Some(data.to_vec());
            return Ok(());
        }
        if state.logging && (state.failed || (state.writes.len() as u64) < self.half_bytes) {
            record::add(&mut state.writes, offset, data);
        }
        drop(state);
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        let finished = self.finish(&mut self.state());
        // The lock goes whatever became of that.
        let (log, file) = (self.log.close(), self.file.close());
        finished.and(log).and(file)
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
