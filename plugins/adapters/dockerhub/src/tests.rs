//! The token, in a header or in the URL.

use super::*;
use camshaft_sdk::testing::{self, Sent, Vendor};

fn in_header(sent: &Sent) -> Request {
    sent.delivery(&[("X-Token", sent.key)])
}

fn in_url(sent: &Sent) -> Request {
    Request { query: format!("token={}", sent.key), ..sent.delivery(&[]) }
}

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<DockerHub>("cases");
}

#[test]
fn every_attack_is_withstood() {
    let header = Vendor::new::<DockerHub>(in_header).token(SharedToken::SECRET).config(json!({ "header": "X-Token" }));
    header.proofs(&["X-Token"]).withstands();
    Vendor::new::<DockerHub>(in_url).token(SharedToken::SECRET).withstands();
}
