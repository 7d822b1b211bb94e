//! A copy of everything, row by row, out of one read transaction.
//!
//! ```text
//! format u64, fence u64
//! then for each table:  1, length of its name u8, its name
//!      for each row:    2, length of the key u32, length of the value u32, key, value
//! 0
//! ```
//!
//! Numbers are big-endian. Rows stand in the order of their keys, as they are in the database; so the copy is as old or as new
//! in its format as the database is, and [`restore`](super::restore) needs to know no more than the tables.

use bytes::Bytes;
use camshaft_model::seams::{Snapshot, StoreError};
use redb::{Key, ReadTransaction, TableDefinition, Value};
use tokio::sync::mpsc;

use super::database::disk_error;
use super::tables::{self, Visit};

/// What stands before the name of a table.
pub(crate) const TABLE: u8 = 1;
/// What stands before a row.
pub(crate) const ROW: u8 = 2;
/// What stands at the end.
pub(crate) const END: u8 = 0;

/// About so many bytes are handed on together.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces that are read before somebody takes them.
const PIECES_AHEAD: usize = 4;

/// Reads everything that a transaction sees, as fast as it is taken.
pub(crate) fn pieces(transaction: ReadTransaction) -> Snapshot {
    let (pieces, taken) = mpsc::channel(PIECES_AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut copy = Copy { transaction: &transaction, piece: Vec::with_capacity(PIECE_BYTES), pieces: &pieces };
        match copy.everything() {
            Ok(()) | Err(Broken::Unwanted) => {}
            Err(Broken::Failed(error)) => drop(pieces.blocking_send(Err(error))),
        }
    });
    Box::pin(futures::stream::unfold(taken, |mut taken| async move { taken.recv().await.map(|piece| (piece, taken)) }))
}

/// Why a copy is not finished.
enum Broken {
    /// Nobody takes it any more.
    Unwanted,
    /// It cannot be read.
    Failed(StoreError),
}

fn failed(error: impl Into<redb::Error>) -> Broken {
    Broken::Failed(disk_error(error.into()))
}

struct Copy<'a> {
    transaction: &'a ReadTransaction,
    piece: Vec<u8>,
    pieces: &'a mpsc::Sender<Result<Bytes, StoreError>>,
}

impl Copy<'_> {
    fn everything(&mut self) -> Result<(), Broken> {
        let meta = self.transaction.open_table(tables::META).map_err(failed)?;
        for row in [tables::FORMAT_ROW, tables::FENCE_ROW] {
            let number = meta.get(row).map_err(failed)?.map_or(0, |number| number.value());
            self.push(&number.to_be_bytes())?;
        }
        tables::visit(self)?;
        self.push(&[END])?;
        self.hand_on()
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        for part in bytes.chunks(PIECE_BYTES) {
            self.piece.extend_from_slice(part);
            if self.piece.len() >= PIECE_BYTES {
                self.hand_on()?;
            }
        }
        Ok(())
    }

    fn hand_on(&mut self) -> Result<(), Broken> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        self.pieces.blocking_send(Ok(piece.into())).map_err(|_| Broken::Unwanted)
    }

    fn length(&mut self, length: usize) -> Result<(), Broken> {
        let too_long = |_| Broken::Failed(StoreError::Damaged(format!("a row has {length} bytes")));
        let length = u32::try_from(length).map_err(too_long)?;
        self.push(&length.to_be_bytes())
    }
}

impl Visit for Copy<'_> {
    type Error = Broken;

    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<(), Broken> {
        let name = redb::TableHandle::name(&definition).to_owned();
        let table = self.transaction.open_table(definition).map_err(failed)?;
        // Names of tables are ours, and short.
        self.push(&[TABLE, name.len() as u8])?;
        self.push(name.as_bytes())?;
        for row in table.range::<K::SelfType<'_>>(..).map_err(failed)? {
            let (key, value) = row.map_err(failed)?;
            let (key, value) = (key.value(), value.value());
            let (key, value) = (K::as_bytes(&key), V::as_bytes(&value));
            self.push(&[ROW])?;
            self.length(key.as_ref().len())?;
            self.length(value.as_ref().len())?;
            self.push(key.as_ref())?;
            self.push(value.as_ref())?;
        }
        Ok(())
    }
}
