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

#[test]
fn steps_are_bounded() {
    let steps = |count: usize| format!("name: a\nsteps:\n{}", "  - set: { a: 1 }\n".repeat(count));
    assert!(compile(&steps(STEPS_MAX), &Shelf).is_ok());
    assert!(show(&compile(&steps(STEPS_MAX + 1), &Shelf).unwrap_err()).contains("10001 steps"));
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
