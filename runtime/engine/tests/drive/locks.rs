//! `lock`: one execution at a time, first come, first served, whatever happens.

use std::time::Duration;

use camshaft_model::ids::ExecutionId;
use camshaft_model::json;
use camshaft_model::outcome::{Ending, FailureKind};
use camshaft_model::seams::Dispatch;

use crate::world::World;

/// The body names the call that is made inside.
const LOCKED: &str = r#"
name: locked
limits: { timeout: 3d }
steps:
  - id: guarded
    lock: { key: stock, timeout: 2d }
    timeout: 1d
    do:
      - { id: held, task: hold, with: "{{ $.event.body }}" }
      - if: $.steps.held == "exits"
        then: [ { exit: { body: out } } ]
"#;

async fn start_all(world: &World, names: &[&str]) -> Vec<ExecutionId> {
    let mut started = Vec::new();
    for name in names {
        started.push(world.start(json!(name)).await);
        world.pass(Duration::from_millis(20)).await;
    }
    started
}

#[tokio::test]
async fn one_execution_at_a_time_in_the_order_of_their_coming_however_the_block_ends() {
    let world = World::of(&[LOCKED]).await;
    let names = ["succeeds", "fails", "exits", "cancelled", "late", "last"];
    let ids = start_all(&world, &names).await;
    for (name, id) in names.iter().zip(&ids) {
        world.rest().await;
        assert_eq!(world.hold.under_way(), [*name]);
        match *name {
            "fails" => world.hold.fail(name),
            "cancelled" => world.dispatcher.cancel(*id, "ada".into()).await.unwrap(),
            // Those behind it stand in line for longer than their step may take, too.
            "late" => world.pass(Duration::from_secs(24 * 60 * 60)).await,
            _ => world.hold.open(name),
        }
        if *name == "late" {
            break;
        }
    }
    assert_eq!(world.hold.most(), 1);
    for (id, ending) in ids.iter().zip([Ending::Succeeded, Ending::Failed, Ending::Succeeded, Ending::Cancelled]) {
        assert_eq!(world.outcome(*id).await.ending, ending);
    }
    assert_eq!(world.outcome(ids[4]).await.failure.as_ref().unwrap().kind, FailureKind::Timeout);
    let next = start_all(&world, &["next"]).await;
    world.hold.open("next");
    assert_eq!(world.outcome(next[0]).await.ending, Ending::Succeeded, "the lock is free");
}

#[tokio::test]
async fn who_leaves_the_line_lets_the_others_move_up() {
    let world = World::of(&[
        "name: a\nsteps: [ { lock: { key: k, timeout: 10s }, do: [ { task: hold, with: '{{ $.event.body }}' } ] } ]",
    ])
    .await;
    let ids = start_all(&world, &["a", "b"]).await;
    world.pass(Duration::from_secs(5)).await;
    let later = start_all(&world, &["c", "d"]).await;
    world.pass(Duration::from_secs(5)).await;
    assert_eq!(world.outcome(ids[1]).await.failure.as_ref().unwrap().kind, FailureKind::Timeout);
    world.dispatcher.cancel(later[0], "ada".into()).await.unwrap();
    world.rest().await;
    world.hold.open("a");
    world.rest().await;
    assert_eq!(world.hold.under_way(), ["d"]);
}

#[tokio::test]
async fn a_new_server_keeps_the_lock_with_its_holder_and_the_order_of_the_line() {
    let world = World::of(&[LOCKED]).await;
    let ids = start_all(&world, &["z", "y", "x"]).await;
    let after = world.again().await;
    for (name, id) in ["z", "y", "x"].iter().zip(ids) {
        after.rest().await;
        assert_eq!(after.hold.under_way(), [*name]);
        after.hold.open(name);
        assert_eq!(after.outcome(id).await.ending, Ending::Succeeded);
    }
}

#[tokio::test]
async fn after_a_crash_behind_any_append_nobody_is_let_in_twice_and_everybody_in_the_end() {
    let text = r#"
name: counted
steps:
  - lock: { key: k }
    do: [ { task: observable-hold, with: "{{ $.event.body }}" } ]
"#;
    let world = World::of(&[text]).await;
    let ids = start_all(&world, &["a", "b", "c"]).await;
    for name in ["a", "b", "c"] {
        world.rest().await;
        world.hold.open(name);
    }
    world.rest().await;
    for appends in 1..=world.disk.appends() {
        let after = world.after(appends).await;
        loop {
            after.rest().await;
            let Some(name) = after.hold.under_way().pop() else { break };
            after.hold.open(&name);
        }
        assert!(after.hold.most() <= 1, "after {appends} appends");
        for id in ids.iter().filter(|id| after.disk.status(**id).is_some()) {
            assert_eq!(after.outcome(*id).await.ending, Ending::Succeeded, "after {appends} appends");
        }
    }
}

#[tokio::test]
async fn a_key_that_is_held_around_the_step_already_fails_it_at_once() {
    let world = World::of(&[r#"
name: inside
steps:
  - id: outer
    lock: { key: k }
    do:
      - for_each: $.event.body
        do: [ { id: inner, lock: { key: "{{ $.item }}" }, do: [ { task: silent, with: "{{ $.item }}" } ] } ]
"#])
    .await;
    let outcome = world.run(json!(["other", "k"])).await;
    let failure = outcome.failure.as_ref().unwrap();
    assert_eq!((failure.kind, outcome.step.as_deref()), (FailureKind::Failed, Some("inner")));
    assert!(failure.message.contains("`k`") && failure.message.contains("`outer`"), "{failure}");
    assert_eq!(world.plugins.inputs("silent"), [json!("other")]);
}

#[tokio::test]
async fn branches_of_one_execution_stand_in_line_as_executions_do() {
    let world = World::of(&[r#"
name: branches
steps:
  - parallel:
      a: [ { lock: { key: k }, do: [ { task: hold, with: a } ] } ]
      b: [ { lock: { key: k }, do: [ { task: hold, with: b } ] } ]
"#])
    .await;
    let id = world.start(json!(null)).await;
    world.rest().await;
    assert_eq!(world.hold.under_way(), ["a"]);
    world.hold.open("a");
    world.rest().await;
    world.hold.open("b");
    assert_eq!(*world.outcome(id).await.output, json!({"a": "a", "b": "b"}));
}

#[tokio::test]
async fn a_lock_that_is_tried_again_at_once_is_not_given_away_while_it_is_used() {
    let text = r#"
name: again
steps:
  - lock: { key: k }
    do: [ { task: hold, with: "{{ $.event.body }}" } ]
    retry: { attempts: 2, first: 1ns, on: [failed] }
"#;
    let world = World::of(&[text]).await;
    let ids = start_all(&world, &["a"]).await;
    world.hold.fail("a");
    world.rest().await;
    assert_eq!(world.hold.under_way(), ["a"], "the second attempt has the lock");
    let others = start_all(&world, &["b"]).await;
    assert_eq!(world.hold.under_way(), ["a"], "and nobody else");
    world.hold.open("a");
    world.rest().await;
    world.hold.open("b");
    assert_eq!(world.outcome(ids[0]).await.ending, Ending::Succeeded);
    assert_eq!(world.outcome(others[0]).await.ending, Ending::Succeeded);
}
