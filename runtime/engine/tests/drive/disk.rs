//! A store in memory, whose every append is a place where a crash can cut.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use camshaft_model::entry::{Entry, Sequence};
use camshaft_model::ids::{Digest, ExecutionId, Name};
use camshaft_model::invocation::{DeliveryKey, SeenDelivery};
use camshaft_model::resource::{Change, Resource, ResourceKey, ResourceKind};
use camshaft_model::seams::*;
use camshaft_model::summary::{Status, Summary};
use camshaft_model::time::{Period, Timestamp};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Notify;

/// What a disk would hold. Every append is one element of `log`, so that a crash can cut between any two.
#[derive(Default)]
pub struct Disk {
    kept: Mutex<Kept>,
    pub broken: AtomicBool,
    /// Journals that cannot be read just now.
    pub unreadable: AtomicBool,
    /// Journals read so far.
    pub reads: AtomicUsize,
    delay: Mutex<Option<Arc<Notify>>>,
}

/// The log, and what follows from it.
#[derive(Default)]
struct Kept {
    log: Vec<Append>,
    journals: HashMap<ExecutionId, Vec<Arc<Entry>>>,
    summaries: BTreeMap<ExecutionId, Summary>,
    seen: Vec<SeenDelivery>,
    counts: BTreeMap<CountKey, u64>,
}

impl Kept {
    fn take(&mut self, append: Append) {
        for journal in &append.journals {
            self.journals.entry(journal.id).or_default().extend(journal.entries.iter().cloned());
            self.summaries.insert(journal.id, journal.summary.clone());
        }
        self.seen.extend(append.delivery.iter().map(|(seen, _)| seen.clone()));
        for count in &append.counts {
            *self.counts.entry(count.key.clone()).or_default() += 1;
        }
        self.log.push(append);
    }

    /// The first counter that the append would take beyond its limit.
    fn over(&self, append: &Append) -> Option<Count> {
        let mut counts = self.counts.clone();
        append.counts.iter().find_map(|count| {
            let reached = counts.entry(count.key.clone()).or_default();
            *reached += 1;
            (*reached > count.limit).then(|| count.clone())
        })
    }

    fn seen(&self, key: &DeliveryKey) -> Option<SeenDelivery> {
        self.seen.iter().find(|seen| seen.key == *key).cloned()
    }
}

impl Disk {
    /// A disk as a crash after the first `appends` appends leaves it.
    pub fn cut(&self, appends: usize) -> Arc<Self> {
        let mut kept = Kept::default();
        self.kept.lock().unwrap().log[..appends].iter().for_each(|append| kept.take(append.clone()));
        Arc::new(Self { kept: Mutex::new(kept), ..Self::default() })
    }

    /// As retention does with what has ended.
    pub fn forget(&self, id: ExecutionId) {
        let mut kept = self.kept.lock().unwrap();
        kept.journals.remove(&id);
        kept.summaries.remove(&id);
    }

    pub fn journal(&self, id: ExecutionId) -> Vec<Entry> {
        let kept = self.kept.lock().unwrap();
        kept.journals.get(&id).into_iter().flatten().map(|entry| (**entry).clone()).collect()
    }

    /// The words of its entries.
    pub fn words(&self, id: ExecutionId) -> Vec<&'static str> {
        self.journal(id).iter().map(Entry::word).collect()
    }

    pub fn appends(&self) -> usize {
        self.kept.lock().unwrap().log.len()
    }

    /// Every append, in their order.
    pub fn log(&self) -> Vec<Append> {
        self.kept.lock().unwrap().log.clone()
    }

    /// Every execution, in their order.
    pub fn summaries(&self) -> BTreeMap<ExecutionId, Summary> {
        self.kept.lock().unwrap().summaries.clone()
    }

    /// The next append waits until it is told to go on.
    pub fn delay(&self) -> Arc<Notify> {
        let gate = Arc::new(Notify::new());
        *self.delay.lock().unwrap() = Some(gate.clone());
        gate
    }

    pub fn status(&self, id: ExecutionId) -> Option<Status> {
        self.kept.lock().unwrap().summaries.get(&id).map(|summary| summary.status)
    }

    pub fn counted(&self, period: &Period) -> u64 {
        let kept = self.kept.lock().unwrap();
        kept.counts.iter().filter(|(key, _)| key.period == *period).map(|(_, count)| count).sum()
    }
}

impl Store for Disk {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let delay = self.delay.lock().unwrap().take();
            if let Some(gate) = delay {
                gate.notified().await;
            }
            if self.broken.load(Ordering::SeqCst) {
                return Err(StoreError::Unavailable("the disk is full".into()));
            }
            let mut kept = self.kept.lock().unwrap();
            if let Some(seen) = append.delivery.as_ref().and_then(|(seen, _)| kept.seen(&seen.key)) {
                return Err(StoreError::Duplicate(Box::new(seen)));
            }
            if let Some(Count { key, limit }) = kept.over(&append) {
                return Err(StoreError::LimitReached { key, limit });
            }
            for journal in &append.journals {
                let durable = kept.journals.get(&journal.id).map_or(0, Vec::len);
                assert_eq!(journal.from, durable as u64, "entries follow those on disk");
            }
            kept.take(append);
            Ok(())
        }
        .boxed()
    }
    fn entries(&self, id: ExecutionId, from: Sequence, limit: usize) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        async move {
            self.reads.fetch_add(1, Ordering::SeqCst);
            if self.unreadable.load(Ordering::SeqCst) {
                return Err(StoreError::Unavailable("the disk does not answer".into()));
            }
            Ok(self.journal(id).into_iter().skip(from as usize).take(limit).collect())
        }
        .boxed()
    }
    fn summary(&self, id: ExecutionId) -> BoxFuture<'_, Result<Option<Summary>, StoreError>> {
        async move { Ok(self.summaries().remove(&id)) }.boxed()
    }
    fn summaries(&self, _: SummaryQuery) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>> {
        async move { Ok(self.summaries().into_values().collect()) }.boxed()
    }
    fn claim(
        &self,
        after: Option<ExecutionId>,
        limit: usize,
        _: Duration,
    ) -> BoxFuture<'_, Result<Vec<Claim>, StoreError>> {
        async move {
            let open = self.summaries().into_values().filter(|s| !s.status.is_final() && Some(s.id) > after);
            Ok(open.take(limit).map(|s| Claim { id: s.id, fence: Fence(1), summary: s }).collect())
        }
        .boxed()
    }
    fn fence(&self) -> Fence {
        Fence(1)
    }
    fn delivery(&self, key: &DeliveryKey, _: Timestamp) -> BoxFuture<'_, Result<Option<SeenDelivery>, StoreError>> {
        let seen = self.kept.lock().unwrap().seen(key);
        async move { Ok(seen) }.boxed()
    }
    fn forget_deliveries(&self, _: Timestamp, _: usize) -> BoxFuture<'_, Result<usize, StoreError>> {
        async { Ok(0) }.boxed()
    }
    fn count(&self, key: &CountKey) -> BoxFuture<'_, Result<u64, StoreError>> {
        let count = self.kept.lock().unwrap().counts.get(key).copied().unwrap_or_default();
        async move { Ok(count) }.boxed()
    }
    fn forget_counts(&self, _: &Period, _: usize) -> BoxFuture<'_, Result<usize, StoreError>> {
        unreachable!("the engine forgets no counters")
    }
    fn prune(&self, _: Prune) -> BoxFuture<'_, Result<Pruned, StoreError>> {
        unreachable!("the engine forgets no executions")
    }
    fn size(&self) -> BoxFuture<'_, Result<StoreSize, StoreError>> {
        unreachable!("the engine measures nothing")
    }
    fn snapshot(&self) -> BoxFuture<'_, Result<Snapshot, StoreError>> {
        unreachable!("the engine copies nothing")
    }
    fn change(&self, _: Vec<Change>) -> BoxFuture<'_, Result<Vec<Option<Resource>>, StoreError>> {
        unreachable!("the engine changes no resources")
    }
    fn resource(&self, _: ResourceKey) -> BoxFuture<'_, Result<Option<Resource>, StoreError>> {
        unreachable!("the engine reads no resources")
    }
    fn resources(
        &self,
        _: ResourceKind,
        _: Option<Name>,
        _: Option<ResourceKey>,
        _: usize,
    ) -> BoxFuture<'_, Result<Vec<Resource>, StoreError>> {
        unreachable!("the engine reads no resources")
    }
    fn put_blob(&self, _: Digest, _: Vec<u8>) -> BoxFuture<'_, Result<(), StoreError>> {
        unreachable!("the engine keeps no blobs")
    }
    fn blob(&self, _: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        unreachable!("the engine reads no blobs")
    }
    fn healthy(&self) -> bool {
        !self.broken.load(Ordering::SeqCst)
    }
}
