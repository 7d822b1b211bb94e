//! The store of a world: what survives a crash.

use std::sync::atomic::Ordering;
use std::time::Duration;

use camshaft_model::connection::ConnectionRef;
use camshaft_model::entry::{Entry, Sequence};
use camshaft_model::ids::{Digest, ExecutionId, Name};
use camshaft_model::invocation::{DeliveryKey, SeenDelivery};
use camshaft_model::json;
use camshaft_model::resource::{Change, Resource, ResourceKey, ResourceKind};
use camshaft_model::seams::*;
use camshaft_model::summary::Summary;
use camshaft_model::time::{Period, Timestamp};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Accepted, World};

fn summary(id: ExecutionId, one: &Accepted) -> Summary {
    let published = &one.start.published;
    let value = json!({
        "id": id, "workspace": published.workspace, "environment": published.environment, "status": one.status,
        "revision": published.revision, "trigger": one.start.trigger, "accepted_at": one.at, "updated_at": one.at,
        "connection": ConnectionRef::of(&one.start.connection),
    });
    serde_json::from_value(value).unwrap()
}

impl Store for World {
    fn delivery(
        &self,
        key: &DeliveryKey,
        seen_after: Timestamp,
    ) -> BoxFuture<'_, Result<Option<SeenDelivery>, StoreError>> {
        self.looks[0].fetch_add(1, Ordering::SeqCst);
        let found = self.store(|kept| kept.deliveries.get(key).filter(|seen| seen.at >= seen_after).cloned());
        async move { found }.boxed()
    }

    fn summary(&self, id: ExecutionId) -> BoxFuture<'_, Result<Option<Summary>, StoreError>> {
        let found = self.store(|kept| kept.executions.get(&id).map(|one| summary(id, one)));
        async move { found }.boxed()
    }

    fn summaries(&self, query: SummaryQuery) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>> {
        self.looks[1].fetch_add(1, Ordering::SeqCst);
        let found = self.store(|kept| {
            let all = kept.executions.iter().rev().map(|(id, one)| summary(*id, one));
            let wanted = all.filter(|summary| {
                Some(summary.revision.workflow_id) == query.workflow
                    && query.statuses.contains(&summary.status)
                    && query.before.is_none_or(|before| summary.id < before)
            });
            wanted.take(query.limit).collect()
        });
        async move { found }.boxed()
    }

    fn change(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<Vec<Option<Resource>>, StoreError>> {
        let changed = self.store(|kept| {
            for change in changes {
                match change {
                    Change::Put { resource, .. } => kept.resources.insert(resource.key.clone(), resource),
                    Change::Delete { key, .. } => kept.resources.remove(&key),
                };
            }
            Vec::new()
        });
        self.changes.fetch_add(1, Ordering::SeqCst);
        async move { changed }.boxed()
    }

    fn resources(
        &self,
        kind: ResourceKind,
        _: Option<Name>,
        after: Option<ResourceKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Resource>, StoreError>> {
        assert_eq!(kind, ResourceKind::Schedule);
        let found = self.store(|kept| {
            let behind = kept.resources.values().filter(|one| after.as_ref().is_none_or(|after| one.key > *after));
            behind.take(limit).cloned().collect()
        });
        async move { found }.boxed()
    }

    fn append(&self, _: Append) -> BoxFuture<'_, Result<(), StoreError>> {
        unreachable!("triggers append nothing")
    }
    fn entries(&self, _: ExecutionId, _: Sequence, _: usize) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        unreachable!("triggers read no journals")
    }
    fn claim(&self, _: Option<ExecutionId>, _: usize, _: Duration) -> BoxFuture<'_, Result<Vec<Claim>, StoreError>> {
        unreachable!("triggers claim nothing")
    }
    fn fence(&self) -> Fence {
        unreachable!("triggers append nothing")
    }
    fn forget_deliveries(&self, _: Timestamp, _: usize) -> BoxFuture<'_, Result<usize, StoreError>> {
        unreachable!("triggers forget nothing")
    }
    fn count(&self, _: &CountKey) -> BoxFuture<'_, Result<u64, StoreError>> {
        unreachable!("triggers count nothing")
    }
    fn forget_counts(&self, _: &Period, _: usize) -> BoxFuture<'_, Result<usize, StoreError>> {
        unreachable!("triggers forget nothing")
    }
    fn prune(&self, _: Prune) -> BoxFuture<'_, Result<Pruned, StoreError>> {
        unreachable!("triggers forget no executions")
    }
    fn size(&self) -> BoxFuture<'_, Result<StoreSize, StoreError>> {
        unreachable!("triggers measure nothing")
    }
    fn snapshot(&self) -> BoxFuture<'_, Result<Snapshot, StoreError>> {
        unreachable!("triggers copy nothing")
    }
    fn resource(&self, _: ResourceKey) -> BoxFuture<'_, Result<Option<Resource>, StoreError>> {
        unreachable!("records are read by the page")
    }
    fn put_blob(&self, _: Digest, _: Vec<u8>) -> BoxFuture<'_, Result<(), StoreError>> {
        unreachable!("triggers keep no bytes")
    }
    fn blob(&self, _: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        unreachable!("triggers read no bytes")
    }
    fn healthy(&self) -> bool {
        true
    }
}
