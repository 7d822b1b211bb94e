//! The embedded store: one redb file, one writer, any number of readers.
//!
//! | file | its job |
//! |---|---|
//! | `tables` | tables and keys |
//! | `codec` | values |
//! | `backend` | the disk, and undoing what a failed commit left there |
//! | `wal` | the write-ahead log, which makes a disk of file and log |
//! | `database` | the open database |
//! | `migrate` | the format |
//! | `apply` | one request in a transaction |
//! | `prune` | forgetting ended executions in one |
//! | `writer` | the thread that commits batches |
//! | `reader` | everything that only reads |
//! | `snapshot` | a copy of everything, row by row |
//! | `restore` | a database made of such a copy |

mod apply;
mod backend;
pub(crate) mod codec;
mod database;
mod migrate;
mod prune;
mod reader;
mod restore;
mod snapshot;
mod tables;
mod wal;
mod writer;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use camshaft_model::entry::{Entry, Sequence};
use camshaft_model::ids::{Digest, ExecutionId, Name};
use camshaft_model::invocation::{DeliveryKey, SeenDelivery};
use camshaft_model::resource::{Change, Resource, ResourceKey, ResourceKind};
use camshaft_model::seams::{
    Append, Claim, CountKey, Fence, Prune, Pruned, Snapshot, Store, StoreError, StoreSize, SummaryQuery,
};
use camshaft_model::summary::Summary;
use camshaft_model::time::{Period, Timestamp};
use futures::future::BoxFuture;
use redb::{ReadTransaction, StorageBackend};

use self::backend::Disk;
use self::codec::EncodedAppend;
use self::database::Slot;
use self::wal::{Checkpoints, Logged};
use self::writer::{Bell, Done, Work, Writer};

/// A [`Store`] in one file.
///
/// When a commit fails, the callers of its batch are told [`StoreError::Unavailable`], what the commit may have left on
/// the disk is undone, and the database is opened again; while that does not succeed, every append is refused, and each append
/// and each look at the health tries again. [`Store::healthy`] is false until something is committed again: a full disk can be
/// opened. Only one case is not covered: a disk that
/// took the whole commit, reported an error all the same, and took no further write before the process ended. Such a batch
/// may be there, whole, after the next start.
///
/// Dropping it writes what was handed in, closes the file and takes as long as that.
pub struct RedbStore {
    // In the order of dropping: the writer closes the database.
    writer: Writer,
    slot: Arc<Slot>,
    fence: Fence,
}

impl RedbStore {
    /// Opens the database at a path, or makes one: the file for its owner alone (0600), and so its folder (0700) where that
    /// is missing. Errors name the path: a file that is no such database, one that another server has open, a newer
    /// format, a disk that cannot be written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let unavailable =
            |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("{}: {error}", path.display()));
        let open = |path: &Path| {
            let file = open_file(path).map_err(|error| unavailable(&error))?;
            redb::backends::FileBackend::new(file).map_err(|error| unavailable(&error))
        };
        let disk = Logged::new(open(path)?, open(&log_path(path))?, wal::HALF_BYTES, Checkpoints::Beside);
        Self::open_named(disk, path.display().to_string())
    }

    /// Opens the database on a file and a log of so many bytes, a multiple of 8,192: for tests that make the disk fail. After an
    /// error the store goes on with both as with ones newly opened.
    pub fn open_with(file: impl StorageBackend, log: impl StorageBackend, log_bytes: u64) -> Result<Self, StoreError> {
        let disk = Logged::new(file, log, log_bytes / 2, Checkpoints::Before);
        Self::open_named(disk, "the disk".to_owned())
    }

    /// Makes a database of a [`Store::snapshot`], read from its first byte to its last, at a path where there is none, and
    /// brings it to this version's format. Returns how many executions it holds. Errors name the path, or what is wrong
    /// with the copy; the file may be there in part then.
    pub fn restore(path: &Path, snapshot: impl io::Read) -> Result<u64, StoreError> {
        if path.exists() {
            return Err(StoreError::Unavailable(format!("{} is there already", path.display())));
        }
        let unavailable = |error: io::Error| StoreError::Unavailable(format!("{}: {error}", path.display()));
        let open = || {
            let backend = open_file(path).and_then(|file| {
                redb::backends::FileBackend::new(file).map_err(|error| io::Error::other(error.to_string()))
            });
            backend.map_err(unavailable)
        };
        let executions = restore::restore(open()?, snapshot)?;
        // As any start would: an older format becomes ours, and the fence is newer than that of the server it comes from. Without a log,
        // so that there is one file to be moved.
        Self::open_named(open()?, path.display().to_string()).map(|_| executions)
    }

    fn open_named(backend: impl StorageBackend, name: String) -> Result<Self, StoreError> {
        let (slot, fence) = Slot::open(Disk::new(backend), name)?;
        let slot = Arc::new(slot);
        let writer = Writer::start(slot.clone(), fence)?;
        Ok(Self { writer, slot, fence })
    }

    async fn submit(&self, work: Work, bytes: usize) -> Result<Done, StoreError> {
        self.writer.submit(work, bytes).await
    }

    /// A read of a few rows, at once: they are mostly in memory.
    fn read<T>(&self, read: impl Fn(&ReadTransaction) -> Result<T, StoreError>) -> Result<T, StoreError> {
        read_and_report(&self.slot, &self.writer.bell(), read)
    }

    /// A read of many rows or bytes, off the threads that serve requests.
    async fn scan<T: Send + 'static>(
        &self,
        read: impl Fn(&ReadTransaction) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (slot, bell) = (self.slot.clone(), self.writer.bell());
        let task = tokio::task::spawn_blocking(move || read_and_report(&slot, &bell, read));
        task.await.map_err(|error| StoreError::Unavailable(format!("a read was broken off: {error}")))?
    }
}

/// How often a read is begun anew because the database was closed under it.
const READS_BROKEN_OFF_MAX: u32 = 100;

fn read_and_report<T>(
    slot: &Slot,
    bell: &Bell,
    read: impl Fn(&ReadTransaction) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    for _ in 0..READS_BROKEN_OFF_MAX {
        let opened = slot.opened();
        let result = slot.read().and_then(|transaction| read(&transaction));
        match result {
            // A failed commit of somebody else ended the database under it: nothing is wrong with what is read.
            Err(StoreError::Unavailable(_)) if slot.opened_behind_the_writer() != opened => {}
            Err(error @ StoreError::Unavailable(_)) => {
                bell.ring();
                return Err(error);
            }
            result => return result,
        }
    }
    Err(StoreError::Unavailable("commits fail faster than anything can be read".to_owned()))
}

/// The write-ahead log of a database: `camshaft.redb-wal`.
fn log_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// The file, made for its owner alone and its name made durable.
fn open_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        builder.mode(0o700);
        options.mode(0o600);
    }
    builder.create(folder)?;
    // Not `create_new`: two servers may start at once, and the lock of the database decides between them.
    let file = options.create(true).truncate(false).open(path)?;
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(file)
}

/// The writer answers each kind of work with its own kind of answer.
fn mismatch() -> StoreError {
    StoreError::Unavailable("the writer gave another answer than was asked for".to_owned())
}

impl Store for RedbStore {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let encoded = EncodedAppend::new(append).await?;
            let bytes = encoded.bytes();
            self.submit(Work::Append(encoded), bytes).await.map(drop)
        })
    }

    fn entries(&self, id: ExecutionId, from: Sequence, limit: usize) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        Box::pin(self.scan(move |transaction| reader::entries(transaction, id, from, limit)))
    }

    fn summary(&self, id: ExecutionId) -> BoxFuture<'_, Result<Option<Summary>, StoreError>> {
        Box::pin(async move { self.read(|transaction| reader::summary(transaction, id)) })
    }

    fn summaries(&self, query: SummaryQuery) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>> {
        Box::pin(self.scan(move |transaction| reader::summaries(transaction, &query)))
    }

    fn claim(
        &self,
        after: Option<ExecutionId>,
        limit: usize,
        lease: Duration,
    ) -> BoxFuture<'_, Result<Vec<Claim>, StoreError>> {
        let fence = self.fence;
        Box::pin(self.scan(move |transaction| reader::claim(transaction, after, limit, lease, fence)))
    }

    fn fence(&self) -> Fence {
        self.fence
    }

    fn delivery(
        &self,
        key: &DeliveryKey,
        seen_after: Timestamp,
    ) -> BoxFuture<'_, Result<Option<SeenDelivery>, StoreError>> {
        let key = key.clone();
        Box::pin(async move { self.read(|transaction| reader::delivery(transaction, &key, seen_after)) })
    }

    fn forget_deliveries(&self, before: Timestamp, limit: usize) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(async move {
            match self.submit(Work::Forget { before, limit }, 0).await? {
                Done::Forgotten(count) => Ok(count),
                _ => Err(mismatch()),
            }
        })
    }

    fn count(&self, key: &CountKey) -> BoxFuture<'_, Result<u64, StoreError>> {
        let key = key.clone();
        Box::pin(async move { self.read(|transaction| reader::count(transaction, &key)) })
    }

    fn forget_counts(&self, before: &Period, limit: usize) -> BoxFuture<'_, Result<usize, StoreError>> {
        let before = before.clone();
        Box::pin(async move {
            match self.submit(Work::ForgetCounts { before, limit }, 0).await? {
                Done::Forgotten(count) => Ok(count),
                _ => Err(mismatch()),
            }
        })
    }

    fn prune(&self, prune: Prune) -> BoxFuture<'_, Result<Pruned, StoreError>> {
        Box::pin(async move {
            match self.submit(Work::Prune(prune), 0).await? {
                Done::Pruned(pruned) => Ok(pruned),
                _ => Err(mismatch()),
            }
        })
    }

    fn size(&self) -> BoxFuture<'_, Result<StoreSize, StoreError>> {
        Box::pin(async move {
            let used_bytes = self.read(reader::used_bytes)?;
            Ok(StoreSize { file_bytes: self.slot.file_bytes()?, used_bytes })
        })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Snapshot, StoreError>> {
        Box::pin(async move {
            let transaction = self.slot.read().inspect_err(|_| self.writer.bell().ring());
            transaction.map(snapshot::pieces)
        })
    }

    fn change(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<Vec<Option<Resource>>, StoreError>> {
        Box::pin(async move {
            let bytes = changes.len() * codec::CHANGE_BYTES;
            match self.submit(Work::Change(changes), bytes).await? {
                Done::Changed(resources) => Ok(resources),
                _ => Err(mismatch()),
            }
        })
    }

    fn resource(&self, key: ResourceKey) -> BoxFuture<'_, Result<Option<Resource>, StoreError>> {
        Box::pin(async move { self.read(|transaction| reader::resource(transaction, &key)) })
    }

    fn resources(
        &self,
        kind: ResourceKind,
        workspace: Option<Name>,
        after: Option<ResourceKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Resource>, StoreError>> {
        Box::pin(
            self.scan(move |transaction| {
                reader::resources(transaction, kind, workspace.as_ref(), after.as_ref(), limit)
            }),
        )
    }

    fn put_blob(&self, digest: Digest, bytes: Vec<u8>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let size = bytes.len();
            self.submit(Work::PutBlob { digest, bytes }, size).await.map(drop)
        })
    }

    fn blob(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(self.scan(move |transaction| reader::blob(transaction, digest)))
    }

    fn healthy(&self) -> bool {
        self.writer.healthy()
    }
}
