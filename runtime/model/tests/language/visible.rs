//! What an expression can read at its place, and what is said where it cannot.

use camshaft_model::language::compile;
use camshaft_model::language::expression::{Expression, Form, Root};
use camshaft_model::language::template::Template;
use camshaft_model::program::{Step, StepAddress, StepKind};

use super::{Shelf, good, show};

/// A loop, a parallel and a try with steps of their own; what stands for `HERE` reads something.
const PLACES: &[(&str, &str)] = &[
    ("behind", "  - { id: here, set: { x: HERE } }"),
    ("in a turn", "  - for_each: $.event.a\n    do:\n      - { id: here, set: { x: HERE } }"),
    ("in a catch", "  - try: []\n    catch: [ { id: here, set: { x: HERE } } ]"),
];

const BEFORE: &str = "\
name: a
steps:
  - { id: first, set: { x: 1 } }
  - id: lines
    for_each: $.event.lines
    as: line
    do: [ { id: price, set: { x: 1 } } ]
  - repeat: [ { id: poll, set: { x: 1 } } ]
    at_most: 3
  - parallel:
      left: [ { id: on_the_left, set: { x: 1 } } ]
      right: [ { id: on_the_right, set: { x: 1 } } ]
  - try: [ { id: risky, set: { x: 1 } } ]
    catch: [ { id: caught, set: { x: 1 } } ]
    finally: [ { id: at_last, set: { x: 1 } } ]
";

#[test]
fn what_is_over_can_be_read_from_everywhere_behind_it() {
    for (place, steps) in PLACES {
        for read in ["first", "lines", "on_the_left", "on_the_right", "risky", "caught", "at_last"] {
            for expression in [format!("$.steps.{read}.x"), format!("$.steps.{read}.x | length")] {
                let steps = steps.replace("HERE", &format!("'{{{{ {expression} }}}}'"));
                let compiled = compile(&format!("{BEFORE}{steps}\n"), &Shelf);
                assert!(compiled.is_ok(), "{expression} {place}: {}", show(&compiled.unwrap_err()));
            }
        }
    }
}

#[test]
fn what_cannot_be_read_is_named_with_what_to_do() {
    for (place, steps) in PLACES {
        for (read, expected) in [
            (
                "$.steps.price",
                "step `price` (line 7) is inside the loop on line 4 and has an output in each turn; `collect` what is wanted, and `$.steps.lines` is the list of them",
            ),
            (
                "$.steps.poll",
                "step `poll` (line 8) is inside the loop on line 8 and has an output in each turn; `set` what is wanted, or `collect` it",
            ),
            ("$.line", "`$.line` is the item of the loop on line 4, and is there inside that loop alone"),
            ("$.received", "`$.received` is the event that a `match` looks at"),
            ("$.steps.here", "has no output when this is read: it is not over"),
        ] {
            for expression in [read.to_owned(), format!("{read} | length")] {
                let steps = steps.replace("HERE", &format!("'{{{{ {expression} }}}}'"));
                let faults = compile(&format!("{BEFORE}{steps}\n"), &Shelf).expect_err(&expression);
                assert_eq!(faults.len(), 1, "{}", show(&faults));
                assert!(show(&faults).contains(expected), "{expression} {place}:\n{}", show(&faults));
            }
        }
    }
}

#[test]
fn a_word_of_a_block_is_there_in_that_block_alone() {
    for (steps, expected) in [
        ("- set: { x: '{{ $.index }}' }", Some("`$.index` counts the turns of a loop, and no loop is around this")),
        ("- set: { x: '{{ $.error.kind }}' }", Some("`$.error` is the failure that a `catch` deals with")),
        ("- { try: [ { set: { x: '{{ $.error }}' } } ], catch: [] }", Some("it is there in `catch` alone")),
        (
            "- { try: [], catch: [], finally: [ { set: { x: '{{ $.error }}' } } ] }",
            Some("it is there in `catch` alone"),
        ),
        ("- { try: [], catch: [ { try: [ { set: { x: '{{ $.error }}' } } ], finally: [] } ] }", None),
        ("- { try: [], catch: [ { for_each: $.error, do: [] } ] }", None),
        ("- { for_each: $.index, do: [] }", Some("`$.index` counts")),
        ("- { for_each: $.item, do: [] }", Some("`$.item` is not there")),
        (
            "- { for_each: $.event.a, do: [ { if: $.index, then: [ { lock: { key: '{{ $.item }}' }, do: [] } ] } ] }",
            None,
        ),
        ("- { for_each: $.event.a, do: [], collect: '[$.index, $.item]' }", None),
        ("- { for_each: $.event.a, as: x, do: [ { for_each: $.x, as: y, do: [], collect: $.x.a == $.y.a } ] }", None),
        (
            "- { for_each: $.event.a, as: x, do: [ { for_each: $.x, as: y, do: [] } ], collect: $.y }",
            Some("`$.y` is the item of the loop on line 3"),
        ),
        ("- { for_each: $.event.a, as: line, do: [ { set: { x: '{{ $.lnie }}' } } ] }", Some("did you mean `line`?")),
        ("- { repeat: [ { set: { x: '{{ $.index }}' } } ], until: $.index == 3 }", None),
        ("- { repeat: [], at_most: 3, until: $.item }", Some("`$.item` is not there")),
        ("- { repeat: [], at_most: 3, when: $.index == 1 }", Some("`$.index` counts")),
        ("- { wait: { event: { topic: a, match: '$.received.data.id == $.event.id' } } }", None),
        ("- { wait: { event: { topic: a, match: '$.received.data.ids | any' } } }", None),
        ("- { wait: { event: { topic: a, match: $.recieved } } }", Some("did you mean `received`?")),
    ] {
        let compiled = compile(&format!("name: a\nsteps:\n  {steps}\n"), &Shelf);
        match (compiled, expected) {
            (Ok(_), None) => {}
            (Err(faults), Some(expected)) => {
                assert!(show(&faults).contains(expected), "{steps}\nshould say {expected:?}, says\n{}", show(&faults));
            }
            (Ok(_), Some(expected)) => panic!("{steps}\nshould say {expected:?}"),
            (Err(faults), None) => panic!("{steps}\n{}", show(&faults)),
        }
    }
}

#[test]
fn a_parameter_or_variable_that_there_never_is_is_refused_with_the_nearest() {
    let head = "name: a\nparams: { greeting: string, to: { type: string, required: false } }\nsteps:\n";
    for (expression, expected) in [
        ("$.params.greeting", None),
        ("$.params.to | length", None),
        ("$.params", None),
        ("$.vars", None),
        ("$.vars.early", None),
        // In a loop, what is set behind this was set in the turn before.
        ("$.vars.late", None),
        ("$.vars.late.deep[0]", None),
        ("[$.vars.late] | length", None),
        (
            "$.params.greting",
            Some("there is no parameter `greting`; there are `greeting`, `to`; did you mean `greeting`?"),
        ),
        ("$.params.greting | length", Some("there is no parameter `greting`")),
        ("$.vars.lat", Some("nothing sets the variable `lat`; there are `early`, `late`; did you mean `late`?")),
        ("$.vars.nope == null", Some("nothing sets the variable `nope`")),
        ("$.vars[\"nope\"]", Some("nothing sets the variable `nope`")),
    ] {
        let steps = format!(
            "  - set: {{ early: 1 }}\n  - for_each: $.event.a\n    do:\n      - emit: {{ type: a, data: '{{{{ {expression} }}}}' }}\n      - set: {{ late: 1 }}\n"
        );
        match (compile(&format!("{head}{steps}"), &Shelf), expected) {
            (Ok(_), None) => {}
            (Err(faults), Some(expected)) => {
                assert!(show(&faults).contains(expected), "{expression}: {}", show(&faults))
            }
            (Ok(_), Some(_)) => panic!("{expression} compiles"),
            (Err(faults), None) => panic!("{expression}: {}", show(&faults)),
        }
    }
    let none = show(
        &compile("name: a\nsteps: [ { emit: { type: a, data: '{{ $.params.q }}{{ $.vars.v }}' } } ]", &Shelf)
            .unwrap_err(),
    );
    assert!(none.contains("the document has no `params`") && none.contains("the document has no `set`"), "{none}");
}

#[test]
fn a_turn_reads_its_own_steps_and_nobody_elses() {
    good(
        "name: a\nsteps: [ { for_each: $.event.a, do: [ { id: a, set: {x: 1} }, { set: { y: '{{ $.steps.a.x }}' } } ], collect: $.steps.a.x } ]",
    );
    good("name: a\nsteps: [ { repeat: [ { id: a, set: {x: 1} } ], until: $.steps.a.x } ]");
    // An inner loop reads the turn around it.
    good(
        "name: a\nsteps: [ { for_each: $.event.a, do: [ { id: a, set: {x: 1} }, { repeat: [ { set: { y: '{{ $.steps.a.x }}' } } ], at_most: 2 } ] } ]",
    );
    let said = |document: &str| show(&compile(document, &Shelf).unwrap_err());
    // Not the turn before.
    let early = said(
        "name: a\nsteps: [ { repeat: [ { set: { y: '{{ $.steps.a.x }}' } }, { id: a, set: {x: 1} } ], at_most: 2 } ]",
    );
    assert!(early.contains("step `a` (line 2) has not run when this is read"), "{early}");
    // Not the loop around.
    let around = said("name: a\nsteps: [ { id: a, for_each: $.event.a, do: [ { set: { y: '{{ $.steps.a }}' } } ] } ]");
    assert!(around.contains("step `a` (line 2) has no output when this is read"), "{around}");
    // The fault says how to get at it.
    let nameless = said(
        "name: a\nsteps:\n  - for_each: $.event.a\n    do: [ { id: a, set: {x: 1} } ]\n  - set: { y: '{{ $.steps.a }}' }",
    );
    assert!(nameless.contains("with an `id` the loop can be read"), "{nameless}");
}

#[test]
fn a_branch_does_not_read_the_one_beside_it() {
    let document = "name: a\nsteps:\n  - parallel:\n      left: [ { id: a, set: {x: 1} }, { set: { y: '{{ $.steps.a }}' } } ]\n      right: [ { set: { y: '{{ $.steps.a }}' } } ]\n  - set: { y: '{{ $.steps.a }}' }\n";
    let faults = compile(document, &Shelf).unwrap_err();
    assert_eq!(faults.len(), 1, "{}", show(&faults));
    assert!(
        show(&faults).starts_with("5:32: step `a` (line 4) is in the branch `left` of the `parallel` on line 3, which runs beside this; read it behind the `parallel`"),
        "{}",
        show(&faults)
    );
    // A loop inside a branch keeps its steps to itself behind the `parallel` too.
    let faults = compile("name: a\nsteps:\n  - parallel: { left: [ { repeat: [ { id: a, set: {x: 1} } ], at_most: 2 } ] }\n  - set: { y: '{{ $.steps.a }}' }\n", &Shelf).unwrap_err();
    assert!(show(&faults).contains("is inside the loop on line 3"), "{}", show(&faults));
}

#[test]
fn an_expression_over_everything_is_given_what_can_be_read_there() {
    let compiled = good(
        "name: a
steps:
  - { id: before, set: { x: 1 } }
  - for_each: $.event.a
    as: line
    do:
      - { id: own, set: { x: 1 } }
      - try: []
        catch: [ { set: { all: '{{ $ | keys }}' } } ]
    collect: .line.price * 2
  - wait: { event: { topic: a, match: '[$] | length > 0' } }
  - { set: { all: '{{ $ | keys }}' } }
",
    );
    let steps = &compiled.program.steps;
    let fixed = "event params vars env execution connection";
    assert_eq!(roots(set(&steps[4])), format!("{fixed} index line error before own"));
    let StepKind::ForEach(step) = &steps[1].kind else { panic!("it is a loop") };
    assert_eq!(roots(step.collect.as_ref().unwrap()), format!("{fixed} index line before own"));
    let Form::Jq { roots: collect, .. } = &step.collect.as_ref().unwrap().form else { panic!("it is jq") };
    assert!(collect.contains(&Root::Item("line".into(), StepAddress(1))));
    let StepKind::Wait(camshaft_model::program::Wait::Event { matches: Some(matches), .. }) = &steps[5].kind else {
        panic!("it is a wait")
    };
    assert_eq!(roots(matches), format!("{fixed} received before"));
    assert_eq!(roots(set(&steps[6])), format!("{fixed} before"));
}

fn set(step: &Step) -> &Expression {
    let StepKind::Set(values) = &step.kind else { panic!("it is a set") };
    let Template::Expression(expression) = &values[0].1 else { panic!("it is an expression") };
    expression
}

fn roots(expression: &Expression) -> String {
    let Form::Jq { roots, .. } = &expression.form else { panic!("it is jq") };
    roots.iter().map(Root::key).collect::<Vec<_>>().join(" ")
}
