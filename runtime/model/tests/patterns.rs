//! A thousand random patterns, held against what croniter (PyPI) says of them: `patterns.jsonl`, which `cargo xtask patterns`
//! makes. Where the two differ, the reason stands here, and what ours says is written out.

use camshaft_model::schedule::{Schedule, Timing};
use camshaft_model::time::Timestamp;
use camshaft_model::{Value, json};

fn ours(pattern: &str, after: &str, count: usize) -> Value {
    let timing = match Timing::cron(pattern) {
        Ok(timing) => timing,
        Err(fault) if fault.contains("it fits no date") => return json!([]),
        Err(fault) => panic!("{fault}"),
    };
    let schedule = Schedule::new(timing);
    let after: Timestamp = format!("{after}Z").parse().unwrap();
    let times = schedule.firings_after(after).take(count);
    times.map(|time| time.to_string()[..19].to_owned()).collect::<Vec<_>>().into()
}

#[test]
fn a_thousand_random_patterns_mean_what_croniter_takes_them_for() {
    let mut lines = include_str!("patterns.jsonl").lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let head = lines.next().unwrap();
    let (mut same, mut faults) = (0, Vec::new());
    for case in lines {
        let text = |key: &str| case[key].as_str().unwrap().to_owned();
        let found = ours(&text("pattern"), &text("after"), 8);
        same += usize::from(found == case["next"]);
        if found != case["next"] {
            faults.push(format!("{}\n    ours   {found}\n    theirs {}", text("pattern"), case["next"]));
        }
    }
    assert!(faults.is_empty(), "{head}: {same} agree, {} do not:\n{}", faults.len(), faults.join("\n"));
    assert_eq!(json!(same), head["count"]);
}
