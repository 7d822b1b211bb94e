//! How long an execution may take: as its workflow, its workspace and the instance say.

use std::time::Duration;

use camshaft_model::entry::Entry;
use camshaft_model::ids::{ExecutionId, ResourceId};
use camshaft_model::invocation::TimeLimit;
use camshaft_model::json;
use camshaft_model::outcome::{Ending, FailureKind};
use camshaft_model::seams::{Limited, Quota};

use crate::world::{World, name};

const MICROSECOND: Duration = Duration::from_micros(1);

/// What a workspace and the instance allow, in seconds; 0 is no limit.
fn allowed(workspace_s: u64, instance_s: u64) -> Vec<Quota> {
    let quota = |of, time: u64| Quota {
        of,
        owner: ResourceId::from_bytes([0; 16]),
        at_once: None,
        per_day: None,
        per_month: None,
        execution_time: (time > 0).then_some(Duration::from_secs(time)),
    };
    vec![quota(Limited::Workspace(name("default")), workspace_s), quota(Limited::Instance, instance_s)]
}

fn holding(limits: &str) -> String {
    format!("name: a\n{limits}\nsteps: [ {{ task: hold, with: x }} ]")
}

fn time_limit(world: &World, id: ExecutionId) -> Option<TimeLimit> {
    match world.disk.journal(id).swap_remove(0) {
        Entry::Accepted { invocation, .. } => invocation.time_limit.clone(),
        entry => panic!("the first entry is {entry:?}"),
    }
}

#[tokio::test]
async fn the_shortest_of_the_limits_ends_an_execution_to_the_microsecond_and_is_told() {
    let own = "`limits.timeout` of its workflow allows: ";
    let (workspace, server) = ("workspace `default` allows: ", "this server allows: ");
    for (limits, workspace_s, instance_s, whose, seconds) in [
        ("", 0, 0, own, 86_400),
        ("", 90_000, 100_000, own, 86_400),
        ("limits: { timeout: 10s }", 20, 30, own, 10),
        ("limits: { timeout: 20s }", 10, 30, workspace, 10),
        ("limits: { timeout: 30s }", 20, 10, server, 10),
        ("limits: { timeout: 10s }", 10, 10, own, 10),
        ("", 10, 10, workspace, 10),
        ("", 0, 7, server, 7),
        ("", 7, 0, workspace, 7),
    ] {
        let (case, limit) = (format!("{limits} {workspace_s} {instance_s}"), Duration::from_secs(seconds));
        let world = World::of(&[&holding(limits)]).await;
        world.bound(&allowed(workspace_s, instance_s));
        let id = world.start(json!(null)).await;
        world.rest().await;
        assert_eq!(world.plugins.calls.lock().unwrap()[0].timeout, Some(limit), "{case}");
        world.pass(limit - MICROSECOND).await;
        assert!(!world.has_ended(id), "{case}");
        world.pass(MICROSECOND).await;
        let outcome = world.outcome(id).await;
        let failure = outcome.failure.as_ref().unwrap();
        assert_eq!((outcome.ending, failure.kind), (Ending::TimedOut, FailureKind::Timeout), "{case}");
        assert_eq!(failure.message, format!("the execution took longer than {whose}{seconds}s"), "{case}");
        assert_eq!(time_limit(&world, id).is_none(), whose == own, "{case}: what is not needed is not kept");
    }
}

#[tokio::test]
async fn what_was_allowed_when_it_was_accepted_holds_whatever_comes_after_and_over_a_crash() {
    let world = World::of(&["name: a\nsteps: [ { wait: 1h }, { wait: 1h } ]"]).await;
    world.bound(&allowed(0, 5400));
    let bounded = world.start(json!(null)).await;
    world.rest().await;
    world.bound(&allowed(60, 0));
    let world = world.again().await;
    world.pass(Duration::from_secs(3600)).await;
    assert!(!world.has_ended(bounded), "a minute is for those that come later");
    let world = world.again().await;
    world.pass(Duration::from_secs(1800)).await;
    let outcome = world.outcome(bounded).await;
    let message = &outcome.failure.as_ref().unwrap().message;
    assert_eq!(message, "the execution took longer than this server allows: 5400s", "waiting counts");
    let later = world.start(json!(null)).await;
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(world.outcome(later).await.ending, Ending::TimedOut);
}

#[tokio::test]
async fn a_child_has_its_own_time_and_goes_on_without_its_parent_only_where_nobody_waits_for_it() {
    for (waits, ending, last_s) in [("", Ending::Cancelled, 10), (", wait: false", Ending::TimedOut, 16)] {
        let parent = format!("name: a\nsteps: [ {{ wait: 6s }}, {{ id: b, workflow: b{waits} }}, {{ wait: 1h }} ]");
        let world = World::of(&[&parent, "name: b\nsteps: [ { task: hold, with: x } ]"]).await;
        world.bound(&allowed(10, 0));
        let id = world.start(json!(null)).await;
        world.pass(Duration::from_secs(6)).await;
        let child = world.disk.summaries().into_keys().find(|other| *other != id).unwrap();
        assert_eq!(time_limit(&world, child).map(|limit| limit.limit_ms), Some(10_000));
        world.pass(Duration::from_secs(4)).await;
        assert_eq!(world.outcome(id).await.ending, Ending::TimedOut);
        world.pass(Duration::from_secs(last_s - 10)).await;
        assert_eq!(world.outcome(child).await.ending, ending, "{waits}");
    }
}
