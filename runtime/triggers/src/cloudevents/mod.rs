//! CloudEvents from outside: they start workflows with a trigger for their type, and reach executions that wait for their
//! topic. Any HTTP mode: binary, structured, batched (CloudEvents 1.0, HTTP protocol binding), and 0.3 for old senders.

mod binding;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use camshaft_model::ids::{Digest, ExecutionId, Name};
use camshaft_model::invocation::{DeliveryKey, Reply, SeenDelivery, TriggerSource};
use camshaft_model::language::template::depth;
use camshaft_model::matching::{self, Evaluator};
use camshaft_model::outcome::Failure;
use camshaft_model::seams::{DispatchRequest, Message, Start};
use camshaft_model::workflow::TriggerKey;
use camshaft_model::{Value, limits};
use serde_json::json;

use crate::dedupe::seen_before;
use crate::http::refused::Refused;
use crate::http::request;
use crate::http::{Parts, Room};

pub use binding::{CloudEvent, Malformed, read};

/// A delivery of events for a workspace, whose sender is known already.
pub async fn receive(parts: &Parts, workspace: &Name, request: Request) -> Result<Response, NotTaken> {
    if request.method() == Method::OPTIONS {
        return Ok(handshake(&request));
    }
    Ok(accept(parts, workspace, request).await?)
}

/// Why events were not taken; nothing of the delivery was started that is not told of again when it is sent again.
#[derive(Debug)]
pub struct NotTaken {
    /// The status of the answer.
    pub status: StatusCode,
    /// What the sender reads.
    pub message: String,
    /// What the operator reads beside.
    pub inside: Option<String>,
    /// `Retry-After` and what is left of the second.
    pub headers: HeaderMap,
}

impl From<Refused> for NotTaken {
    fn from(refused: Refused) -> Self {
        let (status, message, inside) = (refused.status(), refused.to_string(), refused.inside());
        let mut headers = refused.into_response().headers().clone();
        headers.remove(header::CONTENT_TYPE);
        headers.remove(header::CONTENT_LENGTH);
        Self { status, message, inside, headers }
    }
}

/// The validation of a sender that asks before it sends (CloudEvents 1.0, HTTP Web Hooks, 4): this one may, at any rate.
fn handshake(request: &Request) -> Response {
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
    if let Some(origin) = request.headers().get("webhook-request-origin") {
        headers.insert(HeaderName::from_static("webhook-allowed-origin"), origin.clone());
        headers.insert(HeaderName::from_static("webhook-allowed-rate"), HeaderValue::from_static("*"));
    }
    response
}

/// What came of one event.
struct Taken {
    value: Arc<Value>,
    executions: Vec<(Name, ExecutionId)>,
    reached: Vec<ExecutionId>,
    replayed: bool,
}

async fn accept(parts: &Parts, workspace: &Name, request: Request) -> Result<Response, Refused> {
    let (head, body) = request.into_parts();
    let environment = match request::environment(&head.uri)? {
        Some(environment) => environment,
        None => Name::new("production")?,
    };
    let body = request::body(&head.headers, body, parts.settings.body_bytes).await?;
    let events = binding::read(&head.headers, &body).map_err(|malformed| Refused::Malformed(malformed.to_string()))?;
    if events.len() > limits::EVENTS_PER_DELIVERY_MAX {
        let (count, most) = (events.len(), limits::EVENTS_PER_DELIVERY_MAX);
        return Err(Refused::Malformed(format!("the batch holds {count} events; {most} is the limit")));
    }
    for event in &events {
        if depth(&event.data) > limits::DATA_DEPTH_MAX {
            let (id, most) = (&event.id, limits::DATA_DEPTH_MAX);
            return Err(Refused::Malformed(format!("the data of event `{id}` is nested deeper than {most} levels")));
        }
    }
    let request_id = head.headers.get("x-request-id").and_then(|id| id.to_str().ok());
    let now = parts.clock.now();
    let (mut taken, mut room) = (Vec::with_capacity(events.len()), None);
    for event in events {
        let value = Arc::new(event.value(now));
        let key = DeliveryKey::of_event(workspace, &environment, &event.source, &event.id);
        let delivery = SeenDelivery { key, body: Digest([0; 32]), at: now, executions: Vec::new() };
        let starts = starts(parts, workspace, &environment, &event, &value).await?;
        let mut one = Taken { value, executions: Vec::new(), reached: Vec::new(), replayed: false };
        if !starts.is_empty() {
            if let Some(seen) = seen_before(&*parts.store, &delivery).await? {
                (one.executions, one.replayed) = (seen.executions, true);
            } else {
                room = take(parts, workspace, &starts)?.or(room);
                let (reply, window) = (Reply::Detach, Duration::ZERO);
                let request_id = request_id.map(str::to_owned);
                let request = DispatchRequest { delivery: Some(delivery), starts, reply, window, request_id };
                // A sender that hangs up must not leave it half accepted.
                let dispatch = parts.dispatch.clone();
                let dispatched = tokio::spawn(async move { dispatch.dispatch(request).await }).await;
                let dispatched =
                    dispatched.map_err(|error| Refused::Internal(format!("starting executions: {error}")))??;
                (one.executions, one.replayed) = (dispatched.executions, dispatched.replayed);
            }
        }
        let message = Message { topic: event.topic().to_owned(), event: one.value.clone() };
        let sent = parts.dispatch.send(workspace, message).await;
        one.reached = sent.map_err(|error| Refused::NotDurable(NotSent(error.to_string()).into()))?;
        taken.push(one);
    }
    let events: Vec<_> = taken.iter().map(Taken::view).collect();
    let mut response = (StatusCode::ACCEPTED, axum::Json(json!({"status": "ok", "events": events}))).into_response();
    if let Some(room) = room {
        room.put(response.headers_mut());
    }
    Ok(response)
}

/// An event that could not be made durable with those who wait for it.
struct NotSent(String);

impl From<NotSent> for camshaft_model::seams::DispatchError {
    fn from(NotSent(why): NotSent) -> Self {
        Self::NotDurable(why)
    }
}

impl Taken {
    fn view(&self) -> Value {
        let execution =
            |(workflow, execution): &(Name, ExecutionId)| json!({"workflow": workflow, "execution_id": execution});
        let executions: Vec<_> = self.executions.iter().map(execution).collect();
        let mut view = json!({"id": self.value["id"], "source": self.value["source"], "executions": executions});
        if !self.reached.is_empty() {
            view["reached"] = json!(self.reached);
        }
        if self.replayed {
            view["replayed"] = json!(true);
        }
        view
    }
}

fn take(parts: &Parts, workspace: &Name, starts: &[Start]) -> Result<Option<Room>, Refused> {
    parts.throttle.take(workspace, starts.len()).map_err(|room| {
        let refused = Refused::TooMany { workspace: workspace.clone(), room };
        parts.witness.turned_away(starts, parts.clock.now(), &refused.to_string());
        refused
    })
}

async fn starts(
    parts: &Parts,
    workspace: &Name,
    environment: &Name,
    event: &CloudEvent,
    value: &Arc<Value>,
) -> Result<Vec<Start>, Refused> {
    let mut starts = Vec::new();
    for published in parts.directory.concerned(workspace, &event.kind, environment) {
        let faulty = |by: &TriggerKey, failure: &Failure| parts.tell_faulty(&published, by, Some(&event.id), failure);
        let evaluator = Evaluator { jq: &*parts.jq, places: &parts.places, faulty: &faulty };
        let matched = matching::matched_event(&published, value, evaluator).await.map_err(Refused::Busy)?;
        let Some(matched) = matched else { continue };
        let (event_type, source) = (event.kind.clone(), event.source.clone());
        starts.extend(parts.bind(&matched, TriggerSource::Event { event_type, source, depth: 0 }, value));
    }
    Ok(starts)
}
