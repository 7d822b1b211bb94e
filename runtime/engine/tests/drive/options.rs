//! What any step takes: `when`, `timeout`, `retry`, `on_error`, on steps that have blocks.

use std::time::Duration;

use camshaft_model::json;
use camshaft_model::outcome::{Ending, FailureKind};

use crate::world::World;

#[tokio::test]
async fn a_block_is_tried_again_as_a_whole() {
    let world = World::of(&[r#"
name: again
steps:
  - id: both
    parallel:
      a: [ { task: silent, with: a } ]
      b: [ { task: silent, with: b }, { task: hold, with: end } ]
    retry: { attempts: 2, first: 10s, jitter: false, on: [failed] }
"#])
    .await;
    let id = world.start(json!(null)).await;
    world.rest().await;
    world.hold.fail("end");
    world.pass(Duration::from_secs(9)).await;
    assert_eq!(world.plugins.inputs("silent").len(), 2, "9 s are not 10 s");
    world.pass(Duration::from_secs(1)).await;
    assert_eq!(world.plugins.inputs("silent").len(), 4);
    world.hold.open("end");
    assert_eq!(*world.outcome(id).await.output, json!({"a": "a", "b": "end"}));
}

#[tokio::test]
async fn every_kind_with_a_block_keeps_to_its_timeout_and_drops_what_runs_in_it() {
    let held = "[ { task: hold, with: x } ]";
    for block in [
        format!("if: true, then: {held}"),
        format!("switch: 1, cases: {{ 1: {held} }}"),
        format!("for_each: $.event.body, do: {held}"),
        format!("repeat: {held}, at_most: 2"),
        format!("parallel: {{ a: {held} }}"),
        format!("try: {held}, catch: [ {{ task: silent }} ]"),
        format!("lock: {{ key: k }}, do: {held}"),
    ] {
        let world = World::of(&[&format!("name: a\nsteps: [ {{ id: it, {block}, timeout: 10s }} ]")]).await;
        let id = world.start(json!([1])).await;
        world.pass(Duration::from_secs(9)).await;
        assert!(!world.has_ended(id), "{block}");
        world.pass(Duration::from_secs(1)).await;
        let outcome = world.outcome(id).await;
        assert_eq!(outcome.failure.as_ref().unwrap().kind, FailureKind::Timeout, "{block}");
        assert_eq!(outcome.step.as_deref(), Some("it"), "{block}");
        assert_eq!(world.hold.dropped(), ["x"], "{block}");
        assert_eq!(world.calls(), 1, "{block}: no `catch` of its own deals with it");
    }
}

#[tokio::test]
async fn a_block_that_does_not_hold_is_skipped_and_one_that_may_fail_is_passed_over() {
    let world = World::of(&[r#"
name: over
steps:
  - { id: a, task: silent, with: a }
  - { id: b, parallel: { x: [ { task: fails } ] }, when: $.event.body }
  - { id: c, for_each: $.event.path, do: [], on_error: continue }
  - { id: d, try: [ { task: fails } ], finally: [ { task: silent, with: d } ], on_error: continue }
"#])
    .await;
    let outcome = world.run(json!(false)).await;
    assert_eq!((outcome.ending, &*outcome.output), (Ending::Succeeded, &json!("a")));
    assert_eq!(world.plugins.inputs("silent"), [json!("a"), json!("d")]);
}

#[tokio::test]
async fn an_exit_goes_up_through_every_block() {
    let world = World::of(&[r#"
name: deep
steps:
  - lock: { key: k }
    do:
      - parallel:
          a:
            - for_each: $.event.body
              do:
                - repeat:
                    - try: [ { if: true, then: [ { switch: 1, cases: { 1: [ { exit: { body: out } } ] } } ] } ]
                      finally: [ { task: silent, with: finally } ]
                  at_most: 5
          b: [ { task: hold, with: b } ]
    on_error: continue
    retry: { attempts: 5 }
"#])
    .await;
    let outcome = world.run(json!([1, 2])).await;
    assert_eq!(outcome.output["body"], json!("out"));
    assert_eq!(world.plugins.inputs("silent"), [json!("finally")]);
    assert_eq!(*world.run(json!([1])).await.output, json!({"body": "out"}), "the lock is free again");
}
