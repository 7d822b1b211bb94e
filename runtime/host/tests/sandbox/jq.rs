//! jq in the sandbox: right where it is harmless, stopped where it is not, and the next evaluation is unhurt.

use std::sync::Arc;

use camshaft_model::json;
use camshaft_model::language::expression::{Jq, JqError};
use camshaft_model::limits::Budget;

use crate::world::{World, shipped};

/// What is wrong with a filter itself.
fn fault(jq: &dyn Jq, filter: &str) -> String {
    match jq.evaluate(filter, "{}") {
        Err(JqError::Failed(said)) => said,
        other => panic!("{filter}: {other:?}"),
    }
}

fn evaluator() -> (World, Arc<dyn Jq>) {
    let world = World::new(Budget::default());
    let jq = world.host.jq(shipped("expression")).unwrap();
    (world, jq)
}

#[test]
fn filters_see_their_context_and_nothing_of_the_one_before() {
    let (_world, jq) = evaluator();
    for n in 0..50 {
        let context = json!({"event": {"n": n}}).to_string();
        assert_eq!(jq.evaluate("$__.event.n + 1", &context), Ok(json!(n + 1)));
    }
    assert_eq!(jq.evaluate("[.a[]? | select(. > 1)]", r#"{"a":[1,2,3]}"#), Ok(json!([2, 3])));
    assert_eq!(jq.evaluate("empty", "{}"), Ok(json!(null)));
    assert_eq!(jq.evaluate(".event", "{}"), Ok(json!(null)));
}

/// On a worker of a runtime, as the engine evaluates: nothing that a guest does may wait for that runtime.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_filters_are_stopped_and_the_next_is_unhurt() {
    let (_world, jq) = evaluator();
    for filter in [
        "def f: f; f",
        "[range(1e18)] | length",
        "def f: 1 + f; f",
        "[limit(1e12; repeat(\"x\"))] | length",
        "reduce range(60) as $i (\"x\"; . + .) | length",
        "\"x\" * 1000000000",
        "reduce range(100) as $i (\"aaaaaaaa\"; . + .)",
        "nonsense(",
        "error(\"on purpose\")",
    ] {
        let said = fault(&*jq, filter);
        assert!(!said.is_empty());
        assert_eq!(jq.evaluate("1 + 1", "{}"), Ok(json!(2)), "after {filter}");
    }
}

/// As executions do. A guest without memory says so on its way out, and whatever would wait for that must not break the thread.
#[tokio::test]
async fn on_a_thread_of_the_runtime_too_a_filter_without_memory_is_stopped() {
    let (_world, jq) = evaluator();
    for filter in ["[range(1e9)]", "[range(infinite)] | add", "reduce range(60) as $i (\"x\"; . + .)"] {
        let said = fault(&*jq, filter);
        assert!(said.contains("memory") || said.contains("longer than"), "{filter}: {said}");
        assert_eq!(jq.evaluate("1 + 1", "{}"), Ok(json!(2)), "after {filter}");
    }
}

#[test]
fn many_threads_evaluate_at_once() {
    let (_world, jq) = evaluator();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let jq = &jq;
            scope.spawn(move || {
                for n in 0..50 {
                    assert_eq!(jq.evaluate(". * 2", &n.to_string()), Ok(json!(n * 2)), "thread {thread}");
                }
            });
        }
    });
}

/// More than there are instances: they wait for one, and none takes one that is a plugin's.
#[test]
fn a_crowd_of_hostile_filters_waits_its_turn_and_takes_no_instance_of_a_plugin() {
    let (_world, jq) = evaluator();
    std::thread::scope(|scope| {
        for thread in 0..40 {
            let jq = &jq;
            scope.spawn(move || {
                let said = fault(&**jq, "def f: f; f");
                assert!(said.contains("longer than"), "thread {thread}: {said}");
                assert_eq!(jq.evaluate("1 + 1", "{}"), Ok(json!(2)), "thread {thread}");
            });
        }
    });
}
