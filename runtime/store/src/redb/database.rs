//! The open database, and its opening again after the disk failed. Errors of redb become ours here.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use camshaft_model::seams::{Fence, StoreError};
use redb::{
    Database, DatabaseError, ReadTransaction, ReadableDatabase, StorageError, TableDefinition, WriteTransaction,
};

use super::backend::Disk;
use super::migrate;

/// What redb may keep of the file in memory, bytes. Hot pages of the writer (the right edges of the tables) are a few
/// hundred KiB; the rest serves lists. It is small so that an idle server is.
const CACHE_BYTES: usize = 16 << 20;

/// What a probe of the disk writes: more than what a full one may still take in pages that the file has already.
const PROBE_BYTES: usize = 64 << 10;
/// Where; there is no such table at any other time.
const PROBE: TableDefinition<'_, (), &[u8]> = TableDefinition::new("probe");

/// The database, which the writer closes and opens again when the disk has failed.
pub(crate) struct Slot {
    disk: Arc<Disk>,
    /// How messages name it: the path.
    name: String,
    database: RwLock<Option<Database>>,
    /// How often it was opened again.
    reopened: AtomicU64,
    /// Held by the writer from the beginning of a commit until the database is open, whatever became of it.
    writing: Mutex<()>,
}

impl Slot {
    /// Opens it, brings its format up to date and takes the next fence. `name` is how messages name it.
    pub(crate) fn open(disk: Arc<Disk>, name: String) -> Result<(Self, Fence), StoreError> {
        let slot =
            Self { disk, name, database: RwLock::new(None), reopened: AtomicU64::new(0), writing: Mutex::new(()) };
        let database = slot.open_database()?;
        let fence = migrate::prepare(&database).map_err(|error| slot.explain(error))?;
        slot.put(Some(database));
        Ok((slot, fence))
    }

    /// A snapshot of what is durable.
    pub(crate) fn read(&self) -> Result<ReadTransaction, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or_else(|| self.unavailable("it is closed after an error of the disk"))?;
        database.begin_read().map_err(|error| disk_error(error.into()))
    }

    /// The one write transaction.
    pub(crate) fn write(&self) -> Result<WriteTransaction, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or_else(|| self.unavailable("it is closed after an error of the disk"))?;
        database.begin_write().map_err(|error| disk_error(error.into()))
    }

    /// How often it was opened again.
    pub(crate) fn opened(&self) -> u64 {
        self.reopened.load(Ordering::Acquire)
    }

    /// The same once the writer is through with what it does: where a commit failed, that is opening the database again.
    pub(crate) fn opened_behind_the_writer(&self) -> u64 {
        let _idle = self.writing();
        self.opened()
    }

    /// The writer writes for as long as it holds this.
    pub(crate) fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many commits have become durable on the disk.
    pub(crate) fn commits(&self) -> u64 {
        self.disk.commits()
    }

    /// Length of the file, bytes.
    pub(crate) fn file_bytes(&self) -> Result<u64, StoreError> {
        self.disk.length().map_err(|error| self.unavailable(&error.to_string()))
    }

    /// Whether the database no longer answers: an error of the disk, even of a reader, ends it.
    pub(crate) fn fails(&self) -> bool {
        self.write().and_then(|transaction| transaction.abort().map_err(|error| disk_error(error.into()))).is_err()
    }

    /// Whether the disk takes writes, and not the smallest alone: some bytes are committed, and taken away again.
    pub(crate) fn probe(&self) -> Result<(), StoreError> {
        let put = |transaction: &WriteTransaction| -> Result<(), redb::Error> {
            transaction.open_table(PROBE)?.insert((), [0; PROBE_BYTES].as_slice())?;
            Ok(())
        };
        let take_away = |transaction: &WriteTransaction| -> Result<(), redb::Error> {
            transaction.delete_table(PROBE)?;
            Ok(())
        };
        for step in [&put as &dyn Fn(&WriteTransaction) -> Result<(), redb::Error>, &take_away] {
            let transaction = self.write()?;
            step(&transaction).map_err(disk_error)?;
            transaction.commit().map_err(|error| disk_error(error.into()))?;
        }
        Ok(())
    }

    /// Closes the database; transactions that still read end with an error.
    pub(crate) fn close(&self) {
        let database = self.put(None);
        drop(database);
    }

    /// Closes the database for good and lets another server have the file.
    pub(crate) fn shut(&self) {
        self.close();
        self.disk.close();
    }

    /// Undoes on the disk what a failed commit may have left there, and opens the database again, as the same server: the fence
    /// stays. Who begins to read meanwhile waits until that is done.
    pub(crate) fn reopen(&self) -> Result<(), StoreError> {
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        drop(slot.take());
        self.disk.revert().map_err(|error| self.unavailable(&error.to_string()))?;
        *slot = Some(self.open_database()?);
        self.reopened.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    fn put(&self, database: Option<Database>) -> Option<Database> {
        std::mem::replace(&mut *self.database.write().unwrap_or_else(PoisonError::into_inner), database)
    }

    fn open_database(&self) -> Result<Database, StoreError> {
        let opened = Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(self.disk.handle());
        opened.map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => self.unavailable("another server has it open"),
            DatabaseError::UpgradeRequired(found) => {
                self.unavailable(&format!("it is a redb file of version {found}, which this version does not read"))
            }
            DatabaseError::Storage(StorageError::Io(error)) if error.kind() == ErrorKind::InvalidData => {
                StoreError::Unavailable(format!("{} is no database of Camshaft: {error}", self.name))
            }
            DatabaseError::Storage(StorageError::Corrupted(what)) => {
                StoreError::Damaged(format!("{} is no database that can be read: {what}", self.name))
            }
            other => self.unavailable(&other.to_string()),
        })
    }

    fn unavailable(&self, why: &str) -> StoreError {
        StoreError::Unavailable(format!("{}: {why}", self.name))
    }

    fn explain(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Unavailable(why) => self.unavailable(&why),
            StoreError::Damaged(why) => StoreError::Damaged(format!("{}: {why}", self.name)),
            other => other,
        }
    }
}

/// An error of redb as ours.
pub(crate) fn disk_error(error: redb::Error) -> StoreError {
    match error {
        redb::Error::Corrupted(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TableIsNotMultimap(_)
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::TableDoesNotExist(_) => StoreError::Damaged(error.to_string()),
        _ => StoreError::Unavailable(error.to_string()),
    }
}
