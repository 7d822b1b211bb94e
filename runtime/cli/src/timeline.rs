//! An execution as people look at it: what it was, then a line for each step.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::view::{duration, pairs, short, status, text};

/// Turns of a loop that are shown though all is well with them.
const TURNS_SHOWN: usize = 5;
/// Width of what is shown of an output or failure.
const SHOWN: usize = 100;

/// The whole, with what plugins logged if that is wanted.
pub(crate) fn render(execution: &Value, logs: bool) -> String {
    let us = |value: &Value| value.as_u64().map(duration).unwrap_or_default();
    let answer = match execution["answer"]["status"].as_u64() {
        Some(code) => {
            let headers = execution["answer"]["headers"].as_array().into_iter().flatten();
            let headers: String = headers.map(|pair| format!("  {}: {}", text(&pair[0]), text(&pair[1]))).collect();
            format!("{code}{headers}")
        }
        None => String::new(),
    };
    let mut failure = text(&execution["failure"]["message"]);
    if !failure.is_empty() {
        failure = format!("{}: {failure}", text(&execution["failure"]["kind"]));
    }
    let head = pairs(&[
        ("execution", text(&execution["id"])),
        (
            "workflow",
            format!(
                "{} (revision {}, {})",
                text(&execution["workflow"]),
                execution["revision"],
                text(&execution["environment"])
            ),
        ),
        ("status", status(&text(&execution["status"]))),
        ("trigger", text(&execution["trigger"])),
        ("test", if execution["test"] == true { "yes".to_owned() } else { String::new() }),
        ("started by", text(&execution["parent"])),
        ("repeats", text(&execution["repeats"])),
        ("goes on", text(&execution["due_at"])),
        ("accepted", text(&execution["accepted_at"])),
        ("took", us(&execution["duration_us"])),
        ("answer", answer),
        ("failed step", text(&execution["failed_step"])),
        ("failure", failure),
        (
            "output",
            if execution["output"].is_null() { String::new() } else { short(&execution["output"].to_string(), SHOWN) },
        ),
    ]);
    let steps: Vec<&Value> = execution["steps"].as_array().into_iter().flatten().collect();
    let name = |step: &Value| {
        let turns: String =
            step["iteration"].as_array().into_iter().flatten().map(|turn| format!("[{turn}]")).collect();
        let indent = "  ".repeat(step["depth"].as_u64().unwrap_or(0) as usize);
        format!("{indent}{}{turns}", text(&step["path"]))
    };
    let width = steps.iter().map(|step| name(step).chars().count()).max().unwrap_or(0);
    let mut lines = vec![head, String::new()];
    let mut turns: BTreeMap<String, usize> = BTreeMap::new();
    for step in steps {
        // Of a loop the first turns tell most; what did not go well is shown of any.
        let count = turns.entry(text(&step["path"])).or_default();
        *count += 1;
        if *count > TURNS_SHOWN && matches!(text(&step["status"]).as_str(), "succeeded" | "skipped") {
            continue;
        }
        let attempts: Vec<&Value> = step["attempts"].as_array().into_iter().flatten().collect();
        let mut line = format!(
            "  {} {:width$}  {:8}  {:>9}",
            mark(&text(&step["status"])),
            name(step),
            text(&step["kind"]),
            us(&step["duration_us"]),
        );
        if attempts.len() > 1 {
            line.push_str(&format!("  {} attempts", attempts.len()));
        }
        let shown = match (&step["failure"], &step["output"]) {
            (Value::Null, Value::Null) => waits(&step["waits_for"]),
            (Value::Null, output) => short(&output.to_string(), SHOWN),
            (failure, _) => short(&format!("{}: {}", text(&failure["kind"]), text(&failure["message"])), SHOWN),
        };
        if !shown.is_empty() {
            line.push_str(&format!("  {shown}"));
        }
        lines.push(line.trim_end().to_owned());
        for attempt in attempts.into_iter().filter(|_| logs) {
            lines.extend(attempt_lines(attempt));
        }
    }
    for (path, count) in turns.into_iter().filter(|(_, count)| *count > TURNS_SHOWN) {
        let all = "all of them with --json";
        lines.push(format!(
            "    `{path}` ran {count} times; {TURNS_SHOWN} and those that did not go well are shown, {all}"
        ));
    }
    lines.join("\n")
}

/// What a step waits for.
fn waits(waits_for: &Value) -> String {
    let until = match &waits_for["until"] {
        Value::Null => String::new(),
        until => format!(", until {}", text(until)),
    };
    let what = waits_for.as_object().into_iter().flatten().find_map(|(word, about)| {
        Some(match word.as_str() {
            "time" => "waits".to_owned(),
            "event" => format!("waits for an event of topic `{}`", text(&about["topic"])),
            "approval" => format!("asks: {}", short(&text(&about["ask"]), SHOWN)),
            "lock" => format!("stands in line for the lock `{}`", text(&about["key"])),
            "child" => format!("waits for execution {}", text(&about["execution"])),
            _ => return None,
        })
    });
    what.map(|what| format!("{what}{until}")).unwrap_or_default()
}

/// What an attempt used and logged.
fn attempt_lines(attempt: &Value) -> Vec<String> {
    let usage = &attempt["usage"];
    let mut lines = vec![format!(
        "      attempt {}: cpu {}, memory {} KiB, {} requests",
        attempt["attempt"],
        duration(usage["cpu_us"].as_u64().unwrap_or(0)),
        usage["memory_bytes"].as_u64().unwrap_or(0) / 1024,
        usage["requests"].as_u64().unwrap_or(0),
    )];
    for line in attempt["log"].as_array().into_iter().flatten() {
        let fields = match &line["fields"] {
            Value::Object(fields) if !fields.is_empty() => format!("  {}", line["fields"]),
            _ => String::new(),
        };
        let (after, level) = (duration(line["after_us"].as_u64().unwrap_or(0)), text(&line["level"]));
        lines.push(format!("      {after:>9} {level:5} {}{fields}", short(&text(&line["message"]), 400)));
    }
    lines
}

fn mark(status: &str) -> &'static str {
    match status {
        "succeeded" => "✓",
        "failed" => "✗",
        "skipped" => "–",
        "cancelled" => "∅",
        "waiting" => "…",
        "kept" => "↺",
        _ => "▶",
    }
}

/// One entry of a journal, for `watch`.
pub(crate) fn entry_line(entry: &Value) -> String {
    let Some((word, body)) = entry.as_object().and_then(|fields| fields.iter().next()) else {
        return entry.to_string();
    };
    let shown = match word.as_str() {
        "attempt_ended" => match &body["outcome"] {
            outcome if outcome["succeeded"].is_null() => {
                format!("failed: {}", short(&text(&outcome["failed"]["message"]), SHOWN))
            }
            outcome => format!("succeeded: {}", short(&outcome["succeeded"].to_string(), SHOWN)),
        },
        "ended" => text(&body["outcome"]["ending"]),
        "accepted" => text(&body["invocation"]["revision"]["workflow"]),
        "variables_set" => short(&body["values"].to_string(), SHOWN),
        "cancel_requested" => format!("by {}", text(&body["by"])),
        _ => String::new(),
    };
    // A stream says the path; a journal has the address alone.
    let path = body["step"].as_str().map(|path| format!("{path} "));
    let step = path.or_else(|| body["at"].get(1).map(|step| format!("step {step} "))).unwrap_or_default();
    format!("{:16} {step}{shown}", word.replace('_', " ")).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn execution() -> Value {
        json!({
            "id": "0190", "workflow": "triage", "revision": 2, "environment": "production", "status": "failed", "trigger": "webhook",
            "accepted_at": "2026-11-21T07:00:00.000Z", "duration_us": 1520, "output": null,
            "answer": {"status": 201, "headers": [["X-Triage", "bug"]]},
            "failure": {"kind": "failed", "message": "no"}, "failed_step": "b",
            "steps": [
                {"path": "a", "kind": "task", "iteration": [], "status": "succeeded", "duration_us": 42, "output": {"x": 1},
                 "attempts": [{"attempt": 1, "usage": {"cpu_us": 40, "memory_bytes": 2048, "requests": 0},
                               "log": [{"after_us": 7, "level": "info", "message": "hello", "fields": {"n": 1}}]}]},
                {"path": "b", "kind": "task", "depth": 1, "iteration": [3], "status": "failed", "duration_us": 1400,
                 "failure": {"kind": "failed", "message": "no"}, "attempts": [{}, {}]},
                {"path": "c", "kind": "approval", "iteration": [], "status": "waiting", "attempts": [],
                 "waits_for": {"approval": {"ask": "Ship 7?", "of": []}, "until": "2026-11-23T07:00:00.000Z"}}
            ]
        })
    }

    #[test]
    fn an_execution_reads_from_top_to_bottom() {
        insta::assert_snapshot!(render(&execution(), true), @r#"
        execution    0190
        workflow     triage (revision 2, production)
        status       failed
        trigger      webhook
        accepted     2026-11-21T07:00:00.000Z
        took         1.5 ms
        answer       201  X-Triage: bug
        failed step  b
        failure      failed: no

          ✓ a       task          42 µs  {"x":1}
              attempt 1: cpu 40 µs, memory 2 KiB, 0 requests
                   7 µs info  hello  {"n":1}
          ✗   b[3]  task         1.4 ms  2 attempts  failed: no
              attempt null: cpu 0 µs, memory 0 KiB, 0 requests
              attempt null: cpu 0 µs, memory 0 KiB, 0 requests
          … c       approval             asks: Ship 7?, until 2026-11-23T07:00:00.000Z
        "#);
        assert!(!render(&execution(), false).contains("hello"));
    }

    #[test]
    fn of_a_long_loop_the_first_turns_are_shown_and_what_did_not_go_well() {
        let turn = |n: usize| {
            let status = if n == 50 { "failed" } else { "succeeded" };
            json!({"path": "one", "kind": "task", "depth": 1, "iteration": [n], "status": status, "attempts": []})
        };
        let shown = render(&json!({"steps": (0..100).map(turn).collect::<Vec<_>>()}), false);
        assert!(shown.contains("one[4]") && !shown.contains("one[5]"), "{shown}");
        assert!(shown.contains("one[50]") && shown.contains("`one` ran 100 times"), "{shown}");
    }

    #[test]
    fn entries_are_one_line_each() {
        assert_eq!(entry_line(&json!({"ended": {"outcome": {"ending": "succeeded"}}})), "ended            succeeded");
        assert_eq!(
            entry_line(&json!({"attempt_ended": {"at": [0, 3], "outcome": {"succeeded": [1]}}})),
            "attempt ended    step 3 succeeded: [1]"
        );
    }
}
