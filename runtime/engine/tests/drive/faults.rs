//! Faults of the engine's own, and what grows without end: an execution that cannot be driven ends, and gives back what others
//! wait for.

use std::time::Duration;

use camshaft_model::outcome::{Ending, FailureKind};
use camshaft_model::seams::Dispatch;
use camshaft_model::{Value, json};

use crate::world::{EVALUATIONS, World};

const FAULTY: &str = r#"
name: faulty
limits: { concurrency: 1 }
steps:
  - lock: { key: only }
    do:
      - if: $.event.body.faulty
        then: [ { set: { x: "{{ [\"panic\"] | add }}" } } ]
"#;

#[tokio::test]
async fn an_execution_whose_driving_panics_ends_as_failed_and_holds_nobody_up() {
    let world = World::of(&[FAULTY]).await;
    let id = world.start(json!({"faulty": true})).await;
    let next = world.start(json!({"faulty": false})).await;
    let outcome = world.outcome(id).await;
    assert_eq!((outcome.ending, &*outcome.output), (Ending::Failed, &Value::Null));
    assert!(outcome.failure.as_ref().unwrap().message.contains("the server failed"));
    assert_eq!(world.outcome(next).await.ending, Ending::Succeeded, "its place and its lock were given back");

    let again = world.again().await;
    assert_eq!(again.outcome(id).await.ending, Ending::Failed, "it is over after a start, too");
}

#[tokio::test]
async fn a_value_that_gets_deeper_at_each_turn_fails_before_it_cannot_be_read_back() {
    let nested = format!("{}\"{{{{ $.vars.a }}}}\"{}", "[".repeat(30), "]".repeat(30));
    let deep = format!("name: deep\nsteps:\n  - repeat: [ {{ set: {{ a: {nested} }} }} ]\n    at_most: 5000\n");
    let world = World::of(&[&deep]).await;
    let outcome = world.run(json!(null)).await;
    let failure = outcome.failure.as_ref().unwrap();
    assert_eq!(failure.kind, FailureKind::Expression);
    assert!(failure.message.contains("levels deep; 100 is the limit"), "{}", failure.message);
    let loops = "name: loops\nsteps:\n  - repeat:\n      - { id: more, for_each: \"[1]\", do: [ { set: { a: \"{{ [$.vars.a] }}\" } } ] }\n    at_most: 5000\n";
    let world = World::of(&[loops]).await;
    assert_eq!(world.run(json!(null)).await.ending, Ending::Failed);
}

#[tokio::test]
async fn what_turns_collect_is_bounded_while_they_run() {
    let world = World::of(&[r#"
name: heap
steps:
  - for_each: "[range(1000)]"
    do: [ { set: { x: 1 } } ]
    collect: '"x" * 1000000'
"#])
    .await;
    let id = world.start(json!(null)).await;
    let outcome = world.outcome(id).await;
    assert_eq!(outcome.failure.as_ref().unwrap().kind, FailureKind::Budget);
    let turns = world.disk.words(id).iter().filter(|word| **word == "left").count();
    assert_eq!(turns, 4, "a fifth million is beyond 4 MiB");
}

#[tokio::test]
async fn a_block_that_is_tried_again_leaves_no_output_of_the_former_try() {
    let world = World::of(&[r#"
name: stale
steps:
  - if: "true"
    then:
      - { id: x, task: silent, with: { v: 1 }, when: $.vars.again != true }
      - set: { again: true }
      - { id: once, task: silent, with: "{{ $.vars.second.nothing }}" }
      - set: { second: text }
      - { if: $.steps.x != null, then: [ { set: { y: "{{ $.vars.second.nothing }}" } } ] }
    retry: { attempts: 2, first: 1s, on: [expression] }
  - exit: { body: { x: "{{ $.steps.x }}" } }
"#])
    .await;
    let id = world.start(json!(null)).await;
    world.pass(Duration::from_secs(2)).await;
    let outcome = world.outcome(id).await;
    // The second try fails earlier: what the first one put out for `x` must not be seen any more.
    let journal = world.disk.words(id);
    assert!(journal.contains(&"retry_scheduled"), "{journal:?}");
    assert_ne!(outcome.output["body"]["x"], json!({"v": 1}));
}

#[tokio::test]
async fn names_that_executions_share_are_one_line() {
    for step in [
        r#"lock: { key: "{{ $.event.body }}" }, do: []"#,
        r#"emit: { type: "{{ $.event.body }}", data: 1 }"#,
        r#"emit: { type: fine, topic: "a{{ $.event.body }}", data: 1 }"#,
    ] {
        let world = World::of(&[&format!("name: lines\nsteps: [ {{ {step} }} ]\n")]).await;
        let outcome = world.run(json!("b\nc")).await;
        let message = &outcome.failure.as_ref().unwrap().message;
        assert!(message.contains("control characters") && message.contains("b\\nc"), "{step}: {message}");
    }
}

/// The parent's end is durable, the cancelling of its child is not yet.
#[tokio::test]
async fn children_whose_parent_ended_just_before_a_crash_are_cancelled_at_the_start() {
    let parent = "name: parent\nsteps: [ { workflow: kid } ]\n";
    let world = World::of(&[parent, "name: kid\nsteps: [ { wait: 1h } ]\n"]).await;
    let id = world.start(json!(null)).await;
    world.rest().await;
    let (child, _) = world.disk.summaries().into_iter().find(|(other, _)| *other != id).unwrap();
    world.dispatcher.cancel(id, "ops".to_owned()).await.unwrap();
    world.rest().await;
    let cut = (0..=world.disk.appends())
        .find(|appends| world.disk.cut(*appends).status(id).is_some_and(|status| status.is_final()))
        .unwrap();
    let after = world.after(cut).await;
    assert!(!world.disk.cut(cut).status(child).unwrap().is_final(), "the crash came in between");
    assert_eq!(after.outcome(child).await.ending, Ending::Cancelled);
}

/// Events that no step takes are kept, a thousand of them; looking at all of them again with each new one would hold up
/// whoever sends.
#[tokio::test]
async fn an_event_that_was_refused_is_not_looked_at_again() {
    let waits = "name: waits\nsteps: [ { wait: { event: { topic: t, match: '[$.received.data] | length < 0' } } } ]\n";
    let world = World::of(&[waits]).await;
    world.start(json!(null)).await;
    world.rest().await;
    let before = EVALUATIONS.with(|count| count.get());
    for number in 0..50 {
        world.send("t", &number.to_string(), json!(number)).await;
        world.rest().await;
    }
    assert_eq!(EVALUATIONS.with(|count| count.get()) - before, 50, "each of fifty once");
}
