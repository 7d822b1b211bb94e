//! Timestamps: a signature that was good yesterday is a replay today.

use crate::adapter::{Rejection, Request, rfc3339};
use std::time::Duration;

/// How a vendor writes a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
    /// `2026-01-01T00:00:00Z`.
    Rfc3339,
}

impl Unit {
    /// Milliseconds since 1970, if the text is such a timestamp.
    pub fn ms(self, text: &str) -> Option<u64> {
        match self {
            Self::Seconds => text.parse::<u64>().ok()?.checked_mul(1000),
            Self::Milliseconds => text.parse().ok(),
            Self::Rfc3339 => rfc3339(text),
        }
    }
}

/// The timestamp in a header, as it is signed, once it is known to be within `tolerance` of the time of receipt.
///
/// # Errors
/// `unauthorized` where it is missing, no timestamp, too old or too far in the future; `malformed` where it is repeated.
pub fn stamped<'a>(request: &'a Request, name: &str, unit: Unit, tolerance: Duration) -> Result<&'a str, Rejection> {
    let text = super::header(request, name)?;
    let sent_ms =
        unit.ms(text).ok_or_else(|| Rejection::Unauthorized(format!("the header `{name}` is not a timestamp")))?;
    fresh(sent_ms, request.received_at_ms, tolerance)?;
    Ok(text)
}

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

    #[test]
    fn a_timestamp_is_read_in_its_unit() {
        assert_eq!(Unit::Seconds.ms("7"), Some(7000));
        assert_eq!(Unit::Milliseconds.ms("7"), Some(7));
        assert_eq!(Unit::Rfc3339.ms("1970-01-01T00:00:07Z"), Some(7000));
        for (unit, bad) in [(Unit::Seconds, "18446744073709551615"), (Unit::Seconds, "-1"), (Unit::Milliseconds, "7.5")]
        {
            assert_eq!(unit.ms(bad), None, "{bad}");
        }
    }

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
