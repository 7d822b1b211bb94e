//! One request within the write transaction of its batch: first every check, then every row.
//!
//! The checks read what the requests before it in the batch have written, and nothing is written before all of them have
//! passed, so that a refused request leaves nothing and does its neighbours no harm.

use std::collections::HashMap;

use camshaft_model::entry::Sequence;
use camshaft_model::ids::{Digest, ExecutionId};
use camshaft_model::resource::{Change, Expect, Resource, ResourceKey};
use camshaft_model::seams::{Count, Fence, StoreError};
use camshaft_model::summary::Status;
use camshaft_model::time::{Period, Timestamp};
use redb::{Key, ReadableTable, StorageError, Table, TableDefinition, TableError, Value, WriteTransaction};

use super::codec::{self, EncodedAppend, EncodedCount, EncodedDelivery, EncodedJournal, SummaryHead};
use super::tables;

/// Why a request was not carried out.
pub(crate) enum Refusal {
    /// It may not be; the batch goes on without it.
    Refused(StoreError),
    /// The disk or the database failed; nothing of the batch can be kept.
    Failed(redb::Error),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<TableError> for Refusal {
    fn from(error: TableError) -> Self {
        Self::Failed(error.into())
    }
}

/// The tables of a write transaction, each opened when it is first needed and kept open for the whole batch.
pub(crate) struct Batch<'txn> {
    pub(super) transaction: &'txn WriteTransaction,
    /// The fence of this server: appends with an older one are refused.
    fence: Fence,
    pub(super) written: bool,
    /// By how many bytes of keys and values the tables have grown.
    pub(super) grown: i64,
    pub(super) journals: Option<Table<'txn, [u8; 24], &'static [u8]>>,
    pub(super) summaries: Option<Table<'txn, [u8; 16], &'static [u8]>>,
    by_workflow: Option<Table<'txn, &'static [u8], ()>>,
    open_by_workflow: Option<Table<'txn, &'static [u8], ()>>,
    by_status: Option<Table<'txn, &'static [u8], ()>>,
    open: Option<Table<'txn, [u8; 16], ()>>,
    pub(super) ended_at: Option<Table<'txn, [u8; 24], ()>>,
    deliveries: Option<Table<'txn, &'static [u8], &'static [u8]>>,
    delivered_at: Option<Table<'txn, &'static [u8], ()>>,
    counts: Option<Table<'txn, &'static [u8], u64>>,
    /// Where the counters of this batch stand: each is written once, however many appends it counts.
    counted: HashMap<Vec<u8>, u64>,
    resources: Option<Table<'txn, &'static [u8], &'static [u8]>>,
    blobs: Option<Table<'txn, [u8; 32], &'static [u8]>>,
}

/// By workflow, by status, and by how many bytes they grow.
pub(super) type Indexes<'a, 'txn> =
    (&'a mut Table<'txn, &'static [u8], ()>, &'a mut Table<'txn, &'static [u8], ()>, &'a mut i64);

/// The table in a place, opened if it is not.
pub(super) fn table<'a, 'txn, K: Key + 'static, V: Value + 'static>(
    place: &'a mut Option<Table<'txn, K, V>>,
    transaction: &'txn WriteTransaction,
    definition: TableDefinition<'_, K, V>,
) -> Result<&'a mut Table<'txn, K, V>, Refusal> {
    match place {
        Some(table) => Ok(table),
        None => Ok(place.insert(transaction.open_table(definition)?)),
    }
}

/// Puts a row and counts what the table grows by.
fn put<'k, 'v, K: Key + 'static, V: Value + 'static>(
    table: &mut Table<'_, K, V>,
    grown: &mut i64,
    key: K::SelfType<'k>,
    value: V::SelfType<'v>,
) -> Result<(), Refusal> {
    let key_bytes = K::as_bytes(&key).as_ref().len();
    *grown += (key_bytes + V::as_bytes(&value).as_ref().len()) as i64;
    if let Some(old) = table.insert(key, value)? {
        *grown -= (key_bytes + V::as_bytes(&old.value()).as_ref().len()) as i64;
    }
    Ok(())
}

/// Takes a row away, where there is one, and counts what the table shrinks by.
pub(super) fn take<'k, K: Key + 'static, V: Value + 'static>(
    table: &mut Table<'_, K, V>,
    grown: &mut i64,
    key: K::SelfType<'k>,
) -> Result<(), Refusal> {
    let key_bytes = K::as_bytes(&key).as_ref().len();
    if let Some(old) = table.remove(key)? {
        *grown -= (key_bytes + V::as_bytes(&old.value()).as_ref().len()) as i64;
    }
    Ok(())
}

impl<'txn> Batch<'txn> {
    pub(crate) fn new(transaction: &'txn WriteTransaction, fence: Fence) -> Self {
        Self {
            transaction,
            fence,
            written: false,
            grown: 0,
            journals: None,
            summaries: None,
            by_workflow: None,
            open_by_workflow: None,
            by_status: None,
            open: None,
            ended_at: None,
            deliveries: None,
            delivered_at: None,
            counts: None,
            counted: HashMap::new(),
            resources: None,
            blobs: None,
        }
    }

    /// Whether there is anything to commit.
    pub(crate) fn written(&self) -> bool {
        self.written
    }

    /// Writes down where the counters stand and by how much the tables have grown, and closes them.
    pub(crate) fn finish(mut self) -> Result<(), Refusal> {
        self.write_counted()?;
        if self.grown != 0 {
            let mut meta = self.transaction.open_table(tables::META)?;
            let used = meta.get(tables::USED_ROW)?.map_or(0, |used| used.value());
            meta.insert(tables::USED_ROW, used.saturating_add_signed(self.grown))?;
        }
        Ok(())
    }

    fn write_counted(&mut self) -> Result<(), Refusal> {
        for (key, count) in self.counted.drain() {
            let counts = table(&mut self.counts, self.transaction, tables::COUNTS)?;
            put(counts, &mut self.grown, key.as_slice(), count)?;
        }
        Ok(())
    }

    /// Entries of executions, the delivery that brought them, and what counts them.
    pub(crate) fn append(&mut self, append: &EncodedAppend) -> Result<(), Refusal> {
        let seen_before = match &append.delivery {
            None => None,
            Some(delivery) => self.check_delivery(delivery)?,
        };
        let before = self.check_journals(&append.journals)?;
        let counted = self.check_counts(&append.counts)?;
        // It looks at all of them before it writes the first, and nothing is refused behind it.
        self.change(&append.changes)?;
        self.written = true;
        for (key, count) in counted {
            match self.counted.get_mut(key) {
                Some(earlier) => *earlier = count,
                None => drop(self.counted.insert(key.to_vec(), count)),
            }
        }
        if let Some(delivery) = &append.delivery {
            self.write_delivery(delivery, seen_before)?;
        }
        self.write_journals(&append.journals, &before)
    }

    /// Refuses a duplicate; tells when the key was seen longer ago.
    fn check_delivery(&mut self, delivery: &EncodedDelivery) -> Result<Option<Timestamp>, Refusal> {
        let deliveries = table(&mut self.deliveries, self.transaction, tables::DELIVERIES)?;
        let Some(row) = deliveries.get(delivery.key.as_slice())? else { return Ok(None) };
        let at = codec::delivered_at(row.value())?;
        if at >= delivery.seen_after {
            let seen = codec::read_delivery(delivery.named.clone(), row.value())?;
            return Err(StoreError::Duplicate(Box::new(seen)).into());
        }
        Ok(Some(at))
    }

    /// Refuses old fences and sequences that do not follow; tells how each execution stands before its entries.
    fn check_journals(&mut self, journals: &[EncodedJournal]) -> Result<Vec<Option<SummaryHead>>, Refusal> {
        let mut before: Vec<Option<SummaryHead>> = Vec::with_capacity(journals.len());
        for (at, journal) in journals.iter().enumerate() {
            if journal.fence < self.fence {
                return Err(StoreError::Fenced(journal.id).into());
            }
            let earlier = journals[..at].iter().rev().find(|earlier| earlier.id == journal.id);
            let head = match earlier {
                Some(earlier) => Some(SummaryHead { next: earlier.next, status: earlier.status, ended: earlier.ended }),
                None => {
                    let summaries = table(&mut self.summaries, self.transaction, tables::SUMMARIES)?;
                    match summaries.get(journal.id.as_bytes())? {
                        Some(row) => Some(codec::read_summary_head(row.value())?),
                        None => None,
                    }
                }
            };
            let expected = head.map_or(0, |head| head.next);
            if journal.from != expected {
                return Err(out_of_sequence(journal.id, journal.from, expected));
            }
            before.push(head);
        }
        Ok(before)
    }

    /// Refuses what would go beyond a limit; tells where each counter stands afterwards.
    fn check_counts<'a>(&mut self, counts: &'a [EncodedCount]) -> Result<Vec<(&'a [u8], u64)>, Refusal> {
        let mut counted: Vec<(&[u8], u64)> = Vec::with_capacity(counts.len());
        for EncodedCount { key, named: Count { key: named, limit } } in counts {
            let earlier = counted.iter().rev().find(|(counted, _)| *counted == key).map(|(_, count)| *count);
            let count = match earlier.or_else(|| self.counted.get(key).copied()) {
                Some(count) => count,
                None => {
                    let counts = table(&mut self.counts, self.transaction, tables::COUNTS)?;
                    counts.get(key.as_slice())?.map_or(0, |count| count.value())
                }
            };
            if count >= *limit {
                return Err(StoreError::LimitReached { key: named.clone(), limit: *limit }.into());
            }
            counted.push((key, count + 1));
        }
        Ok(counted)
    }

    fn write_delivery(&mut self, delivery: &EncodedDelivery, seen_before: Option<Timestamp>) -> Result<(), Refusal> {
        let delivered_at = table(&mut self.delivered_at, self.transaction, tables::DELIVERED_AT)?;
        if let Some(at) = seen_before {
            take(delivered_at, &mut self.grown, tables::delivered_at_key(at, &delivery.key).as_slice())?;
        }
        put(delivered_at, &mut self.grown, tables::delivered_at_key(delivery.at, &delivery.key).as_slice(), ())?;
        let deliveries = table(&mut self.deliveries, self.transaction, tables::DELIVERIES)?;
        put(deliveries, &mut self.grown, delivery.key.as_slice(), delivery.value.as_slice())
    }

    /// One table after the other: of executions that begin together, the rows stand side by side in each.
    fn write_journals(&mut self, journals: &[EncodedJournal], before: &[Option<SummaryHead>]) -> Result<(), Refusal> {
        for write in [Self::write_entries, Self::write_summary, Self::write_status, Self::write_open, Self::write_end] {
            for (journal, before) in journals.iter().zip(before) {
                write(self, journal, *before)?;
            }
        }
        Ok(())
    }

    fn write_entries(&mut self, journal: &EncodedJournal, _: Option<SummaryHead>) -> Result<(), Refusal> {
        let Some(entries) = &journal.entries else { return Ok(()) };
        let journals = table(&mut self.journals, self.transaction, tables::JOURNALS)?;
        put(journals, &mut self.grown, tables::journal_key(journal.id, journal.from), entries.as_slice())
    }

    fn write_summary(&mut self, journal: &EncodedJournal, _: Option<SummaryHead>) -> Result<(), Refusal> {
        let summaries = table(&mut self.summaries, self.transaction, tables::SUMMARIES)?;
        put(summaries, &mut self.grown, *journal.id.as_bytes(), journal.summary.as_slice())
    }

    fn write_status(&mut self, journal: &EncodedJournal, before: Option<SummaryHead>) -> Result<(), Refusal> {
        let was = before.map(|head| head.status);
        if was == Some(journal.status) {
            return Ok(());
        }
        if let Some(was) = was {
            let (workflow_key, status_key) = journal.index_keys_with(was);
            let (by_workflow, by_status, grown) = self.indexes(was)?;
            take(by_workflow, grown, workflow_key.as_slice())?;
            take(by_status, grown, status_key.as_slice())?;
        }
        let (by_workflow, by_status, grown) = self.indexes(journal.status)?;
        put(by_workflow, grown, journal.by_workflow.as_slice(), ())?;
        put(by_status, grown, journal.by_status.as_slice(), ())
    }

    fn write_open(&mut self, journal: &EncodedJournal, before: Option<SummaryHead>) -> Result<(), Refusal> {
        let was_open = before.is_some_and(|head| !head.status.is_final());
        let is_open = !journal.status.is_final();
        if was_open == is_open {
            return Ok(());
        }
        let open = table(&mut self.open, self.transaction, tables::OPEN)?;
        match is_open {
            true => put(open, &mut self.grown, *journal.id.as_bytes(), ()),
            false => take(open, &mut self.grown, *journal.id.as_bytes()),
        }
    }

    fn write_end(&mut self, journal: &EncodedJournal, before: Option<SummaryHead>) -> Result<(), Refusal> {
        let was_ended = before.and_then(|head| head.ended);
        if was_ended == journal.ended {
            return Ok(());
        }
        let ended_at = table(&mut self.ended_at, self.transaction, tables::ENDED_AT)?;
        if let Some(at) = was_ended {
            take(ended_at, &mut self.grown, tables::ended_at_key(at, journal.id))?;
        }
        match journal.ended {
            Some(at) => put(ended_at, &mut self.grown, tables::ended_at_key(at, journal.id), ()),
            None => Ok(()),
        }
    }

    /// The tables that list executions of a status by workflow and by status, and what they grow by.
    pub(super) fn indexes(&mut self, status: Status) -> Result<Indexes<'_, 'txn>, Refusal> {
        let by_workflow = match status.is_final() {
            true => table(&mut self.by_workflow, self.transaction, tables::BY_WORKFLOW)?,
            false => table(&mut self.open_by_workflow, self.transaction, tables::OPEN_BY_WORKFLOW)?,
        };
        let by_status = table(&mut self.by_status, self.transaction, tables::BY_STATUS)?;
        Ok((by_workflow, by_status, &mut self.grown))
    }

    /// Forgets at most `limit` deliveries seen before a time.
    pub(crate) fn forget(&mut self, before: Timestamp, limit: usize) -> Result<usize, Refusal> {
        let end = before.0.to_be_bytes();
        let delivered_at = table(&mut self.delivered_at, self.transaction, tables::DELIVERED_AT)?;
        let mut keys = Vec::new();
        for row in delivered_at.range::<&[u8]>(..end.as_slice())?.take(limit) {
            keys.push(row?.0.value().to_vec());
        }
        for key in &keys {
            take(delivered_at, &mut self.grown, key.as_slice())?;
        }
        let deliveries = table(&mut self.deliveries, self.transaction, tables::DELIVERIES)?;
        for key in &keys {
            take(deliveries, &mut self.grown, &key[end.len()..])?;
        }
        self.written |= !keys.is_empty();
        Ok(keys.len())
    }

    /// Forgets at most `limit` counters of earlier periods of a kind.
    pub(crate) fn forget_counts(&mut self, before: &Period, limit: usize) -> Result<usize, Refusal> {
        self.write_counted()?;
        let counts = table(&mut self.counts, self.transaction, tables::COUNTS)?;
        let mut keys = Vec::new();
        for row in counts.range::<&[u8]>(tables::counts_before(before))?.take(limit) {
            keys.push(row?.0.value().to_vec());
        }
        for key in &keys {
            take(counts, &mut self.grown, key.as_slice())?;
        }
        self.written |= !keys.is_empty();
        Ok(keys.len())
    }

    /// All changes or none. A change sees those before it.
    pub(crate) fn change(&mut self, changes: &[Change]) -> Result<Vec<Option<Resource>>, Refusal> {
        let resources = table(&mut self.resources, self.transaction, tables::RESOURCES)?;
        let mut after = Vec::with_capacity(changes.len());
        let mut changed: HashMap<&ResourceKey, Option<Resource>> = HashMap::new();
        for change in changes {
            let (key, expect) = match change {
                Change::Put { resource, expect } => (&resource.key, *expect),
                Change::Delete { key, expect } => (key, *expect),
            };
            let current = match changed.get(key) {
                Some(current) => current.clone(),
                None => match resources.get(tables::resource_key(key).as_slice())? {
                    Some(row) => Some(codec::read_resource(row.value())?),
                    None => None,
                },
            };
            let found = current.as_ref().map_or(0, |current| current.generation);
            let holds = match expect {
                Expect::Any => true,
                Expect::Absent => current.is_none(),
                Expect::Generation(generation) => current.is_some() && found == generation,
            };
            if !holds {
                return Err(StoreError::Conflict { key: key.clone(), found }.into());
            }
            let result = match change {
                Change::Delete { .. } => None,
                Change::Put { resource, .. } => Some(Resource {
                    generation: found + 1,
                    created_at: current.map_or(resource.created_at, |current| current.created_at),
                    ..resource.clone()
                }),
            };
            after.push(result.clone());
            changed.insert(key, result);
        }
        // Encoding can fail, so it comes before the first row.
        let mut rows = Vec::with_capacity(changed.len());
        for (key, resource) in changed {
            rows.push((tables::resource_key(key), resource.as_ref().map(codec::resource).transpose()?));
        }
        for (key, row) in rows {
            self.written = true;
            match row {
                Some(row) => put(resources, &mut self.grown, key.as_slice(), row.as_slice())?,
                None => take(resources, &mut self.grown, key.as_slice())?,
            }
        }
        Ok(after)
    }

    /// Bytes under their digest, unless they are there.
    pub(crate) fn put_blob(&mut self, digest: Digest, bytes: &[u8]) -> Result<(), Refusal> {
        let blobs = table(&mut self.blobs, self.transaction, tables::BLOBS)?;
        if blobs.get(&digest.0)?.is_none() {
            self.written = true;
            put(blobs, &mut self.grown, digest.0, bytes)?;
        }
        Ok(())
    }
}

/// Whoever appends at the wrong place does not know the latest entries: somebody else wrote them.
fn out_of_sequence(id: ExecutionId, from: Sequence, expected: Sequence) -> Refusal {
    tracing::error!(execution = %id, from, expected, "entries refused: they do not follow the latest durable one");
    StoreError::Fenced(id).into()
}
