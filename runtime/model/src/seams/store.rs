//! Durability: journals, what is derived from them, and resources.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::entry::{Entry, Sequence};
use crate::ids::{Digest, ExecutionId, Name, ResourceId};
use crate::invocation::SeenDelivery;
use crate::resource::{Change, Resource, ResourceKey, ResourceKind};
use crate::summary::{Status, Summary};
use crate::time::{Period, Timestamp};

/// What the store could not do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The disk or the database refused. Nothing of the call is durable.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// What is stored cannot be read.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// A change expected another generation.
    #[error("{} `{}` has generation {found}, not the expected one", .key.kind.as_str(), .key.name)]
    Conflict {
        /// The resource.
        key: ResourceKey,
        /// Its generation; 0 where there is none.
        found: u64,
    },
    /// The delivery was seen before; nothing of the append is durable.
    #[error("delivery `{}` was seen before", .0.key.id)]
    Duplicate(Box<SeenDelivery>),
    /// Another server took the execution over: the fence is too old. Nothing of the append is durable.
    #[error("execution {0} is driven by another server")]
    Fenced(ExecutionId),
    /// A counter of the append stands at its limit. Nothing of the append is durable.
    #[error("{} has reached its limit of {limit} for {}", .key.owner, .key.period)]
    LimitReached {
        /// The counter.
        key: CountKey,
        /// What it may not go beyond.
        limit: u64,
    },
}

/// A right to append to an execution, which ends when another server is given a newer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fence(pub u64);

/// Entries of one execution, to be appended together.
#[derive(Debug, Clone)]
pub struct JournalAppend {
    /// The execution.
    pub id: ExecutionId,
    /// The right to do so.
    pub fence: Fence,
    /// The sequence of the first entry; must be what follows the latest durable one.
    pub from: Sequence,
    /// The entries.
    pub entries: Vec<Arc<Entry>>,
    /// The execution as lists show it after these entries.
    pub summary: Summary,
}

/// What is counted: the executions of a workflow, a workspace or the instance in a period. Ordered by period first, so that old ones stand together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountKey {
    /// `day/2026-11-21`, `month/2026-11`
    pub period: Period,
    /// Whose: a workflow's id, or that of a [`Quota`](super::Quota).
    pub owner: ResourceId,
}

/// One more in a counter, as long as it stays within a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The counter; it begins at 0.
    pub key: CountKey,
    /// What it may reach and not go beyond.
    pub limit: u64,
}

/// Everything that becomes durable together, or not at all.
#[derive(Debug, Clone, Default)]
pub struct Append {
    /// Entries of one or more executions.
    pub journals: Vec<JournalAppend>,
    /// The delivery that brought them: refused as [`StoreError::Duplicate`] if its key was seen since `seen_after`.
    pub delivery: Option<(SeenDelivery, Timestamp)>,
    /// Counters that each go up by one: refused as [`StoreError::LimitReached`] where one would go beyond its limit. The
    /// same counter twice goes up by two. A delivery that was seen before is told first, and counts nothing.
    pub counts: Vec<Count>,
    /// Resources that are put or removed with them: refused as [`StoreError::Conflict`] where an expectation does not hold.
    pub changes: Vec<Change>,
}

/// Which executions a list shows, newest first.
#[derive(Debug, Clone, Default)]
pub struct SummaryQuery {
    /// Whose.
    pub workspace: Option<Name>,
    /// Of this workflow.
    pub workflow: Option<ResourceId>,
    /// In one of these; empty is any.
    pub statuses: Vec<Status>,
    /// Older than this one: the cursor of the page before.
    pub before: Option<ExecutionId>,
    /// At most so many.
    pub limit: usize,
}

/// Which ended executions are forgotten in one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prune {
    /// Those that ended before this time.
    pub ended_before: Timestamp,
    /// At most so many executions.
    pub limit: usize,
    /// About so many entries: an execution that has more goes in several calls. The first of them makes it unseen, the last
    /// one counts it.
    pub entries: usize,
}

/// What was forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many executions went.
    pub executions: usize,
    /// Bytes of keys and values that went with them.
    pub bytes: u64,
    /// Whether a further call finds something to forget.
    pub more: bool,
}

/// How large a store is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreSize {
    /// Length of its file. Freed pages are used again before it grows; not all of its bytes need stand on the disk.
    pub file_bytes: u64,
    /// Bytes of the keys and values that it keeps; what they take in the file is more.
    pub used_bytes: u64,
}

/// A copy of a store, in pieces of some hundred KiB and in a form that only the store itself reads. It ends with the last piece,
/// or with an error, behind which nothing comes.
pub type Snapshot = BoxStream<'static, Result<bytes::Bytes, StoreError>>;

/// An open execution, handed to this server to be driven.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The execution.
    pub id: ExecutionId,
    /// The right to append to it.
    pub fence: Fence,
    /// As lists show it: whoever takes it up learns its workflow and where it stands without reading its journal.
    pub summary: Summary,
}

/// Durability: journals, what is derived from them, and resources.
pub trait Store: Send + Sync {
    /// Appends atomically. When this returns `Ok`, everything in it survives a crash; when it returns an error, nothing
    /// of it will ever be seen. Many callers at once share one commit.
    fn append(&self, append: Append) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Entries of an execution from a sequence on, at most `limit`; empty where there is no such execution.
    fn entries(&self, id: ExecutionId, from: Sequence, limit: usize) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>>;
    /// One execution as lists show it.
    fn summary(&self, id: ExecutionId) -> BoxFuture<'_, Result<Option<Summary>, StoreError>>;
    /// A page of executions, newest first.
    fn summaries(&self, query: SummaryQuery) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>>;
    /// Takes up to `limit` open executions that no live server drives, for `lease`; oldest first, behind `after`. The
    /// embedded store has one server and grants at once.
    fn claim(
        &self,
        after: Option<ExecutionId>,
        limit: usize,
        lease: Duration,
    ) -> BoxFuture<'_, Result<Vec<Claim>, StoreError>>;
    /// The fence for executions that this server accepts.
    fn fence(&self) -> Fence;
    /// A delivery seen at or after a time.
    fn delivery(
        &self,
        key: &crate::invocation::DeliveryKey,
        seen_after: Timestamp,
    ) -> BoxFuture<'_, Result<Option<SeenDelivery>, StoreError>>;
    /// Forgets deliveries seen before a time, at most `limit` of them; tells how many went.
    fn forget_deliveries(&self, before: Timestamp, limit: usize) -> BoxFuture<'_, Result<usize, StoreError>>;
    /// Where a counter stands: how many appends that named it are durable; 0 where there is none.
    fn count(&self, key: &CountKey) -> BoxFuture<'_, Result<u64, StoreError>>;
    /// Forgets the counters of earlier periods of the same kind (days before a day, months before a month), oldest first, at
    /// most `limit` of them; tells how many went.
    fn forget_counts(&self, before: &Period, limit: usize) -> BoxFuture<'_, Result<usize, StoreError>>;
    /// Forgets ended executions with all that is kept of them, those that ended first before others. Open ones are never
    /// touched. One transaction: work of others goes in between two calls.
    fn prune(&self, prune: Prune) -> BoxFuture<'_, Result<Pruned, StoreError>>;
    /// How large the store is, as of what is durable.
    fn size(&self) -> BoxFuture<'_, Result<StoreSize, StoreError>>;
    /// A copy of everything as it stands at one moment: what was acknowledged before the call is in it, and of what comes
    /// later nothing. Writing goes on meanwhile; what it frees is not used again until the copy is read or dropped.
    fn snapshot(&self) -> BoxFuture<'_, Result<Snapshot, StoreError>>;

    /// Carries out all changes or none; answers with the resources as they stand after (none for a deletion). Durable
    /// when it returns. [`StoreError::Conflict`] where an expectation does not hold.
    fn change(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<Vec<Option<Resource>>, StoreError>>;
    /// One resource.
    fn resource(&self, key: ResourceKey) -> BoxFuture<'_, Result<Option<Resource>, StoreError>>;
    /// Resources of a kind in the order of their names, behind `after`, at most `limit`; of all workspaces where none is named.
    fn resources(
        &self,
        kind: ResourceKind,
        workspace: Option<Name>,
        after: Option<ResourceKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Resource>, StoreError>>;

    /// Keeps bytes under their digest. Durable when it returns; the same bytes twice are kept once.
    fn put_blob(&self, digest: Digest, bytes: Vec<u8>) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Bytes by digest.
    fn blob(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>>;
    /// True while appends can become durable; `readyz` asks.
    fn healthy(&self) -> bool;
}
