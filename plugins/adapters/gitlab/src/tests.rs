//! Both of GitLab's ways to prove itself.

use super::*;
use camshaft_sdk::adapter::made_schema;
use camshaft_sdk::testing::{self, Sent, Vendor};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const OTHER: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn by_token(sent: &Sent) -> Request {
    sent.delivery(&[("X-Gitlab-Token", sent.key), ("X-Gitlab-Event", sent.kind), ("X-Gitlab-Event-UUID", "u-1")])
}

#[test]
fn the_schema_says_of_the_key_what_is_no_part_of_the_type() {
    let mut schema = GitLab::config_schema();
    schema.as_object_mut().unwrap().remove("x-secrets").expect("there is a secret");
    assert_eq!(schema, made_schema::<NoConfig>());
}

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<GitLab>("cases");
}

#[test]
fn what_the_specifications_own_library_signs_is_taken() {
    testing::adapter_table::<GitLab>(testing::VENDORS);
}

#[test]
fn every_attack_on_a_token_is_withstood() {
    Vendor::new::<GitLab>().token("signing_secret").proofs(&["X-Gitlab-Token"]).withstands();
}

#[test]
fn every_attack_on_a_signature_is_withstood() {
    let proofs = &["webhook-id", "webhook-timestamp", "webhook-signature"];
    Vendor::new::<GitLab>().keys(SECRET, OTHER).proofs(proofs).tolerance(300).withstands();
}

#[test]
fn a_wrong_signature_is_not_made_up_for_by_the_right_token() {
    let mut request = by_token(&Sent { kind: "Push Hook", body: b"{}", key: SECRET, at_ms: 0 });
    request.headers.push(("webhook-signature".into(), b"v1,AAAA".to_vec()));
    let result = testing::receive::<GitLab>(&request, json!({}), &[("signing_secret", &[SECRET])]);
    assert!(matches!(result, Err(Rejection::Unauthorized(_))), "{result:?}");
}

#[test]
fn the_id_is_that_of_the_delivery_before_that_of_the_event() {
    let mut request = by_token(&Sent { kind: "Push Hook", body: b"{}", key: "t", at_ms: 0 });
    let id = |request: &Request| {
        let receipt = testing::receive::<GitLab>(request, json!({}), &[("signing_secret", &["t"])]);
        receipt.unwrap().events.remove(0).id.unwrap()
    };
    assert_eq!(id(&request), "u-1");
    request.headers.push(("Idempotency-Key".into(), b"k-1".to_vec()));
    assert_eq!(id(&request), "k-1");
}
