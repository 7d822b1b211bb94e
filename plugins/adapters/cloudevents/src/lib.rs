//! The adapter `cloudevents`: CloudEvents over HTTP, in each of the three ways that the binding knows: structured, batched, binary.
//!
//! Source: <https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/http-protocol-binding.md>.

use camshaft_sdk::adapter;
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::SharedToken;

const EVENTS: &[(&str, &str, &str)] =
    &[("com.example.order.paid", "whatever the sender calls `type`", include_str!("../samples/order.paid.json"))];

/// CloudEvents over HTTP.
pub struct CloudEvents;

#[adapter]
impl Adapter for CloudEvents {
    type Config = SharedToken;

    fn describe() -> Description {
        Description::new("CloudEvents", "Takes CloudEvents of anybody who has the token.")
            .docs("https://cloudevents.io")
            .secret(SharedToken::secret())
            .events(EVENTS)
    }

    fn receive(request: &Request, integration: &Integration<SharedToken>) -> Result<Receipt, Rejection> {
        // Who asks may send, says the answer; that it has the token is seen once it does.
        if request.method == "OPTIONS" {
            let origin = request.required_header("WebHook-Request-Origin")?;
            let headers = [("Allow", "POST"), ("WebHook-Allowed-Origin", origin), ("WebHook-Allowed-Rate", "*")];
            let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
            return Ok(Response { status: 200, headers, body: Vec::new() }.into());
        }
        request.only("POST")?;
        integration.config.verify(request, integration)?;
        if request.is("application/cloudevents-batch+json") {
            let batch: Vec<Value> = request.json()?;
            return batch.into_iter().map(adapter::cloudevent).collect::<Result<Vec<_>, _>>().map(Receipt::from);
        }
        if request.header("ce-specversion")?.is_some() {
            return adapter::binary_cloudevent(request).map(Receipt::from);
        }
        adapter::cloudevent(request.json()?).map(Receipt::from)
    }

    fn sign(sample: Sample, integration: &Integration<SharedToken>) -> Result<Request, Rejection> {
        let sample = sample.with_id_at("id");
        let delivery = sample.delivery(&[("Content-Type", "application/cloudevents+json")]);
        integration.config.sign(delivery, integration)
    }
}

#[cfg(test)]
mod tests;
