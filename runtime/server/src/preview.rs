//! When a schedule would fire: what is asked for in words, and the times that come of it. Needs no server.

use std::time::Duration;

use camshaft_model::limits;
use camshaft_model::schedule::{Fold, Gap, Schedule, Timing, Zone};
use camshaft_model::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A schedule in words, and how many of its times are wanted. One of `cron`, `at` and `every` is there.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PreviewQuery {
    /// A pattern: `0 9 * * MON-FRI`.
    pub cron: Option<String>,
    /// A wall time: `2026-12-24T18:00:00`.
    pub at: Option<String>,
    /// An interval: `15m`.
    pub every: Option<String>,
    /// A zone of the IANA database; UTC where it is left out.
    pub timezone: Option<String>,
    /// `next` or `skip`; `next` where it is left out.
    pub gap: Option<String>,
    /// `first` or `both`; `first` where it is left out.
    pub fold: Option<String>,
    /// From this time on (RFC 3339); from now on where it is left out.
    pub after: Option<String>,
    /// How many times: 1 to 100, 5 where it is left out.
    pub next: Option<usize>,
}

/// A time at which a schedule is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FireTime {
    /// The time (RFC 3339, UTC).
    pub due: String,
    /// What the wall clock of its zone shows then.
    pub local: String,
}

/// The times at which what is asked for is due next. The error names what is wrong.
pub fn preview(query: &PreviewQuery, now: Timestamp) -> Result<Vec<FireTime>, String> {
    let timing = match (&query.cron, &query.at, &query.every) {
        (Some(cron), None, None) => Timing::cron(cron)?,
        (None, Some(at), None) => Timing::at(at)?,
        (None, None, Some(every)) => Timing::Every(interval(every)?),
        _ => return Err("a schedule has one of `cron`, `at` and `every`".to_owned()),
    };
    let gap = match query.gap.as_deref() {
        None | Some("next") => Gap::Next,
        Some("skip") => Gap::Skip,
        Some(other) => return Err(format!("`gap` is `{other}`: it is `next` or `skip`")),
    };
    let fold = match query.fold.as_deref() {
        None | Some("first") => Fold::First,
        Some("both") => Fold::Both,
        Some(other) => return Err(format!("`fold` is `{other}`: it is `first` or `both`")),
    };
    let after = match &query.after {
        Some(after) => after.parse().map_err(|why| format!("`after`: {why}"))?,
        None => now,
    };
    let schedule = Schedule { zone: zone(query.timezone.as_deref())?, gap, fold, ..Schedule::new(timing) };
    Ok(fire_times(&schedule, after, count(query.next)?))
}

/// The times at which a schedule is due next.
pub fn fire_times(schedule: &Schedule, after: Timestamp, count: usize) -> Vec<FireTime> {
    let due = schedule.firings_after(after).take(count);
    due.map(|due| FireTime { due: due.to_string(), local: schedule.zone.shown(due) }).collect()
}

/// How many times somebody asks for, checked.
pub fn count(asked: Option<usize>) -> Result<usize, String> {
    match asked.unwrap_or(limits::FIRE_TIMES_DEFAULT) {
        count @ 1..=limits::FIRE_TIMES_MAX => Ok(count),
        other => Err(format!("`next` is {other}: it is 1 to {}", limits::FIRE_TIMES_MAX)),
    }
}

fn zone(name: Option<&str>) -> Result<Zone, String> {
    let Some(name) = name else { return Ok(Zone::default()) };
    Zone::named(name).ok_or_else(|| {
        let nearest = Zone::nearest(name).map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default();
        format!("`timezone` is `{name}`, which is no zone of the IANA database{nearest}")
    })
}

fn interval(text: &str) -> Result<Duration, String> {
    let bounds = limits::EVERY_MIN..=limits::EVERY_MAX;
    match humantime::parse_duration(text) {
        Ok(every) if bounds.contains(&every) => Ok(every),
        Ok(_) => Err(format!(
            "`every` is `{text}`: it is {} to {}",
            humantime::format_duration(limits::EVERY_MIN),
            humantime::format_duration(limits::EVERY_MAX)
        )),
        Err(_) => Err(format!("`every` is `{text}`, which is no duration; write 30s, 15m, 1h30m")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(change: impl FnOnce(&mut PreviewQuery)) -> Result<Vec<String>, String> {
        let mut query = PreviewQuery { next: Some(2), ..PreviewQuery::default() };
        change(&mut query);
        let times = preview(&query, "2026-11-21T12:00:00Z".parse().unwrap())?;
        Ok(times.into_iter().map(|time| time.local).collect())
    }

    #[test]
    fn each_kind_of_schedule_tells_its_next_times_in_its_zone() {
        let berlin = || Some("Europe/Berlin".to_owned());
        let cron = asked(|query| {
            query.cron = Some("0 9 * * MON-FRI".to_owned());
            query.timezone = berlin();
        });
        assert_eq!(cron.unwrap(), ["2026-11-23T09:00:00+01:00", "2026-11-24T09:00:00+01:00"]);
        let at = asked(|query| {
            query.at = Some("2026-12-24T18:00:00".to_owned());
            query.timezone = berlin();
        });
        assert_eq!(at.unwrap(), ["2026-12-24T18:00:00+01:00"]);
        let every = asked(|query| {
            query.every = Some("90m".to_owned());
            query.after = Some("2027-01-01T00:00:00+01:00".to_owned());
        });
        assert_eq!(every.unwrap(), ["2027-01-01T00:00:00+00:00", "2027-01-01T01:30:00+00:00"]);
        let changes = asked(|query| {
            query.cron = Some("30 2 * * *".to_owned());
            query.timezone = berlin();
            query.after = Some("2027-03-27T12:00:00Z".to_owned());
            query.gap = Some("skip".to_owned());
        });
        assert_eq!(changes.unwrap(), ["2027-03-29T02:30:00+02:00", "2027-03-30T02:30:00+02:00"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_value() {
        let cron = |query: &mut PreviewQuery| query.cron = Some("@daily".to_owned());
        let faults = [
            (asked(|_| {}), "one of `cron`, `at` and `every`"),
            (asked(|query| query.cron = Some("x".to_owned())), "`cron` is `x`"),
            (asked(|query| query.at = Some("x".to_owned())), "`at` is `x`"),
            (asked(|query| query.every = Some("x".to_owned())), "`every` is `x`"),
            (asked(|query| query.every = Some("1ms".to_owned())), "`every` is `1ms`: it is 1s to"),
            (
                asked(|query| {
                    cron(query);
                    query.timezone = Some("Europe/Berln".to_owned());
                }),
                "did you mean `Europe/Berlin`?",
            ),
            (
                asked(|query| {
                    cron(query);
                    query.next = Some(101);
                }),
                "`next` is 101: it is 1 to 100",
            ),
            (
                asked(|query| {
                    cron(query);
                    query.gap = Some("x".to_owned());
                }),
                "`gap` is `x`",
            ),
            (
                asked(|query| {
                    cron(query);
                    query.fold = Some("x".to_owned());
                }),
                "`fold` is `x`",
            ),
            (
                asked(|query| {
                    cron(query);
                    query.after = Some("x".to_owned());
                }),
                "`after`: `x`",
            ),
        ];
        for (found, named) in faults {
            let fault = found.unwrap_err();
            assert!(fault.contains(named), "{fault} does not say {named}");
        }
    }
}
