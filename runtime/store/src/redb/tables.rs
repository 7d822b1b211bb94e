//! The tables of the database and the keys of their rows. Nothing here reads or writes.
//!
//! ```text
//! meta          "format" | "fence" | "used"                       -> u64
//! journals      execution 16, first sequence u64                  -> the entries of one append
//! summaries     execution 16                                      -> next sequence, status, summary
//! by_workflow   workspace NUL, workflow 16, status, execution 16  -> (), of ended executions
//! open_by_workflow  the same, of open ones                        -> ()
//! by_status     workspace NUL, status, execution 16               -> ()
//! open          execution 16                                      -> ()
//! ended_at      time u64, execution 16                            -> ()
//! deliveries    lengths and texts of workspace, scope, id         -> delivery
//! delivered_at  time u64, key of `deliveries`                     -> ()
//! counts        period NUL, workflow 16                           -> u64
//! resources     kind, workspace NUL, name                         -> resource
//! blobs         digest 32                                         -> bytes
//! ```
//!
//! Numbers in keys are big-endian, so that rows stand in the order of what they name. Execution ids are ordered by time:
//! an append adds at the end of each table, and a list is the end of a range, read backwards.
//!
//! By workflow, the open ones stand in a table of their own: it stays small, and so an event that starts many workflows changes few
//! pages of it, however many executions of them are kept.

use camshaft_model::entry::Sequence;
use camshaft_model::ids::{ExecutionId, Name, ResourceId};
use camshaft_model::invocation::DeliveryKey;
use camshaft_model::resource::{ResourceKey, ResourceKind};
use camshaft_model::seams::CountKey;
use camshaft_model::summary::Status;
use camshaft_model::time::{Period, Timestamp};
use redb::{Key, TableDefinition, Value};

pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Row of `meta`: the format.
pub(crate) const FORMAT_ROW: &str = "format";
/// Row of `meta`: the fence of the latest server.
pub(crate) const FENCE_ROW: &str = "fence";
/// Row of `meta`: bytes of the keys and values of all other tables.
pub(crate) const USED_ROW: &str = "used";
pub(crate) const JOURNALS: TableDefinition<'_, [u8; 24], &[u8]> = TableDefinition::new("journals");
pub(crate) const SUMMARIES: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("summaries");
pub(crate) const BY_WORKFLOW: TableDefinition<'_, &[u8], ()> = TableDefinition::new("by_workflow");
pub(crate) const OPEN_BY_WORKFLOW: TableDefinition<'_, &[u8], ()> = TableDefinition::new("open_by_workflow");
pub(crate) const BY_STATUS: TableDefinition<'_, &[u8], ()> = TableDefinition::new("by_status");
pub(crate) const OPEN: TableDefinition<'_, [u8; 16], ()> = TableDefinition::new("open");
pub(crate) const ENDED_AT: TableDefinition<'_, [u8; 24], ()> = TableDefinition::new("ended_at");
pub(crate) const DELIVERIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("deliveries");
pub(crate) const DELIVERED_AT: TableDefinition<'_, &[u8], ()> = TableDefinition::new("delivered_at");
pub(crate) const COUNTS: TableDefinition<'_, &[u8], u64> = TableDefinition::new("counts");
pub(crate) const RESOURCES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("resources");
pub(crate) const BLOBS: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("blobs");

/// Something that is done with each table.
pub(crate) trait Visit {
    type Error;

    /// Does it with one.
    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<(), Self::Error>;
}

/// Visits every table but `meta`.
pub(crate) fn visit<T: Visit>(visitor: &mut T) -> Result<(), T::Error> {
    visitor.table(JOURNALS)?;
    visitor.table(SUMMARIES)?;
    visitor.table(BY_WORKFLOW)?;
    visitor.table(OPEN_BY_WORKFLOW)?;
    visitor.table(BY_STATUS)?;
    visitor.table(OPEN)?;
    visitor.table(ENDED_AT)?;
    visitor.table(DELIVERIES)?;
    visitor.table(DELIVERED_AT)?;
    visitor.table(COUNTS)?;
    visitor.table(RESOURCES)?;
    visitor.table(BLOBS)
}

/// Key of the entries of an append.
pub(crate) fn journal_key(id: ExecutionId, first: Sequence) -> [u8; 24] {
    let mut key = [0; 24];
    key[..16].copy_from_slice(id.as_bytes());
    key[16..].copy_from_slice(&first.to_be_bytes());
    key
}

/// The sequence in a key of `journals`.
pub(crate) fn journal_first(key: &[u8; 24]) -> Sequence {
    let mut first = [0; 8];
    first.copy_from_slice(&key[16..]);
    Sequence::from_be_bytes(first)
}

/// What rows of `by_status` begin with.
pub(crate) fn status_prefix(workspace: &[u8], status: Status) -> Vec<u8> {
    let mut key = Vec::with_capacity(workspace.len() + 18);
    key.extend_from_slice(workspace);
    key.extend_from_slice(&[0, status_number(status)]);
    key
}

/// What rows of `by_workflow` and `open_by_workflow` begin with.
pub(crate) fn workflow_prefix(workspace: &[u8], workflow: ResourceId, status: Status) -> Vec<u8> {
    let mut key = Vec::with_capacity(workspace.len() + 34);
    key.extend_from_slice(workspace);
    key.push(0);
    key.extend_from_slice(workflow.as_bytes());
    key.push(status_number(status));
    key
}

/// A key of an index: a prefix and the execution.
pub(crate) fn index_key(mut prefix: Vec<u8>, id: ExecutionId) -> Vec<u8> {
    prefix.extend_from_slice(id.as_bytes());
    prefix
}

/// The execution at the end of a key of an index.
pub(crate) fn index_execution(key: &[u8]) -> Option<ExecutionId> {
    key.last_chunk().map(|bytes| ExecutionId::from_bytes(*bytes))
}

/// Key of the index of ended executions by time.
pub(crate) fn ended_at_key(at: Timestamp, id: ExecutionId) -> [u8; 24] {
    let mut key = [0; 24];
    key[..8].copy_from_slice(&at.0.to_be_bytes());
    key[8..].copy_from_slice(id.as_bytes());
    key
}

/// The workspace that a key of an index or of a resource (behind its kind) begins with.
pub(crate) fn leading_workspace(key: &[u8]) -> &[u8] {
    key.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Key of a delivery. The id is the vendor's and may hold any byte, so lengths stand before the texts.
pub(crate) fn delivery_key(key: &DeliveryKey) -> Vec<u8> {
    let (workspace, scope, id) = (key.workspace.as_str(), key.scope.as_str(), key.id.as_str());
    let mut bytes = Vec::with_capacity(workspace.len() + scope.len() + id.len() + 8);
    for text in [workspace, scope] {
        bytes.extend_from_slice(&(text.len() as u32).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes.extend_from_slice(id.as_bytes());
    bytes
}

/// Key of the index of deliveries by time.
pub(crate) fn delivered_at_key(at: Timestamp, delivery: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(8 + delivery.len());
    key.extend_from_slice(&at.0.to_be_bytes());
    key.extend_from_slice(delivery);
    key
}

/// Key of a counter.
pub(crate) fn count_key(key: &CountKey) -> Vec<u8> {
    let period = key.period.as_str().as_bytes();
    let mut bytes = Vec::with_capacity(period.len() + 17);
    bytes.extend_from_slice(period);
    bytes.push(0);
    bytes.extend_from_slice(key.owner.as_bytes());
    bytes
}

/// The keys of counters of a kind of period before one of them.
pub(crate) fn counts_before(period: &Period) -> std::ops::Range<&[u8]> {
    period.kind().as_bytes()..period.as_str().as_bytes()
}

/// Key of a resource.
pub(crate) fn resource_key(key: &ResourceKey) -> Vec<u8> {
    let mut bytes = workspace_prefix(key.kind, &key.workspace);
    bytes.extend_from_slice(key.name.as_bytes());
    bytes
}

/// What the keys of a workspace's resources of a kind begin with.
pub(crate) fn workspace_prefix(kind: ResourceKind, workspace: &Name) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(workspace.as_str().len() + 34);
    bytes.push(kind_number(kind));
    bytes.extend_from_slice(workspace.as_str().as_bytes());
    bytes.push(0);
    bytes
}

/// The number of a kind on disk: never changed, never used again.
pub(crate) fn kind_number(kind: ResourceKind) -> u8 {
    match kind {
        ResourceKind::Workflow => 1,
        ResourceKind::Revision => 2,
        ResourceKind::Plugin => 3,
        ResourceKind::Grant => 4,
        ResourceKind::Integration => 5,
        ResourceKind::Token => 6,
        ResourceKind::Secret => 7,
        ResourceKind::Rerun => 8,
        ResourceKind::Workspace => 9,
        ResourceKind::Schedule => 10,
        ResourceKind::Environment => 11,
        ResourceKind::Subscription => 12,
        ResourceKind::Letter => 13,
        ResourceKind::Share => 14,
        ResourceKind::User => 15,
        ResourceKind::Connection => 16,
        ResourceKind::SigningKey => 17,
        ResourceKind::Tally => 18,
    }
}

/// The number of a status on disk: never changed, never used again.
pub(crate) fn status_number(status: Status) -> u8 {
    match status {
        Status::Accepted => 1,
        Status::Queued => 2,
        Status::Running => 3,
        Status::Waiting => 4,
        Status::Succeeded => 5,
        Status::Failed => 6,
        Status::Cancelled => 7,
        Status::TimedOut => 8,
        Status::Dropped => 9,
    }
}

/// The status with a number.
pub(crate) fn status_of(number: u8) -> Option<Status> {
    Status::ALL.into_iter().find(|status| status_number(*status) == number)
}

/// The least key that is greater than every key with this prefix; none where the prefix is all 0xff.
pub(crate) fn behind(mut prefix: Vec<u8>) -> Option<Vec<u8>> {
    while let Some(last) = prefix.pop() {
        if last < u8::MAX {
            prefix.push(last + 1);
            return Some(prefix);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_number_of_its_own() {
        for status in Status::ALL {
            assert_eq!(status_of(status_number(status)), Some(status));
        }
        assert_eq!(status_of(0), None);
    }

    #[test]
    fn keys_of_deliveries_do_not_run_together() {
        let key = |scope: &str, id: &str| {
            delivery_key(&DeliveryKey { workspace: Name::new("w").unwrap(), scope: scope.into(), id: id.into() })
        };
        assert_ne!(key("a", "bc"), key("ab", "c"));
        assert_ne!(key("a", "\0"), key("a\0", ""));
    }

    #[test]
    fn the_key_behind_a_prefix_skips_all_that_begin_with_it() {
        assert_eq!(behind(vec![1, 2]), Some(vec![1, 3]));
        assert_eq!(behind(vec![1, 255]), Some(vec![2]));
        assert_eq!(behind(vec![255]), None);
    }
}
