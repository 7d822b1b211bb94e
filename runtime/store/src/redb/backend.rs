//! The file under the database, with what redb leaves open: what a failed commit left there, and a file half made.
//!
//! redb makes a commit by writing the new pages beside the old ones and the header that names their root, then a sync.
//! When that fails, the header may or may not have reached the disk, and the batch may or may not be there after the next
//! start. The store promises that a refused append is never seen, so this backend remembers the header of the latest good
//! sync and puts it back: the pages that it names are untouched until the next commit is durable.
//!
//! The lock on the file is kept from the first opening until [`Disk::close`], over every closing and opening of the
//! database in between: no other server may come in before what failed is undone.

use std::fmt;
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{BackendError, StorageBackend};

/// redb's header stands at the beginning of the file.
const HEADER_OFFSET: u64 = 0;
/// Bytes of redb's header: 64 and two commit slots of 128.
const HEADER_LENGTH: usize = 320;
/// The header begins with redb's mark, which a new file gets last.
const MARK_LENGTH: usize = 9;
/// No new file is larger before it has its mark.
const UNFINISHED_BYTES_MAX: u64 = 16 << 20;

/// A backend that outlives the database opened on it, so that it can be opened again after a failure.
pub(crate) struct Disk {
    backend: Box<dyn StorageBackend>,
    header: Mutex<Header>,
    closed: AtomicBool,
}

/// What is known of the header.
#[derive(Default)]
struct Header {
    /// Whether the file was looked at, under its lock.
    known: bool,
    /// As of the latest sync; empty in a new file.
    synced: Vec<u8>,
    /// Written since; it may be on the disk, or not, or in part.
    written: Option<Vec<u8>>,
    /// How many headers were synced: one more with each durable commit.
    commits: u64,
}

impl Disk {
    pub(crate) fn new(backend: impl StorageBackend) -> Arc<Self> {
        Arc::new(Self { backend: Box::new(backend), header: Mutex::default(), closed: AtomicBool::new(false) })
    }

    /// A handle for redb. Only one may be in use at a time.
    pub(crate) fn handle(self: &Arc<Self>) -> Handle {
        Handle(self.clone())
    }

    /// How many commits have become durable. A commit that failed, but raised this, is there for good.
    pub(crate) fn commits(&self) -> u64 {
        self.header().commits
    }

    /// Length of the file, bytes.
    pub(crate) fn length(&self) -> io::Result<u64> {
        self.backend.len()
    }

    /// Undoes what a failed commit may have left. When this returns `Ok`, the database is as it was after the latest
    /// durable commit, whatever happens next. To be called while no database is open.
    pub(crate) fn revert(&self) -> io::Result<()> {
        let mut header = self.header();
        if header.written.is_some() {
            self.backend.write(HEADER_OFFSET, &header.synced)?;
            self.backend.sync_data()?;
            header.written = None;
        }
        Ok(())
    }

    /// Lets go of the file and its lock, once.
    pub(crate) fn close(&self) {
        if !self.closed.swap(true, Ordering::AcqRel)
            && let Err(error) = self.backend.close()
        {
            tracing::warn!(%error, "the lock on the store could not be released");
        }
    }

    /// The first look at the file. redb asks for its length when it has the lock and before it reads anything.
    ///
    /// A server that was killed, or lost its power, while it made a new file has left one without redb's mark, which redb
    /// refuses for ever. There is nothing in it, so it begins again.
    fn look(&self) -> io::Result<()> {
        let mut header = self.header();
        if header.known {
            return Ok(());
        }
        let length = self.backend.len()?;
        let mut start = vec![0; HEADER_LENGTH.min(usize::try_from(length).unwrap_or(HEADER_LENGTH))];
        self.backend.read(HEADER_OFFSET, &mut start)?;
        if length > 0 && length <= UNFINISHED_BYTES_MAX && is_unfinished(&start) {
            tracing::warn!("the making of the store was broken off, it begins again");
            self.backend.set_len(0)?;
            self.backend.sync_data()?;
            start.clear();
        }
        header.synced = start;
        header.known = true;
        Ok(())
    }

    fn header(&self) -> MutexGuard<'_, Header> {
        self.header.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.close();
    }
}

/// Whether a file begins like one that redb had not finished making: no mark, and behind it nothing or the size of a page.
fn is_unfinished(start: &[u8]) -> bool {
    let Some((mark, rest)) = start.split_at_checked(MARK_LENGTH) else { return start.iter().all(|byte| *byte == 0) };
    let page = start.get(12..16).is_some_and(|size| *size == 4096_u32.to_le_bytes());
    mark.iter().all(|byte| *byte == 0) && (page || rest.iter().all(|byte| *byte == 0))
}

/// What redb is given.
pub(crate) struct Handle(Arc<Disk>);

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.backend.fmt(f)
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        self.0.look()?;
        self.0.backend.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.backend.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.backend.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.backend.sync_data()?;
        let mut header = self.0.header();
        if let Some(written) = header.written.take() {
            header.synced = written;
            header.commits += 1;
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if offset == HEADER_OFFSET {
            // Before the write: one that fails may still have changed a part.
            self.0.header().written = Some(data.to_vec());
        }
        self.0.backend.write(offset, data)
    }

    /// The lock stays with the [`Disk`].
    fn close(&self) -> io::Result<()> {
        Ok(())
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.backend.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.backend.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.backend.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.backend.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.backend.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.backend.query_lock_range(start, end)
    }
}
