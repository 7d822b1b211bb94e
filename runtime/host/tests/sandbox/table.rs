//! Our expressions beside jq's: a table of what the real jq says, and of the few places where ours says something else.
//!
//! `expressions.jsonl` begins with the version of jq that its answers come from, and the events that its cases name. Each
//! further line is a case: `jq` is the first output (`null` where there is none), `jq_fails` that there is an error instead.
//! Where ours differs on purpose, `ours` (or `ours_fails`) says what it gives and `why` the reason. `since` is the first jq
//! that answers so. `cargo xtask expressions` holds the table against the jq that is installed.

use std::collections::BTreeMap;

use camshaft_model::ids::Name;
use camshaft_model::language::expression::{Expression, Jq, Root, Scope};
use camshaft_model::language::{FindTask, TaskMissing, compile};
use camshaft_model::limits::Budget;
use camshaft_model::plugin::PluginPin;
use camshaft_model::program::StepKind;
use camshaft_model::{Value, json};
use serde_json::Number;

use crate::world::{World, shipped};

const TABLE: &str = include_str!("expressions.jsonl");

/// What a user can give as `$.event`.
struct Event(Value);

impl Scope for Event {
    fn get(&self, root: &Root) -> Option<&Value> {
        matches!(root, Root::Event).then_some(&self.0)
    }
}

/// The documents of these tests call nothing.
struct NoTasks;

impl FindTask for NoTasks {
    fn find(&self, _: &Name, _: &semver::VersionReq) -> Result<PluginPin, TaskMissing> {
        unreachable!("no document here has a task")
    }
    fn names(&self) -> Vec<String> {
        vec![]
    }
}

/// What the whole path gives: the document's reader, and the evaluator in its sandbox.
fn ours(expression: &str, event: &Event, jq: &dyn Jq) -> Result<Value, String> {
    let document = json!({"name": "x", "steps": [{"if": expression, "then": []}]}).to_string();
    let compiled = compile(&document, &NoTasks).map_err(|faults| faults[0].to_string())?;
    let condition: &Expression = match &compiled.program.steps[0].kind {
        StepKind::If(step) => &step.condition,
        _ => unreachable!("the document has an if"),
    };
    condition.evaluate(event, jq).map_err(|failure| failure.message)
}

/// Equal as JSON: `1`, `1.0` and `1e0` are one number.
fn same(left: &Value, right: &Value) -> bool {
    fn number(left: &Number, right: &Number) -> bool {
        match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => left == right,
            _ => left.as_f64() == right.as_f64(),
        }
    }
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => number(left, right),
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

/// A value, or none for a failure.
fn answer<'a>(case: &'a Value, value: &str, fails: &str) -> Option<Option<&'a Value>> {
    match (case.get(value), case.get(fails)) {
        (Some(value), None) => Some(Some(value)),
        (None, Some(_)) => Some(None),
        (None, None) => None,
        (Some(_), Some(_)) => panic!("both `{value}` and `{fails}`: {case}"),
    }
}

#[test]
fn every_expression_gives_what_jq_gives_but_for_what_the_table_explains() {
    let mut lines =
        TABLE.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}")));
    let head = lines.next().unwrap();
    let events: BTreeMap<_, _> =
        head["events"].as_object().unwrap().iter().map(|(name, event)| (name.as_str(), Event(event.clone()))).collect();
    let world = World::new(Budget::default());
    let jq = world.host.jq(shipped("expression")).unwrap();
    let (mut cases, mut differences, mut faults) = (0, 0, Vec::new());
    for case in lines {
        let expression = case["expression"].as_str().unwrap();
        let event = &events[case["event"].as_str().unwrap()];
        let found = ours(expression, event, jq.as_ref());
        let theirs = answer(&case, "jq", "jq_fails").unwrap_or_else(|| panic!("what does jq say? {case}"));
        let differs = answer(&case, "ours", "ours_fails");
        cases += 1;
        if let Some(differs) = differs {
            differences += 1;
            let reason = case["why"].as_str().is_some_and(|why| !why.is_empty());
            assert!(reason, "a difference needs its reason: {case}");
            let none = match (differs, theirs) {
                (Some(ours), Some(theirs)) => same(ours, theirs),
                (None, None) => true,
                _ => false,
            };
            assert!(!none, "that is no difference: {case}");
        }
        let holds = match (differs.unwrap_or(theirs), &found) {
            (Some(expected), Ok(found)) => same(expected, found),
            (None, Err(_)) => true,
            _ => false,
        };
        if !holds {
            let found = found.map_or_else(|why| format!("fails: {why}"), |value| value.to_string());
            faults.push(format!("{case}\n    ours: {found}"));
        }
    }
    println!("{cases} expressions beside jq {}, {differences} of them different on purpose", head["jq"]);
    assert!(faults.is_empty(), "{} of {cases} are otherwise than the table says:\n{}", faults.len(), faults.join("\n"));
    assert!(cases >= 200, "the table has shrunk to {cases}");
}
