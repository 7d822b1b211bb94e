//! Points in time and their two faces: microseconds inside, RFC 3339 for people.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// From milliseconds since 1970.
    pub fn from_millis(ms: u64) -> Self {
        Self(ms.saturating_mul(1000))
    }

    /// Milliseconds since 1970.
    pub fn as_millis(self) -> u64 {
        self.0 / 1000
    }

    /// This much later, at most the end of time.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }

    /// How long since `earlier`; nothing if that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl std::str::FromStr for Timestamp {
    type Err = String;

    /// RFC 3339 with an offset: `2026-12-24T18:00:00Z`, `2026-12-24T19:00:00+01:00`. Not before 1970.
    fn from_str(text: &str) -> Result<Self, String> {
        let time: jiff::Timestamp = text.parse().map_err(|_| format!("`{text}` is no time with an offset (RFC 3339)"))?;
        let us = u64::try_from(time.as_microsecond()).map_err(|_| format!("`{text}` is before 1970"))?;
        Ok(Self(us))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds: `2026-11-21T07:00:00.123Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = i64::try_from(self.as_millis()).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_millisecond(ms) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{ms} ms after 1970"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_rfc_3339_with_milliseconds() {
        assert_eq!(Timestamp::from_millis(1_575_494_847_394).to_string(), "2019-12-04T21:27:27.394Z");
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn reads_rfc_3339_with_any_offset() {
        for (text, ms) in [("2019-12-04T21:27:27.394Z", 1_575_494_847_394), ("1970-01-01T01:00:00+01:00", 0)] {
            assert_eq!(text.parse(), Ok(Timestamp::from_millis(ms)));
        }
        for bad in ["2019-12-04", "2019-12-04T21:27:27", "1969-12-31T23:59:59Z", "soon", ""] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }
}
