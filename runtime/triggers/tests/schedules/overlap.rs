//! A firing while the execution of the one before goes on.

use camshaft_model::seams::{DispatchError, LimitReached, Limited};
use camshaft_model::summary::Status;
use camshaft_triggers::schedule::Became;

use crate::world::{Server, name};

#[tokio::test]
async fn skip_starts_nothing_until_it_is_over() {
    let server = Server::with("{ schedule: { every: 10s, overlap: skip } }").await;
    server.until("2026-11-21T12:00:35Z").await;
    assert_eq!(server.fired(), ["12:00:10"]);
    let told = server.schedules.last(&server.place("schedule")).unwrap();
    assert_eq!((told.became, told.execution), (Became::Skipped, Some(server.latest())));
    server.world.end(server.latest(), Status::Succeeded);
    server.until("2026-11-21T12:00:40Z").await;
    assert_eq!(server.fired(), ["12:00:10", "12:00:40"]);
    assert_eq!(server.schedules.counted(Became::Skipped), 2);
}

#[tokio::test]
async fn allow_starts_beside_it() {
    let server = Server::with("{ schedule: { every: 10s, overlap: allow } }").await;
    server.until("2026-11-21T12:00:30Z").await;
    assert_eq!(server.fired(), ["12:00:10", "12:00:20", "12:00:30"]);
}

#[tokio::test]
async fn cancel_previous_ends_it_and_starts() {
    let server = Server::with("{ schedule: { every: 10s, overlap: cancel_previous } }").await;
    server.until("2026-11-21T12:00:30Z").await;
    let statuses: Vec<_> = server.world.executions().iter().map(|(_, one)| one.status).collect();
    assert_eq!(statuses, [Status::Cancelled, Status::Cancelled, Status::Running]);
}

#[tokio::test]
async fn queue_starts_the_latest_when_it_is_over() {
    let server = Server::with("{ schedule: { every: 10s, overlap: queue } }").await;
    server.until("2026-11-21T12:00:35Z").await;
    assert_eq!(server.fired(), ["12:00:10"]);
    assert_eq!(server.schedules.counted(Became::Skipped), 1, "12:00:20 made room for 12:00:30");
    server.world.end(server.latest(), Status::Succeeded);
    server.until("2026-11-21T12:00:36Z").await;
    assert_eq!(server.fired(), ["12:00:10", "12:00:30"]);
    assert_eq!(server.world.record("production/schedule"), None, "nothing waits any more");
}

#[tokio::test]
async fn what_waits_is_known_after_a_crash_and_starts_when_it_is_over() {
    let server = Server::with("{ schedule: { every: 1h, overlap: queue } }").await;
    server.until("2026-11-21T14:00:00Z").await;
    assert!(server.world.record("production/schedule").is_some());
    let server = server.crash_until("2026-11-21T14:20:00Z").await;
    assert_eq!(server.fired(), ["13:00:00"]);
    server.world.end(server.latest(), Status::Succeeded);
    server.until("2026-11-21T14:30:00Z").await;
    assert_eq!(server.fired(), ["13:00:00", "14:00:00"]);
    assert_eq!(server.world.record("production/schedule"), None);
}

#[tokio::test]
async fn what_waits_for_a_day_is_dropped() {
    let server = Server::with("{ schedule: { cron: '0 13,14 21 11 *', overlap: queue } }").await;
    server.until("2026-11-22T13:59:59Z").await;
    assert!(server.world.record("production/schedule").is_some());
    server.until("2026-11-22T14:01:00Z").await;
    let failure = server.schedules.last(&server.place("schedule")).unwrap();
    let told = "2026-11-22T14:00:01.000Z triage schedule: it waited too long for the execution of the one before";
    assert_eq!(*server.world.not_started.lock().unwrap(), [told]);
    assert_eq!((failure.became, failure.due.to_string().as_str()), (Became::Dropped, "2026-11-21T14:00:00.000Z"));
    assert_eq!(server.world.record("production/schedule"), None);
    server.world.end(server.latest(), Status::Succeeded);
    server.until("2026-11-22T15:00:00Z").await;
    assert_eq!(server.fired(), ["13:00:00"]);
}

#[tokio::test]
async fn what_goes_on_is_known_after_a_crash() {
    for (overlap, fired) in [("skip", 1), ("cancel_previous", 2), ("allow", 2)] {
        let schedule = format!("{{ schedule: {{ every: 1h, overlap: {overlap} }} }}");
        let server = Server::with(&schedule).await;
        server.until("2026-11-21T13:00:00Z").await;
        let server = server.crash_until("2026-11-21T13:20:00Z").await;
        server.until("2026-11-21T14:00:00Z").await;
        assert_eq!(server.fired().len(), fired, "{overlap}");
        let first = server.world.executions()[0].1.status;
        assert_eq!(first == Status::Cancelled, overlap == "cancel_previous", "{overlap}");
    }
}

#[tokio::test]
async fn a_limit_of_the_workflow_is_told_and_the_next_firing_tries_again() {
    let server = Server::with("{ schedule: { every: 10s } }").await;
    let reached = LimitReached {
        of: Limited::Workflow,
        workflow: name("triage"),
        what: "executions a day",
        limit: 7,
        retry_after_s: 9,
    };
    *server.world.refuses.lock().unwrap() = Some(DispatchError::LimitReached(reached));
    server.until("2026-11-21T12:00:10Z").await;
    let failure = server.schedules.last(&server.place("schedule")).unwrap();
    assert_eq!(*server.world.not_started.lock().unwrap(), [""; 0], "the engine has told it");
    assert_eq!(failure.became, Became::Refused);
    assert_eq!(failure.why.unwrap(), "workflow `triage` has reached its limit of 7 executions a day");
    *server.world.refuses.lock().unwrap() = None;
    server.until("2026-11-21T12:00:20Z").await;
    assert_eq!(server.fired(), ["12:00:20"]);
}
