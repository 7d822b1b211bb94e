//! The adapter `shopify`: Shopify's webhooks.
//!
//! Source: <https://shopify.dev/docs/apps/build/webhooks/subscribe/https>.

use camshaft_sdk::adapter::{self, NoConfig};
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::Signed;

const SIGNED: Signed = Signed::sha256("X-Shopify-Hmac-Sha256").base64();
const EVENTS: &[(&str, &str, &str)] = &[
    ("orders/create", "an order was placed", include_str!("../samples/orders-create.json")),
    ("products/update", "a product was changed", include_str!("../samples/products-update.json")),
    ("app/uninstalled", "a shop removed the app", include_str!("../samples/app-uninstalled.json")),
];

/// Shopify's webhooks.
pub struct Shopify;

#[adapter]
impl Adapter for Shopify {
    fn describe() -> Description {
        Description::new("Shopify", "Takes Shopify's webhooks, of an app or of a shop's own settings.")
            .docs("https://shopify.dev/docs/apps/build/webhooks")
            .signing_secret("The app's client secret; for webhooks of a shop's settings, the key shown below them.")
            .events(EVENTS)
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        request.only("POST")?;
        SIGNED.verify(request, integration, &[&request.body])?;
        let kind = request.word("X-Shopify-Topic")?;
        let id = Some(request.required_header("X-Shopify-Webhook-Id")?.to_owned());
        let source = request.header("X-Shopify-Shop-Domain")?.map(str::to_owned);
        let time_ms = request.header("X-Shopify-Triggered-At")?.and_then(adapter::rfc3339);
        let [subject, number] = request.texts(["admin_graphql_api_id", "id"])?;
        Ok(Event { id, source, subject: subject.or(number), time_ms, ..Event::new(kind) }.into())
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        let delivery = sample.delivery(&[("X-Shopify-Topic", &sample.kind), ("X-Shopify-Webhook-Id", &sample.id)]);
        SIGNED.sign(delivery, integration, &[&sample.body])
    }
}

#[cfg(test)]
mod tests;
