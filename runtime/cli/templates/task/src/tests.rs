//! What it makes of inputs, good and bad.

use super::run;
use camshaft_sdk::prelude::*;
use camshaft_sdk::testing::{self, Host};

/// Files of `cases`: an input and what becomes of it; `http` in a case stands in for the outside.
#[test]
fn golden_cases_hold() {
    testing::task_cases::<run>("cases");
}

#[test]
fn a_bad_input_is_answered_with_the_field_s_name() {
    let failure = testing::call::<run>(json!({ "nmae": "Ada" })).unwrap_err();
    assert!(failure.message.contains("`nmae`"), "{failure}");
}

#[test]
fn who_is_greeted_is_logged() {
    let host = Host::new();
    host.run(|| testing::call::<run>(json!({ "name": "Ada" }))).unwrap();
    assert_eq!(host.logs()[0].message, "greeting Ada");
}
