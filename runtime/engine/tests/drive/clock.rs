//! A clock that tests move.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use camshaft_model::seams::Clock;
use camshaft_model::time::Timestamp;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Notify;

/// A clock that moves when a test says so.
#[derive(Default)]
pub struct HandClock {
    now: AtomicU64,
    moved: Arc<Notify>,
    sleepers: Mutex<BTreeSet<(Timestamp, u64)>>,
    slept: AtomicU64,
}

/// A sleeper, until it wakes or is forgotten.
struct Sleeper(Arc<HandClock>, (Timestamp, u64));

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.sleepers.lock().unwrap().remove(&self.1);
    }
}

impl HandClock {
    pub fn advance(&self, by: Duration) {
        self.now.fetch_add(by.as_micros() as u64, Ordering::SeqCst);
        self.moved.notify_waiters();
    }

    /// When the first sleeper wakes.
    pub fn next(&self) -> Option<Timestamp> {
        let first = self.sleepers.lock().unwrap().first().map(|(due, _)| *due);
        first.filter(|due| *due < Timestamp(u64::MAX))
    }
}

/// Shared, so that sleepers outlive the borrow.
#[derive(Clone, Default)]
pub struct SharedClock(pub Arc<HandClock>);

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.now.load(Ordering::SeqCst))
    }
    fn sleep_until(&self, due: Timestamp) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        let place = (due, self.0.slept.fetch_add(1, Ordering::SeqCst));
        self.0.sleepers.lock().unwrap().insert(place);
        let sleeper = Sleeper(self.0.clone(), place);
        async move {
            let _sleeper = sleeper;
            loop {
                let moved = clock.0.moved.notified();
                tokio::pin!(moved);
                moved.as_mut().enable();
                if clock.now() >= due {
                    return;
                }
                moved.await;
            }
        }
        .boxed()
    }
}

impl SharedClock {
    pub fn advance_to_start(&self) {
        self.0.advance(Duration::from_secs(1_000_000));
    }
}
