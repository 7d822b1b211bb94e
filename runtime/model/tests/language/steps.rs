//! What each kind of step compiles to.

use std::time::Duration;

use camshaft_model::json;
use camshaft_model::language::compile;
use camshaft_model::language::template::Template;
use camshaft_model::limits::TURNS_DEFAULT;
use camshaft_model::outcome::FailureKind;
use camshaft_model::program::{BlockAddress, Join, OnError, RepeatAfterCrash, StepKind, Wait};
use camshaft_model::workflow::WhenFull;

use super::{Compiled, Shelf, WHOLE, good, show, step};

fn one(text: &str) -> Compiled {
    good(&format!("name: a\nsteps:\n  - {text}\n"))
}

#[test]
fn steps_of_blocks_have_stable_paths() {
    let compiled = good(WHOLE);
    let paths: Vec<_> = compiled.program.steps.iter().map(|step| (step.path.as_str(), step.kind.word())).collect();
    assert_eq!(
        paths,
        [
            ("lines", "for_each"),
            ("price", "task"),
            ("polling", "repeat"),
            ("poll", "task"),
            ("both", "parallel"),
            ("stock", "set"),
            ("tax", "set"),
            ("3", "try"),
            ("risky", "task"),
            ("3.catch.0", "set"),
            ("3.finally.0", "set"),
            ("4", "wait"),
            ("5", "wait"),
            ("6", "wait"),
            ("paid", "wait"),
            ("8", "approval"),
            ("9", "lock"),
            ("inside", "set"),
            ("invoice", "workflow"),
            ("11", "emit"),
        ]
    );
    let nameless = one(
        "for_each: $.event.a\n    do: [ { repeat: [ { parallel: { x: [ { try: [ { set: {a: 1} } ], catch: [] } ] } } ], at_most: 2 } ]",
    );
    assert_eq!(nameless.program.steps.last().unwrap().path, "0.do.0.repeat.0.x.0.try.0");
}

#[test]
fn any_step_takes_what_a_task_takes() {
    let compiled = one(
        "{ parallel: { a: [] }, name: Both, when: $.event.x, timeout: 5s, on_error: continue, retry: { attempts: 3, on: [rejected] } }",
    );
    let step = step(&compiled, 0);
    assert_eq!(step.name.as_deref(), Some("Both"));
    assert_eq!(step.when.as_ref().unwrap().source, "$.event.x");
    assert_eq!(step.timeout, Some(Duration::from_secs(5)));
    assert_eq!(step.on_error, OnError::Continue);
    assert_eq!((step.retry.attempts, &step.retry.on[..]), (3, &[FailureKind::Rejected][..]));
}

#[test]
fn repeat_is_a_loop_or_an_option_of_a_task() {
    let never = one("{ task: echo, repeat: never }");
    assert_eq!(step(&never, 0).repeat, RepeatAfterCrash::Never);
    let turns = one("{ repeat: [ { task: echo, repeat: never } ], at_most: 7 }");
    let StepKind::Repeat(repeat) = &step(&turns, 0).kind else { panic!("it is a loop") };
    assert_eq!((repeat.at_most, repeat.every, repeat.until.is_none()), (7, None, true));
    assert_eq!(step(&turns, 0).repeat, RepeatAfterCrash::Allowed);
    assert_eq!(step(&turns, 1).repeat, RepeatAfterCrash::Never);
    let until = one("{ repeat: [], until: '{{ $.event.done }}', every: 10s }");
    let StepKind::Repeat(repeat) = &step(&until, 0).kind else { panic!("it is a loop") };
    assert_eq!((repeat.at_most, repeat.every), (TURNS_DEFAULT, Some(Duration::from_secs(10))));
    assert_eq!(repeat.until.as_ref().unwrap().source, "$.event.done");
}

#[test]
fn a_loop_says_what_is_left_out() {
    let compiled = one("{ for_each: '{{ $.event.a }}', do: [ { set: { x: '{{ $.item }}' } } ] }");
    let StepKind::ForEach(step) = &step(&compiled, 0).kind else { panic!("it is a loop") };
    assert_eq!((step.items.source.as_str(), step.concurrency, step.collect.is_none()), ("$.event.a", 1, true));
    assert_eq!(compiled.program.block(step.body).len(), 1);
}

#[test]
fn branches_keep_their_order() {
    let compiled = one("{ parallel: { z: [ { set: {a: 1} } ], a: [] } }");
    let StepKind::Parallel(step) = &step(&compiled, 0).kind else { panic!("it is parallel") };
    assert_eq!(step.branches, [("z".to_owned(), BlockAddress(1)), ("a".to_owned(), BlockAddress(2))]);
    assert_eq!(step.join, Join::All);
    let any = one("{ parallel: { z: [] }, join: any }");
    assert!(matches!(&super::step(&any, 0).kind, StepKind::Parallel(step) if step.join == Join::Any));
}

#[test]
fn a_try_has_a_catch_or_a_finally() {
    for (text, parts) in [
        ("{ try: [], catch: [] }", (true, false)),
        ("{ try: [], finally: [] }", (false, true)),
        ("{ finally: [], catch: [], try: [] }", (true, true)),
    ] {
        let compiled = one(text);
        let StepKind::Try(step) = &step(&compiled, 0).kind else { panic!("it is a try") };
        assert_eq!((step.catch.is_some(), step.finally.is_some()), parts, "{text}");
    }
}

#[test]
fn a_wait_is_for_a_while_a_time_or_an_event() {
    for (text, literal) in [("5m", json!("5m")), ("90", json!(90)), ("0.5", json!(0.5)), ("'1h 30m'", json!("1h 30m"))]
    {
        let compiled = one(&format!("{{ wait: {text} }}"));
        let StepKind::Wait(Wait::For(Template::Literal(found))) = &step(&compiled, 0).kind else { panic!("{text}") };
        assert_eq!(*found, literal);
    }
    for dynamic in ["{{ $.event.pause }}", "{{ $.event.minutes }}m"] {
        let compiled = one(&format!("{{ wait: '{dynamic}' }}"));
        assert!(matches!(&step(&compiled, 0).kind, StepKind::Wait(Wait::For(_))), "{dynamic}");
    }
    for time in ["2026-12-24T18:00:00Z", "1970-01-01T01:00:00+01:00", "{{ $.event.body.due }}"] {
        let compiled = one(&format!("{{ wait: {{ until: '{time}' }} }}"));
        assert!(matches!(&step(&compiled, 0).kind, StepKind::Wait(Wait::Until(_))), "{time}");
    }
    let compiled = one("{ wait: { event: { topic: 'paid: now' }, timeout: 2d } }");
    let StepKind::Wait(Wait::Event { topic, matches, timeout }) = &step(&compiled, 0).kind else { panic!("no event") };
    assert_eq!((topic.as_str(), matches.is_none(), *timeout), ("paid: now", true, Some(Duration::from_secs(172_800))));
}

#[test]
fn a_question_needs_nobody_and_no_end() {
    let compiled = one("{ approval: { ask: 'Ship?' } }");
    let StepKind::Approval(step) = &step(&compiled, 0).kind else { panic!("it is an approval") };
    assert_eq!((&step.ask, step.of.len(), step.timeout), (&Template::Literal(json!("Ship?")), 0, None));
}

/// The lock's `timeout` is how long to stand in line; the step's is how long all of it may take.
#[test]
fn a_lock_has_two_times() {
    let compiled = one("{ lock: { key: 7, timeout: 1m }, do: [], timeout: 5m }");
    let found = step(&compiled, 0);
    let StepKind::Lock(lock) = &found.kind else { panic!("it is a lock") };
    assert_eq!((lock.timeout, found.timeout), (Some(Duration::from_secs(60)), Some(Duration::from_secs(300))));
    assert_eq!(lock.key, Template::Literal(json!("7")));
}

#[test]
fn wait_is_an_option_of_a_workflow_step() {
    for (text, wait) in
        [("{ workflow: b }", true), ("{ workflow: b, wait: true }", true), ("{ wait: false, workflow: b }", false)]
    {
        let compiled = one(text);
        let StepKind::Workflow(child) = &step(&compiled, 0).kind else { panic!("{text}") };
        assert_eq!((child.workflow.as_str(), child.wait), ("b", wait), "{text}");
        assert_eq!(child.with, Template::Literal(json!({})));
    }
    let compiled = one("{ workflow: b, with: '{{ $.event.body }}' }");
    assert!(
        matches!(&step(&compiled, 0).kind, StepKind::Workflow(child) if matches!(child.with, Template::Expression(_)))
    );
}

#[test]
fn an_event_needs_only_its_type() {
    let compiled = one("{ emit: { type: com.acme.taken } }");
    let StepKind::Emit(emit) = &step(&compiled, 0).kind else { panic!("it is an emit") };
    assert_eq!(emit.kind, Template::Literal(json!("com.acme.taken")));
    assert!(emit.topic.is_none() && emit.subject.is_none());
    assert_eq!(emit.data, Template::Literal(json!(null)));
}

#[test]
fn limits_are_read_and_have_defaults() {
    let limits = good(WHOLE).workflow.limits;
    assert_eq!((limits.concurrency, limits.when_full), (Some(10), WhenFull::Reject));
    assert_eq!((limits.per_day, limits.per_month, limits.timeout.as_secs()), (Some(1000), Some(20_000), 300));
    let limits = good("name: a\nlimits: {}\nsteps: []").workflow.limits;
    assert_eq!((limits.concurrency, limits.when_full, limits.per_day), (None, WhenFull::Queue, None));
}

/// An `exit` that may be skipped, or whose failure is passed over, is no end.
#[test]
fn what_may_be_reached_is_not_refused() {
    for exit in ["{ exit: {}, when: $.event.x }", "{ exit: { body: '{{ $.event.x }}' }, on_error: continue }"] {
        one(&format!("{exit}\n  - set: {{ a: 1 }}"));
    }
    for around in [
        "{ if: true, then: [ { exit: {} } ] }",
        "{ for_each: $.event.a, do: [ { exit: {} } ] }",
        "{ try: [ { exit: {} } ], catch: [ { exit: {} } ], finally: [ { set: {a: 1} } ] }",
        "{ parallel: { a: [ { exit: {} } ], b: [ { exit: {} } ] } }",
    ] {
        one(&format!("{around}\n  - set: {{ a: 1 }}"));
    }
}

/// Whatever a block is called, ids in it are ids of the document.
#[test]
fn an_id_stands_once_wherever_it_stands() {
    for block in [
        "{ for_each: $.event.a, do: [ S ] }",
        "{ repeat: [ S ], at_most: 2 }",
        "{ parallel: { set: [ S ] } }",
        "{ parallel: { with: [ S ] } }",
        "{ switch: $.event.a, cases: { exit: [ S ] } }",
        "{ try: [ S ], catch: [] }",
        "{ try: [], catch: [ S ] }",
        "{ try: [], finally: [ S ] }",
        "{ lock: { key: a }, do: [ S ] }",
    ] {
        let block = block.replace('S', "{ id: twice, set: {a: 1} }, { id: twice, set: {a: 1} }");
        let document = format!("name: a\nsteps:\n  - {block}\n");
        let said = show(&compile(&document, &Shelf).expect_err(&block));
        assert!(said.contains("the id `twice` stands on line 3 already"), "{block}: {said}");
    }
    // What looks like an id in a value is none.
    good(
        "name: a\nsteps: [ { id: x, task: echo, with: { id: x } }, { emit: { type: a, data: { id: x } } }, { workflow: b, with: { do: [ { id: x } ] } } ]",
    );
}
