//! Firing: when, with what, in which order, and of which revision.

use std::sync::atomic::Ordering;

use camshaft_model::invocation::TriggerSource;
use camshaft_model::json;
use camshaft_model::limits;
use camshaft_model::summary::Status;
use camshaft_triggers::schedule::{Became, Fired};

use crate::world::{NOON, Server, World, at, due_of};

#[tokio::test]
async fn a_schedule_fires_when_it_is_due_and_says_what_started_it() {
    let server =
        Server::with("{ schedule: { cron: '0 18 * * *', timezone: Europe/Berlin, params: { who: me } } }").await;
    server.until("2026-11-21T16:59:59Z").await;
    assert_eq!(server.fired(), [""; 0]);
    server.until("2026-11-21T17:00:00Z").await;
    let [(id, fired)] = &server.world.executions()[..] else { panic!("{:?}", server.fired()) };
    let due = at("2026-11-21T17:00:00Z");
    assert_eq!((fired.at, &fired.start.trigger), (due, &TriggerSource::Schedule { key: "schedule".into(), due }));
    assert_eq!(*fired.start.params, json!({"who": "me"}));
    assert_eq!(
        *fired.start.event,
        json!({
            "id": "2026-11-21T17:00:00.000Z", "type": "schedule", "source": "schedule", "time": "2026-11-21T17:00:00.000Z",
            "body": {"due": "2026-11-21T17:00:00.000Z", "local": "2026-11-21T18:00:00+01:00", "timezone": "Europe/Berlin", "missed": false},
        })
    );
    let last = Fired { due, at: due, became: Became::Started, execution: Some(*id), why: None };
    assert_eq!(server.schedules.last(&server.place("schedule")), Some(last));
    assert_eq!(server.schedules.counted(Became::Started), 1);
}

#[tokio::test]
async fn what_comes_once_fires_once() {
    let server = Server::with("{ schedule: { at: 2026-11-21T12:00:10 } }").await;
    server.until("2026-11-22T12:00:00Z").await;
    assert_eq!(server.fired(), ["12:00:10"]);
}

#[tokio::test]
async fn each_of_several_schedules_fires_by_itself() {
    let both = "{ schedule: { every: 20s, overlap: allow } }, { schedule: { every: 30s, overlap: allow } }";
    let server = Server::with(both).await;
    server.until("2026-11-21T12:01:00Z").await;
    let keys = |key: &str| {
        let executions = server.world.executions();
        let of = executions.iter().filter(
            |(_, one)| matches!(&one.start.trigger, TriggerSource::Schedule { key: of, .. } if of.as_str() == key),
        );
        of.map(|(_, one)| due_of(one).to_string()[14..19].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(keys("schedule"), ["00:20", "00:40", "01:00"]);
    assert_eq!(keys("schedule#2"), ["00:30", "01:00"]);
}

#[tokio::test]
async fn each_environment_has_a_schedule_of_its_own() {
    let server = Server::with("{ schedule: { every: 10s } }").await;
    server.world.publish("triage", "staging", "{ schedule: { every: 15s } }", NOON);
    server.until("2026-11-21T12:00:15Z").await;
    let executions = server.world.executions();
    let of: Vec<_> = executions.iter().map(|(_, one)| one.start.published.environment.as_str()).collect();
    assert_eq!(
        (server.fired(), of),
        (vec!["12:00:10".to_owned(), "12:00:15".to_owned()], vec!["production", "staging"])
    );
}

#[tokio::test]
async fn jitter_puts_a_firing_off_and_says_when_it_was_due() {
    let server = Server::with("{ schedule: { every: 1h, jitter: 30m, overlap: allow } }").await;
    server.until("2026-11-22T12:00:00Z").await;
    let executions = server.world.executions();
    let delays: Vec<_> = executions.iter().map(|(_, one)| one.at.since(due_of(one)).as_secs()).collect();
    assert!(delays.iter().all(|delay| *delay < 1800) && delays.iter().max() > Some(&600), "{delays:?}");
    assert_eq!(
        executions.len(),
        23 + usize::from(executions.last().is_some_and(|(_, one)| one.at > at("2026-11-22T11:59:59Z")))
    );
}

#[tokio::test]
async fn a_new_revision_keeps_what_it_does_not_change() {
    let server = Server::with("{ schedule: { every: 10s, overlap: allow } }").await;
    server.until("2026-11-21T12:00:15Z").await;
    let with_params = "{ schedule: { every: 10s, overlap: allow, params: { who: you } } }";
    server.world.publish("triage", "production", with_params, "2026-11-21T12:00:15Z");
    server.until("2026-11-21T12:00:25Z").await;
    server.world.publish("triage", "production", "{ schedule: { every: 7s, overlap: allow } }", "2026-11-21T12:00:25Z");
    server.until("2026-11-21T12:00:40Z").await;
    assert_eq!(server.fired()[..2], ["12:00:10", "12:00:20"]);
    let sevens: Vec<_> =
        server.world.executions()[2..].iter().map(|(_, one)| due_of(one).as_millis() % 7_000).collect();
    assert_eq!(sevens, [0, 0]);
    let params: Vec<_> = server.world.executions().iter().map(|(_, one)| one.start.params["who"].clone()).collect();
    assert_eq!(params, ["nobody", "you", "nobody", "nobody"]);
}

#[tokio::test]
async fn what_was_due_while_a_schedule_was_paused_was_not_missed() {
    let every = "{ schedule: { every: 10s, missed: all, overlap: allow } }";
    let server = Server::with(every).await;
    server.until("2026-11-21T12:00:15Z").await;
    server.world.publish("triage", "production", "", "2026-11-21T12:00:15Z");
    server.until("2026-11-21T12:30:05Z").await;
    server.world.publish("triage", "production", every, "2026-11-21T12:30:05Z");
    server.until("2026-11-21T12:30:15Z").await;
    assert_eq!(server.fired(), ["12:00:10", "12:30:10"]);
    assert_eq!(server.schedules.counted(Became::Missed), 0);
}

#[tokio::test]
async fn a_thousand_at_the_same_second_are_dispatched_some_at_once_and_recorded_together() {
    let world = World::at(NOON);
    for number in 1..=1_000 {
        world.publish(&format!("triage{number}"), "production", "{ schedule: { every: 1h } }", NOON);
    }
    let server = Server::over(world).await;
    server.until("2026-11-21T12:59:59Z").await;
    let changes = server.world.changes.load(Ordering::SeqCst);
    server.until("2026-11-21T13:00:00Z").await;
    assert_eq!(server.fired(), vec!["13:00:00"; 1_000]);
    assert_eq!(server.world.most_under_way.load(Ordering::SeqCst), limits::FIRINGS_AT_ONCE_MAX);
    assert_eq!(server.world.changes.load(Ordering::SeqCst), changes + 1);
    let up_to = server.world.record("fired").unwrap()["up_to"].clone();
    assert_eq!(up_to, at("2026-11-21T13:00:00Z").0);
}

#[tokio::test]
async fn schedules_of_one_workflow_that_fire_together_look_once_and_each_knows_its_own_execution() {
    let world = World::at(NOON);
    world.publish("triage", "production", &["{ schedule: { every: 1h } }"; 20].join(", "), NOON);
    let server = Server::over(world.clone()).await;
    server.until("2026-11-21T13:00:00Z").await;
    let looks = || [0, 1].map(|of: usize| world.looks[of].load(Ordering::SeqCst));
    assert_eq!((server.fired().len(), looks()), (20, [0, 1]));
    // All of them go on.
    server.until("2026-11-21T14:00:00Z").await;
    assert_eq!((server.fired().len(), server.schedules.counted(Became::Skipped)), (20, 20));
    drop(server);
    let server = Server::over(world.clone()).await;
    server.until("2026-11-21T15:00:00Z").await;
    assert_eq!((server.fired().len(), server.schedules.counted(Became::Skipped)), (20, 20));
    assert_eq!(looks()[1], 2);
}

#[tokio::test]
async fn it_is_written_once_a_minute_how_far_schedules_have_come() {
    let server = Server::with("{ schedule: { cron: '0 0 1 1 *' } }").await;
    let before = server.world.changes.load(Ordering::SeqCst);
    server.until("2026-11-21T12:10:00Z").await;
    assert_eq!(server.world.changes.load(Ordering::SeqCst) - before, 10);
    assert_eq!(server.world.record("fired").unwrap()["up_to"], at("2026-11-21T12:10:00Z").0);
}

#[tokio::test]
async fn without_schedules_nothing_is_done_and_nothing_written() {
    let server = Server::over(World::at(NOON)).await;
    server.until("2026-12-21T12:00:00Z").await;
    assert_eq!(server.world.changes.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_execution_that_has_ended_is_nobodys_overlap() {
    let server = Server::with("{ schedule: { every: 10s } }").await;
    server.until("2026-11-21T12:00:10Z").await;
    server.world.end(server.latest(), Status::Failed);
    server.until("2026-11-21T12:00:20Z").await;
    assert_eq!(server.fired(), ["12:00:10", "12:00:20"]);
}

#[tokio::test]
async fn a_schedule_that_is_paused_and_resumed_at_once_fires_from_then_on_and_forgets_what_waited() {
    let queue = "{ schedule: { every: 10s, overlap: queue } }";
    let server = Server::with(queue).await;
    server.until("2026-11-21T12:00:25Z").await;
    server.world.publish("triage", "production", "", "2026-11-21T12:00:25Z");
    server.world.publish("triage", "production", queue, "2026-11-21T12:00:45Z");
    server.until("2026-11-21T12:00:46Z").await;
    server.world.end(server.latest(), Status::Succeeded);
    server.until("2026-11-21T12:00:49Z").await;
    assert_eq!(server.fired(), ["12:00:10"]);
    server.until("2026-11-21T12:00:50Z").await;
    assert_eq!(server.fired(), ["12:00:10", "12:00:50"]);
}
