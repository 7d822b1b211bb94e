//! `wait` and `approval`, and executions that nobody drives while they wait.

use std::sync::atomic::Ordering;
use std::time::Duration;

use camshaft_model::outcome::{Ending, FailureKind};
use camshaft_model::seams::{Answer, Dispatch, TellError};
use camshaft_model::summary::Status;
use camshaft_model::{Value, json};

use crate::world::{World, message};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn a_wait_is_over_when_its_time_has_come_and_not_before() {
    for wait in ["wait: 10s", "wait: '{{ $.event.body }}'", "wait: { until: '1970-01-12T13:46:50Z' }"] {
        let world = World::of(&[&format!("name: a\nsteps: [ {{ {wait} }}, {{ task: silent, with: over }} ]")]).await;
        let id = world.start(json!(10)).await;
        world.pass(Duration::from_secs(9)).await;
        assert_eq!(world.calls(), 0, "{wait}");
        world.pass(Duration::from_secs(1)).await;
        assert_eq!(*world.outcome(id).await.output, json!("over"), "{wait}");
    }
}

#[tokio::test]
async fn a_time_that_is_past_is_over_at_once_and_what_is_no_time_fails() {
    let world = World::of(&["name: a\nsteps: [ { wait: { until: '{{ $.event.body }}' } } ]"]).await;
    assert_eq!(world.run(json!("1970-01-01T00:00:00Z")).await.ending, Ending::Succeeded);
    for wrong in [json!("soon"), json!(5), json!(null), json!("2999-01-01T00:00:00Z")] {
        let failure = world.run(wrong.clone()).await.failure.clone().unwrap();
        assert_eq!(failure.kind, FailureKind::Failed, "{wrong}: {failure}");
    }
}

const PAID: &str = r#"
name: paid
limits: { timeout: 60d }
steps:
  - { id: before, task: hold, with: before }
  - id: paid
    wait: { event: { topic: paid, match: '$.received.data.order == $.event.body' }, timeout: 2d }
  - set: { data: "{{ $.steps.paid.data }}" }
"#;

#[tokio::test]
async fn an_event_may_come_before_its_step_or_after_it_and_only_the_one_that_is_meant_counts() {
    for early in [true, false] {
        let world = World::of(&[PAID]).await;
        let id = world.start(json!(7)).await;
        world.rest().await;
        if !early {
            world.hold.open("before");
            world.rest().await;
        }
        assert_eq!(world.send("paid", "1", json!({"order": 6})).await, [id]);
        assert_eq!(world.send("paid", "2", json!({"order": 7, "first": true})).await, [id]);
        assert_eq!(world.send("paid", "3", json!({"order": 7, "first": false})).await.len(), usize::from(early));
        assert_eq!(world.send("unheard", "4", json!({"order": 7})).await, []);
        if early {
            world.hold.open("before");
        }
        assert_eq!(*world.outcome(id).await.output, json!({"data": {"order": 7, "first": true}}), "early: {early}");
    }
}

#[tokio::test]
async fn an_event_with_the_same_source_and_id_counts_once_and_is_taken_by_one_step() {
    let world = World::of(&[r#"
name: twice
steps:
  - for_each: $.event.body
    concurrency: 2
    do: [ { id: got, wait: { event: { topic: t } } } ]
    collect: $.steps.got.id
"#])
    .await;
    let id = world.start(json!([1, 2])).await;
    assert_eq!(world.send("t", "a", json!(1)).await, [id]);
    assert_eq!(world.send("t", "a", json!(1)).await, [id], "who has it already is told of");
    world.rest().await;
    assert!(!world.has_ended(id));
    let error = world.dispatcher.send_to(id, message("other", "b", json!(1))).await.unwrap_err();
    assert!(matches!(&error, TellError::Unfit(why) if why.contains("`other`")), "{error}");
    world.dispatcher.send_to(id, message("t", "b", json!(2))).await.unwrap();
    assert_eq!(*world.outcome(id).await.output, json!(["a", "b"]));
}

#[tokio::test]
async fn a_wait_for_an_event_that_does_not_come_in_time_fails() {
    let world = World::of(&[PAID]).await;
    let id = world.start(json!(7)).await;
    world.rest().await;
    world.hold.open("before");
    world.pass(2 * DAY - Duration::from_secs(1)).await;
    assert!(!world.has_ended(id));
    world.pass(Duration::from_secs(1)).await;
    assert_eq!(world.outcome(id).await.failure.as_ref().unwrap().kind, FailureKind::Timeout);
}

#[tokio::test]
async fn an_event_that_was_acknowledged_wakes_its_step_after_a_crash_at_that_moment() {
    let world = World::of(&[PAID]).await;
    let id = world.start(json!(7)).await;
    world.rest().await;
    world.hold.open("before");
    world.rest().await;
    assert_eq!(world.engine.under_way(), 0, "it is parked");
    world.send("paid", "1", json!({"order": 7})).await;
    // Acknowledged, and nothing more on the disk: the crash is now.
    let received = (0..=world.disk.appends())
        .find(|appends| world.disk.cut(*appends).words(id).last() == Some(&"event_received"))
        .expect("the event is durable before it is taken");
    let after = world.after(received).await;
    assert_eq!(after.outcome(id).await.ending, Ending::Succeeded);
}

#[tokio::test]
async fn a_long_wait_leaves_nothing_driven_and_goes_on_in_time_also_after_a_restart() {
    let text = "name: a\nlimits: { timeout: 60d }\nsteps: [ { wait: 31d }, { task: silent, with: over } ]";
    let world = World::of(&[text]).await;
    let id = world.start(json!(null)).await;
    world.rest().await;
    assert_eq!(world.engine.under_way(), 0);
    assert_eq!(world.disk.status(id), Some(Status::Waiting));
    let after = world.again().await;
    after.pass(31 * DAY - Duration::from_secs(1)).await;
    assert_eq!(after.disk.reads.load(Ordering::SeqCst), 0, "its journal is not read before");
    assert_eq!((after.engine.under_way(), after.calls()), (0, 0));
    after.pass(Duration::from_secs(1)).await;
    assert_eq!(*after.outcome(id).await.output, json!("over"));
    // The same without a restart, for a crash is no better than none.
    world.rest().await;
    assert_eq!(*world.outcome(id).await.output, json!("over"));
}

#[tokio::test]
async fn a_thousand_that_wait_are_parked_and_wake_in_their_time() {
    let text = "name: a\nlimits: { timeout: 60d }\nsteps: [ { wait: '{{ $.event.body }}' } ]";
    let world = World::of(&[text]).await;
    for n in 0..1_000 {
        world.start(json!(10 + n)).await;
    }
    world.rest().await;
    assert_eq!(world.engine.under_way(), 0);
    let after = world.again().await;
    after.pass(Duration::from_secs(10 + 499)).await;
    let ended = after.disk.summaries().values().filter(|summary| summary.status.is_final()).count();
    assert_eq!(ended, 500);
    assert_eq!(after.disk.reads.load(Ordering::SeqCst), 500);
}

#[tokio::test]
async fn what_can_go_on_beside_a_wait_goes_on_after_any_crash() {
    let world = World::of(&[r#"
name: beside
limits: { timeout: 60d }
steps:
  - parallel:
      waits: [ { wait: 31d } ]
      works: [ { task: observable, with: 1 }, { set: { a: 1 } }, { task: observable, with: 2 }, { set: { b: 1 } } ]
  - { task: silent, with: "{{ $.vars }}" }
"#])
    .await;
    let id = world.start(json!(null)).await;
    world.rest().await;
    assert_eq!(world.engine.under_way(), 0);
    for appends in 1..=world.disk.appends() {
        let after = world.after(appends).await;
        after.rest().await;
        assert_eq!(after.engine.under_way(), 0, "after {appends} appends");
        let words = after.disk.words(id);
        assert_eq!(words.iter().filter(|word| **word == "variables_set").count(), 2, "after {appends}: {words:?}");
    }
}

#[tokio::test]
async fn a_wish_to_cancel_that_was_acknowledged_is_kept_after_a_crash_at_that_moment() {
    let world = World::of(&["name: a\nlimits: { timeout: 60d }\nsteps: [ { wait: 31d } ]"]).await;
    let id = world.start(json!(null)).await;
    world.rest().await;
    world.dispatcher.cancel(id, "ada".into()).await.unwrap();
    let asked = (0..=world.disk.appends())
        .find(|appends| world.disk.cut(*appends).words(id).last() == Some(&"cancel_requested"))
        .expect("the wish is durable before the end");
    let after = world.after(asked).await;
    assert_eq!(after.outcome(id).await.ending, Ending::Cancelled);
}

const ASK: &str = r#"
name: shipping
limits: { timeout: 7d }
steps:
  - try: [ { id: ok, approval: { ask: "Ship {{ $.event.body }}?", of: [ops, lead], timeout: 2d } } ]
    catch: [ { exit: { body: "{{ $.error }}" } } ]
  - exit: { body: { by: "{{ $.steps.ok.by }}", comment: "{{ $.steps.ok.comment }}" } }
"#;

#[tokio::test]
async fn a_yes_goes_on_a_no_is_a_failure_that_says_who_and_only_those_asked_may_answer() {
    let world = World::of(&[ASK]).await;
    let (yes, no) = (world.start(json!(1)).await, world.start(json!(2)).await);
    world.rest().await;
    let refused = world.answer(yes, true, "eve").await.unwrap_err();
    assert!(matches!(&refused, TellError::NotAsked { by, of } if by == "eve" && of == &["ops", "lead"]), "{refused}");
    world.answer(yes, true, "lead").await.unwrap();
    assert_eq!(world.outcome(yes).await.output["body"], json!({"by": "lead", "comment": null}));
    let answer = Answer {
        step: Some("ok".into()),
        iteration: None,
        approved: false,
        by: "operator".into(),
        is_operator: true,
        manages: true,
        comment: Some("too dear".into()),
    };
    world.dispatcher.answer(no, answer).await.unwrap();
    let error = world.outcome(no).await.output["body"].clone();
    assert_eq!((&error["kind"], &error["message"]), (&json!("rejected"), &json!("rejected by operator: too dear")));
    assert!(matches!(world.answer(no, true, "ops").await.unwrap_err(), TellError::Ended(..)));
}

#[tokio::test]
async fn an_approval_that_nobody_gives_in_time_fails_with_timeout_also_after_a_restart() {
    let world = World::of(&[ASK]).await;
    let id = world.start(json!(1)).await;
    world.rest().await;
    let after = world.again().await;
    after.pass(2 * DAY).await;
    assert_eq!(after.outcome(id).await.output["body"]["kind"], json!("timeout"));
}

#[tokio::test]
async fn of_several_that_are_asked_at_once_an_answer_says_which() {
    let world = World::of(&[r#"
name: many
steps:
  - for_each: $.event.body
    concurrency: 3
    do: [ { id: ok, approval: { ask: "{{ $.item }}?" } } ]
    collect: $.steps.ok.by
"#])
    .await;
    let id = world.start(json!(["a", "b"])).await;
    world.rest().await;
    let refused = world.answer(id, true, "ops").await.unwrap_err().to_string();
    assert!(refused.contains("`ok` of turn 0") && refused.contains("`ok` of turn 1"), "{refused}");
    let answer = |turn: u32| Answer {
        step: Some("ok".into()),
        iteration: Some(vec![turn]),
        approved: true,
        by: format!("person-{turn}"),
        is_operator: false,
        manages: true,
        comment: None,
    };
    world.dispatcher.answer(id, answer(1)).await.unwrap();
    assert!(world.dispatcher.answer(id, answer(1)).await.is_err(), "once");
    world.dispatcher.answer(id, answer(0)).await.unwrap();
    assert_eq!(*world.outcome(id).await.output, json!(["person-0", "person-1"]));
}

#[tokio::test]
async fn an_answer_that_was_acknowledged_counts_after_a_crash_though_a_branch_beside_it_waits() {
    let world = World::of(&[r#"
name: beside
limits: { timeout: 60d }
steps:
  - parallel:
      asks: [ { approval: { ask: "?" } }, { task: silent, with: answered } ]
      waits: [ { wait: 31d } ]
"#])
    .await;
    let id = world.start(json!(null)).await;
    world.rest().await;
    world.answer(id, true, "ops").await.unwrap();
    let given = (0..=world.disk.appends())
        .find(|appends| world.disk.cut(*appends).words(id).last() == Some(&"approval_given"))
        .expect("the answer is durable before the next step");
    let after = world.after(given).await;
    after.rest().await;
    assert_eq!(after.plugins.inputs("silent"), [Value::from("answered")]);
}
