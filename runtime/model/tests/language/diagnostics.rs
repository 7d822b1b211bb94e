//! What is said of bad documents: every fault at once, with its place and what was probably meant.

use camshaft_model::language::compile;
use proptest::prelude::*;

use super::{Shelf, TRIAGE, WHOLE, show};

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
    ("name: a\nsteps: [ { set: {a: 1}, retry: { attempts: 2, on: [regected] } } ]", &["did you mean `rejected`?"]),
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

/// Steps, and what must be said of them, a line each. The first stands on line 3, its keys from column 5 on.
const STEPS: &[(&str, &[&str])] = &[
    // Which kind a step is.
    ("{ set: {a: 1}, wait: 5m }", &["3:20: a step has one kind, found both `set` and `wait`"]),
    ("{ repeat: [], for_each: $.event.a }", &["found both `repeat` and `for_each`"]),
    ("{ do: [] }", &["3:7: `do` belongs to `for_each`, which this step has not"]),
    ("{ catch: [] }", &["`catch` belongs to `try`, which this step has not"]),
    ("{ foreach: $.event.a }", &["did you mean `for_each`?"]),
    ("{ repeat: never }", &["3:15: `repeat` is a list of steps, found `never`", "`repeat: never` is for `task` steps"]),
    ("{ repeat: 3 }", &["`repeat` is a list of steps, found `3`; how often stands in `at_most`"]),
    ("{ set: {a: 1}, repeat: never }", &["3:28: `repeat: never` is for `task` steps; this is `set`"]),
    ("{ workflow: b, repeat: never }", &["`repeat: never` is for `task` steps; this is `workflow`"]),
    ("{ task: echo, repeat: [] }", &["3:27: `repeat` of a task is `never`", "put it into the list"]),
    ("{ task: echo, repeat: nver }", &["did you mean `never`?"]),
    ("{ task: echo, do: [] }", &["a `task` step has no key `do`"]),
    ("{ wait: 5m, with: {} }", &["a `wait` step has no key `with`"]),
    ("{ set: {a: 1}, timeout: soon }", &["3:29: `timeout` is `soon`, which is no duration"]),
    // for_each
    ("{ for_each: $.event.a }", &["3:5: `for_each` has no `do`"]),
    ("{ for_each: [1, 2], do: [] }", &["`for_each` is an expression, found a list", "`for_each: \"[1, 2]\"`"]),
    ("{ for_each: null, do: [] }", &["`for_each` goes over an array, found `null`"]),
    ("{ for_each: 5, do: [] }", &["`for_each` goes over an array, found `5`"]),
    ("{ for_each: '{{ \"ab\" }}', do: [] }", &["`for_each` goes over an array, found `\"ab\"`"]),
    (
        "{ for_each: $.event.a, as: Line, do: [] }",
        &["3:32: the item's name `Line` is not taken", "did you mean `line`?"],
    ),
    ("{ for_each: $.event.a, as: vars, do: [] }", &["3:32: `$.vars` has a meaning already"]),
    ("{ for_each: $.event.a, as: secrets, do: [] }", &["`$.secrets` has a meaning already"]),
    ("{ for_each: $.event.a, as: received, do: [] }", &["`$.received` has a meaning already"]),
    (
        "{ for_each: $.event.a, as: x, do: [ { for_each: $.x, as: x, do: [] } ] }",
        &["3:62: the loop around this, on line 3, calls its items `x`"],
    ),
    ("{ for_each: $.event.a, do: [ { for_each: $.item, do: [] } ] }", &["another name with `as`"]),
    ("{ for_each: $.event.a, concurrency: 0, do: [] }", &["`concurrency` is `0`; it is a number from 1 to 100"]),
    ("{ for_each: $.event.a, do: {} }", &["a list of steps is a list, found a map"]),
    // repeat
    ("{ repeat: [] }", &["3:5: `repeat` has no end: give it an `until`, or say how often with `at_most`"]),
    ("{ repeat: [], at_most: -1 }", &["`at_most` is `-1`; it is a number from 1 to 100000"]),
    ("{ repeat: [], at_most: 2, every: 0s }", &["`every` is `0s`; it is longer than nothing"]),
    ("{ repeat: [], unitl: x, at_most: 2 }", &["did you mean `until`?"]),
    // parallel
    ("{ parallel: [] }", &["`parallel` is a map, found a list"]),
    ("{ parallel: {} }", &["`parallel` has 0 branches; it has 1 to 100"]),
    ("{ parallel: { a-b: [] } }", &["3:19: the branch `a-b` is not taken", "did you mean `a_b`?"]),
    ("{ parallel: { a: [] }, join: some }", &["`join` `some` is not known; it is one of all, any"]),
    // try
    ("{ try: [] }", &["3:5: `try` has neither `catch` nor `finally`"]),
    ("{ try: [], catch: {} }", &["a list of steps is a list, found a map"]),
    // wait
    ("{ wait: soon }", &["`wait` is `soon`, which is no duration"]),
    ("{ wait: true }", &["`wait` is `true`, which is no duration"]),
    ("{ wait: 0 }", &["`wait` is 0 seconds; it is more than 0 and at most 31622400"]),
    ("{ wait: 0s }", &["`wait` is `0s`; it is longer than nothing"]),
    ("{ wait: $.vars.pause }", &["an expression stands in braces; did you mean `{{ $.vars.pause }}`?"]),
    ("{ wait: [] }", &["`wait` is a duration, `{ until: … }` or `{ event: …, timeout: … }`, found a list"]),
    ("{ wait: {} }", &["`wait` is a duration, `{ until: … }` or"]),
    ("{ wait: { until: '2026-01-01T00:00:00Z', event: { topic: a } } }", &["`wait` is a duration, `{ until: … }` or"]),
    ("{ wait: { until: tomorrow } }", &["3:22: `until`: `tomorrow` is no time with an offset (RFC 3339); write"]),
    ("{ wait: { until: '2026-12-24T18:00:00' } }", &["is no time with an offset"]),
    ("{ wait: { until: '1969-12-31T23:59:59Z' } }", &["is before 1970"]),
    ("{ wait: { until: '2026-12-24T18:00:00Z', timeout: 5m } }", &["a `wait` until a time has no key `timeout`"]),
    ("{ wait: { event: paid } }", &["`event` is a map, found `paid`"]),
    ("{ wait: { event: {} } }", &["`event` has no `topic`"]),
    ("{ wait: { event: { topic: '' } } }", &["`topic` has 0 bytes; it is 1 to 256 bytes long"]),
    ("{ wait: { event: { topic: \"a\\nb\" } } }", &["`topic` \"a\\nb\" has control characters"]),
    ("{ wait: { event: { topic: 'a-{{ $.event.id }}' } } }", &["the `topic` of a wait has no expressions; `match`"]),
    ("{ wait: { event: { topic: a, mtach: x } } }", &["did you mean `match`?"]),
    ("{ wait: { event: { topic: a, timeout: 2d } } }", &["`event` has no key `timeout`"]),
    // approval
    ("{ approval: Ship? }", &["`approval` is a map, found `Ship?`"]),
    ("{ approval: {} }", &["`approval` has no `ask`"]),
    ("{ approval: { ask: [] } }", &["`ask` is a text, found a list"]),
    ("{ approval: { ask: x, of: ops } }", &["`of` is a list, found `ops`"]),
    ("{ approval: { ask: x, of: [''] } }", &["the label of a token is empty"]),
    ("{ approval: { ask: x, timeout: never } }", &["`timeout` is `never`, which is no duration"]),
    // lock
    ("{ lock: a, do: [] }", &["`lock` is a map, found `a`"]),
    ("{ lock: {}, do: [] }", &["`lock` has no `key`"]),
    ("{ lock: { key: a } }", &["`lock` has no `do`"]),
    ("{ lock: { key: '' }, do: [] }", &["`key` has 0 bytes"]),
    ("{ lock: { key: \"a\\tb\" }, do: [] }", &["`key` \"a\\tb\" has control characters"]),
    ("{ lock: { key: [a] }, do: [] }", &["`key` is a text, found a list"]),
    // workflow
    ("{ workflow: Send_Invoice }", &["3:17: name `Send_Invoice` is malformed"]),
    ("{ workflow: b, with: [1] }", &["`with` is a map of the workflow's parameters, found a list"]),
    ("{ workflow: b, with: 'a {{ $.event.id }}' }", &["`with` is a map of the workflow's parameters"]),
    (
        "{ workflow: b, wait: 5m }",
        &["3:26: `wait` of a `workflow` step is true or false, found `5m`", "a step of its own"],
    ),
    ("{ workflow: b, wait: 'true' }", &["`wait` of a `workflow` step is true or false"]),
    // emit
    ("{ emit: order }", &["`emit` is a map, found `order`"]),
    ("{ emit: {} }", &["`emit` has no `type`"]),
    ("{ emit: { type: '' } }", &["`type` has 0 bytes"]),
    ("{ emit: { type: a, topic: '' } }", &["`topic` has 0 bytes"]),
    ("{ emit: { type: a, subject: {} } }", &["`subject` is a text, found a map"]),
    ("{ emit: { type: a, datta: {} } }", &["did you mean `data`?"]),
    // Secrets are a task's.
    ("{ emit: { type: a, data: '{{ $.secrets.k }}' } }", &["the secret `k` can only be handed to a task"]),
    ("{ emit: { type: '{{ $.secrets.k }}' } }", &["the secret `k` can only be handed to a task"]),
    ("{ workflow: b, with: { k: '{{ $.secrets.k }}' } }", &["the secret `k` can only be handed to a task"]),
    ("{ approval: { ask: '{{ $.secrets.k }}' } }", &["the secret `k` can only be handed to a task"]),
    ("{ lock: { key: '{{ $.secrets.k }}' }, do: [] }", &["the secret `k` can only be handed to a task"]),
    ("{ wait: '{{ $.secrets.k }}' }", &["the secret `k` can only be handed to a task"]),
    ("{ wait: { until: '{{ $.secrets.k }}' } }", &["the secret `k` can only be handed to a task"]),
    ("{ wait: { event: { topic: a, match: $.secrets.k } } }", &["`match` cannot look at the secret `k`"]),
    ("{ for_each: $.secrets.k, do: [] }", &["`for_each` cannot look at the secret `k`"]),
    ("{ repeat: [], until: $.secrets.k }", &["`until` cannot look at the secret `k`"]),
    ("{ for_each: $.event.a, do: [], collect: $.secrets.k }", &["`collect` cannot look at the secret `k`"]),
    // What comes behind an `exit`.
    ("{ lock: { key: a }, do: [ { exit: {} }, { set: {a: 1} } ] }", &["3:45: this step is never reached"]),
    ("{ try: [ { exit: {} }, { set: {a: 1} } ], finally: [] }", &["this step is never reached"]),
];

/// Limits of a workflow, and what must be said of them.
const LIMITS: &[(&str, &str)] = &[
    ("{ concurrency: 0 }", "`concurrency` is `0`; it is a number from 1 to 1000000"),
    ("{ concurrency: 1000001 }", "`concurrency` is `1000001`"),
    ("{ when_full: wait }", "`when_full` `wait` is not known; it is one of queue, reject"),
    ("{ per_day: 0 }", "`per_day` is `0`; it is a number from 1 upwards"),
    ("{ per_month: many }", "`per_month` is `many`; it is a number from 1 upwards"),
    ("{ per_week: 1 }", "`limits` has no key `per_week`"),
];

#[test]
fn each_fault_of_a_step_is_named_with_its_place() {
    for (step, expected) in STEPS {
        let document = format!("name: a\nsteps:\n  - {step}\n");
        let faults = compile(&document, &Shelf).expect_err(step);
        let said = show(&faults);
        for part in *expected {
            assert!(said.contains(part), "{step}\nshould say {part:?}, says\n{said}");
        }
    }
}

#[test]
fn each_fault_of_the_limits_is_named() {
    for (limits, expected) in LIMITS {
        let faults = compile(&format!("name: a\nlimits: {limits}\nsteps: []"), &Shelf).expect_err(limits);
        assert!(show(&faults).contains(expected), "{limits}\nshould say {expected:?}, says\n{}", show(&faults));
    }
}

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
    fn no_slip_makes_it_panic(
        document in prop::sample::select(vec![TRIAGE, WHOLE]),
        at in any::<prop::sample::Index>(),
        cut in 0usize..12,
        put in "[-\\[\\]{}:,'\"$.|#&*!%@ \na-z0-9()]{0,6}",
    ) {
        let mut text = document.to_owned();
        let at = at.index(text.len());
        let end = (at + cut).min(text.len());
        text.replace_range(at..end, &put);
        check(&text);
    }
}

/// Holds a document to what is promised of every one: compiled, or refused with faults that have their places.
pub fn check(text: &str) {
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
