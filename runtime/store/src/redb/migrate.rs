//! The format of the database: its number, what a new one begins with, and the way from an older to ours.
//!
//! A migration is an arm of [`migrate`] that brings the tables from one number to the next, within the transaction that
//! opens the database: a crash in the middle leaves the old format. There is one format so far.

use camshaft_model::seams::{Fence, StoreError};
use redb::{Database, ReadableTable, Table, WriteTransaction};

use super::database::disk_error;
use super::tables;

/// The format that this version writes, and the newest that it reads.
pub(crate) const FORMAT: u64 = 1;

/// Row of `meta`: the format.
const FORMAT_ROW: &str = "format";
/// Row of `meta`: the fence of the latest server.
const FENCE_ROW: &str = "fence";

/// Makes a database ready for this version and takes the next fence; durable when it returns.
pub(crate) fn prepare(database: &Database) -> Result<Fence, StoreError> {
    let transaction = database.begin_write().map_err(|error| disk_error(error.into()))?;
    let fence = {
        let mut meta = transaction.open_table(tables::META).map_err(|error| disk_error(error.into()))?;
        match number(&meta, FORMAT_ROW)? {
            // Nothing but an empty file has no format: somebody else's database has tables.
            None if is_empty(&transaction)? => set(&mut meta, FORMAT_ROW, FORMAT)?,
            None => {
                let why = "it is a redb database, but not one of Camshaft: it has tables and no format";
                return Err(StoreError::Unavailable(why.to_owned()));
            }
            Some(FORMAT) => {}
            Some(found) if found > FORMAT => {
                return Err(StoreError::Unavailable(format!(
                    "it has format {found}, and this version reads formats up to {FORMAT}: a newer Camshaft wrote it"
                )));
            }
            Some(found) => migrate(&transaction, &mut meta, found)?,
        }
        let fence = number(&meta, FENCE_ROW)?.unwrap_or(0) + 1;
        set(&mut meta, FENCE_ROW, fence)?;
        Fence(fence)
    };
    create_tables(&transaction).map_err(disk_error)?;
    transaction.commit().map_err(|error| disk_error(error.into()))?;
    Ok(fence)
}

/// Brings an older database to [`FORMAT`].
fn migrate(_transaction: &WriteTransaction, _meta: &mut Table<'_, &str, u64>, found: u64) -> Result<(), StoreError> {
    // Formats begin at 1, the only one there is.
    Err(StoreError::Damaged(format!("it has format {found}, which no version ever wrote")))
}

/// Readers open tables without asking whether they exist.
fn create_tables(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(tables::JOURNALS)?;
    transaction.open_table(tables::SUMMARIES)?;
    transaction.open_table(tables::BY_WORKFLOW)?;
    transaction.open_table(tables::BY_STATUS)?;
    transaction.open_table(tables::OPEN)?;
    transaction.open_table(tables::DELIVERIES)?;
    transaction.open_table(tables::DELIVERED_AT)?;
    transaction.open_table(tables::COUNTS)?;
    transaction.open_table(tables::RESOURCES)?;
    transaction.open_table(tables::BLOBS)?;
    Ok(())
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
