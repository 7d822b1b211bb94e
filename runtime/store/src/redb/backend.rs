//! The file under the database, with the one thing that redb leaves open: what a failed commit left on the disk.
//!
//! redb makes a commit by writing the new pages beside the old ones, then the header that names their root, then a
//! sync. When that fails, the header may or may not have reached the disk, and the batch may or may not be there after
//! the next start. The store promises that a refused append is never seen, so this backend remembers the header of the
//! latest good sync and puts it back: the pages it names are untouched until the next commit is durable.

use std::fmt;
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{BackendError, StorageBackend};

/// redb's header stands at the beginning of the file.
const HEADER_OFFSET: u64 = 0;
/// Bytes of redb's header: 64 and two commit slots of 128.
const HEADER_LENGTH: usize = 320;

/// A backend that outlives the database opened on it, so that it can be opened again after a failure.
pub(crate) struct Disk {
    backend: Box<dyn StorageBackend>,
    header: Mutex<Header>,
}

/// What is known of the header.
struct Header {
    /// As of the latest sync.
    synced: Vec<u8>,
    /// Written since; it may be on the disk, or not, or in part.
    written: Option<Vec<u8>>,
    /// How many headers were synced: one more with each durable commit.
    commits: u64,
}

impl Disk {
    pub(crate) fn new(backend: impl StorageBackend) -> io::Result<Arc<Self>> {
        let mut synced = Vec::new();
        if backend.len()? >= HEADER_LENGTH as u64 {
            synced.resize(HEADER_LENGTH, 0);
            backend.read(HEADER_OFFSET, &mut synced)?;
        }
        let header = Mutex::new(Header { synced, written: None, commits: 0 });
        Ok(Arc::new(Self { backend: Box::new(backend), header }))
    }

    /// A handle for redb. Only one may be open at a time.
    pub(crate) fn handle(self: &Arc<Self>) -> Handle {
        Handle(self.clone())
    }

    /// How many commits have become durable. A commit that failed, but raised this, is there for good.
    pub(crate) fn commits(&self) -> u64 {
        self.header().commits
    }

    /// Undoes what a failed commit may have left. When this returns `Ok`, the database is as it was after the latest
    /// durable commit, whatever happens next. To be called while no database is open.
    pub(crate) fn revert(&self) -> io::Result<()> {
        let mut header = self.header();
        if header.written.is_some() {
            // A file whose very first header failed has none to go back to, and nothing in it either.
            if !header.synced.is_empty() {
                self.backend.write(HEADER_OFFSET, &header.synced)?;
            }
            self.backend.sync_data()?;
            header.written = None;
        }
        Ok(())
    }

    fn header(&self) -> MutexGuard<'_, Header> {
        self.header.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

    fn close(&self) -> io::Result<()> {
        self.0.backend.close()
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
