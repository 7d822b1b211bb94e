//! Sentry's deliveries, whole and broken.

use super::*;
use camshaft_sdk::testing::{self, Vendor};

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<Sentry>("cases");
}

#[test]
fn every_attack_is_withstood() {
    Vendor::new::<Sentry>().proofs(&["Sentry-Hook-Signature"]).withstands();
}
