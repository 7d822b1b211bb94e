//! `cargo xtask expressions`: the table of expressions that the host's tests assert ours against, held against the real jq of
//! this machine. What the table says of jq is thereby jq's own word, not ours.

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::process::Process;
use crate::workspace::Workspace;
use crate::{progress, tools};

const TABLE: &str = "runtime/host/tests/sandbox/expressions.jsonl";
/// Longest that jq may take for one expression; an old jq is endless where a newer one is not.
const LIMIT: Duration = Duration::from_secs(20);

/// Asks the installed jq for every case that it is new enough for.
pub fn run(workspace: &Workspace) -> Result<()> {
    progress::doing("expressions, as jq sees them", |_| {
        let Some(version) = installed(workspace) else {
            println!(
                "    left out: there is no jq here, and it cannot be installed; the tests assert the table as it is"
            );
            return Ok(());
        };
        let path = workspace.root.join(TABLE);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).with_context(|| line.to_owned()));
        let head = lines.next().context("the table is empty")??;
        let (mut asked, mut newer, mut faults) = (0, 0, Vec::new());
        for case in lines {
            let case = case?;
            if case["since"].as_str().and_then(minor).is_some_and(|since| since > version) {
                newer += 1;
                continue;
            }
            asked += 1;
            let event = &head["events"][case["event"].as_str().unwrap_or_default()];
            let found = ask(case["expression"].as_str().context("a case has no expression")?, event)?;
            let holds = match &found {
                Some(found) => case.get("jq").is_some_and(|expected| same(expected, found)),
                None => case["jq_fails"] == true,
            };
            if !holds {
                faults.push(format!(
                    "{case}\n    jq: {}",
                    found.map_or("it fails".to_owned(), |found| found.to_string())
                ));
            }
        }
        println!(
            "    jq {}.{} agrees with {} of {asked} cases; {newer} need a newer one",
            version.0,
            version.1,
            asked - faults.len()
        );
        if !faults.is_empty() {
            bail!("{TABLE} is not what jq says:\n{}\nto run it alone: cargo xtask expressions", faults.join("\n"));
        }
        Ok(())
    })
}

/// The version of the jq on this machine, which is installed where that may be done.
fn installed(workspace: &Workspace) -> Option<(u32, u32)> {
    let version = || minor(Process::new("jq", &workspace.root).arg("--version").read().ok()?.trim_start_matches("jq-"));
    version().or_else(|| tools::debian("jq").then(version).flatten())
}

/// `1.7.1` is 1 and 7.
fn minor(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(|letter: char| !letter.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The first output of an expression, null where it has none; nothing where it fails.
fn ask(expression: &str, event: &Value) -> Result<Option<Value>> {
    let filter = format!("first({})", expression.replace("$.", "$__."));
    let context = json!({ "event": event }).to_string();
    let mut jq = Command::new("jq")
        .args(["--compact-output", "--argjson", "__", &context, &filter])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start jq")?;
    // One that refuses its filter reads no input.
    let _ = jq.stdin.take().context("its input is piped")?.write_all(context.as_bytes());
    let mut stdout = jq.stdout.take().context("its output is piped")?;
    let output = thread::spawn(move || {
        let mut output = String::new();
        stdout.read_to_string(&mut output).map(|_| output)
    });
    let start = Instant::now();
    let status = loop {
        match jq.try_wait()? {
            Some(status) => break status,
            None if start.elapsed() < LIMIT => thread::sleep(Duration::from_millis(1)),
            None => {
                jq.kill()?;
                jq.wait()?;
                bail!("jq does not end: {filter}");
            }
        }
    };
    let output = output.join().expect("reading does not panic")?;
    if !status.success() {
        return Ok(None);
    }
    match output.lines().next() {
        Some(line) => Ok(Some(serde_json::from_str(line).with_context(|| format!("jq says {line}"))?)),
        None => Ok(Some(Value::Null)),
    }
}

/// Equal as JSON, whatever way a number is written.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => left == right,
            _ => left.as_f64() == right.as_f64(),
        },
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let equal = |(key, left): (&String, &Value)| right.get(key).is_some_and(|right| same(left, right));
            left.len() == right.len() && left.iter().all(equal)
        }
        (left, right) => left == right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_and_not_texts() {
        assert_eq!(minor("1.7.1"), Some((1, 7)));
        assert_eq!(minor("1.8"), Some((1, 8)));
        assert!(minor("1.10") > minor("1.9"));
        assert_eq!(minor("nonsense"), None);
    }

    #[test]
    fn a_number_is_the_same_however_it_is_written() {
        assert!(same(&json!([1, {"a": 2.0}]), &json!([1.0, {"a": 2}])));
        assert!(!same(&json!([1]), &json!([1, 2])));
        assert!(!same(&json!({"a": 1}), &json!({"b": 1})));
    }
}
