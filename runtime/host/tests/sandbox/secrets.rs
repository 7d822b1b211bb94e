//! Secrets: handed out only where granted, and masked in everything that comes back.

use camshaft_model::ids::SecretName;
use camshaft_model::json;
use camshaft_model::language::template::{Input, SecretPlace};
use camshaft_model::limits::Budget;
use camshaft_model::outcome::FailureKind;
use camshaft_model::plugin::Grant;

use crate::world::{World, failure, guest, shipped};

const VALUE: &str = "hunter2-and-more";

fn world() -> World {
    let world = World::new(Budget::default());
    world.secret("told", VALUE);
    world.grant(Grant { secrets: vec!["told".into(), "unset".into()], ..Grant::default() });
    world
}

#[tokio::test]
async fn a_secret_shows_nowhere() {
    let world = world();
    for how in ["output", "failure", "panic"] {
        let done = world.call(guest("secret-echo"), json!({"name": "told", "how": how})).await;
        assert!(!format!("{done:?}").contains(VALUE), "{how}: {done:?}");
        assert!(done.log[0].message.contains("<secret told>"), "{how}: {:?}", done.log);
        assert_eq!(done.log[0].fields["secret"], "<secret told>", "{how}");
        match how {
            "output" => {
                let expected = json!({"secret": "<secret told>", "inside": "<<secret told>>"});
                assert_eq!(done.result, Ok(expected));
            }
            "failure" => {
                let failed = failure(&done, FailureKind::Failed);
                assert_eq!(failed.message, "the secret is <secret told>");
                assert_eq!(failed.details, Some(json!({"secret": "<secret told>"})));
            }
            _ => drop(failure(&done, FailureKind::Trap)),
        }
    }
    world.assert_next_call_is_unhurt().await;
}

#[tokio::test]
async fn a_secret_without_a_grant_is_denied_by_its_name() {
    let world = world();
    world.grant(Grant::default());
    let done = world.call(guest("secret-echo"), json!({"name": "told"})).await;
    let denied = failure(&done, FailureKind::Denied);
    assert!(denied.message.contains("`told`"), "{denied:?}");

    // A grant holds from the next call on.
    world.grant(Grant { secrets: vec!["told".into()], ..Grant::default() });
    assert!(world.call(guest("secret-echo"), json!({"name": "told"})).await.result.is_ok());
}

#[tokio::test]
async fn a_granted_secret_that_is_not_set_is_no_denial() {
    let done = world().call(guest("secret-echo"), json!({"name": "unset"})).await;
    failure(&done, FailureKind::Failed);
}

fn input_with(name: &str) -> Input {
    let mark = format!("<secret {name}>");
    let place =
        SecretPlace { name: SecretName::new(name).unwrap(), pointer: "/key".into(), start: 0, length: mark.len() };
    Input { value: json!({"key": mark}), secrets: vec![place] }
}

#[tokio::test]
async fn a_secret_of_the_input_reaches_the_guest_and_is_masked_on_its_way_back() {
    let world = world();
    let done = world.call_with(shipped("echo"), input_with("told")).await;
    assert_eq!(done.result, Ok(json!({"key": "<secret told>"})));
    // The value was there: its length shows, not it.
    assert_eq!(done.usage.input_bytes as usize, json!({"key": VALUE}).to_string().len());
}

#[tokio::test]
async fn a_secret_of_the_input_that_is_not_set_is_named() {
    let done = world().call_with(shipped("echo"), input_with("nowhere")).await;
    let failure = done.result.unwrap_err();
    assert!(failure.message.contains("`nowhere`"), "{failure:?}");
}
