//! How many requests a client address may make in a time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use camshaft_model::limits::ADDRESSES_MAX;
use camshaft_model::seams::Clock;
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use super::throttle::Steady;

type Limiter = RateLimiter<IpAddr, DefaultKeyedStateStore<IpAddr>, Steady, NoOpMiddleware<Nanos>>;

/// Bounds the requests of each client address: a bucket of so many, which fills steadily in the time given. An IPv6 address
/// counts with its network of 64 bits, which is what one client has.
pub struct PerAddress {
    limiter: Option<Limiter>,
    clock: Arc<dyn Clock>,
    within: Duration,
    /// When addresses that have a full bucket again are forgotten next, microseconds since 1970.
    forget_at_us: AtomicU64,
}

impl PerAddress {
    /// At most `requests` within a time; 0 is no limit.
    pub fn new(requests: u32, within: Duration, clock: Arc<dyn Clock>) -> Self {
        let quota = NonZeroU32::new(requests)
            .and_then(|limit| Some(Quota::with_period(within / limit.get())?.allow_burst(limit)));
        let limiter =
            quota.map(|quota| RateLimiter::new(quota, DefaultKeyedStateStore::default(), Steady::new(clock.clone())));
        Self { limiter, clock, within, forget_at_us: AtomicU64::new(0) }
    }

    /// Takes the room for one request. Errors with the time until there is some.
    pub fn take(&self, address: IpAddr) -> Result<(), Duration> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        let now = self.clock.now();
        let forget_at_us = self.forget_at_us.load(Ordering::Relaxed);
        let next = now.plus(self.within).0;
        let relaxed = Ordering::Relaxed;
        if now.0 >= forget_at_us && self.forget_at_us.compare_exchange(forget_at_us, next, relaxed, relaxed).is_ok() {
            limiter.retain_recent();
        }
        // Beyond the bound all share one bucket until some are forgotten.
        let address = if limiter.len() < ADDRESSES_MAX { of_client(address) } else { Ipv4Addr::UNSPECIFIED.into() };
        let waits = |not_until: governor::NotUntil<Nanos>| not_until.wait_time_from(limiter.clock().now());
        limiter.check_key(&address).map_err(waits)
    }
}

fn of_client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use camshaft_model::time::Timestamp;
    use futures::future::BoxFuture;

    use super::*;

    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::Relaxed))
        }
        fn sleep_until(&self, _: Timestamp) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }
    }

    fn throttle(requests: u32) -> (PerAddress, Arc<Hand>) {
        let clock = Arc::new(Hand(AtomicU64::new(1_700_000_000_000_000)));
        (PerAddress::new(requests, Duration::from_secs(60), clock.clone()), clock)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_address_may_make_as_many_requests_as_it_may_and_more_as_time_passes() {
        let (throttle, clock) = throttle(3);
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        for n in 0..3 {
            assert_eq!(throttle.take(one), Ok(()), "{n}");
        }
        assert_eq!(throttle.take(one), Err(Duration::from_secs(20)));
        assert_eq!(throttle.take(other), Ok(()));
        assert!(throttle.take(address("::ffff:192.0.2.1")).is_err(), "the same, as a socket shows it");
        clock.0.fetch_add(20_000_000, Ordering::Relaxed);
        assert_eq!(throttle.take(one), Ok(()));
        assert!(throttle.take(one).is_err());
    }

    #[test]
    fn a_client_does_not_get_more_by_changing_its_address_within_its_network() {
        let (throttle, _) = throttle(1);
        assert_eq!(throttle.take(address("2001:db8::1")), Ok(()));
        assert!(throttle.take(address("2001:db8::ffff:2")).is_err());
        assert_eq!(throttle.take(address("2001:db8:0:1::1")), Ok(()));
    }

    #[test]
    fn addresses_are_forgotten_and_beyond_a_bound_they_share() {
        let (throttle, clock) = throttle(1);
        for n in 0..ADDRESSES_MAX as u32 {
            assert_eq!(throttle.take(Ipv4Addr::from_bits(1 << 24 | n).into()), Ok(()));
        }
        assert_eq!(throttle.take(address("203.0.113.1")), Ok(()), "the first of those who share");
        assert!(throttle.take(address("203.0.113.2")).is_err());
        clock.0.fetch_add(120_000_000, Ordering::Relaxed);
        assert_eq!(throttle.take(address("203.0.113.2")), Ok(()));
        assert_eq!(throttle.take(address("203.0.113.3")), Ok(()));
    }

    #[test]
    fn nought_is_no_limit() {
        let (throttle, _) = throttle(0);
        assert!((0..1_000).all(|_| throttle.take(address("192.0.2.1")).is_ok()));
    }
}
