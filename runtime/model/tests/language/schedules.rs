//! The `schedule` trigger: what is taken, what is said of a bad one, and that the schema sees it as the compiler does.

use std::time::Duration;

use camshaft_model::language::compile;
use camshaft_model::limits;
use camshaft_model::schedule::{Fold, Gap, Missed, Overlap, Schedule, Timing};
use camshaft_model::workflow::{Trigger, trigger_keys};
use camshaft_model::{Value, json};

use super::documents::{admit, is_admitted};
use super::{Shelf, good, show};

fn document(schedule: &str) -> String {
    format!(
        "name: a\nparams: {{ who: {{ type: string, default: x }}, n: {{ type: number, required: false }} }}\ntriggers:\n  - schedule: {schedule}\nsteps: []\n"
    )
}

fn schedule(text: &str) -> Schedule {
    let workflow = good(&document(text)).workflow;
    let [Trigger::Schedule(schedule)] = &workflow.triggers[..] else { panic!("it is the only trigger") };
    (**schedule).clone()
}

#[test]
fn what_is_left_out_has_its_usual_meaning() {
    let plain = schedule("{ cron: '0 9 * * MON-FRI' }");
    assert_eq!(plain, Schedule::new(Timing::cron("0 9 * * MON-FRI").unwrap()));
    assert_eq!(
        (plain.zone.name(), plain.gap, plain.fold, plain.missed, plain.overlap, plain.jitter),
        ("UTC", Gap::Next, Fold::First, Missed::Latest, Overlap::Skip, Duration::ZERO)
    );
}

#[test]
fn every_key_is_read() {
    let full = schedule(
        "{ cron: '@daily', timezone: Europe/Berlin, gap: skip, fold: both, missed: { all: 7 }, overlap: cancel_previous, jitter: 30s, params: { who: me, n: 3 } }",
    );
    assert_eq!(full.zone.name(), "Europe/Berlin");
    assert_eq!((full.gap, full.fold, full.missed), (Gap::Skip, Fold::Both, Missed::All(7)));
    assert_eq!((full.overlap, full.jitter), (Overlap::CancelPrevious, Duration::from_secs(30)));
    assert_eq!(Value::Object(full.params), json!({"who": "me", "n": 3}));
    let once = schedule("{ at: 2026-12-24T18:00:00, timezone: Europe/Berlin, missed: all }");
    assert_eq!((once.timing, once.missed), (Timing::At("2026-12-24T18:00:00".parse().unwrap()), Missed::All(100)));
    assert_eq!(schedule("{ every: 15m, overlap: queue }").timing, Timing::Every(Duration::from_secs(900)));
}

#[test]
fn several_schedules_have_a_key_each() {
    let workflow = good(
        "name: a\ntriggers: [ { schedule: { every: 1h } }, { manual: {} }, { schedule: { every: 2h } }, { schedule: { every: 3h } } ]\nsteps: []",
    )
    .workflow;
    let keys: Vec<_> = trigger_keys(&workflow.triggers).iter().map(ToString::to_string).collect();
    assert_eq!(keys, ["schedule", "manual", "schedule#2", "schedule#3"]);
}

/// Schedules, and what must be said of them. They begin on line 4, at column 15.
const FAULTS: &[(&str, &[&str])] = &[
    ("{}", &["4:15: `schedule` does not say when: it has one of `cron`, `at` and `every`"]),
    ("daily", &["4:15: `schedule` is a map, found `daily`"]),
    ("{ cron: '@daily', every: 1h }", &["4:15: `schedule` has both `cron` and `every`; it has one of them"]),
    ("{ cron: '61 * * * *' }", &["4:23: `cron` is `61 * * * *`: ", "write minute, hour, day, month and weekday"]),
    ("{ cron: '0 0 30 2 *' }", &["`cron` is `0 0 30 2 *`: it fits no date"]),
    ("{ cron: '0 0 * * FUNDAY' }", &["`cron` is `0 0 * * FUNDAY`: "]),
    ("{ at: tomorrow }", &["4:21: `at` is `tomorrow`, which is no wall time; write 2026-12-24T18:00:00"]),
    ("{ at: '2026-12-24T18:00:00Z' }", &["with an offset; write the wall time, and its `timezone`"]),
    ("{ at: '2026-12-24T18:00:00+01:00' }", &["with an offset"]),
    ("{ every: 500ms }", &["4:24: `every` is `500ms`; it is 1s to 1year"]),
    ("{ every: 400d }", &["`every` is `400d`; it is 1s to 1year"]),
    ("{ every: often }", &["`every` is `often`, which is no duration"]),
    ("{ every: 1h, timezone: UTC }", &["4:28: a `schedule` with `every` has no key `timezone`"]),
    (
        "{ cron: '@daily', timezone: Europe/Berln }",
        &["4:43: `timezone` is `Europe/Berln`", "did you mean `Europe/Berlin`?"],
    ),
    ("{ cron: '@daily', gap: last }", &["`gap` `last` is not known; it is one of next, skip"]),
    ("{ cron: '@daily', fold: second }", &["`fold` `second` is not known; it is one of first, both"]),
    ("{ cron: '@daily', missed: lastest }", &["`missed` `lastest`", "did you mean `latest`?"]),
    ("{ cron: '@daily', missed: { all: 1001 } }", &["`missed.all` is `1001`; it is a number from 1 to 1000"]),
    ("{ cron: '@daily', missed: { most: 3 } }", &["`missed` has no key `most`; it takes all"]),
    ("{ cron: '@daily', missed: {} }", &["`missed` has no `all`"]),
    (
        "{ cron: '@daily', overlap: cancel }",
        &["`overlap` `cancel` is not known", "skip, queue, allow, cancel_previous"],
    ),
    ("{ cron: '@daily', jitter: 25h }", &["`jitter` is `25h`; it is 1day at most"]),
    ("{ cron: '@daily', time_zone: UTC }", &["4:33: `schedule` has no key `time_zone`", "did you mean `timezone`?"]),
    ("{ every: 1h, params: { hwo: x } }", &["4:38: the workflow has no parameter `hwo`; did you mean `who`?"]),
    ("{ every: 1h, params: { n: three } }", &["4:41: parameter `n` is a number, found `three`"]),
    ("{ cron: x, at: y, gap: z, params: [] }", &["has both", "`gap` `z`", "`params` of a schedule is a map"]),
];

#[test]
fn each_fault_of_a_schedule_is_named_with_its_place() {
    for (schedule, expected) in FAULTS {
        let faults = compile(&document(schedule), &Shelf).expect_err(schedule);
        let said = show(&faults);
        for part in *expected {
            assert!(said.contains(part), "{schedule}\nshould say {part:?}, says\n{said}");
        }
    }
}

#[test]
fn a_schedule_gives_every_parameter_that_is_required() {
    let document = |params| {
        format!("name: a\nparams: {{ who: string }}\ntriggers: [ {{ schedule: {{ every: 1h{params} }} }} ]\nsteps: []")
    };
    let faults = compile(&document(""), &Shelf).unwrap_err();
    assert!(show(&faults).contains("3:15: a schedule brings the parameters that it says, and `who` is required"));
    good(&document(", params: { who: me }"));
}

#[test]
fn the_schema_sees_schedules_as_the_compiler_does() {
    for schedule in [
        "{ cron: '0 9 * * MON-FRI', timezone: Europe/Berlin, gap: next, fold: first, missed: latest, overlap: skip, jitter: 30s, params: { who: x } }",
        "{ at: '2026-12-24T18:00:00', timezone: Europe/Berlin, missed: { all: 3 } }",
        "{ every: 15m, overlap: allow, missed: all }",
    ] {
        admit(&document(schedule));
    }
    for schedule in [
        "{}",
        "{ cron: '@daily', every: 1h }",
        "{ every: 1h, timezone: UTC }",
        "{ cron: '@daily', gap: last }",
        "{ cron: '@daily', missed: { all: 1001 } }",
        "{ cron: '@daily', missed: {} }",
        "{ cron: '@daily', overlap: cancel }",
        "{ cron: '@daily', time_zone: UTC }",
    ] {
        assert!(compile(&document(schedule), &Shelf).is_err(), "{schedule} compiles");
        assert!(!is_admitted(&document(schedule)), "the schema admits {schedule}");
    }
    let most = limits::MISSED_MAX;
    admit(&document(&format!("{{ every: 1h, missed: {{ all: {most} }} }}")));
}
