//! What became of the deliveries of each integration: counts, and the last that were refused. In memory only; executions
//! have their journals, and a refused delivery must cost next to nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use camshaft_model::ids::ResourceId;
use camshaft_model::lately::Lately;
use camshaft_model::limits;
use camshaft_model::seams::WebhookRequest;
use camshaft_model::time::Timestamp;

/// How many refused deliveries of an integration are remembered.
pub const REFUSALS_KEPT: usize = 20;
/// How many of these with all that came, to be looked at.
pub const REQUESTS_KEPT: usize = 5;

/// A delivery that started nothing because of what was wrong with it, or because there was no room.
#[derive(Debug, Clone)]
pub struct RefusedDelivery {
    /// When it came.
    pub time: Timestamp,
    /// The vendor's id of it, where a header named one.
    pub delivery: Option<String>,
    /// The status that it was answered with.
    pub status: u16,
    /// The message that it was answered with.
    pub reason: String,
    /// What came, of the latest [`REQUESTS_KEPT`]; none where the body was never read.
    pub request: Option<Arc<WebhookRequest>>,
    /// Bytes of the body that came; [`limits::REFUSED_BODY_BYTES_MAX`] of them are kept, and [`limits::REFUSED_BODY_BYTES_LATER`] once
    /// another was refused.
    pub body_bytes: usize,
}

/// The deliveries of one integration since the server started.
#[derive(Debug, Clone, Default)]
pub struct DeliveryCounts {
    /// All that came.
    pub received: u64,
    /// Those that were answered with success, whether they started anything or not.
    pub accepted: u64,
    /// Those that were refused.
    pub refused: u64,
    /// The latest refused ones, newest first, at most [`REFUSALS_KEPT`].
    pub last_refusals: Vec<RefusedDelivery>,
}

/// Counts for every integration that a delivery came for. Shared by the trigger URLs, which write, and the management API
/// and the metrics, which read.
#[derive(Debug, Default)]
pub struct Deliveries {
    integrations: RwLock<HashMap<ResourceId, Arc<Tally>>>,
    /// What the log was told of them: whoever sends them could fill it.
    pub(crate) lately: Lately,
}

/// The live counts of one integration.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    received: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    last_refusals: Mutex<VecDeque<RefusedDelivery>>,
}

impl Deliveries {
    /// The counts of an integration; all zero where nothing came.
    pub fn counts(&self, integration: ResourceId) -> DeliveryCounts {
        let integrations = self.integrations.read().unwrap_or_else(PoisonError::into_inner);
        integrations.get(&integration).map(|tally| tally.counts()).unwrap_or_default()
    }

    /// Forgets an integration that is no more.
    pub fn forget(&self, integration: ResourceId) {
        self.integrations.write().unwrap_or_else(PoisonError::into_inner).remove(&integration);
    }

    pub(crate) fn of(&self, integration: ResourceId) -> Arc<Tally> {
        if let Some(tally) = self.integrations.read().unwrap_or_else(PoisonError::into_inner).get(&integration) {
            return tally.clone();
        }
        self.integrations.write().unwrap_or_else(PoisonError::into_inner).entry(integration).or_default().clone()
    }
}

impl RefusedDelivery {
    /// All that came, where all of it is kept.
    pub fn whole(&self) -> Option<&WebhookRequest> {
        self.request.as_deref().filter(|request| request.body.len() == self.body_bytes)
    }
}

/// A delivery as it is kept where it is refused.
pub(crate) fn kept(request: WebhookRequest) -> Arc<WebhookRequest> {
    cut(Arc::new(request), limits::REFUSED_BODY_BYTES_MAX)
}

fn cut(mut request: Arc<WebhookRequest>, bytes: usize) -> Arc<WebhookRequest> {
    if request.body.len() > bytes {
        // A copy: a slice would keep all of it in memory.
        let body = Bytes::copy_from_slice(&request.body[..bytes]);
        Arc::make_mut(&mut request).body = body;
    }
    request
}

impl Tally {
    pub(crate) fn receive(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn accept(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refuse(&self, refused: RefusedDelivery) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let mut last = self.last_refusals.lock().unwrap_or_else(PoisonError::into_inner);
        last.truncate(REFUSALS_KEPT - 1);
        if let Some(oldest) = last.get_mut(REQUESTS_KEPT - 1) {
            oldest.request = None;
        }
        if let Some(former) = last.front_mut() {
            former.request = former.request.take().map(|request| cut(request, limits::REFUSED_BODY_BYTES_LATER));
        }
        last.push_front(refused);
    }

    fn counts(&self) -> DeliveryCounts {
        DeliveryCounts {
            received: self.received.load(Ordering::Relaxed),
            accepted: self.accepted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            last_refusals: self.last_refusals.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_refusals_are_kept_newest_first_and_no_more_than_twenty() {
        let deliveries = Deliveries::default();
        let id = ResourceId::from_bytes([1; 16]);
        let tally = deliveries.of(id);
        for n in 0..=REFUSALS_KEPT as u64 {
            tally.refuse(RefusedDelivery {
                time: Timestamp(n),
                delivery: None,
                status: 401,
                reason: String::new(),
                request: None,
                body_bytes: 0,
            });
        }
        let counts = deliveries.counts(id);
        assert_eq!(counts.refused, REFUSALS_KEPT as u64 + 1);
        let times: Vec<_> = counts.last_refusals.iter().map(|refused| refused.time.0).collect();
        assert_eq!(times, (1..=REFUSALS_KEPT as u64).rev().collect::<Vec<_>>());
        deliveries.forget(id);
        assert_eq!(deliveries.counts(id).refused, 0);
    }
}
