//! How an attempt's result becomes an entry: done, tried again at a time, or failed for good.

use std::sync::Arc;
use std::time::Duration;

use camshaft_model::Value;
use camshaft_model::entry::{At, Entry};
use camshaft_model::language::template::weight;
use camshaft_model::outcome::{AttemptOutcome, Failure, Usage};
use camshaft_model::program::{Retry, Step};
use camshaft_model::state::State;
use camshaft_model::time::Timestamp;

use super::bounds::room_in_place_of;

/// The entry for an attempt that ended.
pub fn settle(
    state: &State,
    at: At,
    attempt: u32,
    step: &Step,
    result: Result<Value, Failure>,
    now: Timestamp,
) -> Entry {
    let result = result.and_then(|output| room_in_place_of(state, at, weight(&output)).map(|()| output));
    let (outcome, retry_at) = match result {
        Ok(output) => (AttemptOutcome::Succeeded(Arc::new(output)), None),
        Err(failure) => {
            let seed = spread(state, at, attempt);
            let wait = next_wait(&step.retry, attempt, &failure, seed);
            (AttemptOutcome::Failed(failure), wait.map(|wait| now.plus(wait)))
        }
    };
    Entry::AttemptEnded { time: now, at, attempt, outcome, retry_at, usage: Usage::default(), log: Vec::new() }
}

/// How long to wait before the next attempt; none where there is none.
pub(super) fn next_wait(retry: &Retry, attempt: u32, failure: &Failure, seed: u64) -> Option<Duration> {
    if attempt >= retry.attempts || !retry.on.contains(&failure.kind) {
        return None;
    }
    let steps = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
    let seconds = retry.first.as_secs_f64() * retry.factor.powi(steps);
    let max = retry.max.as_secs_f64();
    let seconds = if seconds.is_finite() { seconds.min(max) } else { max };
    // Between half and all of the wait, so that a crowd that failed together does not come back together.
    let part = if retry.jitter { 0.5 + 0.5 * (seed as f64 / u64::MAX as f64) } else { 1.0 };
    let wait = Duration::from_secs_f64(seconds * part);
    // A plugin that was told when to come back knows better than the curve, but not beyond the cap.
    let asked = failure.retry_after_ms.map(Duration::from_millis).unwrap_or_default();
    Some(wait.max(asked.min(retry.max.max(wait))))
}

/// A number that looks like chance, and is the same whenever the same attempt is settled again (splitmix64).
pub(super) fn spread(state: &State, At(frame, step): At, attempt: u32) -> u64 {
    let id = u128::from_be_bytes(*state.invocation.id.as_bytes());
    let mut z = (id as u64) ^ ((id >> 64) as u64).rotate_left(32);
    z ^= (u64::from(frame.0) << 40) ^ (u64::from(step.0) << 16) ^ u64::from(attempt);
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use camshaft_model::outcome::FailureKind;

    fn retry() -> Retry {
        Retry {
            attempts: 5,
            first: Duration::from_secs(1),
            factor: 2.0,
            max: Duration::from_secs(5),
            jitter: false,
            on: vec![FailureKind::Unavailable],
        }
    }

    #[test]
    fn waits_grow_by_the_factor_up_to_the_cap_and_end_with_the_attempts() {
        let failure = Failure::new(FailureKind::Unavailable, "down");
        let waits: Vec<_> = (1..=5).map(|attempt| next_wait(&retry(), attempt, &failure, 0)).collect();
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(waits, [seconds(1), seconds(2), seconds(4), seconds(5), None]);
    }

    #[test]
    fn only_the_kinds_that_are_named_are_tried_again() {
        assert_eq!(next_wait(&retry(), 1, &Failure::new(FailureKind::Failed, "no"), 0), None);
    }

    #[test]
    fn jitter_takes_at_most_half_and_a_plugin_may_ask_for_longer() {
        let mut retry = retry();
        retry.jitter = true;
        let mut failure = Failure::new(FailureKind::Unavailable, "down");
        assert_eq!(next_wait(&retry, 1, &failure, 0), Some(Duration::from_millis(500)));
        assert_eq!(next_wait(&retry, 1, &failure, u64::MAX), Some(Duration::from_secs(1)));
        failure.retry_after_ms = Some(3_000);
        assert_eq!(next_wait(&retry, 1, &failure, 0), Some(Duration::from_secs(3)));
        failure.retry_after_ms = Some(3_600_000);
        assert_eq!(next_wait(&retry, 1, &failure, 0), Some(Duration::from_secs(5)));
    }
}
