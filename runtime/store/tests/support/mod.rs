//! Small executions, and disks that fail.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part")]

pub mod disk;
pub mod picture;
pub mod random;

use std::sync::Arc;

use camshaft_model::entry::{Entry, Sequence};
use camshaft_model::ids::{Digest, ExecutionId, Name, ResourceId};
use camshaft_model::invocation::{DeliveryKey, Invocation, RevisionRef, SeenDelivery, TriggerSource};
use camshaft_model::outcome::{Ending, Outcome};
use camshaft_model::resource::{Change, Expect, Resource, ResourceKey, ResourceKind};
use camshaft_model::seams::{Append, Count, CountKey, Fence, JournalAppend, StoreError};
use camshaft_model::summary::{Status, Summary};
use camshaft_model::time::{Period, Timestamp};
use camshaft_model::{Value, json};
use camshaft_store::RedbStore;
use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableHandle};

use self::disk::FaultyDisk;

/// So small that scripts of a few commits fill both halves, and exceed one.
pub const LOG_BYTES: u64 = 128 << 10;

/// The store on a disk.
pub fn open(disk: FaultyDisk) -> Result<RedbStore, StoreError> {
    RedbStore::open_with(disk.clone(), disk.log(), LOG_BYTES)
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Ids in the order of their numbers, as if each was made a millisecond after the one before.
pub fn execution_id(number: u64) -> ExecutionId {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&(0x0190_0000_0000 + number).to_be_bytes()[2..]);
    bytes[6] = 0x70;
    bytes[8] = 0x80;
    bytes[15] = 1;
    ExecutionId::from_bytes(bytes)
}

pub fn workflow_id(number: u8) -> ResourceId {
    ResourceId::from_bytes([number; 16])
}

/// What varies between the executions of a test.
#[derive(Debug, Clone)]
pub struct Run {
    pub id: ExecutionId,
    pub workspace: Name,
    pub workflow: u8,
    pub event: Value,
    pub ended_at: Timestamp,
}

impl Run {
    pub fn new(number: u64) -> Self {
        Self {
            id: execution_id(number),
            workspace: name("default"),
            workflow: 1,
            event: json!({"n": number}),
            ended_at: Timestamp(2),
        }
    }

    pub fn revision(&self) -> RevisionRef {
        RevisionRef { workflow_id: workflow_id(self.workflow), workflow: name("orders"), revision: 1 }
    }

    pub fn invocation(&self) -> Invocation {
        Invocation {
            id: self.id,
            workspace: self.workspace.clone(),
            revision: self.revision(),
            environment: name("production"),
            trigger: TriggerSource::Webhook { integration: name("github") },
            event: Arc::new(self.event.clone()),
            params: Arc::new(json!({})),
            connection: Arc::default(),
            env: Arc::default(),
            labels: Default::default(),
            request_id: None,
            test: false,
            parent: None,
            repeats: None,
            time_limit: None,
        }
    }

    pub fn summary(&self, status: Status) -> Summary {
        Summary {
            id: self.id,
            workspace: self.workspace.clone(),
            revision: self.revision(),
            environment: name("production"),
            trigger: TriggerSource::Webhook { integration: name("github") },
            status,
            accepted_at: Timestamp(1),
            started_at: None,
            updated_at: Timestamp(2),
            ended_at: status.is_final().then_some(self.ended_at),
            failure: None,
            labels: Default::default(),
            connection: None,
            test: false,
            parent: None,
            repeats: None,
            outlook: Default::default(),
        }
    }

    pub fn accepted(&self) -> Arc<Entry> {
        Arc::new(Entry::Accepted { time: Timestamp(1), invocation: Arc::new(self.invocation()) })
    }

    pub fn started(&self) -> Arc<Entry> {
        Arc::new(Entry::Started { time: Timestamp(1) })
    }

    pub fn ended(&self) -> Arc<Entry> {
        let outcome = Outcome {
            ending: Ending::Succeeded,
            output: Arc::new(json!({"id": self.id.to_string()})),
            exit: None,
            failure: None,
            step: None,
        };
        Arc::new(Entry::Ended { time: Timestamp(2), outcome: Arc::new(outcome) })
    }

    pub fn journal(&self, fence: Fence, from: Sequence, entries: Vec<Arc<Entry>>, status: Status) -> JournalAppend {
        JournalAppend { id: self.id, fence, from, entries, summary: self.summary(status) }
    }

    /// The whole execution at once.
    pub fn at_once(&self, fence: Fence) -> Append {
        let entries = vec![self.accepted(), self.started(), self.ended()];
        Append { journals: vec![self.journal(fence, 0, entries, Status::Succeeded)], ..Append::default() }
    }

    /// Only its acceptance.
    pub fn accept(&self, fence: Fence) -> Append {
        Append { journals: vec![self.journal(fence, 0, vec![self.accepted()], Status::Accepted)], ..Append::default() }
    }

    /// The rest behind its acceptance.
    pub fn finish(&self, fence: Fence) -> Append {
        let entries = vec![self.started(), self.ended()];
        Append { journals: vec![self.journal(fence, 1, entries, Status::Succeeded)], ..Append::default() }
    }
}

/// Bytes of all keys and values on a disk, as redb itself counts them. No store may have it open.
pub fn measured(disk: &disk::FaultyDisk) -> u64 {
    let database = Database::builder().create_with_backend(disk.clone()).unwrap();
    let transaction = database.begin_read().unwrap();
    let tables = transaction.list_tables().unwrap().filter(|table| table.name() != "meta");
    tables.map(|table| transaction.open_untyped_table(table).unwrap().stats().unwrap().stored_bytes()).sum()
}

pub fn delivery_key(id: &str) -> DeliveryKey {
    DeliveryKey { workspace: name("default"), scope: "integration/github".to_owned(), id: id.to_owned() }
}

/// A delivery that came at a time and started an execution.
pub fn delivery(id: &str, at: u64, started: &Run) -> SeenDelivery {
    SeenDelivery {
        key: delivery_key(id),
        body: Digest([7; 32]),
        at: Timestamp(at),
        executions: vec![(name("orders"), started.id)],
    }
}

/// A counter of a workflow: of the month where `number` is even, of the day where it is odd, each number later than those before.
pub fn count_key(number: u64, workflow: u8) -> CountKey {
    let time = Timestamp(number / 2 * 40 * 86_400_000_000);
    let period = if number.is_multiple_of(2) { Period::month(time) } else { Period::day(time) };
    CountKey { period, owner: workflow_id(workflow) }
}

/// One more in that counter.
pub fn count(number: u64, workflow: u8, limit: u64) -> Count {
    Count { key: count_key(number, workflow), limit }
}

pub fn resource_key(kind: ResourceKind, workspace: &str, text: &str) -> ResourceKey {
    ResourceKey { kind, workspace: name(workspace), name: text.to_owned() }
}

pub fn put(key: ResourceKey, spec: Value, time: u64, expect: Expect) -> Change {
    let resource = Resource {
        key,
        id: workflow_id(9),
        generation: 0,
        spec,
        created_at: Timestamp(time),
        updated_at: Timestamp(time),
    };
    Change::Put { resource, expect }
}
