//! Schedules of connections: one execution a due time and user, whoever dies.

use camshaft_model::summary::Status;
use camshaft_triggers::schedule::Became;

use crate::world::{NOON, Server};

fn every(overlap: &str) -> String {
    format!("{{ schedule: {{ every: 1m, integration: crm, missed: all, overlap: {overlap} }} }}")
}

async fn with_ada_and_bob(overlap: &str) -> Server {
    let server = Server::with(&every(overlap)).await;
    server.world.connect(11, "ada", NOON);
    server.world.connect(12, "bob", NOON);
    server
}

#[tokio::test]
async fn each_connection_that_has_the_workflow_enabled_is_fired_for() {
    let server = with_ada_and_bob("allow").await;
    server.world.connect(13, "late", "2026-11-21T12:01:00.000001Z");
    server.until("2026-11-21T12:01:10Z").await;
    assert_eq!(server.fired_for(), ["12:01:00 ada", "12:01:00 bob"], "who enabled it later was not there");
    server.world.connections.lock().unwrap().retain(|one| one.of.user.as_str() != "ada");
    server.until("2026-11-21T12:02:10Z").await;
    assert_eq!(server.fired_for()[2..], ["12:02:00 bob", "12:02:00 late"]);
    let (_, last) = server.world.executions().pop().unwrap();
    assert_eq!(last.start.connection["integration"], "crm");
}

#[tokio::test]
async fn nobody_who_is_connected_is_nothing_to_fire_for() {
    let server = Server::with(&every("allow")).await;
    server.until("2026-11-21T12:01:10Z").await;
    assert_eq!(server.fired_for(), [""; 0]);
    let told = server.schedules.last(&server.place("schedule")).unwrap();
    assert_eq!(told.became, Became::NoConnection);
}

#[tokio::test]
async fn one_that_goes_on_holds_up_nobody_else_s() {
    let server = with_ada_and_bob("skip").await;
    server.until("2026-11-21T12:01:10Z").await;
    let (bob, _) = server.world.executions().pop().unwrap();
    server.world.end(bob, Status::Succeeded);
    server.until("2026-11-21T12:02:10Z").await;
    assert_eq!(server.fired_for()[2..], ["12:02:00 bob"], "what runs for `ada` goes on");

    let server = with_ada_and_bob("cancel_previous").await;
    server.until("2026-11-21T12:02:10Z").await;
    let all = server.world.executions();
    let ended: Vec<_> = all.iter().map(|(_, one)| one.status).collect();
    let (gone, runs) = (Status::Cancelled, Status::Running);
    assert_eq!(ended, [gone, gone, runs, runs]);
}

#[tokio::test]
async fn a_crash_between_two_users_repeats_neither_and_loses_neither() {
    for overlap in ["allow", "skip", "cancel_previous"] {
        let server = with_ada_and_bob(overlap).await;
        *server.world.refuses_user.lock().unwrap() = Some("bob".to_owned());
        server.until("2026-11-21T12:01:05Z").await;
        assert_eq!(server.fired_for(), ["12:01:00 ada"], "{overlap}");
        let server = server.crash_until("2026-11-21T12:01:06Z").await;
        *server.world.refuses_user.lock().unwrap() = None;
        server.until("2026-11-21T12:01:30Z").await;
        assert_eq!(server.fired_for(), ["12:01:00 ada", "12:01:00 bob"], "{overlap}");
        let (_, first) = &server.world.executions()[0];
        assert!(!first.status.is_final(), "{overlap} has ended the execution of the very firing");
    }
}

#[tokio::test]
async fn killed_around_every_firing_each_user_is_fired_for_once() {
    let mut server = with_ada_and_bob("allow").await;
    for minute in 1..=5 {
        for tenth in 0..20 {
            let (second, of) = if tenth < 10 { (59, tenth) } else { (0, tenth - 10) };
            let time = format!("2026-11-21T12:{:02}:{second:02}.{of}00Z", minute - usize::from(second == 59));
            *server.world.deaf.lock().unwrap() = tenth % 3 == 0;
            server.until(&time).await;
            server = server.crash_until(&time).await;
        }
    }
    let mut fired = server.fired_for();
    fired.sort();
    let expected: Vec<_> =
        (1..=5).flat_map(|minute| ["ada", "bob"].map(|user| format!("12:{minute:02}:00 {user}"))).collect();
    assert_eq!(fired, expected);
}
