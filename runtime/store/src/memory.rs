//! The store in maps: the reference that tests compare with, and a store for tests that need no disk.
//!
//! It says in the plainest way what a store does, and shares no code with the one on disk. Nothing in it is durable, but
//! for [`MemoryStore::restarted`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use camshaft_model::entry::{Entry, Sequence};
use camshaft_model::ids::{Digest, ExecutionId, Name};
use camshaft_model::invocation::{DeliveryKey, SeenDelivery};
use camshaft_model::resource::{Change, Expect, Resource, ResourceKey, ResourceKind};
use camshaft_model::seams::{
    Append, Claim, Count, CountKey, Fence, Prune, Pruned, Snapshot, Store, StoreError, StoreSize, SummaryQuery,
};
use camshaft_model::summary::Summary;
use camshaft_model::time::{Period, Timestamp};
use futures::future::BoxFuture;

/// A [`Store`] in memory.
#[derive(Clone)]
pub struct MemoryStore {
    kept: Arc<Mutex<Kept>>,
    fence: Fence,
}

#[derive(Default)]
struct Kept {
    journals: BTreeMap<ExecutionId, Vec<Arc<Entry>>>,
    summaries: BTreeMap<ExecutionId, Summary>,
    deliveries: BTreeMap<DeliveryKey, SeenDelivery>,
    counts: BTreeMap<CountKey, u64>,
    resources: BTreeMap<ResourceKey, Resource>,
    blobs: BTreeMap<Digest, Vec<u8>>,
    /// The newest server's.
    fence: u64,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::over(Arc::default())
    }

    /// The store as the next server finds it: the same content and a newer fence. Appends through the old one are
    /// refused from now on.
    #[must_use]
    pub fn restarted(&self) -> Self {
        Self::over(self.kept.clone())
    }

    fn over(kept: Arc<Mutex<Kept>>) -> Self {
        let fence = {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.fence += 1;
            Fence(kept.fence)
        };
        Self { kept, fence }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn append(&mut self, append: Append) -> Result<(), StoreError> {
        if let Some((seen, seen_after)) = &append.delivery
            && let Some(earlier) = self.delivery(&seen.key, *seen_after)
        {
            return Err(StoreError::Duplicate(Box::new(earlier)));
        }
        let mut lengths: BTreeMap<ExecutionId, u64> = BTreeMap::new();
        for journal in &append.journals {
            let stored = self.journals.get(&journal.id).map_or(0, Vec::len) as u64;
            let length = lengths.entry(journal.id).or_insert(stored);
            if journal.fence.0 < self.fence || journal.from != *length {
                return Err(StoreError::Fenced(journal.id));
            }
            *length += journal.entries.len() as u64;
        }
        let mut counts = self.counts.clone();
        for Count { key, limit } in append.counts {
            let count = counts.entry(key.clone()).or_default();
            if *count >= limit {
                return Err(StoreError::LimitReached { key, limit });
            }
            *count += 1;
        }
        self.change(append.changes)?;
        self.counts = counts;
        if let Some((seen, _)) = append.delivery {
            self.deliveries.insert(seen.key.clone(), seen);
        }
        for journal in append.journals {
            self.journals.entry(journal.id).or_default().extend(journal.entries);
            self.summaries.insert(journal.id, journal.summary);
        }
        Ok(())
    }

    fn delivery(&self, key: &DeliveryKey, seen_after: Timestamp) -> Option<SeenDelivery> {
        self.deliveries.get(key).filter(|seen| seen.at >= seen_after).cloned()
    }

    fn forget_deliveries(&mut self, before: Timestamp, limit: usize) -> usize {
        let old = self.deliveries.values().filter(|seen| seen.at < before);
        let old: BTreeSet<_> = old.map(|seen| (seen.at, seen.key.clone())).collect();
        let gone = old.into_iter().take(limit);
        gone.map(|(_, key)| self.deliveries.remove(&key)).count()
    }

    fn forget_counts(&mut self, before: &Period, limit: usize) -> usize {
        let old = self.counts.keys().filter(|key| key.period.kind() == before.kind() && key.period < *before);
        let gone: Vec<_> = old.take(limit).cloned().collect();
        gone.iter().map(|key| self.counts.remove(key)).count()
    }

    /// An execution goes as a whole, however many entries it has.
    fn prune(&mut self, prune: Prune) -> Pruned {
        let ended = self.summaries.values().filter(|summary| summary.status.is_final());
        let ended = ended.map(|summary| (summary.ended_at.unwrap_or(summary.updated_at), summary.id));
        let old: BTreeSet<_> = ended.filter(|(at, _)| *at < prune.ended_before).collect();
        let (mut pruned, before, mut entries) = (Pruned::default(), self.used_bytes(), 0);
        for (_, id) in &old {
            if pruned.executions >= prune.limit || entries >= prune.entries {
                break;
            }
            self.summaries.remove(id);
            entries += self.journals.remove(id).map_or(0, |journal| journal.len());
            pruned.executions += 1;
        }
        pruned.bytes = before - self.used_bytes();
        pruned.more = pruned.executions < old.len();
        pruned
    }

    /// What would be on a disk, roughly: everything as JSON.
    fn used_bytes(&self) -> u64 {
        fn length(value: &impl serde::Serialize) -> u64 {
            serde_json::to_vec(value).map_or(0, |json| json.len() as u64)
        }
        self.journals.values().map(length).sum::<u64>()
            + self.summaries.values().map(length).sum::<u64>()
            + self.deliveries.values().map(length).sum::<u64>()
            + self.resources.values().map(length).sum::<u64>()
            + self.blobs.values().map(|bytes| bytes.len() as u64).sum::<u64>()
    }

    fn summaries(&self, query: &SummaryQuery) -> Vec<Summary> {
        let newest_first = self.summaries.values().rev();
        let wanted = newest_first.filter(|summary| {
            query.workspace.as_ref().is_none_or(|workspace| *workspace == summary.workspace)
                && query.workflow.is_none_or(|workflow| workflow == summary.revision.workflow_id)
                && (query.statuses.is_empty() || query.statuses.contains(&summary.status))
                && query.before.is_none_or(|before| summary.id < before)
        });
        wanted.take(query.limit).cloned().collect()
    }

    fn change(&mut self, changes: Vec<Change>) -> Result<Vec<Option<Resource>>, StoreError> {
        let mut resources = self.resources.clone();
        let mut after = Vec::new();
        for change in changes {
            let (key, expect, put) = match change {
                Change::Put { resource, expect } => (resource.key.clone(), expect, Some(resource)),
                Change::Delete { key, expect } => (key, expect, None),
            };
            let current = resources.remove(&key);
            let found = current.as_ref().map_or(0, |current| current.generation);
            match expect {
                Expect::Any => {}
                Expect::Absent if current.is_none() => {}
                Expect::Generation(generation) if current.is_some() && generation == found => {}
                _ => return Err(StoreError::Conflict { key, found }),
            }
            let put = put.map(|mut resource| {
                resource.generation = found + 1;
                resource.created_at = current.map_or(resource.created_at, |current| current.created_at);
                resource
            });
            if let Some(resource) = &put {
                resources.insert(key, resource.clone());
            }
            after.push(put);
        }
        self.resources = resources;
        Ok(after)
    }
}

/// An answer that is there at once.
fn ready<'a, T: Send + 'a>(answer: T) -> BoxFuture<'a, T> {
    Box::pin(std::future::ready(answer))
}

impl Store for MemoryStore {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.kept().append(append) })
    }

    fn entries(&self, id: ExecutionId, from: Sequence, limit: usize) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        let kept = self.kept();
        let journal = kept.journals.get(&id).map_or(&[][..], Vec::as_slice);
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        ready(Ok(journal.iter().skip(from).take(limit).map(|entry| (**entry).clone()).collect()))
    }

    fn summary(&self, id: ExecutionId) -> BoxFuture<'_, Result<Option<Summary>, StoreError>> {
        ready(Ok(self.kept().summaries.get(&id).cloned()))
    }

    fn summaries(&self, query: SummaryQuery) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>> {
        ready(Ok(self.kept().summaries(&query)))
    }

    fn claim(
        &self,
        after: Option<ExecutionId>,
        limit: usize,
        _lease: Duration,
    ) -> BoxFuture<'_, Result<Vec<Claim>, StoreError>> {
        let kept = self.kept();
        let open = kept.summaries.values().filter(|summary| !summary.status.is_final());
        let wanted = open.filter(|summary| after.is_none_or(|after| summary.id > after)).take(limit);
        ready(Ok(wanted.map(|summary| Claim { id: summary.id, fence: self.fence, summary: summary.clone() }).collect()))
    }

    fn fence(&self) -> Fence {
        self.fence
    }

    fn delivery(
        &self,
        key: &DeliveryKey,
        seen_after: Timestamp,
    ) -> BoxFuture<'_, Result<Option<SeenDelivery>, StoreError>> {
        ready(Ok(self.kept().delivery(key, seen_after)))
    }

    fn forget_deliveries(&self, before: Timestamp, limit: usize) -> BoxFuture<'_, Result<usize, StoreError>> {
        Box::pin(async move { Ok(self.kept().forget_deliveries(before, limit)) })
    }

    fn count(&self, key: &CountKey) -> BoxFuture<'_, Result<u64, StoreError>> {
        ready(Ok(self.kept().counts.get(key).copied().unwrap_or(0)))
    }

    fn forget_counts(&self, before: &Period, limit: usize) -> BoxFuture<'_, Result<usize, StoreError>> {
        let before = before.clone();
        Box::pin(async move { Ok(self.kept().forget_counts(&before, limit)) })
    }

    fn prune(&self, prune: Prune) -> BoxFuture<'_, Result<Pruned, StoreError>> {
        Box::pin(async move { Ok(self.kept().prune(prune)) })
    }

    fn size(&self) -> BoxFuture<'_, Result<StoreSize, StoreError>> {
        let used_bytes = self.kept().used_bytes();
        ready(Ok(StoreSize { file_bytes: used_bytes, used_bytes }))
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Snapshot, StoreError>> {
        ready(Err(StoreError::Unavailable("a store in memory has no form on disk to be copied".to_owned())))
    }

    fn change(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<Vec<Option<Resource>>, StoreError>> {
        Box::pin(async move { self.kept().change(changes) })
    }

    fn resource(&self, key: ResourceKey) -> BoxFuture<'_, Result<Option<Resource>, StoreError>> {
        ready(Ok(self.kept().resources.get(&key).cloned()))
    }

    fn resources(
        &self,
        kind: ResourceKind,
        workspace: Option<Name>,
        after: Option<ResourceKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Resource>, StoreError>> {
        let kept = self.kept();
        let wanted = kept.resources.values().filter(|resource| {
            resource.key.kind == kind
                && workspace.as_ref().is_none_or(|workspace| *workspace == resource.key.workspace)
                && after.as_ref().is_none_or(|after| resource.key > *after)
        });
        ready(Ok(wanted.take(limit).cloned().collect()))
    }

    fn put_blob(&self, digest: Digest, bytes: Vec<u8>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.kept().blobs.entry(digest).or_insert(bytes);
            Ok(())
        })
    }

    fn blob(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        ready(Ok(self.kept().blobs.get(&digest).cloned()))
    }

    fn healthy(&self) -> bool {
        true
    }
}
