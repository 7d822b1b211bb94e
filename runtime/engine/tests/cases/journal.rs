//! A journal as text, one line an entry: its number, the seconds since the beginning, its word, the step, and the rest as JSON.

use std::fmt::Write;

use camshaft_model::entry::Entry;
use camshaft_model::outcome::Usage;
use camshaft_model::seams::Published;
use camshaft_model::{Map, Value, json};

/// Every word of an entry.
pub const WORDS: [&str; 22] = [
    "accepted",
    "seeded",
    "queued",
    "started",
    "entered",
    "loop_started",
    "left",
    "attempt_started",
    "attempt_ended",
    "retry_scheduled",
    "wait_started",
    "event_received",
    "event_taken",
    "approval_given",
    "lock_taken",
    "child_ended",
    "event_emitted",
    "variables_set",
    "exit_reached",
    "step_ended",
    "cancel_requested",
    "ended",
];

/// When every case begins, microseconds.
const BEGIN: u64 = 1_000_000_000_000;

/// Fields that are points in time.
const TIMES: [&str; 4] = ["until", "due", "retry_at", "next_at"];

/// The whole journal of one execution.
pub fn text(number: usize, published: &Published, entries: &[Entry]) -> String {
    let mut text = format!("\nexecution {number}, of `{}`\n", published.revision.workflow);
    for (sequence, entry) in entries.iter().enumerate() {
        let Ok(Value::Object(whole)) = serde_json::to_value(entry) else { panic!("an entry is an object") };
        let (word, fields) = whole.into_iter().next().expect("an entry has one word");
        let Value::Object(mut fields) = fields else { panic!("an entry has fields") };
        assert!(WORDS.contains(&word.as_str()), "`{word}` is a new word: name it here");
        let time = seconds(&fields.shift_remove("time").expect("an entry has a time"));
        let step = fields.shift_remove("at").map_or_else(String::new, |at| step(published, &at));
        let rest = rest(fields);
        let line = format!("{sequence:>4} {time:>8}  {word:<16} {step:<18} {rest}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// The step's path, and the frame where it is not the root's.
fn step(published: &Published, at: &Value) -> String {
    let (frame, address) = (at[0].as_u64().expect("a frame"), at[1].as_u64().expect("an address"));
    let path = &published.program.steps[address as usize].path;
    if frame == 0 { path.to_string() } else { format!("{path} #{frame}") }
}

fn rest(mut fields: Map<String, Value>) -> String {
    if fields.get("usage").is_some_and(|usage| *usage == json!(Usage::default())) {
        fields.shift_remove("usage");
    }
    // What differs between executions is told; where they all run is not.
    if let Some(Value::Object(mut invocation)) = fields.shift_remove("invocation") {
        for same in ["id", "workspace", "revision", "environment"] {
            invocation.shift_remove(same).expect("an invocation says it");
        }
        fields.extend(invocation);
    }
    let parts = fields.iter().map(|(name, value)| match value {
        time if TIMES.contains(&name.as_str()) => format!("{name}={}", seconds(time)),
        Value::String(word) if word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') => {
            format!("{name}={word}")
        }
        value => format!("{name}={value}"),
    });
    parts.collect::<Vec<_>>().join(" ")
}

fn seconds(time: &Value) -> String {
    let micros = time.as_u64().expect("a time is a number");
    if micros == u64::MAX {
        return "never".to_owned();
    }
    format!("{}s", micros.checked_sub(BEGIN).expect("nothing is before the beginning") as f64 / 1e6)
}

/// The lines that differ, with those around them; nothing where none does.
pub fn difference(expected: &str, found: &str) -> Option<String> {
    const AROUND: usize = 2;
    if expected == found {
        return None;
    }
    let (expected, found): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    let same = expected.iter().zip(&found).take_while(|(left, right)| left == right).count();
    let most = expected.len().min(found.len()) - same;
    let behind =
        expected.iter().rev().zip(found.iter().rev()).take(most).take_while(|(left, right)| left == right).count();
    let mut text = format!("from line {} on (`-` was reviewed, `+` is written now)\n", same + 1);
    let mut lines =
        |mark: &str, lines: &[&str]| lines.iter().for_each(|line| text.push_str(&format!("{mark} {line}\n")));
    lines(" ", &expected[same.saturating_sub(AROUND)..same]);
    lines("-", &expected[same..expected.len() - behind]);
    lines("+", &found[same..found.len() - behind]);
    lines(" ", &expected[expected.len() - behind..][..behind.min(AROUND)]);
    Some(text)
}
