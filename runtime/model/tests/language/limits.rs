//! Every bound of a document, at the limit and one past it; and hostile nesting.

use camshaft_model::language::compile;
use camshaft_model::limits::*;

use super::{Shelf, show};

fn nested(levels: usize) -> String {
    // The document itself, `steps`, the step and `set` are levels as well.
    let inner = levels - 4;
    format!("name: a\nsteps: [ {{ set: {{ x: {}{} }} }} ]", "[".repeat(inner), "]".repeat(inner))
}

#[test]
fn documents_are_bounded_in_size_and_depth() {
    let filler = |size: usize| {
        let head = "name: a\nsteps: []\n#";
        format!("{head}{}", "x".repeat(size - head.len()))
    };
    assert!(compile(&filler(DOCUMENT_BYTES_MAX), &Shelf).is_ok());
    let faults = compile(&filler(DOCUMENT_BYTES_MAX + 1), &Shelf).unwrap_err();
    assert!(show(&faults).contains("1048577"), "{}", show(&faults));
    assert!(compile(&nested(DOCUMENT_DEPTH_MAX), &Shelf).is_ok());
    let faults = compile(&nested(DOCUMENT_DEPTH_MAX + 1), &Shelf).unwrap_err();
    assert!(show(&faults).contains("deeper than 64"), "{}", show(&faults));
    assert!(compile(&nested(100_000), &Shelf).is_err());
}

/// A number in a step, at its limit and one past it.
#[test]
fn numbers_of_steps_are_bounded() {
    let document =
        |step: &str, number: u64| format!("name: a\nsteps:\n  - {}\n", step.replace('N', &number.to_string()));
    for (step, most) in [
        ("{ for_each: $.event.a, concurrency: N, do: [] }", u64::from(CONCURRENCY_MAX)),
        ("{ repeat: [], at_most: N }", u64::from(TURNS_MAX)),
        ("{ set: {a: 1}, retry: { attempts: N } }", u64::from(ATTEMPTS_MAX)),
        ("{ wait: N }", WAIT_MAX.as_secs()),
        ("{ wait: Ns }", WAIT_MAX.as_secs()),
        ("{ wait: { event: { topic: a }, timeout: Ns } }", WAIT_MAX.as_secs()),
        ("{ approval: { ask: a, timeout: Ns } }", WAIT_MAX.as_secs()),
        ("{ lock: { key: a, timeout: Ns }, do: [] }", WAIT_MAX.as_secs()),
        ("{ repeat: [], at_most: 1, every: Ns }", WAIT_MAX.as_secs()),
    ] {
        for good in [1, most] {
            assert!(compile(&document(step, good), &Shelf).is_ok(), "{step} with {good}");
        }
        for bad in [0, most + 1] {
            assert!(compile(&document(step, bad), &Shelf).is_err(), "{step} with {bad}");
        }
    }
    let faults = compile(&document("{ wait: Ns }", WAIT_MAX.as_secs() + 1), &Shelf).unwrap_err();
    assert!(show(&faults).contains("`wait` is `31622401s`; 366 days"), "{}", show(&faults));
}

#[test]
fn keys_and_topics_are_bounded_in_bytes() {
    for step in ["{ lock: { key: K }, do: [] }", "{ wait: { event: { topic: K } } }", "{ emit: { type: K } }"] {
        let document = |key: &str| format!("name: a\nsteps:\n  - {}\n", step.replace('K', key));
        assert!(compile(&document(&"k".repeat(KEY_BYTES_MAX)), &Shelf).is_ok(), "{step}");
        assert!(compile(&document(&"ä".repeat(KEY_BYTES_MAX / 2)), &Shelf).is_ok(), "{step}");
        for long in ["k".repeat(KEY_BYTES_MAX + 1), "ä".repeat(KEY_BYTES_MAX / 2 + 1)] {
            let faults = compile(&document(&long), &Shelf).unwrap_err();
            assert!(show(&faults).contains("1 to 256 bytes"), "{step}: {}", show(&faults));
        }
    }
}

#[test]
fn branches_are_bounded() {
    let branches = |count: usize| {
        let branches: String = (0..count).map(|n| format!("      b{n}: []\n")).collect();
        format!("name: a\nsteps:\n  - parallel:\n{branches}")
    };
    assert!(compile(&branches(BRANCHES_MAX), &Shelf).is_ok());
    let faults = compile(&branches(BRANCHES_MAX + 1), &Shelf).unwrap_err();
    assert!(show(&faults).contains("101 branches"), "{}", show(&faults));
}

/// Each block is two levels of a document: a list and a map.
#[test]
fn blocks_are_bounded_in_depth() {
    let blocks = |depth: usize| {
        let (open, close) = ("[ { lock: { key: a }, do: ".repeat(depth), " } ]".repeat(depth));
        format!("name: a\nsteps: {open}[]{close}")
    };
    assert!(compile(&blocks(DOCUMENT_DEPTH_MAX / 2 - 1), &Shelf).is_ok());
    let faults = compile(&blocks(DOCUMENT_DEPTH_MAX / 2), &Shelf).unwrap_err();
    assert!(show(&faults).contains("deeper than 64"), "{}", show(&faults));
}

/// Steps inside blocks count as well.
#[test]
fn steps_are_bounded() {
    let steps = |count: usize| format!("name: a\nsteps:\n{}", "  - set: { a: 1 }\n".repeat(count));
    assert!(compile(&steps(STEPS_MAX), &Shelf).is_ok());
    assert!(show(&compile(&steps(STEPS_MAX + 1), &Shelf).unwrap_err()).contains("10001 steps"));
    let within = |count: usize| {
        let turn = "      - set: { a: 1 }\n".repeat(count - 1);
        format!("name: a\nsteps:\n  - for_each: $.event.a\n    do:\n{turn}")
    };
    assert!(compile(&within(STEPS_MAX), &Shelf).is_ok());
    assert!(show(&compile(&within(STEPS_MAX + 1), &Shelf).unwrap_err()).contains("10001 steps"));
}

#[test]
fn expressions_are_bounded_in_size_and_depth() {
    let with = |expression: &str| format!("name: a\nsteps: [ {{ set: {{ x: '{{{{ {expression} }}}}' }} }} ]");
    let long = |size: usize| format!("{}1", "1+".repeat((size - 1) / 2));
    assert!(compile(&with(&long(EXPRESSION_BYTES_MAX - 1)), &Shelf).is_ok());
    assert!(show(&compile(&with(&long(EXPRESSION_BYTES_MAX + 1)), &Shelf).unwrap_err()).contains("8193 bytes"));
    let deep = |levels: usize| format!("{}1{}", "(".repeat(levels), ")".repeat(levels));
    assert!(compile(&with(&deep(EXPRESSION_DEPTH_MAX)), &Shelf).is_ok());
    assert!(compile(&with(&deep(EXPRESSION_DEPTH_MAX + 1)), &Shelf).is_err());
}

/// Anything that nests without brackets must not exhaust the stack either.
#[test]
fn hostile_expressions_are_refused_or_compiled_but_never_overflow() {
    let with = |expression: &str| format!("name: a\nsteps: [ {{ set: {{ x: '{{{{ {expression} }}}}' }} }} ]");
    for unit in [
        "if ",
        "try ",
        "-",
        "def f: ",
        "reduce ",
        "not | ",
        "$.",
        "..",
        ". as $x | ",
        "label $x | ",
        "\"\\(",
        "?//",
        "1 as [$a] | ",
    ] {
        let _ = compile(&with(&unit.repeat(8_000 / unit.len())), &Shelf);
        let _ = compile(&with(&format!("{}1", unit.repeat(7_500 / unit.len()))), &Shelf);
    }
}

#[test]
fn triggers_are_bounded_in_number() {
    let document = |count: usize| format!("name: a\ntriggers:\n{}steps: []\n", "  - request: {}\n".repeat(count));
    assert!(compile(&document(TRIGGERS_MAX), &Shelf).is_ok());
    let faults = compile(&document(TRIGGERS_MAX + 1), &Shelf).unwrap_err();
    assert!(show(&faults).contains("101 triggers; 100"), "{}", show(&faults));
}
