//! One delivery through an adapter: verify, answer, or hand back events.

use std::sync::Arc;

use camshaft_model::ids::{Name, SecretName};
use camshaft_model::language::template::depth;
use camshaft_model::limits;
use camshaft_model::outcome::{Failure, FailureKind};
use camshaft_model::plugin::Grant;
use camshaft_model::seams::{
    AdapterEvent, AdapterResponse, Integration, Permissions, Receipt, Refusal, WebhookRequest,
};
use camshaft_model::time::Timestamp;
use wasmtime::Store;

use crate::Host;
use crate::bindings::adapter::exports::camshaft::plugin::adapter as guest;
use crate::budget::Breach;
use crate::call::{Returned, out_of_time, shorten, trapped, unusable, within};
use crate::mask::Mask;
use crate::registry::{Adapter, Prepared};
use crate::state::{CallState, Caller};

impl Host {
    /// Lets an adapter look at a delivery, with what it is granted or cut off from everybody.
    pub(crate) async fn receive_delivery(
        &self,
        integration: &Integration,
        request: &WebhookRequest,
        is_cut_off: bool,
    ) -> Result<Receipt, Refusal> {
        let adapter = self.adapter(integration).await?;
        let Ok(_place) = self.places.acquire().await else { return Err(broken("the host is stopping")) };
        let nothing: Arc<dyn Permissions> = Arc::new(Nothing);
        let permissions = if is_cut_off { &nothing } else { &self.permissions };
        let mut store = self.store_of(integration, permissions)?;
        let keeping = self.kept.keeping(integration.adapter.digest, request.received_at);
        store.data_mut().outbound.keep(keeping);
        let (request, lowered) = (lower_request(request), lower_integration(integration));
        let running = async {
            let instance = adapter.pre.instantiate_async(&mut store).await?;
            adapter.adapter.load(&mut store, &instance)?.call_receive(&mut store, &request, &lowered).await
        };
        let (returned, _) = within(self.budget.wall, running).await;
        let received = self.settle(&mut store, integration, returned);
        let received = received.and_then(|receipt| lift(receipt, self.budget.output_bytes));
        // The store's own mask: it has grown by what the guest was granted on the way.
        let mask = &store.data().mask;
        received.map(|receipt| masked(receipt, mask)).map_err(|refusal| masked_refusal(refusal, mask))
    }

    /// The integration's adapter.
    pub(crate) async fn adapter(&self, integration: &Integration) -> Result<Adapter, Refusal> {
        match self.registry.get(integration.adapter.digest).await {
            Ok(Prepared::Adapter(adapter)) => Ok(adapter),
            Ok(Prepared::Task(_)) => {
                let message = format!("`{}` is a task, not an adapter", integration.adapter.name);
                Err(Refusal::Broken(Failure::new(FailureKind::Failed, message)))
            }
            Err(error) => Err(Refusal::Broken(unusable(&error))),
        }
    }

    /// A store for a call of an integration's adapter, which masks the integration's secrets.
    pub(crate) fn store_of(
        &self,
        integration: &Integration,
        permissions: &Arc<dyn Permissions>,
    ) -> Result<Store<CallState>, Refusal> {
        let caller = Caller {
            plugin: integration.adapter.name.clone(),
            workspace: integration.workspace.clone(),
            environment: Name::new("production").map_err(|_| broken("the environment has no name"))?,
        };
        let mut store = CallState::store(&self.machine, caller, self.budget, permissions);
        let mask = &mut store.data_mut().mask;
        for (name, values) in &integration.secrets {
            values.iter().for_each(|value| mask.add(name, value));
        }
        Ok(store)
    }

    /// Logs what the adapter has said, and tells what it gave or why it gave nothing.
    pub(crate) fn settle<T>(
        &self,
        store: &mut Store<CallState>,
        integration: &Integration,
        returned: Returned<Result<T, guest::Rejection>>,
    ) -> Result<T, Refusal> {
        let state = store.data_mut();
        state.log_what_was_printed();
        for line in std::mem::take(&mut state.log) {
            self.told.tell(integration, &line);
        }
        // What the caller reads is the adapter's word; why a request did not go out is for the operator.
        if let Some(outside) = state.outbound.verdict().take() {
            let (workspace, integration) = (integration.workspace.as_str(), integration.name.as_str());
            tracing::warn!(workspace, integration, "{outside}");
        }
        let breach = state.meter.breach.map(Breach::failure);
        match returned {
            Returned::Value(Ok(given)) => Ok(given),
            Returned::Value(Err(rejection)) => Err(refused(rejection)),
            Returned::Trapped(error) => Err(Refusal::Broken(breach.unwrap_or_else(|| trapped(&error)))),
            Returned::OutOfTime => Err(Refusal::Broken(out_of_time(self.budget.wall))),
        }
    }
}

/// Nothing is granted.
pub(crate) struct Nothing;

impl Permissions for Nothing {
    fn grant(&self, _: &Name, _: &Name) -> Arc<Grant> {
        Arc::default()
    }

    fn secret(&self, _: &Name, _: &Name, _: &SecretName) -> Option<String> {
        None
    }
}

pub(crate) fn broken(message: &str) -> Refusal {
    Refusal::Broken(Failure::new(FailureKind::Failed, message))
}

fn lower_request(request: &WebhookRequest) -> guest::Request {
    guest::Request {
        method: request.method.clone(),
        path: request.path.clone(),
        query: request.query.clone(),
        headers: request.headers.clone(),
        body: request.body.to_vec(),
        remote_address: request.remote_address.clone(),
        received_at: request.received_at.as_millis(),
        public_url: request.public_url.clone(),
    }
}

pub(crate) fn lower_integration(integration: &Integration) -> guest::Integration {
    guest::Integration {
        name: integration.name.to_string(),
        config: integration.config.to_string(),
        secrets: integration.secrets.clone(),
    }
}

fn refused(rejection: guest::Rejection) -> Refusal {
    match rejection {
        guest::Rejection::Unauthorized(message) => Refusal::Unauthorized(message),
        guest::Rejection::Malformed(message) => Refusal::Malformed(message),
        guest::Rejection::Unsupported(message) => Refusal::Unsupported(message),
        guest::Rejection::Unavailable(message) => Refusal::Unavailable(message),
    }
}

/// The receipt as everybody else knows it; what an adapter may not say is its failure. How many events there are, and how deep
/// their bodies, is the delivery's doing.
fn lift(receipt: guest::Receipt, bytes_max: usize) -> Result<Receipt, Refusal> {
    if receipt.events.len() > limits::EVENTS_PER_DELIVERY_MAX {
        let (most, found) = (limits::EVENTS_PER_DELIVERY_MAX, receipt.events.len());
        return Err(Refusal::Malformed(format!("the delivery holds {found} events, more than {most}")));
    }
    let bodies: usize = receipt.events.iter().filter_map(|event| event.body.as_ref()).map(String::len).sum();
    let answer = receipt.respond.as_ref().map_or(0, |response| response.body.len());
    if bodies + answer > bytes_max {
        let used = (bodies + answer) as u64;
        let breach = Breach { bound: "output", limit: bytes_max as u64, used, unit: "bytes" };
        return Err(Refusal::Broken(breach.failure()));
    }
    let events = receipt.events.into_iter().map(lift_event).collect::<Result<_, _>>()?;
    let respond = receipt.respond.map(lift_response).transpose().map_err(Refusal::Broken)?;
    Ok(Receipt { events, respond })
}

fn lift_event(event: guest::Event) -> Result<AdapterEvent, Refusal> {
    let body = event
        .body
        .map(|body| serde_json::from_str(&body))
        .transpose()
        .map_err(|error| broken(&format!("the adapter's event body is no JSON: {error}")))?;
    if body.as_ref().is_some_and(|body| depth(body) > limits::VALUE_DEPTH_MAX) {
        let message = format!("the body of an event is nested deeper than {} levels", limits::VALUE_DEPTH_MAX);
        return Err(Refusal::Malformed(message));
    }
    Ok(AdapterEvent {
        id: event.id,
        kind: event.type_,
        source: event.source,
        subject: event.subject,
        time: event.time.map(Timestamp::from_millis),
        body,
    })
}

fn lift_response(response: guest::Response) -> Result<AdapterResponse, Failure> {
    if !(200..=599).contains(&response.status) {
        let message = format!("the adapter answers with status {}; an answer has 200 to 599", response.status);
        return Err(Failure::new(FailureKind::Failed, message));
    }
    Ok(AdapterResponse { status: response.status, headers: response.headers, body: response.body })
}

/// A receipt without secrets. An event that holds one is taken all the same: the delivery is the vendor's, the slip the
/// adapter's. In an answer a short one stays: a handshake with a mark in the midst of it fails.
fn masked(receipt: Receipt, mask: &Mask) -> Receipt {
    let text = |text| mask.text(text);
    let event = |event: AdapterEvent| AdapterEvent {
        id: event.id.map(text),
        kind: text(event.kind),
        source: event.source.map(text),
        subject: event.subject.map(text),
        time: event.time,
        body: event.body.map(|body| mask.value(body)),
    };
    let respond = |response: AdapterResponse| {
        let mask = mask.of_long();
        let headers = response.headers.into_iter().map(|(name, value)| (mask.text(name), mask.text(value)));
        AdapterResponse { status: response.status, headers: headers.collect(), body: mask.bytes(response.body) }
    };
    Receipt { events: receipt.events.into_iter().map(event).collect(), respond: receipt.respond.map(respond) }
}

/// A refusal without secrets, and as short as messages are kept: masked before it is cut, so that no part of one is left.
pub(crate) fn masked_refusal(refusal: Refusal, mask: &Mask) -> Refusal {
    let safe = |message| shorten(mask.text(message));
    match refusal {
        Refusal::Unauthorized(message) => Refusal::Unauthorized(safe(message)),
        Refusal::Malformed(message) => Refusal::Malformed(safe(message)),
        Refusal::Unsupported(message) => Refusal::Unsupported(safe(message)),
        Refusal::Unavailable(message) => Refusal::Unavailable(safe(message)),
        Refusal::Broken(failure) => Refusal::Broken(Failure {
            message: safe(failure.message),
            details: failure.details.map(|details| mask.value(details)),
            ..failure
        }),
    }
}
