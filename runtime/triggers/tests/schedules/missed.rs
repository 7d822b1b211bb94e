//! Firings that were due while nobody was there.

use std::sync::atomic::Ordering;

use camshaft_model::summary::Status;
use camshaft_triggers::schedule::Became;

use crate::world::{NOON, Server, World};

/// Down from a second after 12:10 to half past one.
async fn down(schedule: &str) -> Server {
    let server = Server::with(&format!("{{ schedule: {{ cron: '*/10 * * * *', overlap: allow, {schedule} }} }}")).await;
    server.until("2026-11-21T12:10:01Z").await;
    assert_eq!(server.fired(), ["12:10:00"]);
    server.crash_until("2026-11-21T13:05:00Z").await
}

#[tokio::test]
async fn latest_makes_up_for_the_last_one() {
    let server = down("missed: latest").await;
    assert_eq!(server.fired(), ["12:10:00", "13:00:00"]);
    assert_eq!(server.world.events()[1]["body"]["missed"], true);
    server.until("2026-11-21T13:10:00Z").await;
    assert_eq!(server.fired()[2..], ["13:10:00"]);
    assert_eq!(server.world.events()[2]["body"]["missed"], false);
}

#[tokio::test]
async fn skip_makes_up_for_none() {
    let server = down("missed: skip").await;
    server.until("2026-11-21T13:10:00Z").await;
    assert_eq!(server.fired(), ["12:10:00", "13:10:00"]);
    assert!(server.schedules.counted(Became::Missed) > 0);
}

#[tokio::test]
async fn all_makes_up_for_each_in_order() {
    let server = down("missed: all").await;
    assert_eq!(server.fired(), ["12:10:00", "12:20:00", "12:30:00", "12:40:00", "12:50:00", "13:00:00"]);
    assert_eq!(server.schedules.counted(Became::Missed), 0);
}

#[tokio::test]
async fn all_has_a_cap_and_keeps_the_newest() {
    let server = down("missed: { all: 3 }").await;
    assert_eq!(server.fired(), ["12:10:00", "12:40:00", "12:50:00", "13:00:00"]);
    assert!(server.schedules.counted(Became::Missed) > 0);
}

#[tokio::test]
async fn what_is_made_up_for_comes_one_after_the_other_where_firings_do_not_overlap() {
    let server = Server::with("{ schedule: { cron: '*/10 * * * *', missed: all, overlap: skip } }").await;
    let server = server.crash_until("2026-11-21T12:35:00Z").await;
    assert_eq!(server.fired(), ["12:10:00"]);
    // Another crash in the middle forgets none, and a firing of the time between is skipped.
    let server = server.crash_until("2026-11-21T12:36:00Z").await;
    server.until("2026-11-21T12:45:00Z").await;
    assert_eq!(server.fired(), ["12:10:00"]);
    server.world.end(server.latest(), Status::Succeeded);
    server.until("2026-11-21T12:46:00Z").await;
    assert_eq!(server.fired(), ["12:10:00", "12:20:00"]);
    server.world.end(server.latest(), Status::Succeeded);
    server.until("2026-11-21T12:50:00Z").await;
    assert_eq!(server.fired(), ["12:10:00", "12:20:00", "12:30:00"]);
    server.world.end(server.latest(), Status::Succeeded);
    server.until("2026-11-21T13:00:00Z").await;
    assert_eq!(server.fired().last().unwrap(), "13:00:00");
}

#[tokio::test]
async fn what_was_due_before_a_revision_was_published_was_not_missed() {
    let world = World::at("2026-11-21T11:00:00Z");
    world.publish("triage", "production", "{ schedule: { every: 10m, missed: all, overlap: allow } }", NOON);
    let server = Server::over(world).await;
    let server = server.crash_until("2026-11-21T12:25:00Z").await;
    assert_eq!(server.fired(), ["12:10:00", "12:20:00"]);
}

#[tokio::test]
async fn a_time_that_comes_once_is_made_up_for() {
    let server = Server::with("{ schedule: { at: 2026-11-21T12:30:00 } }").await;
    let server = server.crash_until("2026-11-25T00:00:00Z").await;
    assert_eq!(server.fired(), ["12:30:00"]);
    let server = server.crash_until("2026-11-29T00:00:00Z").await;
    assert_eq!(server.fired(), ["12:30:00"]);
}

#[tokio::test]
async fn jitter_across_a_crash_loses_nothing_and_repeats_nothing() {
    let schedule = "{ schedule: { every: 1h, jitter: 1h, missed: skip, overlap: allow } }";
    let whole = Server::with(schedule).await;
    whole.until("2026-11-22T12:00:00Z").await;
    let mut server = Server::with(schedule).await;
    for hour in 12..24 {
        for minute in [7, 22, 37, 52] {
            server.until(&format!("2026-11-21T{hour}:{minute:02}:00Z")).await;
            server = server.crash_until(&format!("2026-11-21T{hour}:{minute:02}:00Z")).await;
        }
    }
    server.until("2026-11-22T12:00:00Z").await;
    assert_eq!(server.fired(), whole.fired());
}

#[tokio::test]
async fn a_machine_that_slept_has_missed_what_was_due_meanwhile() {
    let server = Server::with("{ schedule: { every: 1m, missed: latest, overlap: allow } }").await;
    server.until("2026-11-21T12:01:00Z").await;
    server.world.jump("2026-11-21T15:00:30Z").await;
    assert_eq!(
        server.fired(),
        ["12:01:00", "14:59:00", "15:00:00"],
        "the last missed one, and one that is merely late"
    );
}

#[tokio::test]
async fn a_clock_that_is_set_back_fires_nothing_twice() {
    let server = Server::with("{ schedule: { every: 1m, overlap: allow } }").await;
    server.until("2026-11-21T12:05:00Z").await;
    server.world.jump("2026-11-21T12:02:30Z").await;
    server.until("2026-11-21T12:06:00Z").await;
    assert_eq!(server.fired().len(), 6, "{:?}", server.fired());
    assert!(server.world.changes.load(Ordering::SeqCst) > 0);
}

#[tokio::test]
async fn what_was_due_while_no_server_ran_was_missed_however_short_a_time_that_was() {
    for (missed, fired) in [("latest", vec!["12:00:10", "12:00:40"]), ("skip", vec!["12:00:10"])] {
        let server = Server::with(&format!("{{ schedule: {{ every: 10s, missed: {missed}, overlap: allow }} }}")).await;
        server.until("2026-11-21T12:00:15Z").await;
        let server = server.crash_until("2026-11-21T12:00:45Z").await;
        assert_eq!(server.fired(), fired, "{missed}");
    }
}
