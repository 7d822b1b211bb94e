//! One sample through an adapter that can sign: the delivery that its vendor would send.

use camshaft_model::seams::{Integration, Refusal, Sample, WebhookRequest};

use crate::Host;
use crate::bindings::adapter::exports::camshaft::plugin::{adapter as guest, signer};
use crate::budget::Breach;
use crate::call::within;
use crate::receive::{broken, lower_integration, masked_refusal};

impl Host {
    pub(crate) async fn sign_sample(
        &self,
        integration: &Integration,
        sample: Sample,
    ) -> Result<WebhookRequest, Refusal> {
        let adapter = self.adapter(integration).await?;
        let Some(signer) = &adapter.signer else {
            let message = format!("adapter `{}` cannot sign: only its vendor can", integration.adapter.name);
            return Err(Refusal::Unsupported(message));
        };
        let Ok(_place) = self.places.acquire().await else { return Err(broken("the host is stopping")) };
        let mut store = self.store_of(integration, &self.permissions)?;
        let lowered = lower_integration(integration);
        let to_sign = signer::Sample {
            event: sample.event,
            body: sample.body.to_vec(),
            id: sample.id,
            sent_at: sample.sent_at.as_millis(),
            public_url: sample.public_url,
        };
        let running = async {
            let instance = adapter.pre.instantiate_async(&mut store).await?;
            signer.load(&mut store, &instance)?.call_sign(&mut store, &to_sign, &lowered).await
        };
        let (returned, _) = within(self.budget.wall, running).await;
        let signed = self.settle(&mut store, integration, returned);
        let signed = signed.and_then(|request| bounded(request, self.budget.output_bytes));
        let signed = signed.map_err(|refusal| masked_refusal(refusal, &store.data().mask))?;
        Ok(WebhookRequest {
            method: signed.method,
            path: signed.path,
            query: signed.query,
            headers: signed.headers,
            body: signed.body.into(),
            remote_address: None,
            received_at: sample.sent_at,
            public_url: signed.public_url,
        })
    }
}

/// What an adapter hands back, unless it is larger than an output may be.
fn bounded(request: guest::Request, bytes_max: usize) -> Result<guest::Request, Refusal> {
    let headers: usize = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    let texts = [&request.method, &request.path, &request.query, &request.public_url].map(String::len);
    let used = texts.iter().sum::<usize>() + headers + request.body.len();
    if used > bytes_max {
        let breach = Breach { bound: "output", limit: bytes_max as u64, used: used as u64, unit: "bytes" };
        return Err(Refusal::Broken(breach.failure()));
    }
    Ok(request)
}
