//! Points in time and their two faces: microseconds inside, RFC 3339 for people; and the periods that limits count in.

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
        let time: jiff::Timestamp =
            text.parse().map_err(|_| format!("`{text}` is no time with an offset (RFC 3339)"))?;
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

/// A day or a month of UTC, as counters name it: `day/2026-11-21`, `month/2026-11`. Those of one kind are ordered by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(Box<str>);

impl Period {
    /// The day of a time.
    pub fn day(time: Timestamp) -> Self {
        let (year, month, day) = date(time);
        Self(format!("day/{year:04}-{month:02}-{day:02}").into())
    }

    /// The month of a time.
    pub fn month(time: Timestamp) -> Self {
        let (year, month, _) = date(time);
        Self(format!("month/{year:04}-{month:02}").into())
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// When it is over.
    pub fn end(&self) -> Option<Timestamp> {
        let (kind, text) = self.0.split_once('/')?;
        let first = if kind == "day" { text.to_owned() } else { format!("{text}-01") };
        let first: jiff::civil::Date = first.parse().ok()?;
        let next = if kind == "day" { first.tomorrow().ok()? } else { first.last_of_month().tomorrow().ok()? };
        let start = jiff::tz::Offset::UTC.to_timestamp(next.at(0, 0, 0, 0)).ok()?;
        u64::try_from(start.as_microsecond()).ok().map(Timestamp)
    }

    /// What the texts of all periods of its kind begin with: `day/`, `month/`.
    pub fn kind(&self) -> &str {
        self.0.find('/').map_or(&*self.0, |slash| &self.0[..=slash])
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Year, month and day of UTC; a time behind all that have a date is in the last one.
fn date(time: Timestamp) -> (i16, i8, i8) {
    let seconds = i64::try_from(time.as_millis() / 1000).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    let date = jiff::tz::Offset::UTC.to_datetime(time).date();
    (date.year(), date.month(), date.day())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_begins_and_ends_at_midnight_of_utc() {
        // The last microsecond of a year, and the next one.
        let (last, next) = (Timestamp(1_798_761_599_999_999), Timestamp(1_798_761_600_000_000));
        assert_eq!((Period::day(last).as_str(), Period::month(last).as_str()), ("day/2026-12-31", "month/2026-12"));
        assert_eq!((Period::day(next).as_str(), Period::month(next).as_str()), ("day/2027-01-01", "month/2027-01"));
        assert!(Period::day(last) < Period::day(next) && Period::month(last) < Period::month(next));
        assert_eq!((Period::day(last).kind(), Period::month(last).kind()), ("day/", "month/"));
        assert_eq!((Period::day(last).end(), Period::month(last).end()), (Some(next), Some(next)));
        assert_eq!(Period::day(Timestamp(u64::MAX)).as_str(), "day/9999-12-30");
    }

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
