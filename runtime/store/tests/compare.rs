//! One seeded script drives the store on disk and the one in memory, and compares every answer.

mod support;

use std::time::Duration;

use camshaft_model::ids::Digest;
use camshaft_model::json;
use camshaft_model::resource::{Change, Expect, ResourceKey, ResourceKind};
use camshaft_model::seams::{Append, CountKey, Fence, Prune, Store, StoreError, SummaryQuery};
use camshaft_model::summary::Status;
use camshaft_model::time::Timestamp;
use camshaft_store::MemoryStore;

use crate::support::disk::{FaultyDisk, Loss};
use crate::support::picture::{Known, difference, picture};
use crate::support::random::{Random, seeds};
use crate::support::{
    Run, count, count_key, delivery, delivery_key, measured, name, open, put, resource_key, workflow_id,
};

const STEPS: usize = 400;
const EXECUTIONS: usize = 24;

#[tokio::test]
async fn the_store_on_disk_answers_as_the_one_in_memory() {
    for seed in seeds(0..24) {
        println!("seed {seed}");
        Script::new(seed).run().await;
    }
}

/// An operation on a store.
#[derive(Debug, Clone)]
enum Operation {
    Append(Append),
    Entries(usize, u64, usize),
    Summary(usize),
    Summaries(SummaryQuery),
    Claim(Option<usize>, usize),
    Delivery(usize, u64),
    Forget(u64, usize),
    Count(CountKey),
    ForgetCounts(CountKey, usize),
    Prune(Prune),
    Change(Vec<Change>),
    Resource(ResourceKey),
    Resources(ResourceKind, Option<&'static str>, Option<ResourceKey>, usize),
    PutBlob(u8),
    Blob(u8),
}

struct Script {
    random: Random,
    runs: Vec<Run>,
    /// How many entries each execution has, as far as the script knows.
    lengths: Vec<u64>,
    now: u64,
}

impl Script {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let runs = (0..EXECUTIONS).map(|number| {
            let mut run = Run::new(number as u64);
            run.workspace = name(random.pick::<&str>(&["default", "default", "other", "d"]));
            run.workflow = 1 + random.below(2) as u8;
            run.ended_at = Timestamp(random.below(400) as u64);
            run
        });
        Self { runs: runs.collect(), random, lengths: vec![0; EXECUTIONS], now: 1 }
    }

    async fn run(mut self) {
        let mut disk = FaultyDisk::default();
        let mut store = open(disk.clone()).unwrap();
        let mut reference = MemoryStore::new();
        for step in 0..STEPS {
            if self.random.once_in(60) {
                let number = (self.random.below(1 << 32) as u64) << 32 | self.random.below(1 << 32) as u64;
                let left = disk.after(*self.random.pick(&[Loss::Nothing, Loss::Unsynced, Loss::Some(number)]));
                drop(store);
                // Closed, or without power.
                if self.random.once_in(2) {
                    disk = left;
                }
                store = open(disk.clone()).unwrap();
                reference = reference.restarted();
            }
            assert_eq!(store.fence(), reference.fence());
            let operation = self.operation(store.fence());
            let (got, expected) =
                (self.carry_out(&store, &operation).await, self.carry_out(&reference, &operation).await);
            assert_eq!(got, expected, "step {step}: {operation:?}");
            if got == "Ok(())"
                && let Operation::Append(append) = &operation
            {
                for journal in &append.journals {
                    let at = self.runs.iter().position(|run| run.id == journal.id).unwrap();
                    self.lengths[at] += journal.entries.len() as u64;
                }
            }
            if matches!(operation, Operation::Prune(_)) {
                for (run, length) in self.runs.iter().zip(&mut self.lengths) {
                    *length = reference.entries(run.id, 0, usize::MAX).await.unwrap().len() as u64;
                }
            }
        }
        let known = Known {
            executions: self.runs.iter().map(|run| run.id).collect(),
            deliveries: (0..8).map(|number| delivery_key(&number.to_string())).collect(),
            blobs: (0..3).map(|number| Digest([number; 32])).collect(),
            counts: (0..6).flat_map(|number| [count_key(number, 1), count_key(number, 2)]).collect(),
        };
        let (got, expected) = (picture(&store, &known).await, picture(&reference, &known).await);
        assert!(got == expected, "{}", difference(&got, &expected));
        let size = store.size().await.unwrap();
        drop(store);
        assert_eq!(size.used_bytes, measured(&disk));
    }

    fn operation(&mut self, fence: Fence) -> Operation {
        self.now += self.random.below(3) as u64;
        let random = &mut self.random;
        match random.below(20) {
            0..=5 => Operation::Append(self.append(fence)),
            6 => Operation::Entries(random.below(EXECUTIONS), random.below(6) as u64, random.below(5)),
            7 => Operation::Summary(random.below(EXECUTIONS)),
            8 | 9 => Operation::Summaries(self.query()),
            10 => Operation::Claim(random.once_in(2).then(|| random.below(EXECUTIONS)), random.below(6)),
            11 => Operation::Delivery(random.below(8), self.now.saturating_sub(random.below(40) as u64)),
            12 => Operation::Forget(self.now.saturating_sub(random.below(60) as u64), random.below(4)),
            13 | 14 => Operation::Change((0..1 + random.below(3)).map(|_| self.change()).collect()),
            17 => Operation::Count(self.count_key()),
            18 => {
                let limit = random.below(4);
                Operation::ForgetCounts(self.count_key(), limit)
            }
            19 => Operation::Prune(Prune {
                ended_before: Timestamp(self.now.saturating_sub(random.below(60) as u64)),
                limit: random.below(5),
                entries: 1_000,
            }),
            15 if random.once_in(2) => Operation::Resource(self.key()),
            15 => {
                let kind = *random.pick(&[ResourceKind::Workflow, ResourceKind::Plugin]);
                let workspace = *random.pick(&[None, Some("default"), Some("other")]);
                let limit = random.below(5);
                let after = self.random.once_in(2).then(|| self.key());
                Operation::Resources(kind, workspace, after, limit)
            }
            _ if random.once_in(2) => Operation::PutBlob(random.below(3) as u8),
            _ => Operation::Blob(random.below(3) as u8),
        }
    }

    /// Entries of up to three executions, some twice in one append, some at the wrong place or with an old fence.
    fn append(&mut self, fence: Fence) -> Append {
        let mut lengths = self.lengths.clone();
        let mut journals = Vec::new();
        for _ in 0..1 + self.random.below(3) {
            let at = self.random.below(EXECUTIONS);
            let run = &self.runs[at];
            let count = self.random.below(4) as u64;
            let entries = [run.accepted(), run.started(), run.ended()].into_iter().take(count as usize).collect();
            let from = if self.random.once_in(12) { lengths[at] + 1 } else { lengths[at] };
            let fence = if self.random.once_in(40) { Fence(fence.0 - 1) } else { fence };
            let status = *self.random.pick(&Status::ALL);
            journals.push(run.journal(fence, from, entries, status));
            lengths[at] += count;
        }
        let delivery = self.random.once_in(2).then(|| {
            let seen = delivery(&self.random.below(8).to_string(), self.now, &self.runs[0]);
            (seen, Timestamp(self.now.saturating_sub(self.random.below(30) as u64)))
        });
        let random = &mut self.random;
        let counts = if random.once_in(2) { 0 } else { random.below(4) };
        let counts =
            (0..counts).map(|_| count(random.below(6) as u64, 1 + random.below(2) as u8, random.below(12) as u64));
        let counts = counts.collect();
        let changes = if self.random.once_in(2) { 0 } else { self.random.below(3) };
        let changes = (0..changes).map(|_| self.change()).collect();
        Append { journals, delivery, counts, changes }
    }

    fn count_key(&mut self) -> CountKey {
        count_key(self.random.below(6) as u64, 1 + self.random.below(2) as u8)
    }

    fn query(&mut self) -> SummaryQuery {
        let random = &mut self.random;
        SummaryQuery {
            workspace: random.once_in(2).then(|| name(random.pick::<&str>(&["default", "other", "d", "nobody"]))),
            workflow: random.once_in(2).then(|| workflow_id(1 + random.below(3) as u8)),
            statuses: (0..random.below(4)).map(|_| *random.pick(&Status::ALL)).collect(),
            before: random.once_in(2).then(|| self.runs[random.below(EXECUTIONS)].id),
            limit: random.below(8),
        }
    }

    fn key(&mut self) -> ResourceKey {
        let kind = *self.random.pick(&[ResourceKind::Workflow, ResourceKind::Plugin]);
        let workspace = *self.random.pick(&["default", "other"]);
        resource_key(kind, workspace, self.random.pick::<&str>(&["a", "a/1", "ab", "ä"]))
    }

    fn change(&mut self) -> Change {
        let key = self.key();
        let expect = match self.random.below(3) {
            0 => Expect::Any,
            1 => Expect::Absent,
            _ => Expect::Generation(self.random.below(4) as u64),
        };
        match self.random.once_in(4) {
            true => Change::Delete { key, expect },
            false => put(key, json!({"n": self.random.below(100)}), self.now, expect),
        }
    }

    /// The answer as text.
    async fn carry_out(&self, store: &dyn Store, operation: &Operation) -> String {
        fn text<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> String {
            format!("{answer:?}")
        }
        let id = |at: usize| self.runs[at].id;
        match operation.clone() {
            Operation::Append(append) => text(store.append(append).await),
            Operation::Entries(at, from, limit) => text(store.entries(id(at), from, limit).await),
            Operation::Summary(at) => text(store.summary(id(at)).await),
            Operation::Summaries(query) => text(store.summaries(query).await),
            Operation::Claim(after, limit) => text(store.claim(after.map(id), limit, Duration::ZERO).await),
            Operation::Delivery(number, after) => {
                text(store.delivery(&delivery_key(&number.to_string()), Timestamp(after)).await)
            }
            Operation::Forget(before, limit) => text(store.forget_deliveries(Timestamp(before), limit).await),
            Operation::Count(key) => text(store.count(&key).await),
            Operation::ForgetCounts(key, limit) => text(store.forget_counts(&key.period, limit).await),
            Operation::Prune(prune) => {
                // How many bytes a row takes is each store's own affair.
                text(store.prune(prune).await.map(|pruned| (pruned.executions, pruned.more)))
            }
            Operation::Change(changes) => text(store.change(changes).await),
            Operation::Resource(key) => text(store.resource(key).await),
            Operation::Resources(kind, workspace, after, limit) => {
                text(store.resources(kind, workspace.map(name), after, limit).await)
            }
            Operation::PutBlob(number) => text(store.put_blob(Digest([number; 32]), vec![number; 9000]).await),
            Operation::Blob(number) => text(store.blob(Digest([number; 32])).await),
        }
    }
}
