//! The token, in a header or in the URL.

use super::*;
use camshaft_sdk::testing::{self, Vendor};

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<Datadog>("cases");
}

#[test]
fn every_attack_is_withstood() {
    let header = Vendor::new::<Datadog>().token(SharedToken::SECRET).config(json!({ "header": "X-Token" }));
    header.proofs(&["X-Token"]).withstands();
    Vendor::new::<Datadog>().token(SharedToken::SECRET).parameters(&["token"]).withstands();
}
