//! What one execution may take: time for its expressions, depth and room for its values.

use std::time::Duration;

use camshaft_model::language::template::weight;
use camshaft_model::outcome::{Ending, FailureKind};
use camshaft_model::seams::{Dispatch, TellError};
use camshaft_model::state::State;
use camshaft_model::{Value, json, limits};

use crate::world::{EVALUATIONS, SLOW, World, message, name};

fn evaluations() -> usize {
    EVALUATIONS.with(|count| count.get())
}

#[tokio::test]
async fn the_expressions_of_one_step_are_bounded_in_time_all_together() {
    let values: Vec<_> = (0..1_500).map(|n| format!("v{n}: '{{{{ [\"slow\", {n}] | length }}}}'")).collect();
    let world = World::of(&[&format!("name: long\nsteps: [ {{ set: {{ {} }} }} ]\n", values.join(", "))]).await;
    let before = evaluations();
    let outcome = world.run(json!(null)).await;
    let failure = outcome.failure.as_ref().unwrap();
    assert_eq!(failure.kind, FailureKind::Expression);
    assert!(failure.message.contains("the expressions of this step take longer than 2s together"), "{failure}");
    let most = limits::STEP_EVALUATION_MAX.div_duration_f64(SLOW);
    assert_eq!(evaluations() - before, most as usize);
}

const SLOW_MATCH: &str = r#"
name: slow
limits: { timeout: 60d }
steps: [ { wait: { event: { topic: t, match: '["slow", $.received.data] | length < 0' } } } ]
"#;

#[tokio::test]
async fn an_execution_hears_what_it_is_told_while_it_looks_at_many_events() {
    let world = World::of(&[SLOW_MATCH]).await;
    let id = world.start(json!(null)).await;
    for number in 0..100 {
        world.send("t", &number.to_string(), json!(number)).await;
    }
    world.rest().await;
    // A new server has seen none of the hundred.
    let after = world.again().await;
    let before = evaluations();
    after.send("t", "new", json!("new")).await;
    assert!(evaluations() - before < 5, "{} events are looked at before one more is taken", evaluations() - before);
    after.rest().await;
    assert_eq!(evaluations() - before, 101, "each once");
    after.rest().await;
    assert_eq!(evaluations() - before, 101, "and then no more");

    let again = world.again().await;
    let before = evaluations();
    again.dispatcher.cancel(id, "ada".to_owned()).await.unwrap();
    assert_eq!(again.outcome(id).await.ending, Ending::Cancelled);
    assert!(evaluations() - before < 5, "{} events are looked at before it ends", evaluations() - before);
}

/// A branch that only waits has nothing to write down, and yet is to let the next one have its turn.
#[tokio::test]
async fn branches_with_slow_matches_hold_no_event_up() {
    let branch = |n: usize| {
        let matches = format!("[\"slow\", $.received.data] | length < -{n}");
        format!("b{n}: [ {{ wait: {{ event: {{ topic: t, match: '{matches}' }} }} }} ]")
    };
    let branches: Vec<_> = (0..20).map(branch).collect();
    let text =
        format!("name: many\nlimits: {{ timeout: 60d }}\nsteps: [ {{ parallel: {{ {} }} }} ]\n", branches.join(", "));
    let world = World::of(&[&text]).await;
    world.start(json!(null)).await;
    world.rest().await;
    let before = evaluations();
    for number in 0..3 {
        world.send("t", &number.to_string(), json!(number)).await;
        assert!(evaluations() - before <= 3, "{} evaluations for {} events", evaluations() - before, number + 1);
    }
    world.rest().await;
    assert_eq!(evaluations() - before, 60);
}

#[tokio::test]
async fn a_match_that_names_its_event_in_brackets_is_remembered_too() {
    let waits = r#"name: waits
steps: [ { wait: { event: { topic: t, match: '[$["received"].data] | length < 0' } } } ]"#;
    let world = World::of(&[waits]).await;
    world.start(json!(null)).await;
    world.rest().await;
    let before = evaluations();
    for number in 0..10 {
        world.send("t", &number.to_string(), json!(number)).await;
        world.rest().await;
    }
    assert_eq!(evaluations() - before, 10, "each of ten once");
}

/// `depth` brackets around a null.
fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Null, |value, _| json!([value]))
}

#[tokio::test]
async fn what_a_loop_goes_over_and_collects_is_no_deeper_than_what_a_step_may_put_out() {
    let most = limits::VALUE_DEPTH_MAX;
    let items = "name: items\nsteps: [ { for_each: '[$.event.body]', do: [ { set: { x: 1 } } ] } ]";
    let world = World::of(&[items]).await;
    assert_eq!(world.run(nested(most)).await.ending, Ending::Succeeded);
    let failure = world.run(nested(most + 1)).await.failure.clone().unwrap();
    assert_eq!(failure.kind, FailureKind::Expression);
    assert!(failure.message.contains("101 levels deep; 100 is the limit"), "{failure}");

    // With the array that the turns are put together to, it is one more.
    let collects =
        "name: collects\nsteps: [ { for_each: '[1, 2]', do: [ { set: { x: 1 } } ], collect: $.event.body } ]";
    let world = World::of(&[collects]).await;
    assert_eq!(world.run(nested(most - 1)).await.ending, Ending::Succeeded);
    let id = world.start(nested(most)).await;
    let failure = world.outcome(id).await.failure.clone().unwrap();
    assert_eq!(failure.kind, FailureKind::Expression);
    assert!(failure.message.contains("100 levels deep; 99 is the limit"), "{failure}");
    assert!(!world.disk.words(id).contains(&"left"), "it is told at its turn: {:?}", world.disk.words(id));
}

#[tokio::test]
async fn an_event_that_may_be_sent_fits_into_the_step_around_the_one_that_takes_it() {
    let world = World::of(&[r#"
name: around
steps:
  - { id: sent, emit: { type: t, data: "{{ $.event.body }}" } }
  - for_each: "[1]"
    do: [ { wait: { event: { topic: t } } } ]
"#])
    .await;
    assert_eq!(world.run(nested(limits::DATA_DEPTH_MAX)).await.ending, Ending::Succeeded);
    let outcome = world.run(nested(limits::DATA_DEPTH_MAX + 1)).await;
    assert_eq!(outcome.step.as_deref(), Some("sent"));
    let failure = outcome.failure.as_ref().unwrap();
    assert_eq!(failure.kind, FailureKind::Expression);
    assert!(failure.message.contains("99 levels deep; 98 is the limit"), "{failure}");
}

/// A megabyte, and some.
/// Takes a 64th of what an execution may keep, though it is some 300 KB of text.
fn large() -> Value {
    Value::Array(vec![Value::Null; limits::EXECUTION_BYTES_MAX / 64 / size_of::<Value>()])
}

#[tokio::test]
async fn what_an_execution_keeps_is_bounded_in_all() {
    let beyond = |steps: &str| format!("name: beyond\nsteps: {steps}\n");
    let tasks: Vec<_> = (0..70).map(|_| "{ task: silent, with: '{{ $.event.body }}' }").collect();
    let sets: Vec<_> = (0..70).map(|n| format!("{{ set: {{ v{n}: '{{{{ $.event.body }}}}' }} }}")).collect();
    let turns = "[ { for_each: '[range(30)]', concurrency: 30, as: row, do: [ { for_each: '[range(3)]', do: [ { task: silent, with: '{{ $.event.body }}' } ], collect: $.event.body }, { task: hold, with: '{{ $.index }}' } ] } ]";
    let branches: Vec<_> = (0..70)
        .map(|n| format!("b{n}: [ {{ task: silent, with: '{{{{ $.event.body }}}}' }}, {{ wait: 1h }} ]"))
        .collect();
    let branches = format!("[ {{ parallel: {{ {} }} }} ]", branches.join(", "));
    for steps in [format!("[ {} ]", tasks.join(", ")), format!("[ {} ]", sets.join(", ")), turns.to_owned(), branches] {
        let world = World::of(&[&beyond(&steps)]).await;
        let outcome = world.run(large()).await;
        let failure = outcome.failure.as_ref().unwrap();
        assert_eq!(failure.kind, FailureKind::Budget, "{failure}");
        assert!(failure.message.contains("268435456 is the limit"), "{failure}");
        assert_eq!(failure.details.as_ref().unwrap()["bound"], json!("kept"));
    }
}

#[tokio::test]
async fn what_goes_out_of_sight_counts_no_more() {
    let world = World::of(&[r#"
name: through
steps:
  - for_each: "[range(100)]"
    do: [ { id: big, task: silent, with: "{{ $.event.body }}" } ]
    collect: "$.steps.big | length"
  - repeat: [ { set: { last: "{{ $.event.body }}" } } ]
    at_most: 100
  - set: { last: null }
  - wait: { event: { topic: t } }
"#])
    .await;
    let id = world.start(large()).await;
    world.rest().await;
    assert_eq!(world.disk.words(id).last(), Some(&"wait_started"));
    let kept = || State::fold(&world.disk.journal(id)).unwrap().unwrap().kept_bytes;
    // The lengths, the last turn's variable as the output of `repeat`, and little else.
    let before = kept();
    let one = weight(&large());
    assert!((one..one + 10_000).contains(&before), "{before} bytes are kept");
    let expected = before;
    world.send("other", "1", json!("x")).await;
    assert_eq!(kept(), expected, "nobody listens to that");
    world.send("t", "1", large()).await;
    world.rest().await;
    let outcome = world.outcome(id).await;
    assert_eq!(outcome.ending, Ending::Succeeded);
}

#[tokio::test]
async fn events_that_nobody_takes_count_and_one_too_many_is_refused() {
    let world = World::of(&[
        "name: keeps\nlimits: { timeout: 60d }\nsteps: [ { wait: 30d }, { wait: { event: { topic: t } } } ]",
    ])
    .await;
    let id = world.start(json!(null)).await;
    world.rest().await;
    for number in 0..63 {
        world.dispatcher.send_to(id, message("t", &number.to_string(), large())).await.unwrap();
    }
    let refused = world.dispatcher.send_to(id, message("t", "63", large())).await.unwrap_err();
    assert!(matches!(&refused, TellError::Unfit(why) if why.contains("268435456 is the limit")), "{refused}");
    assert_eq!(
        world.dispatcher.send(&name("default"), message("t", "64", large())).await.unwrap(),
        [],
        "told in the log"
    );
    world.pass(Duration::from_secs(30 * 24 * 60 * 60)).await;
    assert_eq!(world.outcome(id).await.ending, Ending::Succeeded);
}

/// What open steps hold counts too, and one step's values find room one by one.
#[tokio::test]
async fn neither_open_steps_nor_one_step_of_many_values_fill_the_memory() {
    let names: Vec<_> = (0..400).map(|n| format!("v{n}: '{{{{ $.event.body }}}}'")).collect();
    let branches = |step: &str| {
        let branches: Vec<_> =
            (0..100).map(|n| format!("b{n}: [ {} ]", step.replace("NUMBER", &n.to_string()))).collect();
        format!("[ {{ parallel: {{ {} }} }} ]", branches.join(", "))
    };
    let text = json!("x".repeat(4_000_000));
    for (steps, body) in [
        (format!("[ {{ set: {{ {} }} }} ]", names.join(", ")), large()),
        (branches("{ approval: { ask: '{{ $.event.body }}' } }"), text),
        (branches("{ task: hold, with: ['{{ $.event.body }}', NUMBER] }"), large()),
        (branches("{ emit: { type: t, data: '{{ $.event.body }}' } }"), large()),
    ] {
        let world = World::of(&[&format!("name: beyond\nsteps: {steps}\n")]).await;
        let outcome = world.run(body).await;
        let failure = outcome.failure.as_ref().unwrap();
        assert_eq!(failure.kind, FailureKind::Budget, "{steps:.60}: {failure}");
        let details = failure.details.as_ref().unwrap();
        assert_eq!(details["bound"], json!("kept"), "{steps:.60}");
        // No more than a few values beyond the bound were ever there.
        let (used, limit) = (details["used"].as_u64().unwrap(), limits::EXECUTION_BYTES_MAX as u64);
        assert!(used < limit + (16 << 20), "{steps:.60}: {used}");
    }
}

#[tokio::test]
async fn what_one_set_writes_is_no_more_than_a_step_may_put_out() {
    let world = World::of(&[
        "name: wide\nsteps: [ { set: { a: '{{ $.event.body }}' } }, { set: { b: '{{ $.vars.a }}', c: '{{ $.vars.a }}' } } ]",
    ])
    .await;
    let within = world.run(json!("x".repeat(limits::OUTPUT_BYTES_MAX / 2 - 10))).await;
    assert_eq!(within.ending, Ending::Succeeded, "{:?}", within.failure);
    let outcome = world.run(json!("x".repeat(limits::OUTPUT_BYTES_MAX / 2))).await;
    let failure = outcome.failure.as_ref().unwrap();
    assert_eq!((failure.kind, outcome.step.as_deref()), (FailureKind::Budget, Some("1")), "{failure}");
}
