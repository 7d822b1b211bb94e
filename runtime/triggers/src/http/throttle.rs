//! How many executions a workspace may start in a second.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use camshaft_model::ids::Name;
use camshaft_model::seams::Clock;
use governor::middleware::{NoOpMiddleware, StateInformationMiddleware};
use governor::nanos::Nanos;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

type Limiter = RateLimiter<Name, DefaultKeyedStateStore<Name>, Steady, StateInformationMiddleware>;

/// Bounds the executions that each workspace starts in a second: a bucket of one second's worth that fills steadily.
pub struct Throttle {
    clock: Arc<dyn Clock>,
    /// For workspaces without a limit of their own; 0 is no limit.
    default: u32,
    own: RwLock<HashMap<Name, u32>>,
    /// By limit: workspaces with the same one share a limiter, each with a bucket of its own.
    limiters: RwLock<HashMap<NonZeroU32, Arc<Limiter>>>,
}

/// What is left of a workspace's second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Executions a second.
    pub limit: u32,
    /// How many more may start now.
    pub left: u32,
    /// When there is room for one more, or for all that were asked for.
    pub wait: Duration,
}

impl Room {
    /// Tells it in `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10).
    pub fn put(&self, headers: &mut HeaderMap) {
        let Self { limit, left, wait } = self;
        let policy = format!("\"executions\";q={limit};w=1");
        let state = format!("\"executions\";r={left};t={}", seconds(*wait));
        for (name, text) in [("ratelimit-policy", policy), ("ratelimit", state)] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(&text).expect("visible ASCII"));
        }
    }
}

/// Rounded up: who comes back at the whole second finds room.
pub fn seconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_micros().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1)
}

impl Throttle {
    /// At most so many executions a second for each workspace; 0 is no limit.
    pub fn new(executions_per_second: u32, clock: Arc<dyn Clock>) -> Self {
        Self { clock, default: executions_per_second, own: RwLock::default(), limiters: RwLock::default() }
    }

    /// Gives a workspace a limit of its own, or the one of all again. 0 is no limit.
    pub fn set(&self, workspace: &Name, executions_per_second: Option<u32>) {
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        match executions_per_second {
            Some(limit) => drop(own.insert(workspace.clone(), limit)),
            None => drop(own.remove(workspace)),
        }
    }

    /// Takes the room for `executions` at once, all or none. A delivery that starts more than a whole second's worth needs
    /// the full bucket: it could never pass otherwise. None where there is no limit. Errors with what there is, and the time
    /// until there is room.
    pub fn take(&self, workspace: &Name, executions: usize) -> Result<Option<Room>, Room> {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner).get(workspace).copied();
        let Some(limit) = NonZeroU32::new(own.unwrap_or(self.default)) else { return Ok(None) };
        let wanted = u32::try_from(executions).unwrap_or(u32::MAX).min(limit.get());
        let Some(wanted) = NonZeroU32::new(wanted) else { return Ok(None) };
        let limiter = self.limiter(limit);
        let limit = limit.get();
        match limiter.check_key_n(workspace, wanted) {
            Ok(Ok(state)) => {
                let left = state.remaining_burst_capacity();
                Ok(Some(Room { limit, left, wait: Duration::from_secs(1) }))
            }
            Ok(Err(not_until)) => {
                let wait = not_until.wait_time_from(governor::clock::Clock::now(limiter.clock()));
                Err(Room { limit, left: 0, wait })
            }
            // More than the bucket holds, which `min` rules out.
            Err(_) => Ok(None),
        }
    }

    fn limiter(&self, limit: NonZeroU32) -> Arc<Limiter> {
        if let Some(known) = self.limiters.read().unwrap_or_else(PoisonError::into_inner).get(&limit) {
            return known.clone();
        }
        let make = || {
            let (state, clock) = (DefaultKeyedStateStore::default(), Steady::new(self.clock.clone()));
            let limiter: RateLimiter<_, _, _, NoOpMiddleware<Nanos>> =
                RateLimiter::new(Quota::per_second(limit), state, clock);
            Arc::new(limiter.with_middleware())
        };
        self.limiters.write().unwrap_or_else(PoisonError::into_inner).entry(limit).or_insert_with(make).clone()
    }
}

/// The wall clock, made steady: when somebody sets it back, it stands where it was and goes on from there. A workspace
/// would be shut out for the length of the step otherwise.
pub(super) struct Steady {
    clock: Arc<dyn Clock>,
    /// What is added to the wall clock, microseconds.
    ahead_us: AtomicI64,
    /// The latest time told, microseconds.
    latest_us: AtomicU64,
}

impl Steady {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
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
            let room = throttle.take(&workspace, 1).unwrap().unwrap();
            assert_eq!((room.limit, room.left), (25, 24 - n));
        }
        let full = Room { limit: 25, left: 0, wait: Duration::from_millis(40) };
        assert_eq!(throttle.take(&workspace, 1), Err(full));
        assert!(throttle.take(&Name::new("other").unwrap(), 25).is_ok());
        clock.0.fetch_add(40_000, Ordering::Relaxed);
        assert!(throttle.take(&workspace, 1).is_ok());
        assert!(throttle.take(&workspace, 1).is_err());
    }

    #[test]
    fn a_batch_takes_all_its_room_or_none_and_one_larger_than_the_bucket_needs_a_full_one() {
        let (throttle, clock, workspace) = throttle(10);
        assert!(throttle.take(&workspace, 6).is_ok());
        assert!(throttle.take(&workspace, 5).is_err());
        assert!(throttle.take(&workspace, 4).is_ok());
        clock.0.fetch_add(900_000, Ordering::Relaxed);
        assert!(throttle.take(&workspace, 1000).is_err());
        clock.0.fetch_add(100_000, Ordering::Relaxed);
        assert!(throttle.take(&workspace, 1000).is_ok());
        assert!(throttle.take(&workspace, 1).is_err());
    }

    #[test]
    fn a_workspace_may_have_a_limit_of_its_own_and_lose_it_again() {
        let (throttle, _, workspace) = throttle(2);
        throttle.set(&workspace, Some(3));
        assert!(throttle.take(&workspace, 3).is_ok());
        assert!(throttle.take(&workspace, 1).is_err());
        throttle.set(&workspace, Some(0));
        assert_eq!(throttle.take(&workspace, 1), Ok(None));
        throttle.set(&workspace, None);
        assert!(throttle.take(&workspace, 2).is_ok());
        assert!(throttle.take(&workspace, 1).is_err());
    }

    #[test]
    fn what_is_left_is_told_as_the_draft_says() {
        let mut headers = HeaderMap::new();
        Room { limit: 25, left: 0, wait: Duration::from_millis(1001) }.put(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"executions\";q=25;w=1");
        assert_eq!(headers["ratelimit"], "\"executions\";r=0;t=2");
    }

    #[test]
    fn nought_is_no_limit() {
        let (throttle, _, workspace) = throttle(0);
        assert_eq!(throttle.take(&workspace, 1), Ok(None));
        assert!((0..100_000).all(|_| throttle.take(&workspace, 1).is_ok()));
    }

    #[test]
    fn a_clock_that_is_set_back_shuts_nobody_out() {
        let (throttle, clock, workspace) = throttle(1);
        assert!(throttle.take(&workspace, 1).is_ok());
        clock.0.fetch_sub(3_600_000_000, Ordering::Relaxed);
        assert!(throttle.take(&workspace, 1).is_err());
        clock.0.fetch_add(1_000_000, Ordering::Relaxed);
        assert!(throttle.take(&workspace, 1).is_ok());
    }
}
