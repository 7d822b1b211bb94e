//! `workflow` and `emit`: executions that start and tell each other.

use std::time::Duration;

use camshaft_model::ids::ExecutionId;
use camshaft_model::outcome::{Ending, FailureKind};
use camshaft_model::seams::Dispatch;
use camshaft_model::summary::Status;
use camshaft_model::{json, limits};

use crate::world::World;

const PARENT: &str = r#"
name: parent
limits: { timeout: 60d }
steps:
  - id: child
    workflow: child
    with: { name: "{{ $.event.body }}" }
    timeout: 20d
"#;

const CHILD: &str = r#"
name: child
limits: { timeout: 60d }
params: { name: string }
steps:
  - { id: held, task: hold, with: "{{ $.params.name }}" }
  - exit: { status: 201, body: "{{ $.steps.held }}", more: 1 }
"#;

/// The only other execution there is.
fn child_of(world: &World, parent: ExecutionId) -> ExecutionId {
    let others: Vec<_> = world.disk.summaries().into_keys().filter(|id| *id != parent).collect();
    assert_eq!(others.len(), 1);
    others[0]
}

#[tokio::test]
async fn a_step_waits_for_its_child_and_has_its_outputs() {
    let world = World::of(&[PARENT, CHILD]).await;
    let id = world.start(json!("kim")).await;
    world.rest().await;
    assert_eq!(world.disk.status(id), Some(Status::Waiting));
    world.hold.open("kim");
    assert_eq!(*world.outcome(id).await.output, json!({"body": "kim", "more": 1}));
}

#[tokio::test]
async fn a_child_that_was_forgotten_before_its_parent_heard_of_its_end_is_lost() {
    let world = World::of(&[PARENT, CHILD]).await;
    let id = world.start(json!("kim")).await;
    world.rest().await;
    world.hold.open("kim");
    world.outcome(id).await;
    let child = child_of(&world, id);
    let between = |n: &usize| {
        let disk = world.disk.cut(*n);
        disk.words(child).contains(&"ended") && !disk.words(id).contains(&"child_ended")
    };
    let cut = (0..=world.disk.appends()).find(between).unwrap();
    let after = world.crashed(cut);
    after.disk.forget(child);
    after.engine.recover().await.unwrap();
    let outcome = after.outcome(id).await;
    let failure = outcome.failure.as_ref().unwrap();
    assert_eq!(failure.kind, FailureKind::Lost, "{failure}");
    assert!(failure.message.contains(&child.to_string()), "{failure}");
}

#[tokio::test]
async fn a_child_that_fails_fails_its_step_with_the_same_kind() {
    let child = "name: child\nsteps: [ { task: fails, with: { kind: denied, message: no } } ]";
    let world = World::of(&["name: parent\nsteps: [ { id: c, workflow: child } ]", child]).await;
    let outcome = world.run(json!(null)).await;
    let failure = outcome.failure.as_ref().unwrap();
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Denied, "workflow `child`: no"));
    assert_eq!(outcome.step.as_deref(), Some("c"));
}

#[tokio::test]
async fn a_detached_child_runs_by_itself() {
    let parent = "name: parent\nsteps: [ { workflow: child, with: { name: x }, wait: false } ]";
    let world = World::of(&[parent, CHILD]).await;
    let outcome = world.run(json!(null)).await;
    let child: ExecutionId = outcome.output["execution"].as_str().unwrap().parse().unwrap();
    assert_eq!(outcome.output["workflow"], json!("child"));
    world.rest().await;
    world.hold.open("x");
    assert_eq!(world.outcome(child).await.ending, Ending::Succeeded);
}

#[tokio::test]
async fn a_child_is_cancelled_with_its_parent_and_when_its_step_is_left() {
    let world = World::of(&[PARENT, CHILD]).await;
    let id = world.start(json!("a")).await;
    world.rest().await;
    world.dispatcher.cancel(id, "ada".into()).await.unwrap();
    world.rest().await;
    assert_eq!(world.outcome(child_of(&world, id)).await.ending, Ending::Cancelled);

    let world = World::of(&[PARENT, CHILD]).await;
    let id = world.start(json!("a")).await;
    world.pass(Duration::from_secs(20 * 24 * 60 * 60)).await;
    assert_eq!(world.outcome(id).await.failure.as_ref().unwrap().kind, FailureKind::Timeout);
    world.rest().await;
    assert_eq!(world.outcome(child_of(&world, id)).await.ending, Ending::Cancelled);
    assert_eq!(world.hold.dropped(), ["a"]);
}

#[tokio::test]
async fn a_child_is_not_cancelled_before_why_is_durable() {
    let parent = r#"
name: parent
steps:
  - try:
      - parallel:
          a: [ { workflow: child, with: { name: inside } } ]
          b: [ { task: hold, with: beside } ]
    catch: [ { exit: { body: "{{ $.error.step }}" } } ]
"#;
    let world = World::of(&[parent, CHILD]).await;
    let id = world.start(json!(null)).await;
    world.rest().await;
    let child = child_of(&world, id);
    let disk = world.disk.delay();
    world.hold.fail("beside");
    world.rest().await;
    assert!(!world.disk.words(child).contains(&"cancel_requested"), "its parent's failure is not durable yet");
    disk.notify_one();
    world.rest().await;
    assert_eq!(world.outcome(child).await.ending, Ending::Cancelled);
}

#[tokio::test]
async fn workflows_that_start_each_other_come_to_an_end() {
    let world = World::of(&["name: deep\nsteps: [ { workflow: deep } ]"]).await;
    let outcome = world.run(json!(null)).await;
    assert_eq!(outcome.failure.as_ref().unwrap().kind, FailureKind::Failed);
    world.rest().await;
    assert_eq!(world.disk.summaries().len(), limits::CHILDREN_DEPTH_MAX as usize + 1);
}

#[tokio::test]
async fn what_cannot_be_started_fails_its_step_and_says_why() {
    for (with, child, kind, why) in [
        ("workflow: absent", CHILD, FailureKind::Failed, "`absent` is not published in `production`"),
        ("workflow: child", CHILD, FailureKind::InvalidInput, "parameter `name` (string) is missing"),
        ("workflow: child, with: { name: 5 }", CHILD, FailureKind::InvalidInput, "`name` is a string, found 5"),
        ("workflow: child, with: '{{ $.event.body }}'", CHILD, FailureKind::InvalidInput, "is an object"),
    ] {
        let world = World::of(&[&format!("name: parent\nsteps: [ {{ id: c, {with} }} ]"), child]).await;
        let outcome = world.run(json!([1])).await;
        let failure = outcome.failure.as_ref().unwrap();
        assert_eq!((failure.kind, outcome.step.as_deref()), (kind, Some("c")), "{with}");
        assert!(failure.message.contains(why), "{with}: {failure}");
        assert_eq!(world.disk.summaries().len(), 1, "{with}");
    }
}

#[tokio::test]
async fn limits_that_a_child_has_reached_are_worth_another_attempt() {
    let child = "name: child\nlimits: { per_day: 2, concurrency: 1, when_full: reject }\nsteps: [ { task: silent } ]";
    let parent = "name: parent\nsteps: [ { workflow: child, retry: { attempts: 2, first: 1d, max: 1d, jitter: false } } ]\nlimits: { timeout: 9d }";
    let world = World::of(&[parent, child]).await;
    for _ in 0..2 {
        assert_eq!(world.run(json!(null)).await.ending, Ending::Succeeded);
    }
    let id = world.start(json!(null)).await;
    world.rest().await;
    assert!(!world.has_ended(id));
    assert!(world.disk.words(id).contains(&"retry_scheduled"), "{:?}", world.disk.words(id));
    world.pass(Duration::from_secs(24 * 60 * 60)).await;
    assert_eq!(world.outcome(id).await.ending, Ending::Succeeded);
}

#[tokio::test]
async fn a_parent_hears_of_its_child_whenever_the_server_dies() {
    let world = World::of(&[PARENT, CHILD]).await;
    let id = world.start(json!("kim")).await;
    world.rest().await;
    world.hold.open("kim");
    let expected = world.outcome(id).await;
    for appends in 1..=world.disk.appends() {
        let after = world.after(appends).await;
        after.rest().await;
        if !after.hold.under_way().is_empty() {
            after.hold.open("kim");
        }
        assert_eq!(after.outcome(id).await, expected, "after {appends} appends");
        assert_eq!(after.disk.summaries().len(), 2, "after {appends} appends: there is one child");
    }
}

#[tokio::test]
async fn a_parent_that_hung_on_something_else_last_hears_of_its_child_after_a_crash() {
    let parent = r#"
name: parent
limits: { timeout: 60d }
steps:
  - parallel:
      child: [ { workflow: child, with: { name: kim } } ]
      asks: [ { approval: { ask: "?" } }, { wait: 31d } ]
"#;
    let world = World::of(&[parent, CHILD]).await;
    let id = world.start(json!(null)).await;
    world.rest().await;
    world.answer(id, true, "ops").await.unwrap();
    world.rest().await;
    let child = child_of(&world, id);
    world.hold.open("kim");
    world.outcome(child).await;
    let ended = (1..=world.disk.appends()).find(|n| world.disk.cut(*n).words(child).last() == Some(&"ended")).unwrap();
    let after = world.after(ended).await;
    after.rest().await;
    assert!(!world.disk.cut(ended).words(id).contains(&"child_ended"), "the parent does not know yet");
    assert!(after.disk.words(id).contains(&"child_ended"), "{:?}", after.disk.words(id));
}

#[tokio::test]
async fn an_event_reaches_everybody_who_waits_for_its_topic_and_oneself() {
    let sender = r#"
name: sender
steps:
  - { id: sent, emit: { type: com.acme.taken, topic: taken, subject: "7", data: { n: "{{ $.event.body }}" } } }
  - { id: own, wait: { event: { topic: taken } } }
  - set: { same: "{{ $.steps.own.id == $.steps.sent.id }}", n: "{{ $.steps.own.data.n }}" }
"#;
    let listener =
        "name: listener\nlimits: { timeout: 60d }\nsteps: [ { wait: 20d }, { wait: { event: { topic: taken } } } ]";
    let world = World::of(&[sender, listener]).await;
    let listening = [world.start_of("listener", json!(1)).await, world.start_of("listener", json!(2)).await];
    world.rest().await;
    assert_eq!(world.engine.under_way(), 0);
    assert_eq!(*world.run(json!(5)).await.output, json!({"same": true, "n": 5}));
    world.pass(Duration::from_secs(20 * 24 * 60 * 60)).await;
    for id in listening {
        assert_eq!(world.outcome(id).await.output["data"], json!({"n": 5}));
    }
}

#[tokio::test]
async fn an_event_that_is_sent_again_after_a_crash_counts_once() {
    let sender = "name: sender\nsteps: [ { emit: { type: t, data: 1 } } ]";
    let listener = r#"
name: listener
steps:
  - { id: one, wait: { event: { topic: t } } }
  - { id: two, wait: { event: { topic: t }, timeout: 1h }, on_error: continue }
  - set: { two: "{{ $.steps.two }}" }
"#;
    let world = World::of(&[sender, listener]).await;
    let id = world.start_of("listener", json!(null)).await;
    world.rest().await;
    let before = world.disk.appends();
    assert_eq!(world.run(json!(null)).await.ending, Ending::Succeeded);
    for appends in before..=world.disk.appends() {
        let after = world.after(appends).await;
        after.rest().await;
        let received = after.disk.words(id).iter().filter(|word| **word == "event_received").count();
        let was_sent = after.disk.summaries().len() == 2;
        assert_eq!(received, usize::from(was_sent), "after {appends} appends");
    }
}

#[tokio::test]
async fn an_event_is_emitted_once_what_led_to_it_is_durable() {
    let sender = "name: sender\nsteps: [ { set: { a: 1 } }, { emit: { type: t, data: 1 } } ]";
    let listener = "name: listener\nsteps: [ { wait: { event: { topic: t } } } ]";
    let world = World::of(&[sender, listener]).await;
    let listening = world.start_of("listener", json!(null)).await;
    world.rest().await;
    let id = world.start(json!(null)).await;
    world.rest().await;
    for appends in 1..=world.disk.appends() {
        let disk = world.disk.cut(appends);
        if disk.words(listening).contains(&"event_received") {
            assert!(disk.words(id).contains(&"event_emitted"), "after {appends} appends");
        }
    }
    assert_eq!(world.outcome(listening).await.output["source"], json!("/workflows/sender"));
}
