//! `parallel` and `try`, and how failures and exits go up through them.

use std::time::Duration;

use camshaft_model::outcome::{Ending, FailureKind};
use camshaft_model::seams::Dispatch;
use camshaft_model::{Value, json};

use crate::world::World;

fn both(join: &str) -> String {
    format!(
        r#"
name: both
steps:
  - id: both
    join: {join}
    parallel:
      left: [ {{ id: left, task: hold, with: left }} ]
      right: [ {{ id: right, task: hold, with: right }} ]
"#
    )
}

#[tokio::test]
async fn all_branches_run_at_once_and_the_output_has_each_by_its_name() {
    let world = World::of(&[&both("all")]).await;
    let id = world.start(json!(null)).await;
    world.rest().await;
    assert_eq!(world.hold.under_way(), ["left", "right"]);
    world.hold.open("right");
    world.rest().await;
    world.hold.open("left");
    let outcome = world.outcome(id).await;
    assert_eq!(outcome.output.to_string(), r#"{"left":"left","right":"right"}"#);
}

#[tokio::test]
async fn one_branch_that_fails_fails_all_and_the_calls_of_the_others_are_dropped() {
    let world = World::of(&[&both("all")]).await;
    let id = world.start(json!(null)).await;
    world.rest().await;
    world.hold.fail("right");
    let outcome = world.outcome(id).await;
    assert_eq!((outcome.ending, outcome.step.as_deref()), (Ending::Failed, Some("right")));
    world.rest().await;
    assert_eq!(world.hold.dropped(), ["left"]);
}

#[tokio::test]
async fn of_any_the_first_that_succeeds_counts_and_the_others_are_cancelled() {
    let world = World::of(&[&both("any")]).await;
    let id = world.start(json!(null)).await;
    world.rest().await;
    world.hold.fail("left");
    world.rest().await;
    assert!(!world.has_ended(id), "one is left");
    world.hold.open("right");
    assert_eq!(*world.outcome(id).await.output, json!({"right": "right"}));
    let id = world.start(json!(null)).await;
    world.rest().await;
    world.hold.open("left");
    assert_eq!(*world.outcome(id).await.output, json!({"left": "left"}));
    world.rest().await;
    assert_eq!(world.hold.dropped(), ["right"]);
}

#[tokio::test]
async fn any_fails_when_all_have_failed() {
    let world = World::of(&[&both("any")]).await;
    let id = world.start(json!(null)).await;
    world.rest().await;
    world.hold.fail("right");
    world.rest().await;
    world.hold.fail("left");
    let outcome = world.outcome(id).await;
    assert_eq!(outcome.ending, Ending::Failed);
    assert!(outcome.failure.as_ref().unwrap().message.ends_with("failed"));
}

#[tokio::test]
async fn a_branch_that_has_won_ends_one_that_has_its_next_step_at_hand() {
    let world = World::of(&[r#"
name: race
steps:
  - join: any
    parallel:
      short: [ { set: { a: 1 } } ]
      long: [ { set: { b: 1 } }, { set: { b: 2 } }, { set: { b: 3 } }, { set: { b: 4 } }, { set: { b: 5 } } ]
"#])
    .await;
    assert_eq!(*world.run(json!(null)).await.output, json!({"short": {"a": 1}}));
}

#[tokio::test]
async fn steps_of_branches_can_be_read_behind_them_null_where_they_have_not_got_that_far() {
    let world = World::of(&[r#"
name: behind
steps:
  - join: any
    parallel:
      fast: [ { id: fast, task: silent, with: 1 } ]
      slow: [ { id: slow, task: hold, with: slow } ]
  - set: { fast: "{{ $.steps.fast }}", slow: "{{ $.steps.slow }}" }
"#])
    .await;
    assert_eq!(*world.run(json!(null)).await.output, json!({"fast": 1, "slow": null}));
}

/// A `try` whose three parts do what the event says: go on, fail or exit. Each part tells that it was there.
fn parts(catch: bool, finally: bool) -> String {
    let part = |name: &str| {
        format!(
            r#"
      - {{ id: {name}_there, task: silent, with: {name} }}
      - switch: $.event.body.{name}
        cases:
          fail: [ {{ id: {name}_fails, task: fails, with: {{ message: {name} }} }} ]
          exit: [ {{ exit: {{ body: {name} }} }} ]
        default: [ {{ task: silent, with: "{name} is over" }} ]"#
        )
    };
    let catch = if catch { format!("    catch:{}\n", part("catch")) } else { String::new() };
    let finally = if finally { format!("    finally:{}\n", part("finally")) } else { String::new() };
    format!(
        "name: parts\nsteps:\n  - try:{}\n{catch}{finally}  - {{ id: behind, task: silent, with: behind }}\n",
        part("body")
    )
}

/// What comes of each combination, by the rules of the language alone.
fn expected(body: &str, catch: Option<&str>, finally: Option<&str>) -> (Vec<String>, String) {
    let (mut there, mut result) = (vec!["body".to_owned()], (body, "body"));
    if let (Some(catch), "fail") = (catch, body) {
        there.push("catch".to_owned());
        result = (catch, "catch");
    }
    if let Some(finally) = finally {
        there.push("finally".to_owned());
        if finally != "end" {
            result = (finally, "finally");
        }
    }
    let (end, part) = result;
    (there, if end == "end" { "behind".to_owned() } else { format!("{end} {part}") })
}

#[tokio::test]
async fn try_catch_and_finally_in_every_combination_of_ends_failures_and_exits() {
    let ends = ["end", "fail", "exit"];
    for (has_catch, has_finally) in [(true, false), (false, true), (true, true)] {
        for body in ends {
            for catch in if has_catch { &ends[..] } else { &ends[..1] } {
                for finally in if has_finally { &ends[..] } else { &ends[..1] } {
                    let world = World::of(&[&parts(has_catch, has_finally)]).await;
                    let event = json!({"body": body, "catch": catch, "finally": finally});
                    let outcome = world.run(event.clone()).await;
                    let (there, result) = expected(body, has_catch.then_some(catch), has_finally.then_some(finally));
                    let seen: Vec<_> = world.plugins.inputs("silent");
                    let seen: Vec<_> =
                        seen.iter().filter_map(Value::as_str).filter(|what| !what.contains(' ')).collect();
                    let found = match (&outcome.failure, &outcome.exit) {
                        (Some(failure), _) => {
                            assert_eq!(outcome.step, Some(format!("{}_fails", failure.message)));
                            format!("fail {}", failure.message)
                        }
                        (None, Some(_)) => format!("exit {}", outcome.output["body"].as_str().unwrap()),
                        (None, None) => outcome.output.as_str().unwrap().to_owned(),
                    };
                    assert_eq!(found, result, "{event}");
                    let behind = (result == "behind").then_some("behind");
                    assert_eq!(seen, there.iter().map(String::as_str).chain(behind).collect::<Vec<_>>(), "{event}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_output_of_a_try_is_its_body_s_or_its_catch_s_and_never_its_finally_s() {
    let world = World::of(&[r#"
name: outputs
steps:
  - id: one
    try: [ { if: $.event.body.bad, then: [ { task: fails } ] , else: [ { task: silent, with: body } ] } ]
    catch: [ { task: silent, with: catch } ]
    finally: [ { task: silent, with: finally } ]
  - set: { one: "{{ $.steps.one }}" }
"#])
    .await;
    assert_eq!(*world.run(json!({})).await.output, json!({"one": "body"}));
    assert_eq!(*world.run(json!({"bad": true})).await.output, json!({"one": "catch"}));
}

#[tokio::test]
async fn the_error_names_the_step_that_failed_first_its_kind_and_its_last_attempt() {
    let world = World::of(&[r#"
name: errors
steps:
  - try:
      - parallel:
          a:
            - for_each: "$.event.body"
              do:
                - id: inner
                  task: fails
                  with: { kind: unavailable, message: down }
                  retry: { attempts: 3, first: 1ms, jitter: false, on: [unavailable] }
    catch:
      - try: [ { task: fails, with: { message: again } } ]
        catch: [ { id: second, set: { message: "{{ $.error.message }}" } } ]
      - set: { error: "{{ $.error }}" }
"#])
    .await;
    let id = world.start(json!([1])).await;
    for _ in 0..3 {
        world.pass(std::time::Duration::from_millis(5)).await;
    }
    let error = json!({"step": "inner", "kind": "unavailable", "message": "down", "attempt": 3});
    assert_eq!(*world.outcome(id).await.output, json!({"error": error}));
}

#[tokio::test]
async fn the_error_of_a_step_that_fails_before_it_begins_tells_its_last_attempt_too() {
    let world = World::of(&[r#"
name: attempts
steps:
  - try: [ { set: { a: "{{ $.event.body.b }}" }, retry: { attempts: 3, first: 1ms, on: [expression] } } ]
    catch: [ { set: { attempt: "{{ $.error.attempt }}", kind: "{{ $.error.kind }}" } } ]
"#])
    .await;
    let id = world.start(json!("no object")).await;
    for _ in 0..3 {
        world.pass(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(*world.outcome(id).await.output, json!({"attempt": 3, "kind": "expression"}));
}

#[tokio::test]
async fn when_the_whole_execution_is_cancelled_no_finally_is_run() {
    let world = World::of(&[
        "name: a\nsteps: [ { try: [ { task: hold, with: x } ], catch: [ { task: silent } ], finally: [ { task: silent } ] } ]",
    ])
    .await;
    let id = world.start(json!(null)).await;
    world.rest().await;
    world.dispatcher.cancel(id, "ada".into()).await.unwrap();
    assert_eq!(world.outcome(id).await.failure.as_ref().unwrap().kind, FailureKind::Cancelled);
    world.rest().await;
    assert_eq!(world.calls(), 1);
    assert_eq!(world.hold.dropped(), ["x"]);
}

#[tokio::test]
async fn where_no_branch_of_any_succeeds_the_step_that_failed_in_the_last_one_is_told() {
    let parallel = "join: any, parallel: { a: [ { id: fa, task: fails, with: { message: A } } ], \
                    b: [ { wait: 1s }, { id: fb, task: fails, with: { message: B } } ] }";
    let world = World::of(&[&format!("name: both\nsteps: [ {{ {parallel} }} ]\n")]).await;
    let id = world.start(json!(null)).await;
    world.pass(Duration::from_secs(1)).await;
    let outcome = world.outcome(id).await;
    assert_eq!(outcome.step.as_deref(), Some("fb"), "{outcome:?}");

    let caught = format!(
        "name: caught\nsteps: [ {{ try: [ {{ {parallel} }} ], catch: [ {{ exit: {{ body: '{{{{ $.error }}}}' }} }} ] }} ]\n"
    );
    let world = World::of(&[&caught]).await;
    let id = world.start(json!(null)).await;
    world.pass(Duration::from_secs(1)).await;
    let error = world.outcome(id).await.output["body"].clone();
    assert_eq!((&error["step"], &error["message"]), (&json!("fb"), &json!("B")), "{error}");
}
