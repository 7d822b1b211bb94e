//! The values of rows: each begins with the version of its form, then a few fixed fields, then (but for deliveries) JSON.
//!
//! JSON, so that fields may be added; that of journals compressed, for it says the same names again and again. Encoding
//! runs with the caller, and not on the one writer, who only copies bytes.

use std::sync::Arc;

use camshaft_model::entry::{Entry, Sequence};
use camshaft_model::ids::{Digest, ExecutionId, Name};
use camshaft_model::invocation::{DeliveryKey, SeenDelivery};
use camshaft_model::resource::{Change, Resource};
use camshaft_model::seams::{Append, Count, Fence, JournalAppend, StoreError};
use camshaft_model::summary::{Status, Summary};
use camshaft_model::time::Timestamp;

use super::tables;

/// The one form of rows there is.
const VERSION: u8 = 1;

/// Bytes before the JSON of a summary: version, next sequence, status.
const SUMMARY_HEAD: usize = 10;
/// Bytes before the block of entries: version, count, length of the JSON.
const ENTRIES_HEAD: usize = 9;
/// Fewer journals are not worth a second thread.
const ENCODED_ALONE: usize = 16;
/// Most bytes that one byte of an LZ4 block can stand for.
const LZ4_GROWTH_MAX: usize = 255;
/// Bytes before the executions of a delivery: version, time, digest of the body.
const DELIVERY_HEAD: usize = 41;

/// What a change of a resource weighs in the queue, about.
pub(crate) const CHANGE_BYTES: usize = 1024;

/// An [`Append`] as bytes, with what the writer has to know of it.
pub(crate) struct EncodedAppend {
    pub(crate) journals: Vec<EncodedJournal>,
    pub(crate) delivery: Option<EncodedDelivery>,
    pub(crate) counts: Vec<EncodedCount>,
    pub(crate) changes: Vec<Change>,
}

/// A counter that goes up by one.
pub(crate) struct EncodedCount {
    /// Key in `counts`.
    pub(crate) key: Vec<u8>,
    /// The counter and its limit, to be named in a refusal.
    pub(crate) named: Count,
}

/// A [`JournalAppend`] as bytes.
pub(crate) struct EncodedJournal {
    pub(crate) id: ExecutionId,
    pub(crate) fence: Fence,
    pub(crate) from: Sequence,
    /// The sequence behind the last entry.
    pub(crate) next: Sequence,
    pub(crate) status: Status,
    /// When it ended; none while it is open.
    pub(crate) ended: Option<Timestamp>,
    /// Value in `journals`; none where there are no entries.
    pub(crate) entries: Option<Vec<u8>>,
    /// Value in `summaries`.
    pub(crate) summary: Vec<u8>,
    /// Key in `by_workflow` or `open_by_workflow`, as its status goes.
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
    /// The key, to be named in a refusal.
    pub(crate) named: DeliveryKey,
}

/// What the writer has to know of a row in `summaries`.
#[derive(Debug, Clone, Copy)]
pub struct SummaryHead {
    pub(crate) next: Sequence,
    pub(crate) status: Status,
    /// When it ended; none while it is open.
    pub(crate) ended: Option<Timestamp>,
}

/// When an execution ended, as retention sees it; none while it is open.
pub(crate) fn ended(summary: &Summary) -> Option<Timestamp> {
    summary.status.is_final().then(|| summary.ended_at.unwrap_or(summary.updated_at))
}

/// The key of an execution in the index by workflow.
pub(crate) fn by_workflow(summary: &Summary) -> Vec<u8> {
    let workspace = summary.workspace.as_str().as_bytes();
    let prefix = tables::workflow_prefix(workspace, summary.revision.workflow_id, summary.status);
    tables::index_key(prefix, summary.id)
}

impl EncodedAppend {
    /// Many journals are encoded by two processors: whoever brought them waits for all.
    pub(crate) async fn new(mut append: Append) -> Result<Self, StoreError> {
        let beside = match append.journals.len() {
            ..ENCODED_ALONE => Vec::new(),
            count => append.journals.split_off(count / 2),
        };
        let beside = (!beside.is_empty()).then(|| tokio::task::spawn_blocking(move || EncodedJournal::all(&beside)));
        let mut journals = EncodedJournal::all(&append.journals)?;
        if let Some(beside) = beside {
            let broken_off = |error| StoreError::Unavailable(format!("encoding was broken off: {error}"));
            journals.append(&mut beside.await.map_err(broken_off)??);
        }
        let delivery = append.delivery.as_ref().map(|(seen, seen_after)| EncodedDelivery {
            at: seen.at,
            seen_after: *seen_after,
            key: tables::delivery_key(&seen.key),
            value: delivery(seen),
            named: seen.key.clone(),
        });
        let counts = append.counts.iter();
        let counts = counts.map(|count| EncodedCount { key: tables::count_key(&count.key), named: count.clone() });
        Ok(Self { journals, delivery, counts: counts.collect(), changes: append.changes })
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
            + self.changes.len() * CHANGE_BYTES
    }
}

impl EncodedJournal {
    fn all(appends: &[JournalAppend]) -> Result<Vec<Self>, StoreError> {
        appends.iter().map(Self::new).collect()
    }

    fn new(append: &JournalAppend) -> Result<Self, StoreError> {
        let summary = &append.summary;
        let next = append.from + append.entries.len() as u64;
        let workspace = summary.workspace.as_str().as_bytes();
        let mut row = Vec::with_capacity(640);
        row.push(VERSION);
        row.extend_from_slice(&next.to_be_bytes());
        row.push(tables::status_number(summary.status));
        Ok(Self {
            id: append.id,
            fence: append.fence,
            from: append.from,
            next,
            status: summary.status,
            ended: ended(summary),
            entries: if append.entries.is_empty() { None } else { Some(entries(&append.entries)?) },
            summary: write_json("summary", row, summary)?,
            by_workflow: by_workflow(summary),
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

/// The value of `journals` for entries appended together: version 1, count 4, length of the JSON 4, the JSON as an LZ4
/// block.
pub fn entries(entries: &[Arc<Entry>]) -> Result<Vec<u8>, StoreError> {
    let json = write_json("entries", Vec::with_capacity(4096), entries)?;
    row_of(entries.len() as u32, &json)
}

/// A value of `journals` that holds this text, JSON or not. For fuzzing.
pub fn pack(json: &[u8]) -> Vec<u8> {
    row_of(1, json).expect("a text fits in a row")
}

fn row_of(count: u32, json: &[u8]) -> Result<Vec<u8>, StoreError> {
    let too_large = |_| StoreError::Unavailable(format!("entries of {} bytes do not fit in one row", json.len()));
    let length = u32::try_from(json.len()).map_err(too_large)?;
    let mut row = vec![0; ENTRIES_HEAD + lz4_flex::block::get_maximum_output_size(json.len())];
    row[0] = VERSION;
    row[1..5].copy_from_slice(&count.to_be_bytes());
    row[5..ENTRIES_HEAD].copy_from_slice(&length.to_be_bytes());
    let compressed = lz4_flex::block::compress_into(json, &mut row[ENTRIES_HEAD..])
        .map_err(|error| StoreError::Unavailable(format!("entries cannot be compressed: {error}")))?;
    row.truncate(ENTRIES_HEAD + compressed);
    Ok(row)
}

/// How many entries a value of `journals` holds.
pub fn entries_count(row: &[u8]) -> Result<u64, StoreError> {
    let head = head::<ENTRIES_HEAD>("entries", row)?;
    Ok(u64::from(u32::from_be_bytes([head[1], head[2], head[3], head[4]])))
}

/// The entries of a value of `journals`.
pub fn read_entries(row: &[u8]) -> Result<Vec<Entry>, StoreError> {
    let head = head::<ENTRIES_HEAD>("entries", row)?;
    let length = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) as usize;
    let block = &row[ENTRIES_HEAD..];
    let damaged = |why: &dyn std::fmt::Display| StoreError::Damaged(format!("a row of entries is not readable: {why}"));
    // No block grows more than this: a length beyond is nonsense, and not to be allocated.
    if length > block.len().saturating_mul(LZ4_GROWTH_MAX) {
        return Err(damaged(&format!("{length} bytes in a block of {}", block.len())));
    }
    let json = lz4_flex::block::decompress(block, length).map_err(|error| damaged(&error))?;
    read_json("entries", &json)
}

/// The head of a value of `summaries`.
pub fn read_summary_head(row: &[u8]) -> Result<SummaryHead, StoreError> {
    let head = head::<SUMMARY_HEAD>("summary", row)?;
    let mut next = [0; 8];
    next.copy_from_slice(&head[1..9]);
    let status = tables::status_of(head[9])
        .ok_or_else(|| StoreError::Damaged(format!("a summary has status {}, which nothing has", head[9])))?;
    // Hardly ever: nothing follows an end.
    let ended = if status.is_final() { ended(&read_summary(row)?) } else { None };
    Ok(SummaryHead { next: Sequence::from_be_bytes(next), status, ended })
}

/// The summary of a value of `summaries`.
pub fn read_summary(row: &[u8]) -> Result<Summary, StoreError> {
    head::<SUMMARY_HEAD>("summary", row)?;
    read_json("summary", &row[SUMMARY_HEAD..])
}

/// The value of `deliveries`: what the key does not say, in as few bytes as it takes. Their ids are in no order, so each
/// insert rewrites a page somewhere: small rows keep the table small enough to stay in memory.
///
/// ```text
/// version 1, time 8, digest of the body 32, then for each execution: length of the name 1, name, id 16
/// ```
pub fn delivery(seen: &SeenDelivery) -> Vec<u8> {
    let mut row = Vec::with_capacity(DELIVERY_HEAD + 80 * seen.executions.len());
    row.push(VERSION);
    row.extend_from_slice(&seen.at.0.to_be_bytes());
    row.extend_from_slice(&seen.body.0);
    for (workflow, id) in &seen.executions {
        // A name is at most 63 bytes.
        row.push(workflow.as_str().len() as u8);
        row.extend_from_slice(workflow.as_str().as_bytes());
        row.extend_from_slice(id.as_bytes());
    }
    row
}

/// When the delivery of a value of `deliveries` came.
pub(crate) fn delivered_at(row: &[u8]) -> Result<Timestamp, StoreError> {
    let head = head::<DELIVERY_HEAD>("delivery", row)?;
    let mut at = [0; 8];
    at.copy_from_slice(&head[1..9]);
    Ok(Timestamp(u64::from_be_bytes(at)))
}

/// The delivery of a value of `deliveries`; `key` is what it was found by.
pub fn read_delivery(key: DeliveryKey, row: &[u8]) -> Result<SeenDelivery, StoreError> {
    let at = delivered_at(row)?;
    let mut body = [0; 32];
    body.copy_from_slice(&row[9..DELIVERY_HEAD]);
    let mut executions = Vec::new();
    let mut rest = &row[DELIVERY_HEAD..];
    while let Some((length, behind)) = rest.split_first() {
        let execution = behind.split_at_checked(usize::from(*length)).and_then(|(workflow, behind)| {
            let (id, behind) = behind.split_first_chunk::<16>()?;
            let workflow = Name::new(std::str::from_utf8(workflow).ok()?).ok()?;
            Some((workflow, ExecutionId::from_bytes(*id), behind))
        });
        let Some((workflow, id, behind)) = execution else {
            return Err(StoreError::Damaged(format!("the row of delivery `{}` breaks off in an execution", key.id)));
        };
        executions.push((workflow, id));
        rest = behind;
    }
    Ok(SeenDelivery { key, body: Digest(body), at, executions })
}

/// The value of `resources`.
pub fn resource(resource: &Resource) -> Result<Vec<u8>, StoreError> {
    write_json("resource", vec![VERSION], resource)
}

/// The resource of a value of `resources`.
pub fn read_resource(row: &[u8]) -> Result<Resource, StoreError> {
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
fn read_json<T: serde::de::DeserializeOwned>(what: &str, json: &[u8]) -> Result<T, StoreError> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    reader.disable_recursion_limit();
    T::deserialize(&mut reader)
        .map_err(|error| StoreError::Damaged(format!("a row of {what} is not readable: {error}")))
}
