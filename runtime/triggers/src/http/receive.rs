//! One delivery, from the request to the answer. The order is the security of it: nothing of a delivery is believed, not
//! even its JSON parsed, before the integration's adapter has verified it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{ConnectInfo, RawPathParams, Request, State};
use axum::http::request::Parts as Head;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use camshaft_model::ids::{ExecutionId, IdOrName, Name};
use camshaft_model::limits;
use camshaft_model::matching;
use camshaft_model::seams::{AdapterEvent, AdapterResponse, Integration, Published, Refusal, WebhookRequest};

use super::refused::Refused;
use super::{Parts, answer, event, forwarded, reply, request};
use crate::dedupe::DeliveryScope;
use crate::deliveries::{self, RefusedDelivery};

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
pub(super) struct Receiver {
    pub(super) parts: Parts,
    production: Name,
}

/// What a request asks for, by its URL.
pub(super) struct Asked {
    pub(super) target: Target,
    environment: Name,
    workflow: Option<IdOrName>,
}

/// Who is meant, as the URL writes it.
struct Address<'a> {
    workspace: Option<&'a str>,
    integration: &'a str,
    workflow: Option<&'a str>,
}

/// What a delivery was answered with, and what it started.
#[derive(Debug)]
pub struct Answered {
    /// The answer.
    pub response: Response,
    /// Workflows and their executions; those of the first time where it came before.
    pub executions: Vec<(Name, ExecutionId)>,
}

impl From<Response> for Answered {
    fn from(response: Response) -> Self {
        Self { response, executions: Vec::new() }
    }
}

pub(super) async fn receive(
    target: Target,
    State(receiver): State<Arc<Receiver>>,
    parameters: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Response {
    let parameters = match parameters {
        Ok(parameters) => parameters,
        Err(error) => return Refused::Malformed(format!("malformed path: {}", error.body_text())).into_response(),
    };
    let parameter = |name: &str| parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| value);
    let address = Address {
        workspace: parameter("workspace"),
        integration: parameter("integration").unwrap_or_default(),
        workflow: parameter("workflow"),
    };
    let (head, body) = request.into_parts();
    let received = receiver.receive(target, address, &head, body).await;
    received.map_or_else(Refused::into_response, |answered| answered.response)
}

/// Takes a delivery of this machine's own for an integration of a workspace, exactly as one that comes over the network.
pub async fn deliver(parts: &Parts, workspace: &Name, integration: &Name, request: Request) -> Answered {
    let address = Address { workspace: Some(workspace.as_str()), integration: integration.as_str(), workflow: None };
    let (head, body) = request.into_parts();
    let received = Receiver::new(parts.clone()).receive(Target::All, address, &head, body).await;
    received.unwrap_or_else(|refused| refused.into_response().into())
}

impl Receiver {
    pub(super) fn new(parts: Parts) -> Self {
        let production = Name::new("production").expect("`production` is a name");
        Self { parts, production }
    }

    async fn receive(
        &self,
        target: Target,
        address: Address<'_>,
        head: &Head,
        body: Body,
    ) -> Result<Answered, Refused> {
        let which = IdOrName::parse("integration id", address.integration)?;
        let workflow = address.workflow.map(|text| IdOrName::parse("workflow id", text)).transpose()?;
        let environment = request::environment(&head.uri)?.unwrap_or_else(|| self.production.clone());
        let asked = Asked { target, environment, workflow };

        let workspace = self.workspace(address.workspace, &which)?;
        let found = self.parts.directory.integration(&workspace, &which);
        let Some(integration) = found.filter(|integration| integration.enabled) else {
            return Err(Refused::Unknown(format!("integration `{}` is unknown or disabled", shown(&which))));
        };

        let tally = self.parts.deliveries.of(integration.id);
        tally.receive();
        let (answer, webhook) = match self.webhook(head, body).await {
            Ok(webhook) => (self.answer(&asked, &integration, head, &webhook).await, Some(webhook)),
            Err(refused) => (Err(refused), None),
        };
        match &answer {
            Ok(_) => tally.accept(),
            Err(refused) => {
                let refusal = RefusedDelivery {
                    time: self.parts.clock.now(),
                    delivery: request::delivery_id(&head.headers),
                    status: refused.status().as_u16(),
                    reason: refused.to_string(),
                    body_bytes: webhook.as_ref().map_or(0, |webhook| webhook.body.len()),
                    request: webhook.map(deliveries::kept),
                };
                // By our own reason alone: whoever sends it may choose the other one.
                let inside = refused.inside();
                let line = ("refused", integration.id, refusal.status, &inside);
                if let Some(held_back) = self.parts.deliveries.lately.is_due(line, refusal.time) {
                    tracing::warn!(
                        integration = %integration.name,
                        delivery = refusal.delivery.as_deref(),
                        status = refusal.status,
                        reason = refusal.reason,
                        inside,
                        held_back,
                        "delivery refused"
                    );
                }
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
        webhook: &WebhookRequest,
    ) -> Result<Answered, Refused> {
        let settings = &self.parts.settings;
        let waits = asked.target == Target::Waiting;
        let preferred = if waits { request::wait(&head.headers)? } else { None };
        let window = preferred.unwrap_or(settings.sync_window).min(settings.sync_window);
        let key = request::idempotency_key(&head.headers)?;
        let content_type = request::text(&head.headers, &header::CONTENT_TYPE)?;

        let (events, respond) = self.verify(integration, webhook).await?;
        let respond = respond.map(answer::adapters).transpose()?;
        if events.is_empty()
            && let Some(handshake) = respond
        {
            return Ok(handshake.into());
        }
        let one = asked.workflow.as_ref().map(|which| self.one(which, integration, &asked.environment)).transpose()?;
        let events = event::normalise(integration, &head.uri, content_type, webhook, events)?;

        // What was lent runs where it was lent to: its deliveries, its rate and its executions are of that workspace.
        let place = one.as_ref().map_or(&integration.workspace, |published| &published.workspace);
        let scope = DeliveryScope {
            workspace: place,
            integration: &integration.name,
            lent_by: Some(&integration.workspace).filter(|lender| *lender != place),
            workflow: one.as_ref().map(|published| &published.revision.workflow),
            waits,
            environment: &asked.environment,
        };
        let identity = |id: Option<&str>| match (id, key) {
            (Some(id), _) => Some(scope.vendor(id, webhook.received_at)),
            (None, Some(key)) => Some(scope.caller(key, &webhook.body, webhook.received_at)),
            (None, None) => None,
        };
        let subscribers = match &one {
            Some(published) => vec![published.clone()],
            None => self.parts.directory.subscribers(&integration.workspace, &integration.name, &asked.environment),
        };
        let (groups, failure_status) = self.groups(asked, integration, &events, &subscribers, identity).await?;

        // Where the adapter has answered, nobody waits for the workflow.
        let waits = waits && respond.is_none();
        let request_id = head.headers.get("x-request-id").and_then(|id| id.to_str().ok());
        let started = self.start(place, groups, waits.then_some(window), request_id).await?;

        let mut response = match (respond, asked.target, started.executions.first()) {
            (Some(respond), _, _) => respond,
            (None, Target::All, _) => answer::all(&started.executions),
            (None, _, None) => answer::ignored(&subscribers[0].revision.workflow),
            (None, Target::Detached, Some(_)) => answer::detached(&started.executions),
            (None, Target::Waiting, Some((_, first))) => match &started.outcome {
                Some(outcome) => reply::outcome(*first, outcome, failure_status),
                None => reply::in_progress(*first),
            },
        };
        if started.replayed {
            response.headers_mut().insert(reply::REPLAYED, HeaderValue::from_static("true"));
        }
        if let Some(room) = started.room {
            room.put(response.headers_mut());
        }
        if preferred.is_some() && waits {
            let applied = HeaderValue::from_str(&format!("wait={}", window.as_secs()));
            response.headers_mut().insert("preference-applied", applied.expect("a number is visible ASCII"));
        }
        Ok(Answered { response, executions: started.executions })
    }

    /// The workspace that the URL means: the one that it names, that of the id, or the one that names belong to.
    fn workspace(&self, named: Option<&str>, which: &IdOrName) -> Result<Name, Refused> {
        let unknown = || Refused::Unknown(format!("integration `{}` is unknown or disabled", shown(which)));
        match (named, which) {
            (Some(named), _) => Name::new(named).map_err(|_| unknown()),
            (None, IdOrName::Id(id)) => self.parts.directory.home(*id).ok_or_else(unknown),
            (None, IdOrName::Name(_)) => Ok(self.parts.settings.home.clone()),
        }
    }

    /// The request as adapters see it.
    async fn webhook(&self, head: &Head, body: Body) -> Result<WebhookRequest, Refused> {
        let settings = &self.parts.settings;
        let received_at = self.parts.clock.now();
        let peer = head.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let public_url = settings.public_url.as_deref();
        let outside = forwarded::outside(&head.uri, &head.headers, peer, public_url, &settings.trusted_proxies)?;
        Ok(WebhookRequest {
            method: head.method.as_str().to_owned(),
            path: String::new(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: request::sent_headers(head),
            body: request::body(&head.headers, body, settings.body_bytes).await?,
            remote_address: outside.remote.map(|address| address.to_string()),
            received_at,
            public_url: outside.url,
        })
    }

    /// What the adapter makes of the delivery.
    async fn verify(
        &self,
        integration: &Integration,
        webhook: &WebhookRequest,
    ) -> Result<(Vec<AdapterEvent>, Option<AdapterResponse>), Refused> {
        let receipt = self.parts.plugins.receive(integration, webhook).await.map_err(|refusal| match refusal {
            Refusal::Unauthorized(why) => Refused::Unauthorized(why),
            Refusal::Malformed(why) | Refusal::Unsupported(why) => Refused::Malformed(why),
            Refusal::Unavailable(why) => Refused::Unavailable(why),
            Refusal::Broken(failure) => Refused::Internal(format!("adapter `{}`: {failure}", integration.adapter.name)),
        })?;
        match receipt.events.len() {
            0..=limits::EVENTS_PER_DELIVERY_MAX => Ok((receipt.events, receipt.respond)),
            count => {
                let most = limits::EVENTS_PER_DELIVERY_MAX;
                Err(Refused::Malformed(format!("the delivery holds {count} events, more than {most}")))
            }
        }
    }

    /// The workflow that the URL names, if this integration may start it here.
    fn one(&self, which: &IdOrName, integration: &Integration, environment: &Name) -> Result<Arc<Published>, Refused> {
        let directory = &self.parts.directory;
        let lent = || match which {
            IdOrName::Id(id) => directory.lent(&integration.workspace, *id, environment),
            IdOrName::Name(_) => None,
        };
        let published = directory.published(&integration.workspace, which, environment).or_else(lent);
        let published = published.ok_or_else(|| {
            Refused::Unknown(format!("workflow `{}` is unknown or not published in `{environment}`", shown(which)))
        })?;
        if matching::subscribes(&published, &integration.name) {
            Ok(published)
        } else {
            let workflow = &published.revision.workflow;
            Err(Refused::Unknown(format!(
                "workflow `{workflow}` has no webhook trigger for integration `{}`, or it is disabled",
                integration.name
            )))
        }
    }
}

fn shown(which: &IdOrName) -> String {
    match which {
        IdOrName::Id(id) => id.to_string(),
        IdOrName::Name(name) => name.to_string(),
    }
}
