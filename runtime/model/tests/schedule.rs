//! When schedules fire, held against a calendar that is walked second by second.

use std::collections::BTreeSet;
use std::time::Duration;

use camshaft_model::schedule::{Fold, Gap, Pattern, Schedule, Timing, Zone};
use camshaft_model::time::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

fn cron(pattern: &str) -> Schedule {
    Schedule::new(Timing::Cron(Pattern::parse(pattern).unwrap()))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn firings(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
    schedule.firings_after(at(after)).take(count).map(|time| time.to_string()).collect()
}

#[test]
fn patterns_of_five_six_and_seven_fields_fire_in_their_zone() {
    let berlin = Schedule { zone: Zone::named("Europe/Berlin").unwrap(), ..cron("0 9 * * MON-FRI") };
    assert_eq!(
        firings(&berlin, "2026-11-20T08:00:00Z", 2),
        ["2026-11-23T08:00:00.000Z", "2026-11-24T08:00:00.000Z"],
        "9:00 in winter is 8:00 UTC, and the time itself is not behind itself"
    );
    for (pattern, expected) in [
        ("*/20 30 12 * * *", vec!["2026-11-21T12:30:00.000Z", "2026-11-21T12:30:20.000Z"]),
        ("0 0 0 1 1 ? 2030", vec!["2030-01-01T00:00:00.000Z"]),
        ("@daily", vec!["2026-11-22T00:00:00.000Z", "2026-11-23T00:00:00.000Z"]),
        ("0 12 L * *", vec!["2026-11-30T12:00:00.000Z", "2026-12-31T12:00:00.000Z"]),
        ("0 12 15W * *", vec!["2026-12-15T12:00:00.000Z", "2027-01-15T12:00:00.000Z"]),
        ("0 12 * * FRI#2", vec!["2026-12-11T12:00:00.000Z", "2027-01-08T12:00:00.000Z"]),
        ("0 12 * * FRIL", vec!["2026-11-27T12:00:00.000Z", "2026-12-25T12:00:00.000Z"]),
        ("0 0 29 2 *", vec!["2028-02-29T00:00:00.000Z", "2032-02-29T00:00:00.000Z"]),
    ] {
        assert_eq!(firings(&cron(pattern), "2026-11-21T07:00:00Z", expected.len()), expected, "{pattern}");
    }
    assert_eq!(firings(&cron("0 0 0 1 1 ? 2030"), "2030-01-01T00:00:00Z", 1), [""; 0], "it never fires again");
}

#[test]
fn what_is_no_pattern_is_refused() {
    for bad in ["", "* * * *", "60 * * * *", "* * * * * * * *", "0 0 30 2 *", "0 0 * * FUNDAY", "@sometimes"] {
        assert!(Pattern::parse(bad).is_err(), "{bad:?} is taken");
    }
}

#[test]
fn intervals_stand_on_the_clock_of_1970() {
    let every = |seconds| Schedule::new(Timing::Every(Duration::from_secs(seconds)));
    assert_eq!(
        firings(&every(900), "2026-11-21T07:00:01Z", 2),
        ["2026-11-21T07:15:00.000Z", "2026-11-21T07:30:00.000Z"]
    );
    assert_eq!(firings(&every(900), "2026-11-21T07:15:00Z", 1), ["2026-11-21T07:30:00.000Z"]);
}

#[test]
fn a_time_that_comes_once_fires_once() {
    let once = |text: &str, gap| Schedule {
        zone: Zone::named("Europe/Berlin").unwrap(),
        gap,
        ..Schedule::new(Timing::At(text.parse().unwrap()))
    };
    assert_eq!(
        firings(&once("2026-12-24T18:00:00", Gap::Next), "2026-11-21T07:00:00Z", 9),
        ["2026-12-24T17:00:00.000Z"]
    );
    assert_eq!(firings(&once("2026-12-24T18:00:00", Gap::Next), "2026-12-24T17:00:00Z", 9), [""; 0]);
    assert_eq!(
        firings(&once("2027-03-28T02:30:00", Gap::Next), "2026-11-21T07:00:00Z", 9),
        ["2027-03-28T01:00:00.000Z"]
    );
    assert_eq!(firings(&once("2027-03-28T02:30:00", Gap::Skip), "2026-11-21T07:00:00Z", 9), [""; 0]);
}

#[test]
fn jitter_is_the_same_for_the_same_firing_and_within_its_bound() {
    let schedule = Schedule { jitter: Duration::from_secs(30), ..cron("@hourly") };
    let mut delays = BTreeSet::new();
    for due in schedule.firings_after(at("2026-11-21T07:00:00Z")).take(200) {
        let delay = schedule.starts_at(&"nightly", due).since(due);
        assert_eq!(delay, schedule.starts_at(&"nightly", due).since(due));
        assert!(delay < Duration::from_secs(30), "{delay:?}");
        delays.insert(delay.as_secs());
    }
    assert!(delays.len() > 20, "200 firings fall on {} of 30 seconds", delays.len());
    let due = at("2026-11-21T08:00:00Z");
    assert_eq!(cron("@hourly").starts_at(&"nightly", due), due);
}

#[test]
fn jitter_never_reaches_the_next_firing() {
    let often =
        Schedule { jitter: Duration::from_secs(86_400), ..Schedule::new(Timing::Every(Duration::from_secs(3))) };
    for due in often.firings_after(at("2026-11-21T07:00:00Z")).take(200) {
        let starts = often.starts_at(&"often", due);
        assert!(due <= starts && Some(starts) < often.next_after(due), "{due} starts at {starts}");
    }
}

#[test]
fn the_last_firings_of_a_time_are_found_from_its_end() {
    let (begin, end) = (at("2026-01-01T00:00:00Z"), at("2026-11-21T07:00:00Z"));
    for schedule in [
        cron("0 9 * * MON-FRI"),
        cron("* * * * * * 2025"),
        cron("0 0 29 2 *"),
        cron("* * 3 1 *"),
        Schedule::new(Timing::Every(Duration::from_secs(3600))),
        Schedule::new(Timing::At("2026-03-01T12:00:00".parse().unwrap())),
    ] {
        let all: Vec<_> = schedule.firings_after(begin).take_while(|due| *due <= end).collect();
        for most in [1, 7, 1_000] {
            let expected = &all[all.len().saturating_sub(most)..];
            assert_eq!(schedule.last_between(begin, end, most), expected, "{most} of {:?}", schedule.timing);
        }
    }
    let every_second = Schedule::new(Timing::Every(Duration::from_secs(1)));
    assert_eq!(every_second.last_between(at("1970-01-01T00:00:00Z"), end, 2), [at("2026-11-21T06:59:59Z"), end]);
}

#[test]
fn a_time_is_shown_as_the_wall_clock_of_its_zone() {
    let berlin = Zone::named("europe/berlin").unwrap();
    assert_eq!(berlin.name(), "Europe/Berlin");
    assert_eq!(berlin.shown(at("2026-12-24T17:00:00Z")), "2026-12-24T18:00:00+01:00");
    assert_eq!(Zone::default().shown(at("2026-12-24T17:00:00Z")), "2026-12-24T17:00:00+00:00");
    assert_eq!(Zone::nearest("Europe/Berln").as_deref(), Some("Europe/Berlin"));
}

/// Every change of clock of ten zones in ten years, with patterns that fall into it, between and beside: what fires is what
/// a walk over every half minute of the two days around it finds.
#[test]
fn every_change_of_clock_of_ten_zones_in_ten_years_is_as_the_schedule_says() {
    let zones = [
        "Europe/Berlin",
        "America/New_York",
        "America/Sao_Paulo",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Asia/Tehran",
        "America/St_Johns",
        "Pacific/Apia",
        "Asia/Gaza",
        "Antarctica/Troll",
    ];
    let patterns =
        ["0 * * * *", "30 2 * * *", "15,45 1-3 * * *", "0 0 * * *", "*/7 * * * *", "59 23 * * *", "30 0 2 * * *"];
    let (begin, end): (jiff::Timestamp, jiff::Timestamp) =
        ("2015-01-01T00:00:00Z".parse().unwrap(), "2025-01-01T00:00:00Z".parse().unwrap());
    let says = [Gap::Next, Gap::Skip].into_iter().flat_map(|gap| [(gap, Fold::First), (gap, Fold::Both)]);
    let mut changes = 0;
    for zone in zones {
        let wall = TimeZone::get(zone).unwrap();
        for change in wall.following(begin).take_while(|change| change.timestamp() < end) {
            changes += 1;
            let us = u64::try_from(change.timestamp().as_microsecond()).unwrap();
            let (from, to) = (Timestamp(us - 86_400_000_000), Timestamp(us + 86_400_000_000));
            let walk = Walk::new(&wall, from, to);
            for (gap, fold) in says.clone() {
                let check = |timing: Timing, fits: &dyn Fn(DateTime) -> bool| {
                    let shown = format!("{zone}, {timing:?}, {gap:?}, {fold:?}, around {}", change.timestamp());
                    let schedule = Schedule { zone: Zone::named(zone).unwrap(), gap, fold, ..Schedule::new(timing) };
                    let fired: Vec<_> = schedule.firings_after(from).take_while(|time| *time <= to).collect();
                    assert_eq!(fired, walk.found(fits, (gap, fold)), "{shown}");
                };
                for pattern in patterns {
                    check(Timing::Cron(Pattern::parse(pattern).unwrap()), &fits(pattern));
                }
                for once in walk.around(us) {
                    check(Timing::At(once), &|time| time == once);
                }
            }
        }
    }
    println!("{changes} changes of clock");
    assert!(changes > 100, "{changes} changes of clock");
}

/// What a clock on the wall shows, every half minute from a day before a time on.
struct Walk {
    shown: Vec<(u64, DateTime)>,
    from: Timestamp,
    to: Timestamp,
}

impl Walk {
    const STEP_US: u64 = 30_000_000;

    fn new(wall: &TimeZone, from: Timestamp, to: Timestamp) -> Self {
        let shown = |us: u64| (us, wall.to_datetime(jiff::Timestamp::from_microsecond(us as i64).unwrap()));
        let times = (from.0 - 86_400_000_000..=to.0).step_by(Self::STEP_US as usize);
        Self { shown: times.map(shown).collect(), from, to }
    }

    /// Wall times at a change of clock, in what it leaps over or shows twice, and beside that.
    fn around(&self, us: u64) -> BTreeSet<DateTime> {
        let at = self.shown.iter().position(|(time, _)| *time >= us).unwrap();
        let (before, behind) = (self.shown[at - 1].1, self.shown[at].1);
        let half = jiff::Span::new().minutes(15);
        BTreeSet::from([before, behind, before - half, before + half, behind - half, behind + half])
    }

    /// The plain meaning: wall times that fit happen, or fall into a gap.
    fn found(&self, fits: &dyn Fn(DateTime) -> bool, (gap, fold): (Gap, Fold)) -> Vec<Timestamp> {
        let mut found = BTreeSet::new();
        // Every wall time counts when the clock first shows it; with `both`, each time that it does.
        let mut highest: Option<DateTime> = None;
        for (us, now) in self.shown.iter().copied() {
            let is_again = highest.is_some_and(|highest| now <= highest);
            let mut left_out = highest.map_or(now, |highest| highest + jiff::Span::new().seconds(30));
            while left_out < now {
                if gap == Gap::Next && fits(left_out) {
                    found.insert(Timestamp(us));
                }
                left_out += jiff::Span::new().seconds(30);
            }
            if fits(now) && (!is_again || fold == Fold::Both) {
                found.insert(Timestamp(us));
            }
            highest = highest.max(Some(now));
        }
        found.into_iter().filter(|time| *time > self.from && *time <= self.to).collect()
    }
}

/// The patterns of the walk, written out by hand.
fn fits(pattern: &str) -> fn(DateTime) -> bool {
    match pattern {
        "0 * * * *" => |t| (t.minute(), t.second()) == (0, 0),
        "30 2 * * *" => |t| (t.hour(), t.minute(), t.second()) == (2, 30, 0),
        "15,45 1-3 * * *" => {
            |t| (1..=3).contains(&t.hour()) && (t.minute() == 15 || t.minute() == 45) && t.second() == 0
        }
        "0 0 * * *" => |t| (t.hour(), t.minute(), t.second()) == (0, 0, 0),
        "*/7 * * * *" => |t| t.minute() % 7 == 0 && t.second() == 0,
        "59 23 * * *" => |t| (t.hour(), t.minute(), t.second()) == (23, 59, 0),
        "30 0 2 * * *" => |t| (t.hour(), t.minute(), t.second()) == (2, 0, 30),
        other => unreachable!("{other} is not written out"),
    }
}
