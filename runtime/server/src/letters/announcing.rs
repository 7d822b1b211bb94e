//! A [`Store`] around the store, for the engine: what is appended takes its letters along.

use std::sync::Arc;
use std::time::Duration;

use camshaft_model::entry::{Entry, Sequence};
use camshaft_model::ids::{Digest, ExecutionId, Name};
use camshaft_model::invocation::{DeliveryKey, SeenDelivery};
use camshaft_model::resource::{Change, Resource, ResourceKey, ResourceKind};
use camshaft_model::seams::{
    Append, Claim, CountKey, Fence, Prune, Pruned, Snapshot, Store, StoreError, StoreSize, SummaryQuery,
};
use camshaft_model::summary::Summary;
use camshaft_model::time::Period;
use camshaft_model::time::Timestamp;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Letters, letter, put};

/// The store, with letters.
pub struct Announcing {
    inner: Arc<dyn Store>,
    letters: Arc<Letters>,
}

impl Announcing {
    /// Writes the letters of what is appended through it.
    pub fn new(inner: Arc<dyn Store>, letters: Arc<Letters>) -> Self {
        Self { inner, letters }
    }

    async fn append_with_letters(
        inner: Arc<dyn Store>,
        letters: Arc<Letters>,
        mut append: Append,
    ) -> Result<(), StoreError> {
        let made = letters.made(&append).await?;
        let now = letters.parts.clock.now();
        append.changes.extend(
            made.iter().map(|made| put(letter::resource(&made.workspace, made.subscription, made.id, &made.spec, now))),
        );
        inner.append(append).await?;
        letters.announce(&made);
        Ok(())
    }
}

impl Store for Announcing {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<(), StoreError>> {
        if !self.letters.concerns(&append) {
            return self.inner.append(append);
        }
        // Whoever appends may stop waiting when the letters are durable and nobody has been told to send them.
        let appending = tokio::spawn(Self::append_with_letters(self.inner.clone(), self.letters.clone(), append));
        let broken_off = |error| StoreError::Unavailable(format!("an append was broken off: {error}"));
        appending.map(move |appended| appended.unwrap_or_else(|error| Err(broken_off(error)))).boxed()
    }

    fn entries(&self, id: ExecutionId, from: Sequence, limit: usize) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        self.inner.entries(id, from, limit)
    }

    fn summary(&self, id: ExecutionId) -> BoxFuture<'_, Result<Option<Summary>, StoreError>> {
        self.inner.summary(id)
    }

    fn summaries(&self, query: SummaryQuery) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>> {
        self.inner.summaries(query)
    }

    fn claim(
        &self,
        after: Option<ExecutionId>,
        limit: usize,
        lease: Duration,
    ) -> BoxFuture<'_, Result<Vec<Claim>, StoreError>> {
        self.inner.claim(after, limit, lease)
    }

    fn fence(&self) -> Fence {
        self.inner.fence()
    }

    fn delivery(
        &self,
        key: &DeliveryKey,
        seen_after: Timestamp,
    ) -> BoxFuture<'_, Result<Option<SeenDelivery>, StoreError>> {
        self.inner.delivery(key, seen_after)
    }

    fn forget_deliveries(&self, before: Timestamp, limit: usize) -> BoxFuture<'_, Result<usize, StoreError>> {
        self.inner.forget_deliveries(before, limit)
    }

    fn count(&self, key: &CountKey) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.inner.count(key)
    }

    fn forget_counts(&self, before: &Period, limit: usize) -> BoxFuture<'_, Result<usize, StoreError>> {
        self.inner.forget_counts(before, limit)
    }

    fn prune(&self, prune: Prune) -> BoxFuture<'_, Result<Pruned, StoreError>> {
        self.inner.prune(prune)
    }

    fn size(&self) -> BoxFuture<'_, Result<StoreSize, StoreError>> {
        self.inner.size()
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Snapshot, StoreError>> {
        self.inner.snapshot()
    }

    fn change(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<Vec<Option<Resource>>, StoreError>> {
        self.inner.change(changes)
    }

    fn resource(&self, key: ResourceKey) -> BoxFuture<'_, Result<Option<Resource>, StoreError>> {
        self.inner.resource(key)
    }

    fn resources(
        &self,
        kind: ResourceKind,
        workspace: Option<Name>,
        after: Option<ResourceKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Resource>, StoreError>> {
        self.inner.resources(kind, workspace, after, limit)
    }

    fn put_blob(&self, digest: Digest, bytes: Vec<u8>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.put_blob(digest, bytes)
    }

    fn blob(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        self.inner.blob(digest)
    }

    fn healthy(&self) -> bool {
        self.inner.healthy()
    }
}
