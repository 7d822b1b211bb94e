//! Deliveries that come twice: the first answer again, and nothing starts.

use std::time::Duration;

use camshaft_model::json;
use camshaft_model::seams::AdapterEvent;

use crate::world::{World, event, execution, identified, receipt};

const ALL: &str = "/v1/webhooks/github";
const ONE: &str = "/v1/webhooks/github/workflows/triage";
const SYNC: &str = "/v1/webhooks/github/workflows/triage/sync";

#[tokio::test]
async fn a_vendors_delivery_that_comes_again_gets_the_first_answer_whatever_its_body() {
    for uri in [ALL, ONE, SYNC] {
        let front = World::default().adapter(|_| receipt(vec![identified("d-1", "push")])).open_with(2, |_| {});
        let first = front.post(uri, &[], "{\"attempt\": 1}").await;
        assert_eq!(first.header("camshaft-replayed"), None);
        let count = front.started().len();
        for _ in 0..3 {
            front.advance(Duration::from_millis(1));
            let again = front.post(uri, &[], "{\"attempt\": 2}").await;
            assert_eq!((again.status, again.text()), (first.status, first.text()), "and takes none of the rate");
            assert_eq!(again.header("camshaft-replayed"), Some("true"));
        }
        assert_eq!(front.started().len(), count);
    }
}

#[tokio::test]
async fn a_callers_key_with_another_body_is_409_and_with_the_same_a_replay() {
    for uri in [ALL, ONE, SYNC] {
        let front = World::default().open();
        let key = [("idempotency-key", "order-7")];
        let first = front.post(uri, &key, "{\"a\": 1}").await;
        assert!(first.status.is_success());
        let again = front.post(uri, &key, "{\"a\": 1}").await;
        assert_eq!((again.status, again.text()), (first.status, first.text()));
        assert_eq!(again.header("camshaft-replayed"), Some("true"));
        front.post(uri, &key, "{\"a\": 2}").await.refused(409, "`order-7` came before with a different body");
        assert_eq!(
            front.post(uri, &[("idempotency-key", "order-8")], "{\"a\": 2}").await.header("camshaft-replayed"),
            None
        );
    }
}

#[tokio::test]
async fn equal_bodies_without_an_id_are_different_deliveries() {
    let front = World::default().open();
    for _ in 0..2 {
        assert_eq!(front.post(ONE, &[], "{}").await.header("camshaft-replayed"), None);
    }
    assert_eq!(front.started(), ["triage", "triage"]);
}

#[tokio::test]
async fn ids_are_of_a_url_and_an_environment() {
    let front = World::default().adapter(|_| receipt(vec![identified("d-1", "push")])).open();
    for uri in [ALL, ONE, SYNC, "/v1/webhooks/github/workflows/archive"] {
        assert_eq!(front.post(uri, &[], "{}").await.header("camshaft-replayed"), None, "{uri}");
    }
    assert_eq!(front.post(ONE, &[], "{}").await.header("camshaft-replayed"), Some("true"));
}

#[tokio::test]
async fn a_delivery_is_forgotten_after_a_day() {
    let front = World::default().open_with(1, |_| {});
    let key = [("idempotency-key", "k")];
    front.post(ONE, &key, "{}").await;
    front.advance(Duration::from_secs(24 * 60 * 60));
    for _ in 0..2 {
        let again = front.post(ONE, &key, "{}").await;
        assert_eq!(again.header("camshaft-replayed"), Some("true"), "and takes none of the rate");
    }
    front.advance(Duration::from_micros(1));
    assert_eq!(front.post(ONE, &key, "{}").await.header("camshaft-replayed"), None);
}

#[tokio::test]
async fn an_execution_that_still_goes_on_is_replayed_as_in_progress() {
    let front = World::default().adapter(|_| receipt(vec![identified("d-1", "push")])).open();
    *front.world.outcome.lock().unwrap() = None;
    front.post(SYNC, &[], "{}").await;
    let again = front.post(SYNC, &[("prefer", "wait=0")], "{}").await;
    assert_eq!(again.json(), json!({"execution_id": execution(1), "status": "in_progress"}));
    assert_eq!(again.header("camshaft-replayed"), Some("true"));
}

#[tokio::test]
async fn what_started_nothing_is_not_remembered() {
    let front = World::default().publish(vec![]).adapter(|_| receipt(vec![identified("d-1", "push")])).open();
    for _ in 0..2 {
        assert_eq!(front.post(ALL, &[], "{}").await.header("camshaft-replayed"), None);
    }
    assert!(front.world.dispatched.lock().unwrap().is_empty());
}

#[tokio::test]
async fn each_event_of_a_batch_has_an_id_of_its_own() {
    // Packed differently the second time: `b` came before, `c` did not.
    let front = World::default()
        .adapter(|request| {
            let ids = std::str::from_utf8(&request.body).unwrap().split(' ');
            receipt(ids.map(|id| identified(id, "push")).collect())
        })
        .open();
    front.post(ONE, &[], "a b").await;
    let second = front.post(ONE, &[], "b c").await;
    assert_eq!(second.header("camshaft-replayed"), None, "something was new");
    let ids: Vec<_> = front.events().iter().map(|event| event["id"].clone()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    let third = front.post(ONE, &[], "c a").await;
    assert_eq!(third.header("camshaft-replayed"), Some("true"));
    assert_eq!(third.json()["execution_id"], json!(execution(3)));
}

#[tokio::test]
async fn events_of_one_id_are_accepted_at_once_and_those_without_an_id_under_the_callers_key() {
    let events = || -> Vec<AdapterEvent> { vec![event("x"), identified("d", "x"), identified("d", "x"), event("x")] };
    let front = World::default().adapter(move |_| receipt(events())).open();
    let key = [("idempotency-key", "k")];
    front.post(ONE, &key, "{}").await;
    {
        let dispatched = front.world.dispatched.lock().unwrap();
        let mut groups: Vec<_> = dispatched
            .iter()
            .map(|request| (request.delivery.as_ref().unwrap().key.id.clone(), request.starts.len()))
            .collect();
        groups.sort();
        assert_eq!(groups, [("d".to_owned(), 2), ("k".to_owned(), 2)]);
    }
    assert_eq!(front.post(ONE, &key, "{}").await.header("camshaft-replayed"), Some("true"));
}
