//! One delivery, from the request to the answer. The order is the security of it: nothing of a delivery is believed, not
//! even its JSON parsed, before the integration's adapter has verified it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{ConnectInfo, RawPathParams, Request, State};
use axum::http::request::Parts as Head;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use camshaft_model::event::Event;
use camshaft_model::ids::{ExecutionId, IdOrName, Name};
use camshaft_model::invocation::{Reply, SeenDelivery, TriggerSource};
use camshaft_model::outcome::{HEADERS_REFUSED, Outcome};
use camshaft_model::seams::{
    AdapterResponse, DispatchRequest, Dispatched, Integration, Published, Refusal, Start, WebhookRequest,
};
use camshaft_model::{Map, Value, limits};
use futures::future::join_all;
use serde_json::json;

use super::refused::Refused;
use super::{Parts, event, forwarded, reply, request};
use crate::dedupe::{DeliveryScope, seen_before};
use crate::deliveries::RefusedDelivery;
use crate::matching::{self, Match};

/// Which of the three URLs was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// Every workflow that the events are meant for.
    All,
    /// One workflow; the caller does not wait.
    Detached,
    /// One workflow; the caller waits.
    Waiting,
}

/// The trigger URLs' state.
pub(super) struct Hooks {
    parts: Parts,
    production: Name,
    no_params: Arc<Value>,
}

/// What a request asks for, by its URL.
struct Asked {
    target: Target,
    environment: Name,
    workflow: Option<IdOrName>,
}

/// Events of a delivery that share an identity, and what they start.
#[derive(Default)]
struct Group {
    delivery: Option<SeenDelivery>,
    starts: Vec<Start>,
}

/// What came of a delivery.
#[derive(Default)]
struct Started {
    executions: Vec<(Name, ExecutionId)>,
    /// Nothing was started now: all of it came before.
    replayed: bool,
    outcome: Option<Arc<Outcome>>,
}

pub(super) async fn receive(
    target: Target,
    State(hooks): State<Arc<Hooks>>,
    parameters: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    hooks.receive(target, parameters, &head, body).await.unwrap_or_else(Refused::into_response)
}

impl Hooks {
    pub(super) fn new(parts: Parts) -> Self {
        let production = Name::new("production").expect("`production` is a name");
        Self { parts, production, no_params: Arc::new(Value::Object(Map::new())) }
    }

    async fn receive(
        &self,
        target: Target,
        parameters: Result<RawPathParams, RawPathParamsRejection>,
        head: &Head,
        body: Body,
    ) -> Result<Response, Refused> {
        let parameters =
            parameters.map_err(|error| Refused::Malformed(format!("malformed path: {}", error.body_text())))?;
        let parameter = |name: &str| parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| value);
        let which = IdOrName::parse("integration id", parameter("integration").unwrap_or_default())?;
        let workflow = parameter("workflow").map(|text| IdOrName::parse("workflow id", text)).transpose()?;
        let environment = request::environment(&head.uri)?.unwrap_or_else(|| self.production.clone());
        let asked = Asked { target, environment, workflow };

        let found = self.parts.directory.integration(&self.parts.settings.workspace, &which);
        let Some(integration) = found.filter(|integration| integration.enabled) else {
            return Err(Refused::Unknown(format!("integration `{}` is unknown or disabled", shown(&which))));
        };

        let tally = self.parts.deliveries.of(integration.id);
        tally.receive();
        let answer = self.answer(&asked, &integration, head, body).await;
        match &answer {
            Ok(_) => tally.accept(),
            Err(refused) => {
                let refusal = RefusedDelivery {
                    time: self.parts.clock.now(),
                    delivery: request::delivery_id(&head.headers),
                    status: refused.status().as_u16(),
                    reason: refused.to_string(),
                };
                tracing::warn!(
                    integration = %integration.name,
                    delivery = refusal.delivery.as_deref(),
                    status = refusal.status,
                    reason = refusal.reason,
                    inside = refused.inside(),
                    "delivery refused"
                );
                tally.refuse(refusal);
            }
        }
        answer
    }

    async fn answer(
        &self,
        asked: &Asked,
        integration: &Integration,
        head: &Head,
        body: Body,
    ) -> Result<Response, Refused> {
        let settings = &self.parts.settings;
        let received_at = self.parts.clock.now();
        let waits = asked.target == Target::Waiting;
        let preferred = if waits { request::wait(&head.headers)? } else { None };
        let window = preferred.unwrap_or(settings.sync_window).min(settings.sync_window);
        let key = request::idempotency_key(&head.headers)?;
        let content_type = request::text(&head.headers, &header::CONTENT_TYPE)?;

        let peer = head.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let public_url = settings.public_url.as_deref();
        let outside = forwarded::outside(&head.uri, &head.headers, peer, public_url, &settings.trusted_proxies)?;
        let webhook = WebhookRequest {
            method: head.method.as_str().to_owned(),
            path: String::new(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head
                .headers
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_owned()))
                .collect(),
            body: request::body(&head.headers, body, settings.body_bytes).await?,
            remote_address: outside.remote.map(|address| address.to_string()),
            received_at,
            public_url: outside.url,
        };

        let receipt = self.parts.plugins.receive(integration, &webhook).await.map_err(|refusal| match refusal {
            Refusal::Unauthorized(why) => Refused::Unauthorized(why),
            Refusal::Malformed(why) | Refusal::Unsupported(why) => Refused::Malformed(why),
            Refusal::Broken(failure) => Refused::Internal(format!("adapter {}: {failure}", integration.adapter.name)),
        })?;
        let respond = receipt.respond.map(adapters).transpose()?;
        if receipt.events.is_empty()
            && let Some(handshake) = respond
        {
            return Ok(handshake);
        }
        if receipt.events.len() > limits::EVENTS_PER_DELIVERY_MAX {
            return Err(Refused::Malformed(format!(
                "the delivery holds {} events, more than {}",
                receipt.events.len(),
                limits::EVENTS_PER_DELIVERY_MAX
            )));
        }

        let one = asked.workflow.as_ref().map(|which| self.one(which, integration, &asked.environment)).transpose()?;
        let events = event::normalise(integration, &head.uri, content_type, &webhook, receipt.events)?;
        let scope = DeliveryScope {
            workspace: &settings.workspace,
            integration: &integration.name,
            workflow: one.as_ref().map(|published| &published.revision.workflow),
            waits,
            environment: &asked.environment,
        };
        let subscribers = match &one {
            Some(published) => vec![published.clone()],
            None => self.parts.directory.subscribers(&settings.workspace, &integration.name, &asked.environment),
        };
        let (groups, failure_status) =
            self.groups(asked, integration, &events, &subscribers, |id| match (id, key) {
                (Some(id), _) => Some(scope.vendor(id, received_at)),
                (None, Some(key)) => Some(scope.caller(key, &webhook.body, received_at)),
                (None, None) => None,
            })?;

        // Where the adapter has answered, nobody waits for the workflow.
        let waits = waits && respond.is_none();
        let request_id = head.headers.get("x-request-id").and_then(|id| id.to_str().ok());
        let started = self.start(groups, waits.then_some(window), request_id).await?;
        let replayed = started.replayed;
        let mut response = match (respond, asked.target, started.executions.first()) {
            (Some(response), _, _) => response,
            (None, Target::All, _) => {
                reply::json_response(StatusCode::OK, &json!({"status": "ok", "executions": list(&started.executions)}))
            }
            (None, _, None) => ignored(&subscribers[0].revision.workflow),
            (None, Target::Detached, Some((_, first))) => match started.executions.as_slice() {
                [_] => reply::accepted(*first),
                all => reply::json_response(
                    StatusCode::OK,
                    &json!({"execution_id": first, "status": "ok", "executions": list(all)}),
                ),
            },
            (None, Target::Waiting, Some((_, first))) => match &started.outcome {
                Some(outcome) => reply::outcome(*first, outcome, failure_status),
                None => reply::in_progress(*first),
            },
        };
        if replayed {
            response.headers_mut().insert(reply::REPLAYED, HeaderValue::from_static("true"));
        }
        if preferred.is_some() && waits {
            let applied = HeaderValue::from_str(&format!("wait={}", window.as_secs()));
            response.headers_mut().insert("preference-applied", applied.expect("a number is visible ASCII"));
        }
        Ok(response)
    }

    /// The workflow that the URL names, if this integration may start it here.
    fn one(&self, which: &IdOrName, integration: &Integration, environment: &Name) -> Result<Arc<Published>, Refused> {
        let published = self.parts.directory.published(&self.parts.settings.workspace, which, environment);
        let published = published.ok_or_else(|| {
            Refused::Unknown(format!("workflow `{}` is unknown or not published in `{environment}`", shown(which)))
        })?;
        if matching::subscribes(&published, &integration.name) {
            Ok(published)
        } else {
            let workflow = &published.revision.workflow;
            Err(Refused::Unknown(format!(
                "workflow `{workflow}` has no webhook trigger for integration `{}`",
                integration.name
            )))
        }
    }

    /// What each event starts, by the identity that makes a repetition. Also the status for the first start's failure.
    ///
    /// Events of one delivery may have ids of their own, and a vendor that sends again may pack them differently; so each
    /// id is a group, accepted at once or not at all. Events without an id share the caller's key, or go without.
    fn groups(
        &self,
        asked: &Asked,
        integration: &Integration,
        events: &[Event],
        subscribers: &[Arc<Published>],
        identity: impl Fn(Option<&str>) -> Option<SeenDelivery>,
    ) -> Result<(Vec<Group>, Option<u16>), Refused> {
        let mut groups: Vec<Group> = Vec::with_capacity(1);
        let mut by_id: HashMap<Option<&str>, usize> = HashMap::with_capacity(1);
        let mut failure_status = None;
        let mut is_first = true;
        for event in events {
            let id = event.id.as_deref();
            let group = *by_id.entry(id).or_insert_with(|| {
                groups.push(Group { delivery: identity(id), starts: Vec::new() });
                groups.len() - 1
            });
            for subscriber in subscribers {
                let matched = matching::matched(subscriber, &integration.name, event, &*self.parts.jq);
                let Some(matched) = matched else { continue };
                if std::mem::take(&mut is_first) {
                    failure_status = matched.failure_status;
                }
                match self.bind(&matched, integration, event) {
                    Ok(start) => groups[group].starts.push(start),
                    Err(why) if asked.target == Target::All => {
                        tracing::warn!(workflow = %matched.published.revision.workflow, "not started by a webhook: {why}");
                    }
                    Err(why) => return Err(Refused::Malformed(why)),
                }
            }
        }
        // Those without an identity last: if anything before them fails, the delivery is sent again, and only they would
        // start twice.
        groups.sort_by_key(|group| group.delivery.is_none());
        Ok((groups, failure_status))
    }

    /// A webhook has no parameters to give, so a workflow's are its defaults.
    fn bind(&self, matched: &Match, integration: &Integration, event: &Event) -> Result<Start, String> {
        let workflow = &matched.published.workflow;
        let params = if workflow.params.is_empty() {
            self.no_params.clone()
        } else {
            Arc::new(Value::Object(workflow.bind_params(&Map::new()).map_err(|faults| {
                format!("workflow `{}` cannot be started by a webhook: {}", workflow.name, faults.join("; "))
            })?))
        };
        Ok(Start {
            published: matched.published.clone(),
            trigger: TriggerSource::Webhook { integration: integration.name.clone() },
            event: event.value.clone(),
            params,
            test: false,
        })
    }

    /// Starts what did not come before. With a window the caller waits for the first execution's outcome.
    async fn start(
        &self,
        groups: Vec<Group>,
        window: Option<Duration>,
        request_id: Option<&str>,
    ) -> Result<Started, Refused> {
        let mut started = Started { replayed: true, ..Started::default() };
        let mut fresh = Vec::with_capacity(groups.len());
        for group in groups {
            let seen = match &group.delivery {
                Some(delivery) => seen_before(&*self.parts.store, delivery).await?,
                None => None,
            };
            match (seen, group.delivery) {
                (Some(seen), Some(delivery)) if seen.body != delivery.body => {
                    return Err(Refused::DifferentBody(delivery.key.id));
                }
                (Some(seen), _) => started.executions.extend(seen.executions),
                // What started nothing is not remembered: who publishes the workflow and sends the delivery again, as
                // vendors let people do, wants it to start.
                (None, _) if group.starts.is_empty() => {}
                (None, delivery) => fresh.push(Group { delivery, ..group }),
            }
        }
        let count = fresh.iter().map(|group| group.starts.len()).sum();
        self.throttle(count)?;

        // Waiting is for one start alone. Of several the caller gets the first one's outcome, and none is lost.
        let alone = started.executions.is_empty() && count == 1;
        let wait = window.filter(|_| alone);
        let requests = fresh.into_iter().map(|group| DispatchRequest {
            delivery: group.delivery,
            starts: group.starts,
            reply: if wait.is_some() { Reply::Wait } else { Reply::Detach },
            window: wait.unwrap_or_default(),
            request_id: request_id.map(str::to_owned),
        });
        let (identified, anonymous): (Vec<_>, Vec<_>) = requests.partition(|request| request.delivery.is_some());
        for requests in [identified, anonymous] {
            // Together, so that they share a commit.
            for dispatched in join_all(requests.into_iter().map(|request| self.dispatch(request))).await {
                let dispatched = dispatched?;
                started.replayed &= dispatched.replayed;
                started.executions.extend(dispatched.executions);
                started.outcome = started.outcome.or(dispatched.outcome);
            }
        }
        started.replayed &= !started.executions.is_empty();
        if let (Some(window), false, Some((_, first))) = (window, alone, started.executions.first()) {
            started.outcome = self.parts.dispatch.outcome(*first, window).await?;
        }
        Ok(started)
    }

    async fn dispatch(&self, request: DispatchRequest) -> Result<Dispatched, Refused> {
        if request.reply == Reply::Wait {
            return Ok(self.parts.dispatch.dispatch(request).await?);
        }
        // A caller that hangs up drops this future. What it started must not be left half accepted, so it goes on by
        // itself.
        let dispatch = self.parts.dispatch.clone();
        match tokio::spawn(async move { dispatch.dispatch(request).await }).await {
            Ok(dispatched) => Ok(dispatched?),
            Err(error) => Err(Refused::Internal(format!("starting executions: {error}"))),
        }
    }

    fn throttle(&self, executions: usize) -> Result<(), Refused> {
        let workspace = &self.parts.settings.workspace;
        self.parts.throttle.take(workspace, executions).map_err(|wait| Refused::TooMany {
            workspace: workspace.to_string(),
            limit: self.parts.throttle.limit().unwrap_or_default(),
            // Rounded up: who comes back at the whole second finds room.
            retry_after_s: u64::try_from(wait.as_micros().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1),
        })
    }
}

/// The answer where the workflow that the URL names was not started: no event, or its `when` does not hold.
///
/// A `when` says which of the integration's events a workflow is meant for, by whatever URL they come. The status is a
/// success, since vendors send again and at last switch a webhook off for anything else, and nothing was wrong. It is
/// not `ok` either: whoever goes on to ask for an execution reads that there is none.
fn ignored(workflow: &Name) -> Response {
    let message = format!("no trigger of workflow `{workflow}` holds for this delivery; nothing was started");
    reply::json_response(StatusCode::OK, &json!({"status": "ignored", "message": message}))
}

fn list(executions: &[(Name, ExecutionId)]) -> Vec<Value> {
    let one = |(workflow, execution): &(Name, ExecutionId)| json!({"workflow": workflow, "execution_id": execution});
    executions.iter().map(one).collect()
}

/// An adapter's own answer. Headers that belong to the connection are ours to set.
fn adapters(answer: AdapterResponse) -> Result<Response, Refused> {
    let status = StatusCode::from_u16(answer.status).ok().filter(|status| (200..=599).contains(&status.as_u16()));
    let status = status.ok_or_else(|| Refused::Internal(format!("adapter answers with status {}", answer.status)))?;
    let mut headers = answer.headers;
    headers.retain(|(name, _)| !HEADERS_REFUSED.contains(&name.to_ascii_lowercase().as_str()));
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = status;
    reply::put_headers(&mut response, &headers);
    Ok(response)
}

fn shown(which: &IdOrName) -> String {
    match which {
        IdOrName::Id(id) => id.to_string(),
        IdOrName::Name(name) => name.to_string(),
    }
}
