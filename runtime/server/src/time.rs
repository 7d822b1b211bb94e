//! The real clock and the real ids. Only `wire` makes these; everybody else is handed them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use camshaft_model::ids::{ExecutionId, ResourceId};
use camshaft_model::seams::{Clock, Ids};
use camshaft_model::time::Timestamp;
use futures::FutureExt;
use futures::future::BoxFuture;
use uuid::Uuid;

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

/// Longest sleep before the clock is looked at again: a machine that was suspended, or whose clock was set, is late by
/// no more than this.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    fn sleep_until(&self, due: Timestamp) -> BoxFuture<'static, ()> {
        let clock = *self;
        async move {
            loop {
                let left = due.since(clock.now());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(LOOK_AGAIN)).await;
            }
        }
        .boxed()
    }
}

/// UUIDv7 (RFC 9562): ordered by time, and within a millisecond by a counter that the whole process shares.
#[derive(Debug, Default, Clone, Copy)]
pub struct OrderedIds;

impl Ids for OrderedIds {
    fn execution(&self) -> ExecutionId {
        ExecutionId(Uuid::now_v7())
    }

    fn resource(&self) -> ResourceId {
        ResourceId(Uuid::now_v7())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_never_go_back() {
        let ids: Vec<_> = (0..10_000).map(|_| OrderedIds.execution()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[tokio::test]
    async fn a_time_that_is_past_is_not_waited_for() {
        let clock = SystemClock;
        assert!(clock.sleep_until(Timestamp(0)).now_or_never().is_some());
        assert!(clock.sleep_until(clock.now().plus(Duration::from_secs(3600))).now_or_never().is_none());
    }
}
