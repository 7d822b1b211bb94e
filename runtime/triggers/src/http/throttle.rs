//! How many executions a workspace may start in a second.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use camshaft_model::ids::Name;
use camshaft_model::seams::Clock;
use governor::nanos::Nanos;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

type Limiter = RateLimiter<Name, DefaultKeyedStateStore<Name>, Steady, governor::middleware::NoOpMiddleware<Nanos>>;

/// Bounds the executions that each workspace starts in a second: a bucket of one second's worth that fills steadily.
pub struct Throttle {
    limiter: Option<(NonZeroU32, Limiter)>,
}

impl Throttle {
    /// At most so many executions a second for each workspace; 0 is no limit.
    pub fn new(executions_per_second: u32, clock: Arc<dyn Clock>) -> Self {
        let limiter = NonZeroU32::new(executions_per_second).map(|limit| {
            let state = DefaultKeyedStateStore::default();
            (limit, RateLimiter::new(Quota::per_second(limit), state, Steady::new(clock)))
        });
        Self { limiter }
    }

    /// The limit; none where there is none.
    pub fn limit(&self) -> Option<u32> {
        self.limiter.as_ref().map(|(limit, _)| limit.get())
    }

    /// Takes the room for `executions` at once, all or none. A delivery that starts more than a whole second's worth needs
    /// the full bucket: it could never pass otherwise. Errors with the time until there is room.
    pub fn take(&self, workspace: &Name, executions: usize) -> Result<(), Duration> {
        let Some((limit, limiter)) = &self.limiter else { return Ok(()) };
        let wanted = u32::try_from(executions).unwrap_or(u32::MAX).min(limit.get());
        let Some(wanted) = NonZeroU32::new(wanted) else { return Ok(()) };
        match limiter.check_key_n(workspace, wanted) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => Err(not_until.wait_time_from(governor::clock::Clock::now(limiter.clock()))),
            // More than the bucket holds, which `min` rules out.
            Err(_) => Ok(()),
        }
    }
}

/// The wall clock, made steady: when somebody sets it back, it stands where it was and goes on from there. A workspace
/// would be shut out for the length of the step otherwise.
struct Steady {
    clock: Arc<dyn Clock>,
    /// What is added to the wall clock, microseconds.
    ahead_us: AtomicI64,
    /// The latest time told, microseconds.
    latest_us: AtomicU64,
}

impl Steady {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let latest_us = AtomicU64::new(clock.now().0);
        Self { clock, ahead_us: AtomicI64::new(0), latest_us }
    }
}

/// Less is not a clock that was set: two threads may read and tell the time in different order.
const STEP_BACK_US_MIN: u64 = 1_000_000;

impl governor::clock::Clock for Steady {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let now_us = self.clock.now().0.saturating_add_signed(self.ahead_us.load(Ordering::Relaxed));
        let latest_us = self.latest_us.fetch_max(now_us, Ordering::Relaxed);
        let back_us = latest_us.saturating_sub(now_us);
        if back_us >= STEP_BACK_US_MIN {
            // Two threads that notice at once step ahead twice, which only fills buckets early.
            self.ahead_us.fetch_add(i64::try_from(back_us).unwrap_or(i64::MAX), Ordering::Relaxed);
        }
        Nanos::new(latest_us.max(now_us).saturating_mul(1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use camshaft_model::time::Timestamp;
    use futures::future::BoxFuture;

    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::Relaxed))
        }
        fn sleep_until(&self, _: Timestamp) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }
    }

    fn throttle(limit: u32) -> (Throttle, Arc<Hand>, Name) {
        let clock = Arc::new(Hand(AtomicU64::new(1_700_000_000_000_000)));
        (Throttle::new(limit, clock.clone()), clock, Name::new("default").unwrap())
    }

    #[test]
    fn a_second_holds_exactly_as_many_as_it_may_and_each_workspace_has_its_own() {
        let (throttle, clock, workspace) = throttle(25);
        for n in 0..25 {
            assert_eq!(throttle.take(&workspace, 1), Ok(()), "{n}");
        }
        assert_eq!(throttle.take(&workspace, 1), Err(Duration::from_millis(40)));
        assert_eq!(throttle.take(&Name::new("other").unwrap(), 25), Ok(()));
        clock.0.fetch_add(40_000, Ordering::Relaxed);
        assert_eq!(throttle.take(&workspace, 1), Ok(()));
        assert!(throttle.take(&workspace, 1).is_err());
    }

    #[test]
    fn a_batch_takes_all_its_room_or_none_and_one_larger_than_the_bucket_needs_a_full_one() {
        let (throttle, clock, workspace) = throttle(10);
        assert_eq!(throttle.take(&workspace, 6), Ok(()));
        assert!(throttle.take(&workspace, 5).is_err());
        assert_eq!(throttle.take(&workspace, 4), Ok(()));
        clock.0.fetch_add(900_000, Ordering::Relaxed);
        assert!(throttle.take(&workspace, 1000).is_err());
        clock.0.fetch_add(100_000, Ordering::Relaxed);
        assert_eq!(throttle.take(&workspace, 1000), Ok(()));
        assert!(throttle.take(&workspace, 1).is_err());
    }

    #[test]
    fn nought_is_no_limit() {
        let (throttle, _, workspace) = throttle(0);
        assert_eq!(throttle.limit(), None);
        assert!((0..100_000).all(|_| throttle.take(&workspace, 1).is_ok()));
    }

    #[test]
    fn a_clock_that_is_set_back_shuts_nobody_out() {
        let (throttle, clock, workspace) = throttle(1);
        assert_eq!(throttle.take(&workspace, 1), Ok(()));
        clock.0.fetch_sub(3_600_000_000, Ordering::Relaxed);
        assert!(throttle.take(&workspace, 1).is_err());
        clock.0.fetch_add(1_000_000, Ordering::Relaxed);
        assert_eq!(throttle.take(&workspace, 1), Ok(()));
    }
}
