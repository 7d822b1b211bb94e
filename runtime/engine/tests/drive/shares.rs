//! Limits of workflows: executions at once, a day, a month.

use std::sync::atomic::Ordering;
use std::time::Duration;

use camshaft_model::ids::ResourceId;
use camshaft_model::invocation::Reply;
use camshaft_model::json;
use camshaft_model::outcome::Ending;
use camshaft_model::seams::{Dispatch, DispatchError, Limited, Quota};
use camshaft_model::summary::Status;
use camshaft_model::time::Period;

use crate::world::{World, name};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const QUEUES: &str = "
name: queues
limits: { concurrency: 2, timeout: 9d }
steps: [ { task: hold, with: '{{ $.event.body }}' } ]
";

#[tokio::test]
async fn as_many_run_as_the_limit_says_and_the_others_follow_in_their_order() {
    let world = World::of(&[QUEUES]).await;
    let mut ids = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        ids.push(world.start(json!(name)).await);
    }
    world.rest().await;
    assert_eq!(world.hold.under_way(), ["a", "b"]);
    assert_eq!(world.disk.status(ids[2]), Some(Status::Queued));
    world.dispatcher.cancel(ids[2], "ada".into()).await.unwrap();
    world.hold.open("b");
    world.rest().await;
    assert_eq!(world.hold.under_way(), ["a", "d"], "the third one left the line");
    assert_eq!(world.outcome(ids[2]).await.ending, Ending::Cancelled);
    world.hold.fail("a");
    world.rest().await;
    assert_eq!(world.hold.under_way(), ["d", "e"]);
    assert_eq!(world.hold.most(), 2);
}

#[tokio::test]
async fn one_more_is_rejected_where_the_workflow_says_so_and_nothing_of_it_is_kept() {
    let world = World::of(&[
        "name: a\nlimits: { concurrency: 1, when_full: reject }\nsteps: [ { task: hold, with: '{{ $.event.body }}' } ]",
    ])
    .await;
    world.start(json!("a")).await;
    let error = world.try_start(json!("b")).await.unwrap_err();
    assert!(matches!(&error, DispatchError::LimitReached(reached) if reached.what == "executions at once"), "{error}");
    assert_eq!(world.disk.summaries().len(), 1);
    world.rest().await;
    world.hold.open("a");
    world.rest().await;
    world.start(json!("c")).await;
}

#[tokio::test]
async fn one_that_stands_in_line_for_a_day_is_dropped_also_after_a_restart() {
    for restart in [false, true] {
        let world = World::of(&[QUEUES]).await;
        for name in ["a", "b"] {
            world.start(json!(name)).await;
        }
        let id = world.start(json!("c")).await;
        world.rest().await;
        let world = if restart { world.again().await } else { world };
        world.pass(DAY - Duration::from_secs(1)).await;
        assert_eq!(world.disk.status(id), Some(Status::Queued));
        world.pass(Duration::from_secs(1)).await;
        assert_eq!(world.outcome(id).await.ending, Ending::Dropped, "restart: {restart}");
    }
}

#[tokio::test]
async fn after_a_crash_behind_any_append_no_more_run_than_may_and_all_in_their_order() {
    let world = World::of(&[QUEUES]).await;
    let names = ["a", "b", "c", "d", "e"];
    let mut ids = Vec::new();
    for name in names {
        ids.push(world.start(json!(name)).await);
    }
    for name in names {
        world.rest().await;
        world.hold.open(name);
    }
    world.rest().await;
    for appends in 1..=world.disk.appends() {
        let after = world.after(appends).await;
        let mut began = Vec::new();
        loop {
            after.rest().await;
            let under_way = after.hold.under_way();
            assert!(under_way.len() <= 2, "after {appends}: {under_way:?}");
            let Some(first) = under_way.first() else { break };
            began.push(first.clone());
            after.hold.open(first);
        }
        assert!(began.is_sorted(), "after {appends}: {began:?}");
        for id in ids.iter().filter(|id| after.disk.status(**id).is_some()) {
            assert_eq!(after.outcome(*id).await.ending, Ending::Succeeded, "after {appends}");
        }
    }
}

#[tokio::test]
async fn one_in_line_whose_journal_cannot_be_read_for_a_moment_runs_all_the_same() {
    let world = World::of(&[QUEUES]).await;
    for name in ["a", "b", "c"] {
        world.start(json!(name)).await;
    }
    world.rest().await;
    world.disk.unreadable.store(true, Ordering::SeqCst);
    world.hold.open("a");
    world.rest().await;
    world.disk.unreadable.store(false, Ordering::SeqCst);
    assert_eq!(world.hold.under_way(), ["b"]);
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(world.hold.under_way(), ["b", "c"]);
}

#[tokio::test]
async fn a_place_that_becomes_free_while_the_next_one_is_being_written_is_not_lost() {
    let world =
        World::of(&["name: a\nlimits: { concurrency: 1 }\nsteps: [ { task: hold, with: '{{ $.event.body }}' } ]"])
            .await;
    world.start(json!("a")).await;
    world.rest().await;
    // The append of the second waits until the first has ended and let it in.
    let gate = world.disk.delay();
    let request = world.try_start(json!("b"));
    let first = async {
        world.rest().await;
        world.hold.open("a");
        world.rest().await;
        gate.notify_one();
    };
    futures::join!(request, first).0.unwrap();
    world.rest().await;
    assert_eq!(world.hold.under_way(), ["b"]);
}

#[tokio::test]
async fn a_day_s_and_a_month_s_share_are_exact_over_restarts() {
    let text = "name: a\nlimits: { per_day: 3, per_month: 7 }\nsteps: [ { task: silent } ]";
    let mut world = World::of(&[text]).await;
    let mut accepted = Vec::new();
    for _ in 0..4 {
        let day = Period::day(camshaft_model::seams::Clock::now(&world.clock));
        let mut today = 0;
        for _ in 0..5 {
            match world.try_start(json!(null)).await {
                Ok(_) => today += 1,
                Err(DispatchError::LimitReached(reached)) => assert!([3, 7].contains(&reached.limit), "{reached}"),
                Err(error) => panic!("{error}"),
            }
            world.rest().await;
            world = world.again().await;
        }
        assert_eq!(world.disk.counted(&day), today);
        accepted.push(today);
        world.pass(DAY).await;
    }
    assert_eq!(accepted, [3, 3, 1, 0]);
    assert_eq!(world.disk.summaries().len(), 7);
}

#[tokio::test]
async fn what_is_counted_and_waited_for_is_one_append_and_where_that_is_refused_it_never_was() {
    let limits = "limits: { per_day: 2, per_month: 9, concurrency: 1 }";
    let world = World::of(&[&format!("name: a\n{limits}\nsteps: [ {{ task: silent }}, {{ exit: {{}} }} ]")]).await;
    for run in 1..=2 {
        let dispatched = world.dispatcher.dispatch(world.request(Reply::Wait)).await.unwrap();
        assert_eq!(dispatched.outcome.unwrap().ending, Ending::Succeeded);
        assert_eq!(world.disk.appends(), run);
    }
    for _ in 0..3 {
        let error = world.dispatcher.dispatch(world.request(Reply::Wait)).await.unwrap_err();
        assert!(matches!(&error, DispatchError::LimitReached(reached) if reached.limit == 2), "{error}");
        world.rest().await;
    }
    assert_eq!(world.calls(), 3, "one ran ahead and was refused; from then on it is known");
    assert_eq!((world.disk.appends(), world.disk.summaries().len()), (2, 2));
    world.pass(DAY).await;
    let dispatched = world.dispatcher.dispatch(world.request(Reply::Wait)).await.unwrap();
    assert_eq!(dispatched.outcome.unwrap().ending, Ending::Succeeded, "its place was given back");
}

#[tokio::test]
async fn of_one_delivery_as_many_are_started_as_there_is_room_for() {
    let world = World::of(&["name: a\nlimits: { per_day: 3 }\nsteps: [ { task: silent } ]"]).await;
    world.start(json!(null)).await;
    let mut request = world.request(Reply::Detach);
    request.starts = vec![request.starts[0].clone(); 4];
    let dispatched = world.dispatcher.dispatch(request).await.unwrap();
    assert_eq!((dispatched.executions.len(), dispatched.refused.len()), (2, 2));
    assert_eq!(world.disk.summaries().len(), 3);
}

#[tokio::test]
async fn nothing_counts_when_the_disk_refuses() {
    let world = World::of(&["name: a\nlimits: { per_day: 1, concurrency: 1 }\nsteps: [ { task: silent } ]"]).await;
    world.disk.broken.store(true, Ordering::SeqCst);
    assert!(matches!(world.try_start(json!(null)).await.unwrap_err(), DispatchError::NotDurable(_)));
    world.disk.broken.store(false, Ordering::SeqCst);
    let id = world.start(json!(null)).await;
    assert_eq!(world.outcome(id).await.ending, Ending::Succeeded);
}

fn quota(of: Limited, owner: u8) -> Quota {
    let owner = ResourceId::from_bytes([owner; 16]);
    Quota { of, owner, at_once: None, per_day: None, per_month: None, execution_time: None }
}

#[tokio::test]
async fn a_workspace_s_and_the_instance_s_shares_are_exact_and_tell_whose_they_are() {
    let mut world = World::of(&["name: a\nsteps: [ { task: silent } ]"]).await;
    let workspace = Limited::Workspace(name("default"));
    let own = Quota { per_day: Some(2), ..quota(workspace.clone(), 200) };
    world.bound(&[own, Quota { per_month: Some(5), ..quota(Limited::Instance, 201) }]);
    let mut accepted = Vec::new();
    let mut whose = Vec::new();
    for _ in 0..3 {
        let mut today = 0;
        for _ in 0..3 {
            match world.try_start(json!(null)).await {
                Ok(_) => today += 1,
                Err(DispatchError::LimitReached(reached)) => whose.push(reached.of),
                Err(error) => panic!("{error}"),
            }
            world.rest().await;
            world = world.again().await;
        }
        accepted.push(today);
        world.pass(DAY).await;
    }
    assert_eq!(accepted, [2, 2, 1]);
    assert_eq!(whose, [workspace.clone(), workspace, Limited::Instance, Limited::Instance]);
}

#[tokio::test]
async fn no_more_are_under_way_at_once_than_a_workspace_may_have() {
    let world = World::of(&["name: a\nsteps: [ { task: hold, with: '{{ $.event.body }}' } ]"]).await;
    world.bound(&[Quota { at_once: Some(2), ..quota(Limited::Workspace(name("default")), 200) }]);
    let first = world.start(json!("a")).await;
    world.start(json!("b")).await;
    world.rest().await;
    match world.try_start(json!("c")).await.unwrap_err() {
        DispatchError::LimitReached(reached) => {
            assert_eq!((reached.what, reached.limit), ("executions at once", 2));
            assert_eq!(reached.to_string(), "workspace `default` has reached its limit of 2 executions at once");
        }
        error => panic!("{error}"),
    }
    world.dispatcher.cancel(first, "somebody".to_owned()).await.unwrap();
    assert_eq!(world.outcome(first).await.ending, Ending::Cancelled);
    world.rest().await;
    world.start(json!("d")).await;
    assert!(world.try_start(json!("e")).await.is_err());
}

#[tokio::test]
async fn a_child_finds_room_where_its_parent_did() {
    let parent = "name: a\nsteps: [ { id: child, workflow: b } ]";
    let world = World::of(&[parent, "name: b\nsteps: [ { task: silent } ]"]).await;
    world.bound(&[Quota { at_once: Some(1), ..quota(Limited::Instance, 201) }]);
    let id = world.start(json!(null)).await;
    assert_eq!(world.outcome(id).await.ending, Ending::Succeeded);
}
