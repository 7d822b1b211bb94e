//! The validation of a URL, and batches of which each part has to prove itself.

use super::*;
use camshaft_sdk::testing::{self, Vendor};

fn receive(request: &Request) -> Result<Receipt, Rejection> {
    testing::receive::<MicrosoftGraph>(request, json!({}), &[("client_state", &["k"])])
}

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<MicrosoftGraph>("cases");
}

#[test]
fn every_attack_is_withstood() {
    Vendor::new::<MicrosoftGraph>().token("client_state").withstands();
}

#[test]
fn the_validation_token_is_given_back_as_it_is_and_starts_nothing() {
    let query = "validationToken=Validation%3a+Testing+client%3c%3e".to_owned();
    let receipt = receive(&Request { query, ..testing::delivery(&[], "", 0) }).unwrap();
    assert_eq!(receipt, Response::text(200, "Validation: Testing client<>").into());
}

#[test]
fn a_notification_without_a_state_is_unauthorized() {
    for state in [json!(null), json!(""), json!(7), json!(["k"])] {
        let body = json!({ "value": [{ "changeType": "created", "clientState": state, "resource": "a" }] });
        let result = receive(&testing::delivery(&[], body.to_string(), 0));
        assert!(matches!(result, Err(Rejection::Unauthorized(_))), "{state}: {result:?}");
    }
}

#[test]
fn a_batch_is_taken_whole_or_not_at_all() {
    let batch = |state: &str| {
        let body = json!({ "value": [
            { "id": "1", "changeType": "created", "clientState": "k", "resource": "a" },
            { "id": "2", "changeType": "deleted", "clientState": state, "resource": "b" },
        ] });
        receive(&testing::delivery(&[], body.to_string(), 0))
    };
    let events = batch("k").unwrap().events;
    assert_eq!(events[1].body, Some(json!({ "id": "2", "changeType": "deleted", "resource": "b" })));
    assert!(matches!(batch("x"), Err(Rejection::Unauthorized(_))));
}
