//! `for_each` and `repeat`.

use std::time::Duration;

use camshaft_model::outcome::{Ending, FailureKind};
use camshaft_model::seams::Dispatch;
use camshaft_model::{Value, json, limits};

use crate::world::World;

const TURNS: &str = r#"
name: turns
steps:
  - for_each: $.event.body
    as: line
    concurrency: 3
    do: [ { id: held, task: hold, with: "{{ $.line }}" } ]
    collect: $.steps.held
"#;

#[tokio::test]
async fn as_many_turns_run_as_the_step_says_and_the_outputs_keep_the_order_of_the_items() {
    let world = World::of(&[TURNS]).await;
    let items: Vec<String> = (0..8).map(|n| format!("i{n}")).collect();
    let id = world.start(json!(items)).await;
    world.rest().await;
    assert_eq!(world.hold.under_way(), ["i0", "i1", "i2"]);
    // Always the latest of them, so that the turns end out of their order.
    while let Some(latest) = world.hold.under_way().pop() {
        world.hold.open(&latest);
        world.rest().await;
    }
    assert_eq!(*world.outcome(id).await.output, json!(items));
    assert_eq!(world.hold.most(), 3);
}

#[tokio::test]
async fn a_turn_that_fails_ends_the_loop_and_drops_the_calls_of_the_others() {
    let world = World::of(&[TURNS]).await;
    let id = world.start(json!(["a", "b", "c", "d"])).await;
    world.rest().await;
    world.hold.fail("b");
    let outcome = world.outcome(id).await;
    assert_eq!((outcome.ending, outcome.step.as_deref()), (Ending::Failed, Some("held")));
    world.rest().await;
    assert_eq!(world.hold.dropped(), ["a", "c"]);
    assert_eq!(world.calls(), 3, "the fourth turn never began");
}

#[tokio::test]
async fn no_items_make_an_empty_array_and_what_is_no_array_fails() {
    let world = World::of(&[TURNS]).await;
    assert_eq!(*world.run(json!([])).await.output, json!([]));
    for wrong in [json!(null), json!({"a": 1}), json!("abc")] {
        let failure = world.run(wrong.clone()).await.failure.clone().unwrap();
        assert_eq!(failure.kind, FailureKind::Expression, "{wrong}: {failure}");
    }
}

#[tokio::test]
async fn one_item_too_many_fails_by_budget() {
    let world = World::of(&["name: a\nsteps: [ { for_each: $.event.body, do: [ ], concurrency: 100 } ]"]).await;
    let items = vec![Value::Null; limits::ITEMS_MAX + 1];
    let failure = world.run(json!(items)).await.failure.clone().unwrap();
    assert_eq!(failure.kind, FailureKind::Budget);
    assert!(failure.message.contains("100001") && failure.message.contains("100000"), "{failure}");
}

#[tokio::test]
async fn an_output_that_is_too_large_fails_by_budget() {
    let world =
        World::of(&["name: a\nsteps: [ { for_each: $.event.body, do: [ { set: { x: '{{ $.item }}' } } ] } ]"]).await;
    let large = "x".repeat(1 << 20);
    let failure = world.run(json!([large, large, large, large])).await.failure.clone().unwrap();
    assert_eq!(failure.kind, FailureKind::Budget, "{failure}");
}

#[tokio::test]
async fn loops_inside_each_other_have_items_indexes_and_keys_of_their_own() {
    let world = World::of(&[r#"
name: grid
steps:
  - for_each: $.event.body
    as: row
    concurrency: 2
    do:
      - for_each: $.row
        as: cell
        concurrency: 2
        do: [ { id: out, task: observable, with: { row: "{{ $.row }}", cell: "{{ $.cell }}", index: "{{ $.index }}" } } ]
        collect: $.steps.out.cell
"#])
    .await;
    assert_eq!(*world.run(json!([[1, 2], [3], []])).await.output, json!([[1, 2], [3], []]));
    let calls = world.plugins.calls.lock().unwrap();
    let mut keys: Vec<_> =
        calls.iter().map(|call| (call.iteration.clone(), call.input.value["cell"].clone())).collect();
    keys.sort_by_key(|(turns, _)| turns.clone());
    assert_eq!(keys, [(vec![0, 0], json!(1)), (vec![0, 1], json!(2)), (vec![1, 0], json!(3))]);
}

#[tokio::test]
async fn what_a_turn_collects_may_fail_it() {
    let world =
        World::of(&["name: a\nsteps: [ { for_each: $.event.body, do: [ { task: silent } ], collect: $.item.x.y } ]"])
            .await;
    let failure = world.run(json!([{"x": {"y": 1}}, {"x": 2}])).await.failure.clone().unwrap();
    assert_eq!(failure.kind, FailureKind::Expression);
}

#[tokio::test]
async fn a_repeat_goes_on_until_something_holds() {
    let world = World::of(&[
        "name: a\nsteps: [ { repeat: [ { id: n, set: { n: '{{ $.index }}' } } ], until: $.steps.n.n == 3 } ]",
    ])
    .await;
    assert_eq!(*world.run(json!(null)).await.output, json!({"n": 3}));
}

#[tokio::test]
async fn a_repeat_makes_all_its_turns_or_fails_when_nothing_holds_by_then() {
    let all =
        World::of(&["name: a\nsteps: [ { repeat: [ { task: silent, with: '{{ $.index }}' } ], at_most: 4 } ]"]).await;
    assert_eq!(*all.run(json!(null)).await.output, json!(3));
    assert_eq!(all.calls(), 4);
    let none =
        World::of(&["name: a\nsteps: [ { repeat: [ { task: silent } ], until: $.event.body.no, at_most: 4 } ]"]).await;
    let failure = none.run(json!({})).await.failure.clone().unwrap();
    assert_eq!(failure.kind, FailureKind::Failed);
    assert!(failure.message.contains("after 4 turns"), "{failure}");
    assert_eq!(none.calls(), 4);
}

#[tokio::test]
async fn between_two_turns_there_is_the_pause_that_the_step_says_and_none_behind_the_last() {
    let world = World::of(&["name: a\nsteps: [ { repeat: [ { task: silent } ], every: 10s, at_most: 3 } ]"]).await;
    let id = world.start(json!(null)).await;
    for turns in 1..=2 {
        world.pass(Duration::from_secs(9)).await;
        assert_eq!(world.calls(), turns, "9 s are not 10 s");
        world.pass(Duration::from_secs(1)).await;
        assert_eq!(world.calls(), turns + 1);
    }
    assert_eq!(world.outcome(id).await.ending, Ending::Succeeded);
}

#[tokio::test]
async fn an_exit_in_a_turn_ends_the_execution_and_the_other_turns() {
    let world = World::of(&[r#"
name: first
steps:
  - for_each: $.event.body
    concurrency: 2
    do:
      - { id: held, task: hold, with: "{{ $.item }}" }
      - if: $.steps.held == "b"
        then: [ { exit: { status: 202, body: "{{ $.item }}" } } ]
  - { task: silent, with: never }
"#])
    .await;
    let id = world.start(json!(["a", "b", "c"])).await;
    world.rest().await;
    world.hold.open("b");
    let outcome = world.outcome(id).await;
    assert_eq!((outcome.exit.as_ref().unwrap().status, &outcome.output["body"]), (202, &json!("b")));
    world.rest().await;
    assert_eq!(world.hold.dropped(), ["a"]);
    assert_eq!(world.plugins.inputs("silent"), [] as [Value; 0]);
}

/// Nothing of this waits for the world, and still it is not alone in it.
const ENDLESS: &str = "
name: endless
limits: { timeout: 366d }
steps: [ { repeat: [ { repeat: [ { set: { a: 1 } } ], at_most: 100000 } ], at_most: 100000 } ]
";

#[tokio::test]
async fn an_execution_that_never_waits_can_still_be_cancelled_and_stopped() {
    let world = World::of(&[ENDLESS]).await;
    let id = world.start(json!(null)).await;
    tokio::task::yield_now().await;
    world.dispatcher.cancel(id, "ada".into()).await.unwrap();
    assert_eq!(world.outcome(id).await.ending, Ending::Cancelled);
    let id = world.start(json!(null)).await;
    tokio::task::yield_now().await;
    world.engine.stop().await;
    assert!(!world.has_ended(id));
    assert!(world.disk.journal(id).len() > 1, "what was reached is written down");
}
