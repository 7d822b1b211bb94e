//! ToolJet's webhooks: <https://docs.tooljet.com/docs/workflows/trigger/webhook>.
//!
//! | call, below `/api/v2/webhooks/workflows/{workflow}` | answer |
//! |---|---|
//! | POST `/trigger?environment=&version=` | waits: the Exit step's status, headers and body |
//! | POST `/trigger-async?environment=&version=` | 201 with the execution's id, at once |
//! | GET `/status/{execution}` | where it stands, node by node |
//! | GET `/execution/{execution}/stream` | the same as server-sent events |
//! | PATCH, the workflow itself, `{isEnable}` | switches its `request` trigger |
//!
//! What is wrong is told in the order in which `call` looks.

mod call;
mod execution;
mod refused;
mod switch;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::routing::{get, patch, post};
use camshaft_triggers::http::{Network, PerAddress, client};

use super::{bearer, place, who_may};
use crate::api::problem::{Fault, Problem};
use crate::api::{App, Instance};
use crate::catalog::specs::{Kept, WorkflowSpec};
use crate::tokens::{Caller, Right};
use refused::Refused;

/// What this dialect works with, beside the rest.
pub struct ToolJet {
    /// Requests that each client address may make.
    pub throttle: PerAddress,
    /// Proxies that are believed about the client's address.
    pub trusted_proxies: Vec<Network>,
}

struct Door {
    instance: Arc<Instance>,
    own: ToolJet,
}

/// A caller that has named a workflow and may do something with it.
struct Called {
    app: App,
    caller: Caller,
    workflow: Arc<Kept<WorkflowSpec>>,
}

/// The routes.
pub(super) fn router(instance: Arc<Instance>, own: ToolJet) -> Router {
    let under = |rest: &str| format!("/api/v2/webhooks/workflows/{{workflow}}{rest}");
    Router::new()
        .route(&under(""), patch(switch::switch))
        .route(&under("/trigger"), post(call::trigger))
        .route(&under("/trigger-async"), post(call::trigger_async))
        .route(&under("/status/{execution}"), get(execution::status))
        .route(&under("/execution/{execution}/stream"), get(execution::stream))
        .method_not_allowed_fallback(wrong_method)
        .with_state(Arc::new(Door { instance, own }))
}

async fn wrong_method() -> Refused {
    Problem::new(Fault::MethodNotAllowed, "This method is not allowed here").into()
}

impl Door {
    /// Lets a request in: rate, workflow, token.
    fn enter(&self, which: &str, right: Right, head: &Parts) -> Result<Called, Refused> {
        let peer = head.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let address = client(&head.headers, peer, &self.own.trusted_proxies);
        self.own.throttle.take(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))).map_err(Refused::throttled)?;
        let mut caller = bearer(&self.instance, &head.headers);
        let app = place(&self.instance, caller.as_mut(), which);
        let workflow = app.workflow(which).map_err(|_| Refused::unknown_workflow())?;
        let caller = who_may(caller, right, workflow.id).ok_or_else(Refused::unauthorized)?;
        Ok(Called { app, caller, workflow })
    }
}
