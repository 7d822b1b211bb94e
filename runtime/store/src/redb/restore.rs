//! A database made of a copy of another. It takes nothing on trust: whatever the bytes are, they end in a database or an error.

use std::io::{ErrorKind, Read};

use camshaft_model::seams::StoreError;
use redb::{Database, Key, StorageBackend, TableDefinition, Value};

use super::database::disk_error;
use super::migrate::FORMAT;
use super::snapshot::{END, ROW, TABLE};
use super::tables::{self, Visit};

/// A transaction takes no further row once it holds so many bytes.
const TRANSACTION_BYTES: usize = 32 << 20;
/// Longest key, bytes. The longest there are name a delivery by its vendor's id.
const KEY_BYTES_MAX: usize = 1 << 20;

/// Any error of redb as ours.
fn failed(error: impl Into<redb::Error>) -> StoreError {
    disk_error(error.into())
}

fn damaged(why: String) -> StoreError {
    StoreError::Damaged(format!("the copy cannot be read: {why}"))
}

/// Fills an empty backend. Returns how many executions it holds now.
pub(crate) fn restore(backend: impl StorageBackend, snapshot: impl Read) -> Result<u64, StoreError> {
    let mut copy = Source(snapshot);
    let (format, fence) = (copy.number()?, copy.number()?);
    if format > FORMAT {
        return Err(StoreError::Unavailable(format!(
            "the copy is of a database of format {format}, and this version reads formats up to {FORMAT}: a newer Camshaft wrote \
             it; restore it with that version"
        )));
    }
    // Formats begin at 1.
    if format == 0 {
        return Err(damaged("it is of a database of format 0, which no version ever wrote".to_owned()));
    }
    let database = Database::builder().create_with_backend(backend).map_err(failed)?;
    let mut tag = copy.byte()?;
    let (mut executions, mut used) = (0, 0);
    while tag == TABLE {
        let length = usize::from(copy.byte()?);
        let name = copy.bytes(length)?;
        let name = String::from_utf8(name).map_err(|_| damaged("a table's name is no text".to_owned()))?;
        let mut fill = Fill { database: &database, copy: &mut copy, name: &name, next: None, rows: 0, bytes: 0 };
        tables::visit(&mut fill)?;
        tag = fill.next.ok_or_else(|| damaged(format!("there is no table `{name}`")))?;
        used += fill.bytes;
        if name == redb::TableHandle::name(&tables::SUMMARIES) {
            executions = fill.rows;
        }
    }
    if tag != END {
        return Err(damaged(format!("byte {tag} stands where a table should begin")));
    }
    // Last: without its format it is no database of ours.
    let transaction = database.begin_write().map_err(failed)?;
    {
        let mut meta = transaction.open_table(tables::META).map_err(failed)?;
        for (row, number) in [(tables::FORMAT_ROW, format), (tables::FENCE_ROW, fence), (tables::USED_ROW, used)] {
            meta.insert(row, number).map_err(failed)?;
        }
    }
    transaction.commit().map_err(failed)?;
    Ok(executions)
}

/// The copy, read as it comes.
struct Source<R>(R);

impl<R: Read> Source<R> {
    fn exactly(&mut self, buffer: &mut [u8]) -> Result<(), StoreError> {
        self.0.read_exact(buffer).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => damaged("it breaks off".to_owned()),
            _ => StoreError::Unavailable(format!("the copy cannot be read: {error}")),
        })
    }

    fn byte(&mut self) -> Result<u8, StoreError> {
        let mut byte = [0];
        self.exactly(&mut byte)?;
        Ok(byte[0])
    }

    fn number(&mut self) -> Result<u64, StoreError> {
        let mut number = [0; 8];
        self.exactly(&mut number)?;
        Ok(u64::from_be_bytes(number))
    }

    fn length(&mut self) -> Result<usize, StoreError> {
        let mut length = [0; 4];
        self.exactly(&mut length)?;
        Ok(u32::from_be_bytes(length) as usize)
    }

    /// So many bytes; no more memory is taken for them than there are bytes.
    fn bytes(&mut self, length: usize) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        let read = (&mut self.0).take(length as u64).read_to_end(&mut bytes);
        let read = read.map_err(|error| StoreError::Unavailable(format!("the copy cannot be read: {error}")))?;
        if read < length { Err(damaged("it breaks off in a row".to_owned())) } else { Ok(bytes) }
    }
}

/// Fills the table of a name with the rows that follow.
struct Fill<'a, R> {
    database: &'a Database,
    copy: &'a mut Source<R>,
    name: &'a str,
    /// What stands behind the rows; none where no table has the name.
    next: Option<u8>,
    rows: u64,
    bytes: u64,
}

impl<R: Read> Visit for Fill<'_, R> {
    type Error = StoreError;

    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<(), StoreError> {
        if redb::TableHandle::name(&definition) != self.name {
            return Ok(());
        }
        loop {
            let transaction = self.database.begin_write().map_err(failed)?;
            let mut bytes = 0;
            let next = {
                let mut table = transaction.open_table(definition).map_err(failed)?;
                loop {
                    let tag = self.copy.byte()?;
                    if tag != ROW {
                        break Some(tag);
                    }
                    let (key, value) = (self.copy.length()?, self.copy.length()?);
                    // Values of fixed width are taken apart without a look at their length.
                    let fits = |width: Option<usize>, length| width.is_none_or(|width| width == length);
                    if key > KEY_BYTES_MAX || !fits(K::fixed_width(), key) || !fits(V::fixed_width(), value) {
                        let why = format!("a row of `{}` has a key of {key} bytes and {value} bytes", self.name);
                        return Err(damaged(why));
                    }
                    let (key, value) = (self.copy.bytes(key)?, self.copy.bytes(value)?);
                    bytes += key.len() + value.len();
                    self.rows += 1;
                    table.insert(K::from_bytes(&key), V::from_bytes(&value)).map_err(failed)?;
                    if bytes >= TRANSACTION_BYTES {
                        break None;
                    }
                }
            };
            transaction.commit().map_err(failed)?;
            self.bytes += bytes as u64;
            if next.is_some() {
                self.next = next;
                return Ok(());
            }
        }
    }
}
