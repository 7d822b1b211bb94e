//! The forms that Stripe's header takes.

use super::*;
use camshaft_sdk::testing::{self, Sent, Vendor};

const SECRET: &str = "whsec_test_secret";
const BODY: &[u8] = br#"{"id":"evt_1","type":"charge.refunded","created":1492774577}"#;

fn with_header(header: &str) -> Result<Receipt, Rejection> {
    let request = testing::delivery(&[("Stripe-Signature", header)], BODY, 1_492_774_577_000);
    testing::receive::<Stripe>(&request, json!({}), &[("signing_secret", &[SECRET])])
}

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<Stripe>("cases");
}

#[test]
fn every_attack_is_withstood() {
    Vendor::new::<Stripe>().proofs(&["Stripe-Signature"]).tolerance(300).withstands();
}

#[test]
fn what_stripes_own_library_signs_is_taken() {
    testing::adapter_table::<Stripe>(testing::VENDORS);
}

#[test]
fn several_signatures_of_one_time_are_taken_and_those_of_a_test_scheme_are_not() {
    let right = Sent { kind: "", body: BODY, key: SECRET, at_ms: 0 }.hex(Algorithm::Sha256, &[b"1492774577.", BODY]);
    let event = with_header(&format!("t=1492774577, v1=00, v1={right}, v0=ff")).unwrap().events.remove(0);
    assert_eq!((event.kind.as_str(), event.time_ms), ("charge.refunded", Some(1_492_774_577_000)));
    for bad in [
        format!("t=1492774577,v0={right}"),
        format!("v1={right}"),
        format!("t=1492774577,t=1492774578,v1={right}"),
        format!("t=soon,v1={right}"),
    ] {
        assert!(matches!(with_header(&bad), Err(Rejection::Unauthorized(_))), "{bad}");
    }
}
