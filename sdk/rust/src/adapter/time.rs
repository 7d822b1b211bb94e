//! Times as vendors write them.

use std::time::{Duration, SystemTime};

/// Milliseconds since 1970 of an RFC 3339 time, in UTC or with an offset; none where it is no such time, or before 1970.
pub fn rfc3339(text: &str) -> Option<u64> {
    let (wall, offset) = match text.len().checked_sub(6).and_then(|at| text.split_at_checked(at)) {
        Some((wall, offset)) if offset.starts_with(['+', '-']) => (wall, offset),
        _ => (text.strip_suffix('Z')?, "+00:00"),
    };
    let number = |range| offset.get(range).filter(|digits: &&str| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let (hours, minutes): (u64, u64) = (number(1..3)?.parse().ok()?, number(4..6)?.parse().ok()?);
    if hours > 23 || minutes > 59 || offset.get(3..4) != Some(":") {
        return None;
    }
    let east = Duration::from_secs((hours * 60 + minutes) * 60);
    let time = humantime::parse_rfc3339(&format!("{wall}Z")).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let time = if offset.starts_with('+') { time.checked_sub(east) } else { time.checked_add(east) }?;
    u64::try_from(time.as_millis()).ok()
}

/// The RFC 3339 time of milliseconds since 1970, in UTC and whole seconds.
pub fn rfc3339_of(time_ms: u64) -> String {
    humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + Duration::from_millis(time_ms)).to_string()
}

#[cfg(test)]
mod tests {
    use super::{rfc3339, rfc3339_of};

    #[test]
    fn times_are_read_in_utc_and_with_an_offset() {
        assert_eq!(rfc3339("1970-01-01T00:00:01Z"), Some(1000));
        assert_eq!(rfc3339("2022-11-03T20:26:10.344522Z"), Some(1_667_507_170_344));
        assert_eq!(rfc3339("2022-11-03T21:26:10+01:00"), Some(1_667_507_170_000));
        assert_eq!(rfc3339("2022-11-03T14:56:10-05:30"), Some(1_667_507_170_000));
    }

    #[test]
    fn a_time_is_written_as_it_is_read() {
        assert_eq!(rfc3339_of(1_767_225_600_999), "2026-01-01T00:00:00Z");
        assert_eq!(rfc3339(&rfc3339_of(1_767_225_600_000)), Some(1_767_225_600_000));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for bad in [
            "",
            "Z",
            "now",
            "2022-11-03",
            "2022-11-03T20:26:10",
            "2022-13-03T20:26:10Z",
            "2022-11-03T20:26:10+1:000",
            "2022-11-03T20:26:10+24:00",
            "1970-01-01T00:00:00+01:00",
            "\u{e4}\u{e4}\u{e4}\u{e4}",
        ] {
            assert_eq!(rfc3339(bad), None, "{bad}");
        }
    }
}
