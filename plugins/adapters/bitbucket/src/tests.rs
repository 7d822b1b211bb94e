//! Atlassian's own vector, and Data Center's test of a connection.

use super::*;
use camshaft_sdk::testing::{self, Sent, Vendor};

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<Bitbucket>("cases");
}

#[test]
fn every_attack_is_withstood() {
    Vendor::new::<Bitbucket>().proofs(&["X-Hub-Signature"]).withstands();
}

/// From <https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/>, Testing the webhook payload validation.
#[test]
fn the_published_signature_is_the_one_that_is_made() {
    let sent = Sent { kind: "repo:push", body: b"Hello World!", key: "It's a Secret to Everybody", at_ms: 0 };
    let expected = "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9";
    assert_eq!(sent.signed::<Bitbucket>().header("X-Hub-Signature"), Ok(Some(expected)));
}

#[test]
fn a_test_of_the_connection_is_answered_once_it_is_signed() {
    let mut request =
        Sent { kind: "diagnostics:ping", body: br#"{"test":true}"#, key: "k", at_ms: 0 }.signed::<Bitbucket>();
    let receive = |request: &Request| testing::receive::<Bitbucket>(request, json!({}), &[("signing_secret", &["k"])]);
    let receipt = receive(&request).unwrap();
    assert_eq!((receipt.events.len(), receipt.respond.unwrap().status), (0, 200));
    request.body.push(b' ');
    assert!(matches!(receive(&request), Err(Rejection::Unauthorized(_))));
}
