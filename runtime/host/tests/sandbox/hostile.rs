//! Guests that mean harm: each ends as the right failure, and the next call is unhurt.

use std::time::Duration;

use camshaft_model::limits::Budget;
use camshaft_model::outcome::FailureKind;
use camshaft_model::{Value, json};

use crate::world::{World, breach, failure, guest};

#[tokio::test]
async fn an_endless_loop_ends_at_its_time_on_the_processor() {
    let world = World::new(Budget { cpu: Duration::from_millis(100), ..Budget::default() });
    let done = world.call(guest("loop"), Value::Null).await;
    assert_eq!(breach(&done, "cpu")["unit"], "ms");
    assert!(done.usage.cpu_us > 0);
    world.assert_next_call_is_unhurt().await;
}

#[tokio::test]
async fn others_run_while_a_guest_spins_on_the_only_thread() {
    let world = World::new(Budget { cpu: Duration::from_millis(200), ..Budget::default() });
    // One thread: the second call can only end first if the first one comes up for air.
    let order = std::sync::Mutex::new(Vec::new());
    let spin = async {
        let done = world.call(guest("loop"), Value::Null).await;
        order.lock().unwrap().push("loop");
        done
    };
    let other = async {
        world.assert_next_call_is_unhurt().await;
        order.lock().unwrap().push("other");
    };
    // Compiled first, so that only running them is compared.
    world.host.prepare(world.add(guest("counter")).digest).await.unwrap();
    world.host.prepare(world.add(guest("loop")).digest).await.unwrap();
    let (done, ()) = tokio::join!(spin, other);
    breach(&done, "cpu");
    assert_eq!(*order.lock().unwrap(), ["other", "loop"]);
}

#[tokio::test]
async fn endless_recursion_ends_at_its_stack() {
    let world = World::new(Budget::default());
    let done = world.call(guest("recurse"), Value::Null).await;
    breach(&done, "stack");
    world.assert_next_call_is_unhurt().await;
}

#[tokio::test]
async fn memory_without_end_ends_at_its_bound() {
    let budget = Budget { memory_bytes: 8 << 20, ..Budget::default() };
    let world = World::new(budget);
    let done = world.call(guest("allocate"), Value::Null).await;
    assert_eq!(breach(&done, "memory")["limit"], budget.memory_bytes);
    assert!(done.usage.memory_bytes > 1 << 20 && done.usage.memory_bytes <= budget.memory_bytes, "{:?}", done.usage);
    world.assert_next_call_is_unhurt().await;
}

#[tokio::test]
async fn a_panic_and_an_abort_are_traps() {
    let world = World::new(Budget::default());
    let done = world.call(guest("trap"), json!("panic")).await;
    let said = &failure(&done, FailureKind::Trap).message;
    assert!(said.contains("unreachable"), "{said}");
    assert!(done.log.iter().any(|line| line.message.contains("this is on purpose")), "{:?}", done.log);
    world.assert_next_call_is_unhurt().await;

    let done = world.call(guest("trap"), json!("abort")).await;
    failure(&done, FailureKind::Trap);
    world.assert_next_call_is_unhurt().await;
}

#[tokio::test]
async fn a_hundred_megabytes_of_output_end_at_a_bound() {
    let world = World::new(Budget::default());
    let done = world.call(guest("flood-output"), json!({})).await;
    breach(&done, "memory");
    world.assert_next_call_is_unhurt().await;
}

#[tokio::test]
async fn output_is_taken_at_its_bound_and_refused_one_past_it() {
    let budget = Budget { output_bytes: 1000, ..Budget::default() };
    let world = World::new(budget);
    // The quotes count.
    let done = world.call(guest("flood-output"), json!({"bytes": 998})).await;
    assert_eq!(done.result, Ok(Value::String("x".repeat(998))));
    assert_eq!(done.usage.output_bytes, 1000);
    let done = world.call(guest("flood-output"), json!({"bytes": 999})).await;
    assert_eq!(breach(&done, "output"), &json!({"bound": "output", "limit": 1000, "used": 1001, "unit": "bytes"}));
    world.assert_next_call_is_unhurt().await;
}

#[tokio::test]
async fn input_is_taken_at_its_bound_and_refused_one_past_it() {
    let world = World::new(Budget { input_bytes: 100, ..Budget::default() });
    let done = world.call(guest("counter"), json!("x".repeat(98))).await;
    assert!(done.result.is_ok(), "{:?}", done.result);
    assert_eq!(done.usage.input_bytes, 100);
    let done = world.call(guest("counter"), json!("x".repeat(99))).await;
    assert_eq!(breach(&done, "input")["used"], 101);
}

#[tokio::test]
async fn a_log_without_end_ends_at_its_bound_and_what_came_before_is_kept() {
    let world = World::new(Budget { log_bytes: 10 << 10, ..Budget::default() });
    let done = world.call(guest("flood-log"), json!({})).await;
    breach(&done, "log");
    assert!(done.log.len() >= 9, "{} lines", done.log.len());
    assert!(done.log.iter().map(|line| line.message.len()).sum::<usize>() <= 10 << 10);
    world.assert_next_call_is_unhurt().await;

    let done = world.call(guest("flood-log"), json!({"lines": 5})).await;
    assert_eq!((done.result, done.log.len()), (Ok(json!(5)), 5));
}

#[tokio::test]
async fn a_wait_inside_the_host_ends_at_its_wall_clock() {
    let world = World::new(Budget { wall: Duration::from_millis(150), ..Budget::default() });
    let done = world.call(guest("sleep-clock"), json!({"ms": 3_600_000})).await;
    failure(&done, FailureKind::Timeout);
    // It slept: hardly any of that was on the processor.
    assert!(done.usage.cpu_us < done.usage.wall_us / 2, "{:?}", done.usage);
    world.assert_next_call_is_unhurt().await;
}

#[tokio::test]
async fn output_and_details_that_are_no_json_are_told() {
    let world = World::new(Budget::default());
    let done = world.call(guest("bad-json"), json!("output")).await;
    let said = &failure(&done, FailureKind::Failed).message;
    assert!(said.contains("JSON") && said.contains("line 1"), "{said}");
    world.assert_next_call_is_unhurt().await;

    let done = world.call(guest("bad-json"), json!("details")).await;
    let failed = failure(&done, FailureKind::Failed);
    assert_eq!(failed.message, "with bad details");
    assert_eq!(failed.details, Some(json!("{\"this\": is no JSON")));
}

#[tokio::test]
async fn many_hostile_calls_at_once_leave_every_place_free() {
    let world = World::new(Budget { cpu: Duration::from_millis(20), ..Budget::default() });
    // More than the pool has places, so that one that is not given back is missed.
    let calls = (0..40).map(|i| {
        let input = if i % 2 == 0 { json!("panic") } else { json!("abort") };
        world.call(guest(if i % 3 == 0 { "loop" } else { "trap" }), input)
    });
    for done in futures::future::join_all(calls).await {
        assert!(matches!(done.result.unwrap_err().kind, FailureKind::Trap | FailureKind::Budget));
    }
    world.assert_next_call_is_unhurt().await;
}
