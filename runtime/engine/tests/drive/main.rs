//! The engine against its seams: the output rule, acceptance, retries, cancelling, and recovery from every crash.

mod bounds;
mod branches;
mod children;
#[allow(dead_code, reason = "the documented cases beside this use more of it")]
mod clock;
mod crowd;
#[allow(dead_code, reason = "the random programs beside this use more of it")]
mod disk;
mod faults;
mod hold;
mod locks;
mod loops;
mod options;
mod program;
mod shares;
mod times;
mod waits;
#[allow(dead_code, reason = "the random programs beside this use more of it")]
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use camshaft_model::entry::Entry;
use camshaft_model::invocation::Reply;
use camshaft_model::json;
use camshaft_model::outcome::{Ending, Failure, FailureKind};
use camshaft_model::program::{OnError, RepeatAfterCrash, Retry};
use camshaft_model::seams::{Dispatch, DispatchError, TellError};
use camshaft_model::state::State;
use camshaft_model::summary::Status;
use futures::FutureExt;
use program::{Build, branch, exit, path, set, task};
use tokio::sync::Notify;
use world::{Disk, FakePlugins, World, eventually, publish};

/// `silent` and `observable` echo what they are given.
fn echoes() -> FakePlugins {
    let mut plugins = FakePlugins::default();
    for name in ["silent", "observable"] {
        plugins.behaviours.insert(
            name,
            Box::new(|call| {
                let value = call.input.value.clone();
                async move { Ok(value) }.boxed()
            }),
        );
    }
    plugins
}

fn world(build: Build) -> World {
    World::new(Arc::new(Disk::default()), echoes(), publish(build.done()), 1)
}

#[tokio::test]
async fn forty_silent_steps_and_their_answer_are_one_append() {
    let mut build = Build::default();
    for index in 0..40 {
        build = build.step(task(&format!("s{index}"), "silent", json!({"index": index})));
    }
    let world = world(build.step(exit(json!({"status": 201, "body": {"ok": true}}))));
    let dispatched = world.dispatcher.dispatch(world.request(Reply::Wait)).await.unwrap();
    let outcome = dispatched.outcome.unwrap();
    assert_eq!(outcome.exit.as_ref().unwrap().status, 201);
    assert_eq!(*outcome.output, json!({"body": {"ok": true}}));
    assert_eq!(world.calls(), 40);
    assert_eq!(world.disk.appends(), 1);
}

#[tokio::test]
async fn everything_before_an_observable_call_is_durable_when_it_begins() {
    let mut plugins = echoes();
    let disk = Arc::new(Disk::default());
    let seen = Arc::new(AtomicU32::new(0));
    let (on_disk, seen_inside) = (disk.clone(), seen.clone());
    plugins.behaviours.insert(
        "observable",
        Box::new(move |call| {
            let started = on_disk
                .journal(call.execution)
                .iter()
                .any(|entry| matches!(entry, Entry::AttemptStarted { at, .. } if at.1.0 == 1));
            seen_inside.store(if started { 1 } else { 2 }, Ordering::SeqCst);
            async { Ok(json!(null)) }.boxed()
        }),
    );
    let build = Build::default().step(task("a", "silent", json!(1))).step(task("b", "observable", json!(2)));
    let world = World::new(disk, plugins, publish(build.done()), 1);
    world.dispatcher.dispatch(world.request(Reply::Wait)).await.unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 1, "the attempt was durable before the call");
    assert_eq!(world.disk.appends(), 2, "once before the call, once before the answer");
}

#[tokio::test]
async fn a_detached_execution_is_durable_when_it_is_acknowledged_and_then_runs() {
    let world = world(Build::default().step(task("a", "silent", json!(1))));
    let dispatched = world.dispatcher.dispatch(world.request(Reply::Detach)).await.unwrap();
    let id = dispatched.executions[0].1;
    assert!(matches!(world.disk.journal(id)[0], Entry::Accepted { .. }));
    let outcome = world.dispatcher.outcome(id, Duration::from_secs(1)).await.unwrap().unwrap();
    assert_eq!(outcome.ending, Ending::Succeeded);
    assert_eq!(*outcome.output, json!(1));
}

#[tokio::test]
async fn nothing_is_acknowledged_or_called_when_the_disk_refuses() {
    let world = world(Build::default().step(task("a", "observable", json!(1))));
    world.disk.broken.store(true, Ordering::SeqCst);
    for reply in [Reply::Detach, Reply::Wait] {
        let error = world.dispatcher.dispatch(world.request(reply)).await.unwrap_err();
        assert!(matches!(&error, DispatchError::NotDurable(why) if why.contains("the disk is full")), "{error}");
    }
    eventually("the end", || world.engine.under_way() == 0).await;
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn the_same_delivery_starts_nothing_and_gets_the_first_answer() {
    let world = world(Build::default().step(task("a", "silent", json!(1))).step(exit(json!({"status": 202}))));
    for reply in [Reply::Wait, Reply::Detach] {
        let id = format!("{reply:?}");
        let request = |body| {
            let mut request = world.request(reply);
            request.delivery = Some(world.delivery(&id, body));
            request
        };
        let first = world.dispatcher.dispatch(request(1)).await.unwrap();
        let again = world.dispatcher.dispatch(request(1)).await.unwrap();
        assert!(!first.replayed && again.replayed);
        assert_eq!(first.executions, again.executions);
        assert_eq!(first.outcome, again.outcome);
        let other = world.dispatcher.dispatch(request(2)).await.unwrap_err();
        assert!(matches!(other, DispatchError::DifferentBody { .. }));
    }
}

#[tokio::test]
async fn when_the_window_is_over_the_execution_is_durable_and_goes_on() {
    let gate = Arc::new(Notify::new());
    let mut plugins = echoes();
    let inside = gate.clone();
    plugins.behaviours.insert(
        "silent",
        Box::new(move |_| {
            let gate = inside.clone();
            async move {
                gate.notified().await;
                Ok(json!("late"))
            }
            .boxed()
        }),
    );
    let build = Build::default().step(task("a", "silent", json!(1)));
    let world = World::new(Arc::new(Disk::default()), plugins, publish(build.done()), 1);
    let dispatch = world.dispatcher.dispatch(world.request(Reply::Wait));
    let hurry = async {
        eventually("the call", || world.calls() == 1).await;
        world.clock.0.advance(Duration::from_secs(51));
    };
    let (dispatched, ()) = futures::join!(dispatch, hurry);
    let dispatched = dispatched.unwrap();
    assert!(dispatched.outcome.is_none());
    let id = dispatched.executions[0].1;
    assert!(!world.disk.journal(id).is_empty());
    gate.notify_one();
    let outcome = world.dispatcher.outcome(id, Duration::from_secs(1)).await.unwrap().unwrap();
    assert_eq!(*outcome.output, json!("late"));
}

#[tokio::test]
async fn a_step_is_tried_again_when_it_is_due_and_not_before() {
    let count = Arc::new(AtomicU32::new(0));
    let mut plugins = FakePlugins::default();
    let inside = count.clone();
    plugins.behaviours.insert(
        "observable",
        Box::new(move |call| {
            let turn = inside.fetch_add(1, Ordering::SeqCst);
            let key = call.idempotency_key.clone();
            async move { if turn < 2 { Err(Failure::new(FailureKind::Unavailable, "down")) } else { Ok(json!(key)) } }
                .boxed()
        }),
    );
    let mut step = task("a", "observable", json!(1));
    step.retry = Retry { attempts: 3, first: Duration::from_secs(10), jitter: false, ..Retry::default() };
    let world = World::new(Arc::new(Disk::default()), plugins, publish(Build::default().step(step).done()), 1);
    world.engine.recover().await.unwrap();
    let id = world.dispatcher.dispatch(world.request(Reply::Detach)).await.unwrap().executions[0].1;
    eventually("the wait", || world.disk.appends() >= 2 || world.calls() == 1).await;
    world.clock.0.advance(Duration::from_secs(9));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.calls(), 1, "9 s are not 10 s");
    world.clock.0.advance(Duration::from_secs(1));
    eventually("the second attempt", || world.calls() == 2).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    world.clock.0.advance(Duration::from_secs(20));
    let outcome = world.dispatcher.outcome(id, Duration::from_secs(1)).await.unwrap().unwrap();
    assert_eq!(outcome.ending, Ending::Succeeded);
    let calls = world.plugins.calls.lock().unwrap();
    assert!(calls.iter().all(|call| call.idempotency_key == calls[0].idempotency_key));
    assert_eq!(calls.iter().map(|call| call.attempt).collect::<Vec<_>>(), [1, 2, 3]);
}

#[tokio::test]
async fn a_failure_ends_the_execution_and_on_error_continue_does_not() {
    let mut tolerant = task("a", "missing", json!(1));
    tolerant.on_error = OnError::Continue;
    let world = world(Build::default().step(tolerant).step(task("b", "missing", json!(2))));
    let outcome = world.dispatcher.dispatch(world.request(Reply::Wait)).await.unwrap().outcome.unwrap();
    assert_eq!(outcome.ending, Ending::Failed);
    assert_eq!(outcome.step.as_deref(), Some("b"));
    assert_eq!(outcome.failure.as_ref().unwrap().message, "no such plugin");
}

#[tokio::test]
async fn a_failure_inside_a_branch_names_the_step_that_failed() {
    let inner = vec![task("inner", "missing", json!(1))];
    let world = world(Build::default().branch(branch("choose", path("event", &["body", "n"])), inner, vec![]));
    let outcome = world.dispatcher.dispatch(world.request(Reply::Wait)).await.unwrap().outcome.unwrap();
    assert_eq!((outcome.ending, outcome.step.as_deref()), (Ending::Failed, Some("inner")));
}

#[tokio::test]
async fn cancelling_is_durable_stops_the_call_and_happens_once() {
    let mut plugins = FakePlugins::default();
    plugins.behaviours.insert("observable", Box::new(|_| futures::future::pending().boxed()));
    let build = Build::default().step(task("a", "observable", json!(1)));
    let world = World::new(Arc::new(Disk::default()), plugins, publish(build.done()), 1);
    let id = world.dispatcher.dispatch(world.request(Reply::Detach)).await.unwrap().executions[0].1;
    eventually("the call", || world.calls() == 1).await;
    world.dispatcher.cancel(id, "ada".into()).await.unwrap();
    let outcome = world.dispatcher.outcome(id, Duration::from_secs(1)).await.unwrap().unwrap();
    assert_eq!(outcome.ending, Ending::Cancelled);
    assert!(outcome.failure.as_ref().unwrap().message.contains("ada"));
    let again = world.dispatcher.cancel(id, "ada".into()).await.unwrap_err();
    assert!(matches!(again, TellError::Ended(_, Status::Cancelled)));
}

#[tokio::test]
async fn an_execution_that_takes_too_long_is_timed_out() {
    let mut plugins = FakePlugins::default();
    plugins.behaviours.insert("silent", Box::new(|_| futures::future::pending().boxed()));
    let mut program = Build::default().step(task("a", "silent", json!(1))).done();
    program.timeout = Duration::from_secs(60);
    let world = World::new(Arc::new(Disk::default()), plugins, publish(program), 1);
    let id = world.dispatcher.dispatch(world.request(Reply::Detach)).await.unwrap().executions[0].1;
    eventually("the call", || world.calls() == 1).await;
    world.clock.0.advance(Duration::from_secs(60));
    let outcome = world.dispatcher.outcome(id, Duration::from_secs(1)).await.unwrap().unwrap();
    assert_eq!(outcome.ending, Ending::TimedOut);
}

fn eventful() -> Build {
    Build::default()
        .step(task("first", "silent", json!({"a": 1})))
        .step(set("total", path("event", &["body", "n"])))
        .branch(
            branch("choose", path("vars", &["total"])),
            vec![task("effect", "observable", json!({"b": 2})), task("then", "silent", json!([1, 2]))],
            vec![],
        )
        .step(task("second-effect", "observable", json!("x")))
        .step(exit(json!({"status": 203, "body": "done"})))
}

#[tokio::test]
async fn after_a_crash_behind_any_append_the_outcome_is_the_same() {
    let whole = world(eventful());
    let id = whole.dispatcher.dispatch(whole.request(Reply::Detach)).await.unwrap().executions[0].1;
    let expected = whole.dispatcher.outcome(id, Duration::from_secs(1)).await.unwrap().unwrap();
    assert_eq!(expected.exit.as_ref().unwrap().status, 203);
    eventually("the last append", || whole.engine.under_way() == 0).await;
    let appends = whole.disk.appends();
    assert!(appends >= 4, "acceptance, two effects, the end: {appends}");
    for kept in 1..=appends {
        let after = World::new(whole.disk.cut(kept), echoes(), whole.published.clone(), 1_000);
        let resumed = after.engine.recover().await.unwrap();
        assert_eq!(resumed, usize::from(kept < appends), "after {kept} appends");
        let outcome = after.dispatcher.outcome(id, Duration::from_secs(1)).await.unwrap().unwrap();
        assert_eq!(outcome, expected, "after {kept} appends");
        let journal = after.disk.journal(id);
        State::fold(&journal).expect("no entry is illegal");
        // What was made again, was made again with the same key.
        for call in after.plugins.calls.lock().unwrap().iter().filter(|call| call.plugin.observable) {
            let whole = whole.plugins.calls.lock().unwrap();
            assert!(whole.iter().any(|first| first.idempotency_key == call.idempotency_key));
        }
    }
}

#[tokio::test]
async fn an_observable_attempt_that_may_not_be_repeated_is_lost_after_a_crash() {
    let mut once = task("effect", "observable", json!(1));
    once.repeat = RepeatAfterCrash::Never;
    let whole = world(Build::default().step(once));
    let id = whole.dispatcher.dispatch(whole.request(Reply::Detach)).await.unwrap().executions[0].1;
    whole.dispatcher.outcome(id, Duration::from_secs(1)).await.unwrap();
    // Accepted, then started with the attempt: the crash comes while the plugin is at work.
    let after = World::new(whole.disk.cut(2), echoes(), whole.published.clone(), 1_000);
    after.engine.recover().await.unwrap();
    let outcome = after.dispatcher.outcome(id, Duration::from_secs(1)).await.unwrap().unwrap();
    assert_eq!(outcome.failure.as_ref().unwrap().kind, FailureKind::Lost);
    assert_eq!(after.calls(), 0);
}

#[tokio::test]
async fn who_waits_while_the_server_stops_hears_that_what_is_durable_goes_on() {
    let mut plugins = echoes();
    plugins.behaviours.insert("observable", Box::new(|_| futures::future::pending().boxed()));
    let build = Build::default().step(task("a", "silent", json!(7))).step(task("b", "observable", json!(8)));
    let world = Arc::new(World::new(Arc::new(Disk::default()), plugins, publish(build.done()), 1));
    let waiting = tokio::spawn({
        let world = world.clone();
        async move { world.dispatcher.dispatch(world.request(Reply::Wait)).await }
    });
    eventually("the second call", || world.calls() == 2).await;
    world.engine.stop().await;
    let dispatched = waiting.await.unwrap().unwrap();
    assert!(dispatched.outcome.is_none());
    assert!(world.disk.summaries().contains_key(&dispatched.executions[0].1));
}

#[tokio::test]
async fn stopping_writes_down_what_was_reached_and_the_next_start_goes_on() {
    let mut plugins = echoes();
    plugins.behaviours.insert("observable", Box::new(|_| futures::future::pending().boxed()));
    let build = || Build::default().step(task("a", "silent", json!(7))).step(task("b", "observable", json!(8)));
    let world = World::new(Arc::new(Disk::default()), plugins, publish(build().done()), 1);
    let id = world.dispatcher.dispatch(world.request(Reply::Detach)).await.unwrap().executions[0].1;
    eventually("the second call", || world.calls() == 2).await;
    world.engine.stop().await;
    assert!(matches!(
        world.dispatcher.dispatch(world.request(Reply::Detach)).await.unwrap_err(),
        DispatchError::Stopping
    ));
    let after = World::new(world.disk.cut(world.disk.appends()), echoes(), world.published.clone(), 1_000);
    assert_eq!(after.engine.recover().await.unwrap(), 1);
    let outcome = after.dispatcher.outcome(id, Duration::from_secs(1)).await.unwrap().unwrap();
    assert_eq!(*outcome.output, json!(8));
    assert_eq!(after.calls(), 1, "the silent step was durable and is not made again");
}
