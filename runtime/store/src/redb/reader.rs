//! Reading: each call one read transaction, a snapshot of what is durable.
//!
//! Lists never look at rows that they do not show: a page is the newest of several ranges of an index (one for each
//! workspace and status asked for), merged.

use std::collections::{BTreeSet, BinaryHeap};
use std::time::Duration;

use camshaft_model::entry::{Entry, Sequence};
use camshaft_model::ids::{Digest, ExecutionId, Name};
use camshaft_model::invocation::{DeliveryKey, SeenDelivery};
use camshaft_model::resource::{Resource, ResourceKey, ResourceKind};
use camshaft_model::seams::{Claim, CountKey, Fence, StoreError, SummaryQuery};
use camshaft_model::summary::{Status, Summary};
use camshaft_model::time::Timestamp;
use redb::{ReadOnlyTable, ReadTransaction};

use super::codec;
use super::database::disk_error;
use super::tables;

/// Any error of redb as ours.
fn failed(error: impl Into<redb::Error>) -> StoreError {
    disk_error(error.into())
}

pub(crate) fn entries(
    transaction: &ReadTransaction,
    id: ExecutionId,
    from: Sequence,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::new();
    // Retention may have taken a part of its journal already.
    let summaries = transaction.open_table(tables::SUMMARIES).map_err(failed)?;
    if summaries.get(id.as_bytes()).map_err(failed)?.is_none() {
        return Ok(entries);
    }
    let journals = transaction.open_table(tables::JOURNALS).map_err(failed)?;
    // The row that holds `from` begins there or before.
    let mut upto = journals.range(tables::journal_key(id, 0)..=tables::journal_key(id, from)).map_err(failed)?;
    let first = match upto.next_back() {
        Some(row) => tables::journal_first(&row.map_err(failed)?.0.value()),
        None => return Ok(entries),
    };
    let rows =
        journals.range(tables::journal_key(id, first)..=tables::journal_key(id, Sequence::MAX)).map_err(failed)?;
    for row in rows {
        if entries.len() >= limit {
            break;
        }
        let (key, value) = row.map_err(failed)?;
        let skip = from.saturating_sub(tables::journal_first(&key.value()));
        if skip < codec::entries_count(value.value())? {
            let room = limit - entries.len();
            entries.extend(codec::read_entries(value.value())?.into_iter().skip(skip as usize).take(room));
        }
    }
    Ok(entries)
}

pub(crate) fn summary(transaction: &ReadTransaction, id: ExecutionId) -> Result<Option<Summary>, StoreError> {
    let summaries = transaction.open_table(tables::SUMMARIES).map_err(failed)?;
    let row = summaries.get(id.as_bytes()).map_err(failed)?;
    row.map(|row| codec::read_summary(row.value())).transpose()
}

pub(crate) fn summaries(transaction: &ReadTransaction, query: &SummaryQuery) -> Result<Vec<Summary>, StoreError> {
    let summaries = transaction.open_table(tables::SUMMARIES).map_err(failed)?;
    let mut page = Vec::new();
    if query.limit == 0 {
        return Ok(page);
    }
    if query.workspace.is_none() && query.workflow.is_none() && query.statuses.is_empty() {
        let before = query.before.map_or([u8::MAX; 16], |before| *before.as_bytes());
        for row in summaries.range(..before).map_err(failed)?.rev().take(query.limit) {
            page.push(codec::read_summary(row.map_err(failed)?.1.value())?);
        }
        return Ok(page);
    }
    let index = match query.workflow {
        Some(_) => {
            let open = transaction.open_table(tables::OPEN_BY_WORKFLOW).map_err(failed)?;
            Index { open: Some(open), ended: transaction.open_table(tables::BY_WORKFLOW).map_err(failed)? }
        }
        None => Index { open: None, ended: transaction.open_table(tables::BY_STATUS).map_err(failed)? },
    };
    for id in newest(&index, query)? {
        page.push(summary_of(&summaries, id)?);
    }
    Ok(page)
}

/// The summary of an execution that an index names.
fn summary_of(summaries: &ReadOnlyTable<[u8; 16], &'static [u8]>, id: ExecutionId) -> Result<Summary, StoreError> {
    let row = summaries.get(id.as_bytes()).map_err(failed)?;
    let row = row.ok_or_else(|| StoreError::Damaged(format!("execution {id} is in an index and has no summary")))?;
    codec::read_summary(row.value())
}

/// The keys that a list goes by.
struct Index {
    /// Those of open executions, where they have a table of their own.
    open: Option<ReadOnlyTable<&'static [u8], ()>>,
    /// Those of ended ones, or all.
    ended: ReadOnlyTable<&'static [u8], ()>,
}

impl Index {
    fn of(&self, status: Status) -> &ReadOnlyTable<&'static [u8], ()> {
        self.open.as_ref().filter(|_| !status.is_final()).unwrap_or(&self.ended)
    }

    /// The workspaces that it holds.
    fn workspaces(&self) -> Result<BTreeSet<Vec<u8>>, StoreError> {
        let mut all = workspaces(&self.ended)?;
        if let Some(open) = &self.open {
            all.extend(workspaces(open)?);
        }
        Ok(all.into_iter().collect())
    }
}

/// The newest executions of the ranges that a query asks for.
fn newest(index: &Index, query: &SummaryQuery) -> Result<Vec<ExecutionId>, StoreError> {
    let statuses: &[Status] = if query.statuses.is_empty() { &Status::ALL } else { &query.statuses };
    let workspaces = match &query.workspace {
        Some(workspace) => BTreeSet::from([workspace.as_str().as_bytes().to_vec()]),
        None => index.workspaces()?,
    };
    let mut ranges = Vec::new();
    let mut heads = BinaryHeap::new();
    for status in Status::ALL.iter().filter(|status| statuses.contains(status)) {
        for workspace in &workspaces {
            let prefix = match query.workflow {
                Some(workflow) => tables::workflow_prefix(workspace, workflow, *status),
                None => tables::status_prefix(workspace, *status),
            };
            let end = match query.before {
                Some(before) => tables::index_key(prefix.clone(), before),
                None => tables::behind(prefix.clone()).unwrap_or_else(|| vec![u8::MAX; 1]),
            };
            let mut range = index.of(*status).range::<&[u8]>(prefix.as_slice()..end.as_slice()).map_err(failed)?;
            if let Some(id) = newest_of(&mut range)? {
                heads.push((id, ranges.len()));
                ranges.push(range);
            }
        }
    }
    let mut page = Vec::new();
    while let Some((id, at)) = heads.pop() {
        page.push(id);
        if page.len() == query.limit {
            break;
        }
        if let Some(id) = newest_of(&mut ranges[at])? {
            heads.push((id, at));
        }
    }
    Ok(page)
}

fn newest_of(range: &mut redb::Range<'_, &'static [u8], ()>) -> Result<Option<ExecutionId>, StoreError> {
    let Some(row) = range.next_back() else { return Ok(None) };
    let (key, ()) = row.map(|(key, _)| (key, ())).map_err(failed)?;
    let id = tables::index_execution(key.value());
    id.map(Some).ok_or_else(|| StoreError::Damaged("a key of an index holds no execution".to_owned()))
}

/// The workspaces that a table of an index holds, by leaping from each to the first row behind it.
fn workspaces(index: &ReadOnlyTable<&'static [u8], ()>) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut workspaces: Vec<Vec<u8>> = Vec::new();
    loop {
        // Behind every row of the latest: its keys go on with NUL.
        let start = workspaces.last().map_or_else(Vec::new, |latest| [latest.as_slice(), &[1]].concat());
        match index.range::<&[u8]>(start.as_slice()..).map_err(failed)?.next() {
            None => return Ok(workspaces),
            Some(row) => workspaces.push(tables::leading_workspace(row.map_err(failed)?.0.value()).to_vec()),
        }
    }
}

/// `_lease` is for stores that several servers share: here the fence of this server holds until another one opens it.
pub(crate) fn claim(
    transaction: &ReadTransaction,
    after: Option<ExecutionId>,
    limit: usize,
    _lease: Duration,
    fence: Fence,
) -> Result<Vec<Claim>, StoreError> {
    let open = transaction.open_table(tables::OPEN).map_err(failed)?;
    let summaries = transaction.open_table(tables::SUMMARIES).map_err(failed)?;
    let mut claims = Vec::new();
    let start = match after {
        Some(after) => std::ops::Bound::Excluded(*after.as_bytes()),
        None => std::ops::Bound::Unbounded,
    };
    for row in open.range((start, std::ops::Bound::Unbounded)).map_err(failed)?.take(limit) {
        let id = ExecutionId::from_bytes(row.map_err(failed)?.0.value());
        claims.push(Claim { id, fence, summary: summary_of(&summaries, id)? });
    }
    Ok(claims)
}

pub(crate) fn delivery(
    transaction: &ReadTransaction,
    key: &DeliveryKey,
    seen_after: Timestamp,
) -> Result<Option<SeenDelivery>, StoreError> {
    let deliveries = transaction.open_table(tables::DELIVERIES).map_err(failed)?;
    let Some(row) = deliveries.get(tables::delivery_key(key).as_slice()).map_err(failed)? else { return Ok(None) };
    if codec::delivered_at(row.value())? < seen_after {
        return Ok(None);
    }
    codec::read_delivery(key.clone(), row.value()).map(Some)
}

pub(crate) fn count(transaction: &ReadTransaction, key: &CountKey) -> Result<u64, StoreError> {
    let counts = transaction.open_table(tables::COUNTS).map_err(failed)?;
    let count = counts.get(tables::count_key(key).as_slice()).map_err(failed)?;
    Ok(count.map_or(0, |count| count.value()))
}

pub(crate) fn used_bytes(transaction: &ReadTransaction) -> Result<u64, StoreError> {
    let meta = transaction.open_table(tables::META).map_err(failed)?;
    let used = meta.get(tables::USED_ROW).map_err(failed)?;
    Ok(used.map_or(0, |used| used.value()))
}

pub(crate) fn resource(transaction: &ReadTransaction, key: &ResourceKey) -> Result<Option<Resource>, StoreError> {
    let resources = transaction.open_table(tables::RESOURCES).map_err(failed)?;
    let row = resources.get(tables::resource_key(key).as_slice()).map_err(failed)?;
    row.map(|row| codec::read_resource(row.value())).transpose()
}

pub(crate) fn resources(
    transaction: &ReadTransaction,
    kind: ResourceKind,
    workspace: Option<&Name>,
    after: Option<&ResourceKey>,
    limit: usize,
) -> Result<Vec<Resource>, StoreError> {
    let resources = transaction.open_table(tables::RESOURCES).map_err(failed)?;
    let prefix = match workspace {
        Some(workspace) => tables::workspace_prefix(kind, workspace),
        None => vec![tables::kind_number(kind)],
    };
    let end = tables::behind(prefix.clone()).unwrap_or_else(|| vec![u8::MAX; 1]);
    // The least key greater than a key is that key and one NUL.
    let behind_after = after.map(|after| [tables::resource_key(after).as_slice(), &[0]].concat());
    let start = behind_after.map_or(prefix.clone(), |behind| behind.max(prefix));
    if start >= end {
        return Ok(Vec::new());
    }
    let rows = resources.range::<&[u8]>(start.as_slice()..end.as_slice()).map_err(failed)?;
    rows.take(limit).map(|row| codec::read_resource(row.map_err(failed)?.1.value())).collect()
}

pub(crate) fn blob(transaction: &ReadTransaction, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
    let blobs = transaction.open_table(tables::BLOBS).map_err(failed)?;
    let row = blobs.get(&digest.0).map_err(failed)?;
    Ok(row.map(|row| row.value().to_vec()))
}
