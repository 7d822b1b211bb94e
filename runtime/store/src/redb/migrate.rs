//! The format of the database: its number, what a new one begins with, and the way from an older to ours.
//!
//! [`migrate`] brings the tables from one number to the next, within the transaction that opens the database: a crash in
//! the middle leaves the old format.
//!
//! | format | what it brought |
//! |---|---|
//! | 1 | the first |
//! | 2 | `ended_at`, for retention; `counts`; how many bytes are kept |
//! | 3 | `open_by_workflow`, taken out of `by_workflow` |

use camshaft_model::seams::{Fence, StoreError};
use redb::{Database, Key, ReadableTable, ReadableTableMetadata, Table, TableDefinition, Value, WriteTransaction};

use super::codec;
use super::database::disk_error;
use super::tables::{self, Visit};

/// The format that this version writes, and the newest that it reads.
pub(crate) const FORMAT: u64 = 3;

/// Makes a database ready for this version and takes the next fence; durable when it returns.
pub(crate) fn prepare(database: &Database) -> Result<Fence, StoreError> {
    let transaction = database.begin_write().map_err(|error| disk_error(error.into()))?;
    let fence = {
        let mut meta = transaction.open_table(tables::META).map_err(|error| disk_error(error.into()))?;
        match number(&meta, tables::FORMAT_ROW)? {
            // Nothing but an empty file has no format: somebody else's database has tables.
            None if is_empty(&transaction)? => set(&mut meta, tables::FORMAT_ROW, FORMAT)?,
            None => {
                let why = "it is a redb database, but not one of Camshaft: it has tables and no format";
                return Err(StoreError::Unavailable(why.to_owned()));
            }
            Some(FORMAT) => {}
            Some(found) if found > FORMAT => {
                return Err(StoreError::Unavailable(format!(
                    "it has format {found}, and this version reads formats up to {FORMAT}: a newer Camshaft wrote it; \
                     start that version, or restore a backup that this one took"
                )));
            }
            Some(found) => migrate(&transaction, &mut meta, found)?,
        }
        let fence = number(&meta, tables::FENCE_ROW)?.unwrap_or(0) + 1;
        set(&mut meta, tables::FENCE_ROW, fence)?;
        Fence(fence)
    };
    tables::visit(&mut Create(&transaction)).map_err(disk_error)?;
    transaction.commit().map_err(|error| disk_error(error.into()))?;
    Ok(fence)
}

/// Brings an older database to [`FORMAT`], one number after the other.
fn migrate(transaction: &WriteTransaction, meta: &mut Table<'_, &str, u64>, found: u64) -> Result<(), StoreError> {
    // Formats begin at 1.
    if found == 0 {
        return Err(StoreError::Damaged(format!("it has format {found}, which no version ever wrote")));
    }
    if found < 2 {
        index_ended(transaction)?;
        let mut measure = Measure { transaction, bytes: 0 };
        tables::visit(&mut measure).map_err(disk_error)?;
        set(meta, tables::USED_ROW, measure.bytes)?;
    }
    if found < 3 {
        part_open(transaction)?;
    }
    set(meta, tables::FORMAT_ROW, FORMAT)?;
    tracing::info!(from = found, to = FORMAT, "the database has a newer format now");
    Ok(())
}

/// Format 2 finds ended executions by the time of their end.
fn index_ended(transaction: &WriteTransaction) -> Result<(), StoreError> {
    let summaries = transaction.open_table(tables::SUMMARIES).map_err(|error| disk_error(error.into()))?;
    let mut ended_at = transaction.open_table(tables::ENDED_AT).map_err(|error| disk_error(error.into()))?;
    for row in summaries.iter().map_err(|error| disk_error(error.into()))? {
        let (_, row) = row.map_err(|error| disk_error(error.into()))?;
        let summary = codec::read_summary(row.value())?;
        if let Some(at) = codec::ended(&summary) {
            let key = tables::ended_at_key(at, summary.id);
            ended_at.insert(key, ()).map_err(|error| disk_error(error.into()))?;
        }
    }
    Ok(())
}

/// Format 3 has a table of its own for what lists open executions by workflow.
fn part_open(transaction: &WriteTransaction) -> Result<(), StoreError> {
    let open = transaction.open_table(tables::OPEN).map_err(|error| disk_error(error.into()))?;
    let summaries = transaction.open_table(tables::SUMMARIES).map_err(|error| disk_error(error.into()))?;
    let mut from = transaction.open_table(tables::BY_WORKFLOW).map_err(|error| disk_error(error.into()))?;
    let mut to = transaction.open_table(tables::OPEN_BY_WORKFLOW).map_err(|error| disk_error(error.into()))?;
    for row in open.iter().map_err(|error| disk_error(error.into()))? {
        let id = row.map_err(|error| disk_error(error.into()))?.0.value();
        let Some(row) = summaries.get(id).map_err(|error| disk_error(error.into()))? else { continue };
        let key = codec::by_workflow(&codec::read_summary(row.value())?);
        from.remove(key.as_slice()).map_err(|error| disk_error(error.into()))?;
        to.insert(key.as_slice(), ()).map_err(|error| disk_error(error.into()))?;
    }
    Ok(())
}

/// Adds up the keys and values of all tables, which format 2 keeps count of.
struct Measure<'txn> {
    transaction: &'txn WriteTransaction,
    bytes: u64,
}

impl Visit for Measure<'_> {
    type Error = redb::Error;

    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<(), redb::Error> {
        self.bytes += self.transaction.open_table(definition)?.stats()?.stored_bytes();
        Ok(())
    }
}

/// Makes tables that are missing: readers open them without asking whether they exist.
struct Create<'txn>(&'txn WriteTransaction);

impl Visit for Create<'_> {
    type Error = redb::Error;

    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<(), redb::Error> {
        self.0.open_table(definition)?;
        Ok(())
    }
}

/// Whether no table but `meta`, which is open by now, exists.
fn is_empty(transaction: &WriteTransaction) -> Result<bool, StoreError> {
    let tables = transaction.list_tables().map_err(|error| disk_error(error.into()))?.count();
    Ok(tables <= 1)
}

fn number(meta: &Table<'_, &str, u64>, row: &str) -> Result<Option<u64>, StoreError> {
    let value = meta.get(row).map_err(|error| disk_error(error.into()))?;
    Ok(value.map(|value| value.value()))
}

fn set(meta: &mut Table<'_, &str, u64>, row: &str, value: u64) -> Result<(), StoreError> {
    meta.insert(row, value).map_err(|error| disk_error(error.into()))?;
    Ok(())
}
