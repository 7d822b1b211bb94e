//! Faults of the engine's own, and what grows without end: an execution that cannot be driven ends, and gives back what others
//! wait for.

use std::time::Duration;

use camshaft_model::outcome::{Ending, FailureKind};
use camshaft_model::seams::{Dispatch, TellError};
use camshaft_model::summary::{Status, Summary};
use camshaft_model::{Value, json};

use crate::world::{EVALUATIONS, World, message, name};

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

const BAD: &str = r#"
name: bad
limits: { concurrency: 1, timeout: 60d }
steps:
  - lock: { key: k }
    do: [ { workflow: kid, wait: false }, { wait: { event: { topic: t } } } ]
"#;

/// A newer release, or a hand in the database, may refuse what was published once.
#[tokio::test]
async fn executions_of_a_revision_that_cannot_be_read_end_and_give_back_what_others_wait_for() {
    let good = "name: good\nlimits: { timeout: 60d }\nsteps: [ { lock: { key: k }, do: [ { set: { in: true } } ] } ]";
    let parent = "name: parent\nlimits: { timeout: 60d }\nsteps: [ { workflow: bad } ]";
    let kid = "name: kid\nsteps: [ { wait: 1h } ]";
    let waits = "name: waits\nlimits: { timeout: 60d }\nsteps: [ { wait: { event: { topic: t } } } ]";
    let mut world = World::of(&[good, parent, kid, BAD, waits]).await;
    let waiting = world.start_of("waits", json!(null)).await;
    let held = world.start_of("parent", json!(null)).await;
    world.rest().await;
    let is_bad = |summary: &Summary| summary.revision.workflow.as_str() == "bad";
    let bad = world.disk.summaries().into_values().find(is_bad).unwrap().id;
    let in_line = world.start_of("bad", json!(null)).await;
    let locked_out = world.start(json!(null)).await;
    world.rest().await;
    assert_eq!(world.disk.status(in_line), Some(Status::Queued));
    assert!(!world.has_ended(locked_out));
    world.workflows.truncate(3);

    let after = world.again().await;
    let why = "its revision cannot be read any more: no such revision";
    assert_eq!(after.outcome(bad).await.failure.as_ref().unwrap().message, why);
    assert_eq!(after.outcome(in_line).await.failure.as_ref().unwrap().message, why, "its turn came");
    assert_eq!(after.outcome(locked_out).await.ending, Ending::Succeeded, "the lock was given back");
    assert!(after.outcome(held).await.failure.as_ref().unwrap().message.contains(why), "its parent was told");
    assert!(!after.has_ended(waiting), "nobody waits for it");
    let reached = after.dispatcher.send(&name("default"), message("t", "1", json!(null))).await.unwrap();
    assert_eq!(reached, [], "an event goes to those who can take it, and to them alone");
    assert_eq!(after.outcome(waiting).await.failure.as_ref().unwrap().message, why);

    let after = world.again().await;
    let refused = after.dispatcher.cancel(waiting, "ada".to_owned()).await.unwrap_err();
    assert!(matches!(refused, TellError::Ended(_, Status::Failed)), "{refused}");

    let after = world.again().await;
    after.pass(Duration::from_secs(60 * 24 * 60 * 60)).await;
    assert_eq!(after.outcome(waiting).await.ending, Ending::Failed, "its time is over");
}

/// The parent's step is over and the parent goes on; the cancelling of its child is not durable yet.
#[tokio::test]
async fn a_child_that_was_left_just_before_a_crash_is_cancelled_though_its_parent_goes_on() {
    let parent = r#"
name: parent
limits: { timeout: 60d }
steps:
  - try: [ { workflow: kid, timeout: 1h } ]
    catch: [ { workflow: other, wait: false }, { workflow: other } ]
"#;
    let kid = |name: &str| format!("name: {name}\nlimits: {{ timeout: 60d }}\nsteps: [ {{ wait: 30d }} ]\n");
    let world = World::of(&[parent, &kid("kid"), &kid("other")]).await;
    let id = world.start(json!(null)).await;
    world.pass(Duration::from_secs(60 * 60)).await;
    let cut = (0..=world.disk.appends()).find(|n| world.disk.cut(*n).words(id).contains(&"step_ended")).unwrap();
    let later = world.disk.appends();
    let of = |workflow: &str| {
        let all = world.disk.summaries().into_values().filter(|summary| summary.revision.workflow.as_str() == workflow);
        all.map(|summary| summary.id).collect::<Vec<_>>()
    };
    let child = of("kid")[0];
    assert!(!world.disk.cut(cut).words(child).contains(&"cancel_requested"), "the crash came in between");
    let after = world.after(cut).await;
    assert_eq!(after.outcome(child).await.ending, Ending::Cancelled);
    assert!(!after.has_ended(id));

    let after = world.after(later).await;
    after.rest().await;
    assert!(of("other").iter().all(|other| !after.has_ended(*other)), "one is waited for, the other is nobody's");
}

#[tokio::test]
async fn a_block_that_is_tried_again_leaves_nothing_of_what_was_in_it() {
    let world = World::of(&[r#"
name: deep
steps:
  - set: { n: 0 }
  - id: kept
    set: { v: 0 }
  - lock: { key: k }
    do:
      - set: { n: "{{ $.vars.n + 1 }}" }
      - if: $.vars.n == 1
        then:
          - { id: deepin, set: { v: 1 } }
          - parallel: { a: [ { id: branch, set: { v: 1 } } ] }
          - set: { x: "{{ $.vars.n.nothing }}" }
    retry: { attempts: 2, first: 1s, on: [expression] }
  - exit: { body: { kept: "{{ $.steps.kept }}", deepin: "{{ $.steps.deepin }}", branch: "{{ $.steps.branch }}" } }
"#])
    .await;
    let id = world.start(json!(null)).await;
    world.pass(Duration::from_secs(2)).await;
    let expected = json!({"kept": {"v": 0}, "deepin": null, "branch": null});
    assert_eq!(world.outcome(id).await.output["body"], expected);
}

/// Those of a former server are counted first.
#[tokio::test]
async fn a_child_that_begins_while_a_server_takes_up_the_former_one_s_work_keeps_to_its_workflow_s_limit() {
    let parent = "name: parent\nsteps: [ { workflow: one, wait: false, with: { call: '{{ $.event.body }}' } } ]";
    let one = "name: one\nparams: { call: string }\nlimits: { concurrency: 1 }\nsteps: [ { task: hold, with: '{{ $.params.call }}' } ]";
    let world = World::of(&[parent, one]).await;
    world.start(json!("first")).await;
    world.rest().await;
    assert_eq!(world.hold.under_way(), ["first"]);
    let after = world.crashed(world.disk.appends());
    after.start(json!("second")).await;
    after.rest().await;
    after.engine.recover().await.unwrap();
    after.rest().await;
    assert_eq!(after.hold.under_way(), ["first"]);
    after.hold.open("first");
    after.rest().await;
    assert_eq!(after.hold.under_way(), ["second"]);
}
