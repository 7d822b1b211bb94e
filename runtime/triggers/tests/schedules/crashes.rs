//! Once and no more: whatever dies, and whatever the store does.

use camshaft_model::seams::DispatchError;
use camshaft_triggers::schedule::Became;

use crate::world::{Server, at};

const EVERY: &str = "{ schedule: { every: 1m, missed: all, overlap: allow } }";

#[tokio::test]
async fn a_firing_that_nobody_heard_of_any_more_is_not_repeated() {
    for overlap in ["allow", "skip", "queue", "cancel_previous"] {
        let server = Server::with(&format!("{{ schedule: {{ every: 1m, missed: all, overlap: {overlap} }} }}")).await;
        *server.world.deaf.lock().unwrap() = true;
        server.until("2026-11-21T12:01:00Z").await;
        assert_eq!(server.fired(), ["12:01:00"]);
        let server = server.crash_until("2026-11-21T12:01:00Z").await;
        server.until("2026-11-21T12:01:30Z").await;
        assert_eq!(server.fired(), ["12:01:00"], "{overlap}");
        let (_, first) = &server.world.executions()[0];
        assert!(!first.status.is_final(), "{overlap} has ended the execution of the very firing");
    }
}

#[tokio::test]
async fn a_firing_that_began_before_a_crash_and_was_not_accepted_is_made_up_for() {
    let server = Server::with(EVERY).await;
    *server.world.refuses.lock().unwrap() = Some(DispatchError::NotDurable("the disk is full".into()));
    server.until("2026-11-21T12:01:00Z").await;
    let server = server.crash_until("2026-11-21T12:01:02Z").await;
    *server.world.refuses.lock().unwrap() = None;
    server.until("2026-11-21T12:01:10Z").await;
    assert_eq!(server.fired(), ["12:01:00"]);
}

#[tokio::test]
async fn what_is_not_durable_now_is_tried_again_and_never_lost() {
    let server = Server::with(EVERY).await;
    *server.world.refuses.lock().unwrap() = Some(DispatchError::NotDurable("the disk is full".into()));
    server.until("2026-11-21T12:03:30Z").await;
    assert_eq!(server.fired(), [""; 0]);
    let up_to = server.world.record("fired").unwrap()["up_to"].as_u64().unwrap();
    assert!(up_to < at("2026-11-21T12:01:00Z").0, "what has not started is not said to have");
    *server.world.refuses.lock().unwrap() = None;
    server.until("2026-11-21T12:03:40Z").await;
    assert_eq!(server.fired(), ["12:01:00", "12:02:00", "12:03:00"]);
}

#[tokio::test]
async fn a_store_that_is_broken_for_a_while_loses_and_repeats_nothing() {
    for overlap in ["allow", "skip"] {
        let server = Server::with(&format!("{{ schedule: {{ every: 1m, missed: all, overlap: {overlap} }} }}")).await;
        server.until("2026-11-21T12:00:59Z").await;
        *server.world.broken.lock().unwrap() = true;
        server.until("2026-11-21T12:01:30Z").await;
        *server.world.broken.lock().unwrap() = false;
        server.until("2026-11-21T12:01:40Z").await;
        assert_eq!(server.fired(), ["12:01:00"], "{overlap}");
        let up_to = server.world.record("fired").unwrap()["up_to"].as_u64().unwrap();
        assert!(up_to >= at("2026-11-21T12:01:00Z").0);
        let server = server.crash_until("2026-11-21T12:01:50Z").await;
        assert_eq!(server.fired(), ["12:01:00"], "{overlap}");
    }
}

#[tokio::test]
async fn what_was_recorded_needs_no_deliveries_to_be_remembered() {
    let server = Server::with(EVERY).await;
    server.until("2026-11-21T12:03:00Z").await;
    server.world.forget_deliveries();
    let server = server.crash_until("2026-11-21T12:03:59Z").await;
    assert_eq!(server.fired(), ["12:01:00", "12:02:00", "12:03:00"]);
}

/// Killed some two hundred times, at every tenth of a second around the firings of ten minutes.
#[tokio::test]
async fn killed_around_every_firing_each_happens_once() {
    let mut server = Server::with(EVERY).await;
    for minute in 1..=10 {
        for tenth in 0..20 {
            let (second, of) = if tenth < 10 { (59, tenth) } else { (0, tenth - 10) };
            let time = format!("2026-11-21T12:{:02}:{second:02}.{of}00Z", minute - usize::from(second == 59));
            *server.world.deaf.lock().unwrap() = tenth % 3 == 0;
            server.until(&time).await;
            server = server.crash_until(&time).await;
        }
    }
    let expected: Vec<_> = (1..=10).map(|minute| format!("12:{minute:02}:00")).collect();
    assert_eq!(server.fired(), expected);
    assert_eq!(server.schedules.counted(Became::Missed), 0);
}
