//! When a schedule fires: cron patterns, single times and intervals, in a time zone and with a say about its changes of clock.
//!
//! Pure. The pattern is read and searched by `croner` on the wall clock, which knows no zones; what a wall time means as an
//! instant is decided here:
//!
//! ```text
//!   wall clock    01:00 ──── 02:00 ░░░░ 03:00 ────      gap: 02:30 does not happen; the next instant is 03:00, or none
//!   wall clock    01:00 ──── 02:00 ──── 03:00
//!                            02:00 ──── 03:00 ────      fold: 02:30 happens twice; the first counts, or both
//! ```

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use serde_json::{Map, Value};
use siphasher::sip::SipHasher13;

use crate::ids::Name;
use crate::time::Timestamp;

/// How far back the last firings are looked for at first.
const SEARCH_FIRST: Duration = Duration::from_secs(1);
/// How much further back each next time.
const SEARCH_GROWS: u32 = 4;

/// When a workflow is started by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// At which times.
    pub timing: Timing,
    /// The zone of its wall clock.
    pub zone: Zone,
    /// What becomes of a wall time that a change of clock leaves out.
    pub gap: Gap,
    /// What becomes of a wall time that a change of clock repeats.
    pub fold: Fold,
    /// What becomes of firings that nobody was there for.
    pub missed: Missed,
    /// What becomes of a firing while the execution of the one before goes on.
    pub overlap: Overlap,
    /// Each firing is put off by up to this much, always by the same for the same firing.
    pub jitter: Duration,
    /// Parameters of its executions.
    pub params: Map<String, Value>,
    /// Each firing starts an execution for each connection to this integration that has the workflow enabled; one, with no
    /// connection, where there is none.
    pub integration: Option<Name>,
}

/// At which times a schedule fires.
#[derive(Debug, Clone, PartialEq)]
pub enum Timing {
    /// Whenever the wall clock fits a pattern.
    Cron(Pattern),
    /// Once, at a wall time.
    At(DateTime),
    /// At every multiple of this since 1970-01-01T00:00:00Z, whatever the wall clock says.
    Every(Duration),
}

/// A cron pattern: 5 fields, 6 with seconds before, 7 with years behind; names, `L`, `W`, `#` and `@daily`.
///
/// It is kept as its text and read again for each search: read, it takes five kilobytes, and there may be many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Arc<str>);

/// A time zone of the IANA database.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone(TimeZone);

/// What becomes of a wall time that does not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gap {
    /// It fires at the first instant behind the gap, once for all that fell into it.
    #[default]
    Next,
    /// It does not fire.
    Skip,
}

/// What becomes of a wall time that happens twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fold {
    /// The first one fires.
    #[default]
    First,
    /// Both fire.
    Both,
}

/// What becomes of firings that were due while no server ran, or longer than [`crate::limits::MISSED_AFTER`] ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missed {
    /// The last of them is made up for.
    #[default]
    Latest,
    /// The last so many of them are made up for, in their order.
    All(u32),
    /// None is.
    Skip,
}

/// What becomes of a firing while the execution of the one before goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overlap {
    /// It starts nothing.
    #[default]
    Skip,
    /// It starts when that execution is over. One firing waits at most; the latest goes before those that waited.
    Queue,
    /// It starts beside it.
    Allow,
    /// That execution is cancelled, and this one starts.
    CancelPrevious,
}

impl Pattern {
    /// Reads a pattern; the error says what is wrong with it, without the pattern itself.
    pub fn parse(text: &str) -> Result<Self, String> {
        let cron = read(text)?;
        match first_fit(&cron, DateTime::constant(1970, 1, 1, 0, 0, 0, 0), true) {
            Some(_) => Ok(Self(text.into())),
            None => Err("it fits no date".to_owned()),
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn cron(&self) -> Cron {
        read(&self.0).expect("it was read once before")
    }
}

fn read(text: &str) -> Result<Cron, String> {
    // The one nickname that croner does not know.
    let text = if text.trim().eq_ignore_ascii_case("@midnight") { "@daily" } else { text };
    // It counts the years of `*/5` from the year 1, where Quartz and others begin with 1970.
    let text = text.trim();
    let years = text.rsplit_once(char::is_whitespace).filter(|_| text.split_whitespace().count() == 7);
    let counted = years.filter(|(_, years)| years.contains("*/"));
    let counted = counted.map(|(rest, years)| format!("{rest} {}", years.replace("*/", "1970-5000/")));
    let text = counted.as_deref().unwrap_or(text);
    let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Optional).build();
    parser.parse(text).map_err(|error| error.to_string().trim_end_matches('.').to_lowercase())
}

/// The first wall time that fits, at or behind another.
fn first_fit(cron: &Cron, civil: DateTime, inclusive: bool) -> Option<DateTime> {
    cron.find_next_occurrence(&civil, inclusive).ok()
}

impl Default for Zone {
    /// UTC
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl Zone {
    /// A zone by its name, `Europe/Berlin`; none where the database has no such zone.
    pub fn named(name: &str) -> Option<Self> {
        if name == "UTC" {
            return Some(Self::default());
        }
        TimeZone::get(name).ok().map(Self)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// What its wall clock shows, with how far that is from UTC: `2026-12-24T18:00:00+01:00`.
    pub fn shown(&self, time: Timestamp) -> String {
        let zoned = instant(time).map(|time| time.to_zoned(self.0.clone()));
        zoned.map_or_else(|| time.to_string(), |zoned| zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
    }

    /// The name of a zone that is close enough to have been meant.
    pub fn nearest(name: &str) -> Option<String> {
        let names: Vec<_> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        crate::language::nearest(name, names.iter().map(String::as_str))
    }

    /// What its wall clock shows.
    fn wall(&self, time: Timestamp) -> Option<DateTime> {
        Some(self.0.to_datetime(instant(time)?))
    }

    /// The next change of clock behind a time.
    fn next_change(&self, time: jiff::Timestamp) -> Option<jiff::Timestamp> {
        self.0.following(time).next().map(|change| change.timestamp())
    }
}

impl Schedule {
    /// Every so often, or whenever a pattern fits, in UTC and with nothing else said.
    pub fn new(timing: Timing) -> Self {
        Self {
            timing,
            zone: Zone::default(),
            gap: Gap::default(),
            fold: Fold::default(),
            missed: Missed::default(),
            overlap: Overlap::default(),
            jitter: Duration::ZERO,
            params: Map::new(),
            integration: None,
        }
    }

    /// The first time behind another at which it is due, jitter left out; none where it never is again.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        self.next(self.cron().as_ref(), after)
    }

    /// The times at which it is due, behind another one, in their order.
    pub fn firings_after(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> {
        let cron = self.cron();
        let mut latest = Some(after);
        std::iter::from_fn(move || {
            latest = self.next(cron.as_ref(), latest?);
            latest
        })
    }

    /// The last times at which it was due, behind one time and up to another: so many of them at most, in their order.
    pub fn last_between(&self, after: Timestamp, until: Timestamp, most: usize) -> Vec<Timestamp> {
        // Backwards in windows that grow, since a search goes forwards only.
        let mut window = SEARCH_FIRST;
        loop {
            let begin = Timestamp(until.0.saturating_sub(u64::try_from(window.as_micros()).unwrap_or(u64::MAX)));
            let begin = begin.max(after);
            let mut found: VecDeque<_> = VecDeque::new();
            for due in self.firings_after(begin).take_while(|due| *due <= until) {
                found.push_back(due);
                if found.len() > most {
                    found.pop_front();
                }
            }
            if found.len() == most || begin == after {
                return found.into();
            }
            window = window.saturating_mul(SEARCH_GROWS);
        }
    }

    /// When a firing starts: later than due by up to the jitter, and before the next one is due. The same for the same seed and
    /// time, on every server.
    pub fn starts_at(&self, seed: &impl Hash, due: Timestamp) -> Timestamp {
        if self.jitter.is_zero() {
            return due;
        }
        let next = self.next_after(due).map_or(Duration::MAX, |next| next.since(due));
        let most = u64::try_from(self.jitter.min(next).as_micros()).unwrap_or(u64::MAX);
        // The standard library's own hasher may change with its releases.
        let mut hasher = SipHasher13::new();
        seed.hash(&mut hasher);
        due.0.hash(&mut hasher);
        due.plus(Duration::from_micros(hasher.finish() % most.max(1)))
    }

    /// The pattern, read.
    fn cron(&self) -> Option<Cron> {
        match &self.timing {
            Timing::Cron(pattern) => Some(pattern.cron()),
            Timing::At(_) | Timing::Every(_) => None,
        }
    }

    fn next(&self, cron: Option<&Cron>, after: Timestamp) -> Option<Timestamp> {
        match &self.timing {
            Timing::Every(period) => {
                let period = u64::try_from(period.as_micros()).ok().filter(|period| *period > 0)?;
                (after.0 / period).checked_add(1)?.checked_mul(period).map(Timestamp)
            }
            Timing::At(civil) => self.instants(*civil).into_iter().flatten().find(|at| *at > after),
            Timing::Cron(_) => self.next_fit(cron?, after),
        }
    }

    fn next_fit(&self, cron: &Cron, after: Timestamp) -> Option<Timestamp> {
        let wall = self.zone.wall(after)?.with().subsec_nanosecond(0).build().ok()?;
        let ahead = first_fit(cron, wall, false).and_then(|civil| self.first_behind(cron, civil, after));
        // In the first half of a fold, wall times of before come once more.
        match self.second_half(wall, after) {
            Some(begin) if self.fold == Fold::Both => {
                let again = first_fit(cron, begin, true).and_then(|civil| self.first_behind(cron, civil, after));
                [ahead, again].into_iter().flatten().min()
            }
            _ => ahead,
        }
    }

    /// The first instant behind `after` of a wall time that fits, from one that does on.
    fn first_behind(&self, cron: &Cron, mut civil: DateTime, after: Timestamp) -> Option<Timestamp> {
        loop {
            if let Some(found) = self.instants(civil).into_iter().flatten().find(|at| *at > after) {
                return Some(found);
            }
            civil = first_fit(cron, civil, false)?;
        }
    }

    /// The wall time with which the second half of a fold begins, where this is in its first half.
    fn second_half(&self, wall: DateTime, time: Timestamp) -> Option<DateTime> {
        let AmbiguousOffset::Fold { before, after } = self.zone.0.to_ambiguous_timestamp(wall).offset() else {
            return None;
        };
        let time = instant(time)?;
        if self.zone.0.to_offset(time) != before {
            return None;
        }
        self.zone.next_change(time).map(|change| after.to_datetime(change))
    }

    /// The instants that a wall time stands for, in their order.
    fn instants(&self, civil: DateTime) -> [Option<Timestamp>; 2] {
        let at = |offset: Offset| offset.to_timestamp(civil).ok();
        match self.zone.0.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => [at(offset).and_then(timestamp), None],
            AmbiguousOffset::Gap { after, .. } => match self.gap {
                // Read with the clock of behind the gap, the wall time lies before it.
                Gap::Next => [at(after).and_then(|before| self.zone.next_change(before)).and_then(timestamp), None],
                Gap::Skip => [None, None],
            },
            AmbiguousOffset::Fold { before, after } => match self.fold {
                Fold::First => [at(before).and_then(timestamp), None],
                Fold::Both => [at(before).and_then(timestamp), at(after).and_then(timestamp)],
            },
        }
    }
}

fn instant(time: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_microsecond(i64::try_from(time.0).ok()?).ok()
}

/// None before 1970.
fn timestamp(time: jiff::Timestamp) -> Option<Timestamp> {
    u64::try_from(time.as_microsecond()).ok().map(Timestamp)
}
