//! Timestamps: a signature that was good yesterday is a replay today.

use crate::adapter::Rejection;
use std::time::Duration;

/// Checks that a delivery was sent within `tolerance` of when it came, before or after.
///
/// # Errors
/// `unauthorized` where it was not.
pub fn fresh(sent_ms: u64, received_at_ms: u64, tolerance: Duration) -> Result<(), Rejection> {
    let apart = Duration::from_millis(sent_ms.abs_diff(received_at_ms));
    if apart <= tolerance {
        return Ok(());
    }
    let (apart, tolerance) = (apart.as_secs(), tolerance.as_secs());
    let side = if sent_ms < received_at_ms { "old" } else { "in the future" };
    Err(Rejection::Unauthorized(format!("the timestamp is {apart} s {side}; {tolerance} s are allowed")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLERANCE: Duration = Duration::from_secs(300);

    #[test]
    fn within_the_tolerance_is_fresh_on_both_sides() {
        assert!(fresh(700_000, 1_000_000, TOLERANCE).is_ok());
        assert!(fresh(1_300_000, 1_000_000, TOLERANCE).is_ok());
    }

    #[test]
    fn one_millisecond_more_is_not() {
        assert_eq!(
            fresh(699_000, 1_000_000, TOLERANCE).unwrap_err().message(),
            "the timestamp is 301 s old; 300 s are allowed"
        );
        assert!(fresh(699_999, 1_000_000, TOLERANCE).is_err());
        assert!(fresh(1_300_001, 1_000_000, TOLERANCE).is_err());
        assert!(fresh(u64::MAX, 0, TOLERANCE).is_err());
    }
}
