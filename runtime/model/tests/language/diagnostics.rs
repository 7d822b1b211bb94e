//! What is said of bad documents: every fault at once, with its place and what was probably meant.

use camshaft_model::language::compile;
use proptest::prelude::*;

use super::{Shelf, TRIAGE, show};

/// Document, and what must be said of it, a line each.
const TABLE: &[(&str, &[&str])] = &[
    ("", &["1:1: the document is empty"]),
    ("name: [a", &["this is no YAML"]),
    ("just text", &["1:1: a workflow document is a map, found `just text`"]),
    ("steps: []", &["1:1: the document has no `name`"]),
    ("name: a", &["1:1: the document has no `steps`"]),
    ("name: A_b\nsteps: []", &["1:7: name `A_b` is malformed"]),
    ("name: a\nstpes: []\nsteps: []", &["2:1: a workflow document has no key `stpes`", "did you mean `steps`?"]),
    ("name: a\nname: b\nsteps: []", &["2:1: the key `name` stands here again; first on line 1"]),
    ("name: a\n---\nname: b", &["a second document begins here"]),
    ("name: &x a\nsteps: []", &["anchors"]),
    ("name: a\nsteps: [ { jump: x } ]", &["2:12: a step has no key `jump`"]),
    ("name: a\nsteps: [ { tsak: echo } ]", &["did you mean `task`?"]),
    ("name: a\nsteps: [ { id: x } ]", &["2:10: a step has one kind"]),
    ("name: a\nsteps: [ { set: {a: 1}, exit: {} } ]", &["found both `set` and `exit`"]),
    ("name: a\nsteps: [ { task: ehco@1 } ]", &["2:18: there is no task plugin `ehco`; did you mean `echo`?"]),
    (
        "name: a\nsteps: [ { task: http-request@3 } ]",
        &["no version within `http-request@3`; there are 1.0.0, 1.4.2, 2.0.0"],
    ),
    ("name: a\nsteps: [ { task: github } ]", &["`github` is an adapter"]),
    (
        "name: a\nsteps:\n  - { id: a, set: {x: 1} }\n  - { id: a, set: {x: 2} }",
        &["4:11: the id `a` stands on line 3 already"],
    ),
    ("name: a\nsteps: [ { id: a-b, set: {x: 1} } ]", &["did you mean `a_b`?"]),
    (
        "name: a\nsteps:\n  - { id: lookup, set: {x: 1} }\n  - set: { y: '{{ $.steps.lokup.x }}' }",
        &["4:19: step `lokup` is not defined; did you mean `lookup`?"],
    ),
    (
        "name: a\nsteps:\n  - set: { y: '{{ $.steps.later.x }}' }\n  - { id: later, set: {x: 1} }",
        &["step `later` (line 4) has not run when this is read"],
    ),
    ("name: a\nsteps: [ { set: { y: '{{ $.evnt.x }}' } } ]", &["`$.evnt` is not there", "did you mean `event`?"]),
    (
        "name: a\nsteps: [ { set: { y: '{{ $.event.x | lenght }}' } } ]",
        &["2:38: expression", "the filter `lenght` is not defined"],
    ),
    ("name: a\nsteps: [ { set: { y: '{{ $.event.x' } } ]", &["`{{` is not closed"]),
    ("name: a\nsteps: [ { set: { y: '{{ }}' } } ]", &["an expression is empty"]),
    ("name: a\nsteps: [ { set: { y: '{{ $.secrets.k }}' } } ]", &["the secret `k` can only be handed to a task"]),
    (
        "name: a\nsteps: [ { task: echo, with: { a: '{{ $.secrets.k | length }}' } } ]",
        &["a secret is handed to a task whole"],
    ),
    ("name: a\nsteps: [ { exit: { status: 42 } } ]", &["exit status 42"]),
    ("name: a\nsteps: [ { exit: { headers: { X-A: \"a\\nb\" } } } ]", &["exit header `X-A`", "line breaks"]),
    (
        "name: a\nsteps: [ { exit: { headers: { Content-Length: 1 } } } ]",
        &["`Content-Length` belongs to the connection"],
    ),
    ("name: a\nsteps: [ { exit: {} }, { set: {a: 1} } ]", &["this step is never reached"]),
    ("name: a\nsteps: [ { task: echo, timeout: soon } ]", &["`timeout` is `soon`, which is no duration"]),
    (
        "name: a\nsteps: [ { task: echo, retry: { attempts: 0, on: [maybe] } } ]",
        &["`attempts` is `0`", "the kind of failure `maybe`"],
    ),
    ("name: a\nsteps: [ { set: {a: 1}, retry: { attempts: 2 } } ]", &["`retry` is for `task` steps"]),
    ("name: a\ntriggers: [ { webhok: {} } ]\nsteps: []", &["did you mean `webhook`?"]),
    (
        "name: a\ntriggers: [ { webhook: { when: '$.vars.x' } } ]\nsteps: []",
        &["no `integration`", "`$.vars` is not there before an execution"],
    ),
    (
        "name: a\nparams: { n: number }\ntriggers: [ { webhook: { integration: b } } ]\nsteps: []",
        &["3:15: a webhook brings no parameters, and `n` is required"],
    ),
    (
        "name: a\nparams: { n: { type: nubmer, default: x } }\nsteps: []",
        &["the type `nubmer`", "did you mean `number`?"],
    ),
    (
        "name: a\nparams: { n: { type: number, default: x } }\nsteps: []",
        &["the default of parameter `n` is \"x\", which is no number"],
    ),
];

#[test]
fn each_fault_is_named_with_its_place() {
    for (document, expected) in TABLE {
        let faults = compile(document, &Shelf).expect_err(document);
        let said = show(&faults);
        for part in *expected {
            assert!(said.contains(part), "{document:?}\nshould say {part:?}, says\n{said}");
        }
    }
}

#[test]
fn all_faults_come_at_once_in_the_order_of_the_document() {
    let document = "name: bad\ntriggres: []\nsteps:\n  - { id: a, task: ehco@1 }\n  - { id: a, set: { x: '{{ $.steps.b.c }}' } }\n  - jump: there\n";
    let faults = compile(document, &Shelf).unwrap_err();
    let lines: Vec<u32> = faults.iter().map(|fault| fault.mark.line).collect();
    assert_eq!(lines, [2, 4, 5, 5, 6], "{}", show(&faults));
}

#[test]
fn columns_count_characters_not_bytes() {
    let faults = compile("name: a\nsteps: [ { set: { ä: 'ü {{ $.evnt }}' } } ]", &Shelf).unwrap_err();
    assert_eq!((faults[0].mark.line, faults[0].mark.column), (2, 28), "{}", show(&faults));
}

proptest! {
    /// Whatever comes in, it is compiled or refused; and every fault has a place in the document.
    #[test]
    fn nothing_makes_it_panic(text in any::<String>()) {
        check(&text);
    }

    /// The same for documents that are nearly good, which get further.
    #[test]
    fn no_slip_makes_it_panic(at in 0..TRIAGE.len(), cut in 0usize..12, put in "[-\\[\\]{}:,'\"$.|#&*!%@ \na-z0-9()]{0,6}") {
        let mut text = TRIAGE.to_owned();
        let end = (at + cut).min(text.len());
        text.replace_range(at..end, &put);
        check(&text);
    }
}

fn check(text: &str) {
    if let Err(faults) = compile(text, &Shelf) {
        assert!(!faults.is_empty());
        let lines = text.lines().count().max(1) as u32 + 1;
        for fault in faults {
            assert!(
                fault.mark.line >= 1 && fault.mark.line <= lines && fault.mark.column >= 1,
                "{fault:?} in {text:?}"
            );
        }
    }
}
