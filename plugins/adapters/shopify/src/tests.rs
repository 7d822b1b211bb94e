//! Shopify's deliveries, whole and broken.

use super::*;
use camshaft_sdk::testing::{self, Sent, Vendor};

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<Shopify>("cases");
}

#[test]
fn what_shopifys_own_library_takes_is_taken() {
    testing::adapter_table::<Shopify>(testing::VENDORS);
}

#[test]
fn every_attack_is_withstood() {
    Vendor::new::<Shopify>().proofs(&["X-Shopify-Hmac-Sha256"]).withstands();
}

#[test]
fn a_delivery_without_topic_or_id_is_malformed() {
    let sent = Sent { kind: "orders/create", body: b"{}", key: "k", at_ms: 0 };
    for name in ["X-Shopify-Topic", "X-Shopify-Webhook-Id"] {
        let mut request = sent.signed::<Shopify>();
        request.headers.retain(|(key, _)| key != name);
        let result = testing::receive::<Shopify>(&request, json!({}), &[("signing_secret", &["k"])]);
        assert!(matches!(result, Err(Rejection::Malformed(_))), "{name}: {result:?}");
    }
}
