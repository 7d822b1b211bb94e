//! The values of rows: each begins with the version of its form, then a few fixed fields, then JSON.
//!
//! JSON, so that a database can be read with a text tool and fields may be added. Encoding runs on the caller's thread;
//! the one writer only copies bytes.

use std::sync::Arc;

use camshaft_model::entry::{Entry, Sequence};
use camshaft_model::ids::ExecutionId;
use camshaft_model::invocation::SeenDelivery;
use camshaft_model::resource::Resource;
use camshaft_model::seams::{Append, Fence, JournalAppend, StoreError};
use camshaft_model::summary::{Status, Summary};
use camshaft_model::time::Timestamp;

use super::tables;

/// The one form of rows there is.
const VERSION: u8 = 1;

/// Bytes before the JSON of a summary: version, next sequence, status.
const SUMMARY_HEAD: usize = 10;
/// Bytes before the JSON of entries: version, count.
const ENTRIES_HEAD: usize = 5;

/// An [`Append`] as bytes, with what the writer has to know of it.
pub(crate) struct EncodedAppend {
    pub(crate) journals: Vec<EncodedJournal>,
    pub(crate) delivery: Option<EncodedDelivery>,
}

/// A [`JournalAppend`] as bytes.
pub(crate) struct EncodedJournal {
    pub(crate) id: ExecutionId,
    pub(crate) fence: Fence,
    pub(crate) from: Sequence,
    /// The sequence behind the last entry.
    pub(crate) next: Sequence,
    pub(crate) status: Status,
    /// Value in `journals`; none where there are no entries.
    pub(crate) entries: Option<Vec<u8>>,
    /// Value in `summaries`.
    pub(crate) summary: Vec<u8>,
    /// Key in `by_workflow`.
    pub(crate) by_workflow: Vec<u8>,
    /// Key in `by_status`.
    pub(crate) by_status: Vec<u8>,
}

/// A delivery as bytes.
pub(crate) struct EncodedDelivery {
    pub(crate) at: Timestamp,
    pub(crate) seen_after: Timestamp,
    /// Key in `deliveries`.
    pub(crate) key: Vec<u8>,
    /// Value in `deliveries`.
    pub(crate) value: Vec<u8>,
}

/// What the head of a row in `summaries` tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SummaryHead {
    pub(crate) next: Sequence,
    pub(crate) status: Status,
}

impl EncodedAppend {
    pub(crate) fn new(append: &Append) -> Result<Self, StoreError> {
        let journals = append.journals.iter().map(EncodedJournal::new).collect::<Result<_, _>>()?;
        let delivery = match &append.delivery {
            None => None,
            Some((seen, seen_after)) => Some(EncodedDelivery {
                at: seen.at,
                seen_after: *seen_after,
                key: tables::delivery_key(&seen.key),
                value: delivery(seen)?,
            }),
        };
        Ok(Self { journals, delivery })
    }

    /// What it weighs in the queue.
    pub(crate) fn bytes(&self) -> usize {
        let journals = self.journals.iter().map(|journal| {
            journal.entries.as_ref().map_or(0, Vec::len)
                + journal.summary.len()
                + journal.by_workflow.len()
                + journal.by_status.len()
        });
        journals.sum::<usize>()
            + self.delivery.as_ref().map_or(0, |delivery| 2 * delivery.key.len() + delivery.value.len())
    }
}

impl EncodedJournal {
    fn new(append: &JournalAppend) -> Result<Self, StoreError> {
        let summary = &append.summary;
        let next = append.from + append.entries.len() as u64;
        let workspace = summary.workspace.as_str().as_bytes();
        let mut row = Vec::with_capacity(640);
        row.push(VERSION);
        row.extend_from_slice(&next.to_be_bytes());
        row.push(tables::status_number(summary.status));
        let prefix = tables::workflow_prefix(workspace, summary.revision.workflow_id, summary.status);
        Ok(Self {
            id: append.id,
            fence: append.fence,
            from: append.from,
            next,
            status: summary.status,
            entries: if append.entries.is_empty() { None } else { Some(entries(&append.entries)?) },
            summary: write_json("summary", row, summary)?,
            by_workflow: tables::index_key(prefix, append.id),
            by_status: tables::index_key(tables::status_prefix(workspace, summary.status), append.id),
        })
    }

    /// The keys of both indexes as they were while the execution had another status. Its workspace and its workflow were
    /// fixed when it was accepted.
    pub(crate) fn index_keys_with(&self, status: Status) -> (Vec<u8>, Vec<u8>) {
        let number = tables::status_number(status);
        let with = |key: &[u8]| {
            let mut key = key.to_vec();
            let at = key.len() - 17;
            key[at] = number;
            key
        };
        (with(&self.by_workflow), with(&self.by_status))
    }
}

/// The value of `journals` for entries appended together.
fn entries(entries: &[Arc<Entry>]) -> Result<Vec<u8>, StoreError> {
    let mut row = Vec::with_capacity(4096);
    row.push(VERSION);
    row.extend_from_slice(&(entries.len() as u32).to_be_bytes());
    write_json("entries", row, entries)
}

/// How many entries a value of `journals` holds.
pub(crate) fn entries_count(row: &[u8]) -> Result<u64, StoreError> {
    let head = head::<ENTRIES_HEAD>("entries", row)?;
    Ok(u64::from(u32::from_be_bytes([head[1], head[2], head[3], head[4]])))
}

/// The entries of a value of `journals`.
pub(crate) fn read_entries(row: &[u8]) -> Result<Vec<Entry>, StoreError> {
    head::<ENTRIES_HEAD>("entries", row)?;
    read_json("entries", &row[ENTRIES_HEAD..])
}

/// The head of a value of `summaries`.
pub(crate) fn read_summary_head(row: &[u8]) -> Result<SummaryHead, StoreError> {
    let head = head::<SUMMARY_HEAD>("summary", row)?;
    let mut next = [0; 8];
    next.copy_from_slice(&head[1..9]);
    let status = tables::status_of(head[9])
        .ok_or_else(|| StoreError::Damaged(format!("a summary has status {}, which nothing has", head[9])))?;
    Ok(SummaryHead { next: Sequence::from_be_bytes(next), status })
}

/// The summary of a value of `summaries`.
pub(crate) fn read_summary(row: &[u8]) -> Result<Summary, StoreError> {
    head::<SUMMARY_HEAD>("summary", row)?;
    read_json("summary", &row[SUMMARY_HEAD..])
}

fn delivery(seen: &SeenDelivery) -> Result<Vec<u8>, StoreError> {
    write_json("delivery", vec![VERSION], seen)
}

/// The delivery of a value of `deliveries`.
pub(crate) fn read_delivery(row: &[u8]) -> Result<SeenDelivery, StoreError> {
    head::<1>("delivery", row)?;
    read_json("delivery", &row[1..])
}

/// The value of `resources`.
pub(crate) fn resource(resource: &Resource) -> Result<Vec<u8>, StoreError> {
    write_json("resource", vec![VERSION], resource)
}

/// The resource of a value of `resources`.
pub(crate) fn read_resource(row: &[u8]) -> Result<Resource, StoreError> {
    head::<1>("resource", row)?;
    read_json("resource", &row[1..])
}

/// The fixed fields of a row, its version checked.
fn head<'a, const LENGTH: usize>(what: &str, row: &'a [u8]) -> Result<&'a [u8; LENGTH], StoreError> {
    let head = row
        .first_chunk()
        .ok_or_else(|| StoreError::Damaged(format!("a row of {what} has only {} bytes", row.len())))?;
    match head[0] {
        VERSION => Ok(head),
        other => {
            Err(StoreError::Damaged(format!("a row of {what} has form {other}; this version reads form {VERSION}")))
        }
    }
}

fn write_json<T: serde::Serialize + ?Sized>(what: &str, mut row: Vec<u8>, value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_writer(&mut row, value)
        .map_err(|error| StoreError::Unavailable(format!("{what} cannot be written as JSON: {error}")))?;
    Ok(row)
}

/// Reads JSON of any depth: a value from outside may nest as deep as its own reader allowed, and an entry wraps it in
/// more. What was written must be readable.
fn read_json<'de, T: serde::Deserialize<'de>>(what: &str, json: &'de [u8]) -> Result<T, StoreError> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    reader.disable_recursion_limit();
    T::deserialize(&mut reader)
        .map_err(|error| StoreError::Damaged(format!("a row of {what} is not readable: {error}")))
}
