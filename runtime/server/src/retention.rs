//! Retention: what is over and old is forgotten, in the background, a little at a time.
//!
//! ```text
//!   every minute ─► deliveries whose window is over ─► counters of earlier periods
//!                ─► executions that ended too long ago ─► while too much is kept: those that ended first
//! ```
//!
//! Each arrow is many small transactions with a pause behind each, so that whoever waits for the disk waits for one of them
//! at most. Open executions are never touched.

use std::sync::Arc;
use std::time::Duration;

use camshaft_model::limits;
use camshaft_model::seams::{Clock, Prune, Pruned, Store, StoreError};
use camshaft_model::time::{Period, Timestamp};

use crate::config;
use crate::observe::Metrics;

/// Records forgotten in one transaction: deliveries, counters.
const RECORDS_AT_ONCE: usize = 1_000;
/// Executions forgotten in one transaction.
const EXECUTIONS_AT_ONCE: usize = 64;
/// Entries forgotten in one transaction, about.
const ENTRIES_AT_ONCE: usize = 2_000;
/// The pause behind a transaction.
const PAUSE: Duration = Duration::from_millis(10);
/// Counters of a day are kept for so long behind it: nothing counts in it any more, but a clock may be set back.
const DAYS_KEPT: Duration = Duration::from_secs(2 * 24 * 60 * 60);
/// Counters of a month are kept for so long behind it.
const MONTHS_KEPT: Duration = Duration::from_secs(62 * 24 * 60 * 60);

/// Forgets what is old.
pub struct Retention {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    config: config::Retention,
}

impl Retention {
    /// Nothing is forgotten yet.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, metrics: Metrics, config: config::Retention) -> Self {
        Self { store, clock, metrics, config }
    }

    /// Looks for what is old every so often, until it is dropped.
    pub async fn run(&self) {
        loop {
            self.clock.sleep_until(self.clock.now().plus(self.config.every)).await;
            if let Err(error) = self.round().await {
                // The next round tries again.
                tracing::warn!(%error, "what is old could not be forgotten");
            }
        }
    }

    async fn round(&self) -> Result<(), StoreError> {
        self.forget_deliveries().await?;
        self.forget_counts(Period::day(self.ago(DAYS_KEPT))).await?;
        self.forget_counts(Period::month(self.ago(MONTHS_KEPT))).await?;
        if let Some(age) = self.config.age {
            let gone = self.prune(self.ago(age), None).await?;
            if gone > 0 {
                tracing::info!(executions = gone, "executions were older than `retention.age` and are gone");
            }
        }
        if let Some(size) = self.config.size {
            let gone = self.prune(Timestamp(u64::MAX), Some(size)).await?;
            if gone > 0 {
                tracing::info!(
                    executions = gone,
                    "more was kept than `retention.size`; the oldest executions are gone"
                );
            }
        }
        Ok(())
    }

    async fn forget_deliveries(&self) -> Result<(), StoreError> {
        while self.store.forget_deliveries(self.ago(limits::DEDUPE_WINDOW), RECORDS_AT_ONCE).await? == RECORDS_AT_ONCE {
            self.pause().await;
        }
        Ok(())
    }

    async fn forget_counts(&self, before: Period) -> Result<(), StoreError> {
        while self.store.forget_counts(&before, RECORDS_AT_ONCE).await? == RECORDS_AT_ONCE {
            self.pause().await;
        }
        Ok(())
    }

    /// Forgets executions that ended before a time; where a size is given, only while the store keeps more. Returns how many.
    async fn prune(&self, ended_before: Timestamp, size: Option<u64>) -> Result<usize, StoreError> {
        let prune = Prune { ended_before, limit: EXECUTIONS_AT_ONCE, entries: ENTRIES_AT_ONCE };
        let mut gone = 0;
        loop {
            if let Some(size) = size
                && self.store.size().await?.used_bytes <= size
            {
                return Ok(gone);
            }
            let pruned: Pruned = self.store.prune(prune).await?;
            self.metrics.pruned(&pruned);
            gone += pruned.executions;
            if !pruned.more {
                return Ok(gone);
            }
            self.pause().await;
        }
    }

    /// So long ago, at most the beginning of time.
    fn ago(&self, duration: Duration) -> Timestamp {
        let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Timestamp(self.clock.now().0.saturating_sub(duration_us))
    }

    async fn pause(&self) {
        self.clock.sleep_until(self.clock.now().plus(PAUSE)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use camshaft_model::ids::{Digest, ExecutionId, Name, ResourceId};
    use camshaft_model::invocation::{DeliveryKey, SeenDelivery};
    use camshaft_model::json;
    use camshaft_model::seams::{Append, Count, CountKey, JournalAppend, SummaryQuery};
    use camshaft_model::summary::Status;
    use camshaft_store::MemoryStore;
    use futures::FutureExt;
    use futures::future::BoxFuture;

    use super::*;

    const DAY: u64 = 24 * HOUR;
    const HOUR: u64 = 3_600_000_000;

    /// A clock that runs by itself whenever somebody sleeps, up to a time, and stands still there.
    #[derive(Default)]
    struct RunningClock {
        now: AtomicU64,
        until: AtomicU64,
    }

    impl Clock for RunningClock {
        fn now(&self) -> Timestamp {
            Timestamp(self.now.load(Ordering::SeqCst))
        }

        fn sleep_until(&self, due: Timestamp) -> BoxFuture<'static, ()> {
            if due.0 > self.until.load(Ordering::SeqCst) {
                return std::future::pending().boxed();
            }
            self.now.fetch_max(due.0, Ordering::SeqCst);
            std::future::ready(()).boxed()
        }
    }

    struct World {
        store: Arc<MemoryStore>,
        clock: Arc<RunningClock>,
        retention: Retention,
    }

    impl World {
        fn new(age_days: Option<u64>, size: Option<u64>) -> Self {
            let (store, clock) = (Arc::new(MemoryStore::new()), Arc::new(RunningClock::default()));
            let config = config::Retention {
                age: age_days.map(|days| Duration::from_micros(days * DAY)),
                size,
                every: Duration::from_micros(HOUR),
            };
            let retention = Retention::new(store.clone(), clock.clone(), Metrics::install().unwrap(), config);
            Self { store, clock, retention }
        }

        /// Lets the time go on and retention with it.
        fn run_until(&self, time_us: u64) {
            self.clock.until.store(time_us, Ordering::SeqCst);
            assert!(self.retention.run().now_or_never().is_none(), "it goes on for ever");
            // The time between the latest round and the next.
            self.clock.now.store(time_us, Ordering::SeqCst);
        }

        /// An execution that ended on a day, or is open since.
        async fn execution(&self, number: u64, day: u64, status: Status) {
            let mut bytes = [0; 16];
            bytes[8..].copy_from_slice(&number.to_be_bytes());
            let (id, at) = (ExecutionId::from_bytes(bytes), Timestamp(day * DAY));
            let summary = json!({
                "id": id, "workspace": "default", "environment": "production", "status": status,
                "revision": {"workflow_id": id, "workflow": "orders", "revision": 1}, "trigger": {"kind": "manual"},
                "accepted_at": at, "updated_at": at, "ended_at": status.is_final().then_some(at),
            });
            let summary = serde_json::from_value(summary).unwrap();
            let journals = vec![JournalAppend { id, fence: self.store.fence(), from: 0, entries: vec![], summary }];
            self.store.append(Append { journals, ..Append::default() }).await.unwrap();
        }

        async fn left(&self) -> usize {
            self.store.summaries(SummaryQuery { limit: usize::MAX, ..Default::default() }).await.unwrap().len()
        }
    }

    #[tokio::test]
    async fn an_execution_goes_when_it_ended_so_long_ago_and_an_open_one_never() {
        let world = World::new(Some(30), None);
        world.execution(1, 0, Status::Succeeded).await;
        world.execution(2, 5, Status::Failed).await;
        world.execution(3, 0, Status::Waiting).await;
        for (day, left) in [(30, 3), (31, 2), (35, 2), (36, 1), (4_000, 1)] {
            world.run_until(day * DAY);
            assert_eq!(world.left().await, left, "on day {day}");
        }
    }

    #[tokio::test]
    async fn many_go_in_small_pieces_with_pauses_between() {
        let world = World::new(Some(30), None);
        for number in 0..1_000 {
            world.execution(number, 0, Status::Succeeded).await;
        }
        world.run_until(30 * DAY);
        assert_eq!(world.left().await, 1_000);
        // The next round, and fifty milliseconds of it.
        world.run_until(30 * DAY + HOUR + 50_000);
        assert_eq!(world.left().await, 1_000 - 6 * EXECUTIONS_AT_ONCE);
        world.run_until(31 * DAY);
        assert_eq!(world.left().await, 0);
    }

    #[tokio::test]
    async fn while_too_much_is_kept_the_oldest_go_whatever_their_age() {
        let world = World::new(None, Some(20_000));
        for number in 0..500 {
            world.execution(number, 1, Status::Succeeded).await;
        }
        world.execution(500, 0, Status::Running).await;
        let before = world.store.size().await.unwrap().used_bytes;
        assert!(before > 100_000, "{before}");
        world.run_until(2 * DAY);
        let size = world.store.size().await.unwrap().used_bytes;
        assert!(size <= 20_000 && world.left().await > 1, "{size}");
        let newest = world.store.summaries(SummaryQuery { limit: 2, ..Default::default() }).await.unwrap();
        assert_eq!(newest[1].id.as_bytes()[14..], 499_u16.to_be_bytes(), "the newest are kept");
    }

    #[tokio::test]
    async fn without_bounds_everything_is_kept() {
        let world = World::new(None, None);
        world.execution(1, 0, Status::Succeeded).await;
        world.run_until(4_000 * DAY);
        assert_eq!(world.left().await, 1);
    }

    #[tokio::test]
    async fn deliveries_and_counters_go_when_nobody_asks_for_them_any_more() {
        let world = World::new(None, None);
        let key = DeliveryKey { workspace: Name::new("n").unwrap(), scope: "s".into(), id: "d".into() };
        let at = |day: u64| Timestamp(day * DAY);
        let seen = SeenDelivery { key: key.clone(), body: Digest([0; 32]), at: at(10), executions: vec![] };
        let count = |period| CountKey { period, owner: ResourceId::from_bytes([1; 16]) };
        let (day, month) = (count(Period::day(at(10))), count(Period::month(at(10))));
        let counts = [&day, &month].map(|key| Count { key: key.clone(), limit: 9 }).into();
        world.store.append(Append { delivery: Some((seen, at(0))), counts, ..Append::default() }).await.unwrap();
        let mut kept = Vec::new();
        for now in [11, 12, 13, 14, 31 + 62, 31 + 63] {
            world.run_until(now * DAY);
            let is_seen = world.store.delivery(&key, at(0)).await.unwrap().is_some();
            kept.push((now, is_seen, world.store.count(&day).await.unwrap(), world.store.count(&month).await.unwrap()));
        }
        assert_eq!(
            kept,
            [
                (11, true, 1, 1),
                (12, false, 1, 1),
                (13, false, 0, 1),
                (14, false, 0, 1),
                (93, false, 0, 0),
                (94, false, 0, 0)
            ]
        );
    }
}
