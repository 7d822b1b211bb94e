//! The store of a world, which knows of deliveries alone.

use std::time::Duration;

use camshaft_model::entry::{Entry, Sequence};
use camshaft_model::ids::{Digest, ExecutionId, Name};
use camshaft_model::invocation::{DeliveryKey, SeenDelivery};
use camshaft_model::resource::{Change, Resource, ResourceKey, ResourceKind};
use camshaft_model::seams::*;
use camshaft_model::summary::Summary;
use camshaft_model::time::{Period, Timestamp};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::World;

impl Store for World {
    fn delivery(
        &self,
        key: &DeliveryKey,
        seen_after: Timestamp,
    ) -> BoxFuture<'_, Result<Option<SeenDelivery>, StoreError>> {
        let result = match self.store_error.lock().unwrap().clone() {
            Some(error) => Err(error),
            None => Ok(self.deliveries.lock().unwrap().get(key).filter(|seen| seen.at >= seen_after).cloned()),
        };
        async move { result }.boxed()
    }

    fn append(&self, _: Append) -> BoxFuture<'_, Result<(), StoreError>> {
        unreachable!("triggers append nothing")
    }
    fn entries(&self, _: ExecutionId, _: Sequence, _: usize) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        unreachable!("triggers read no journals")
    }
    fn summary(&self, _: ExecutionId) -> BoxFuture<'_, Result<Option<Summary>, StoreError>> {
        unreachable!("triggers read no summaries")
    }
    fn summaries(&self, _: SummaryQuery) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>> {
        unreachable!("triggers read no summaries")
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
    fn change(&self, _: Vec<Change>) -> BoxFuture<'_, Result<Vec<Option<Resource>>, StoreError>> {
        unreachable!("triggers change nothing")
    }
    fn resource(&self, _: ResourceKey) -> BoxFuture<'_, Result<Option<Resource>, StoreError>> {
        unreachable!("triggers ask the directory")
    }
    fn resources(
        &self,
        _: ResourceKind,
        _: Option<Name>,
        _: Option<ResourceKey>,
        _: usize,
    ) -> BoxFuture<'_, Result<Vec<Resource>, StoreError>> {
        unreachable!("triggers ask the directory")
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
