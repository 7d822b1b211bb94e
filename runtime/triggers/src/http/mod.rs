//! Triggers that come over HTTP: the three trigger URLs of an integration.
//!
//! | URL | starts | answers |
//! |---|---|---|
//! | ANY `/v1/webhooks/{integration}` | every workflow that the events are meant for | their ids |
//! | ANY `/v1/webhooks/{integration}/workflows/{workflow}` | that one | its execution's id |
//! | ANY `/v1/webhooks/{integration}/workflows/{workflow}/sync` | that one, and waits | the Exit step's answer |
//!
//! Each also with `/w/{workspace}` before it.

pub mod reply;

mod answer;
mod receive;
pub(crate) mod start;

mod event;
pub(crate) mod request;

mod body;
mod form;
mod secrets;
mod xml;

mod forwarded;
mod per_address;
mod throttle;

pub(crate) mod refused;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use camshaft_model::ids::Name;
use camshaft_model::language::expression::Jq;
use camshaft_model::limits;
use camshaft_model::places::Places;
use camshaft_model::seams::{Clock, Directory, Dispatch, Plugins, Store, Witness};

pub use forwarded::{Network, NotANetwork, client};
pub use per_address::PerAddress;
pub use receive::{Answered, deliver};
pub use request::SentRequestIds;
pub use throttle::{Room, Throttle, seconds};

use crate::deliveries::Deliveries;
use receive::{Receiver, Target};

/// What the trigger URLs work with.
#[derive(Clone)]
pub struct Parts {
    /// Finds integrations and published workflows.
    pub directory: Arc<dyn Directory>,
    /// Runs adapters.
    pub plugins: Arc<dyn Plugins>,
    /// Starts executions.
    pub dispatch: Arc<dyn Dispatch>,
    /// Evaluates those `when`s that are more than paths and comparisons.
    pub jq: Arc<dyn Jq>,
    /// Where those who evaluate take turns; shared with whatever else evaluates.
    pub places: Arc<Places>,
    /// Tells when a delivery came.
    pub clock: Arc<dyn Clock>,
    /// Knows the deliveries seen.
    pub store: Arc<dyn Store>,
    /// Executions a second; shared with whatever else starts executions.
    pub throttle: Arc<Throttle>,
    /// Hears of what a trigger could not start.
    pub witness: Arc<dyn Witness>,
    /// Counts what came and remembers what was refused.
    pub deliveries: Arc<Deliveries>,
    /// Bounds and addresses.
    pub settings: Settings,
}

/// Bounds and addresses of the trigger URLs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The workspace that names belong to where the URL has no `/w/{workspace}` before it. Ids are found in any.
    pub home: Name,
    /// Largest body, bytes.
    pub body_bytes: usize,
    /// How long a synchronous caller waits.
    pub sync_window: Duration,
    /// The server's address as the outside sees it (`https://hooks.example.com`); from the request's `Host` where none is
    /// set. Some vendors sign it.
    pub public_url: Option<String>,
    /// Peers whose `Forwarded` and `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<Network>,
}

impl Settings {
    /// The defaults of [`limits`].
    pub fn new(home: Name) -> Self {
        Self {
            home,
            body_bytes: limits::BODY_BYTES_MAX,
            sync_window: limits::SYNC_WINDOW,
            public_url: None,
            trusted_proxies: Vec::new(),
        }
    }
}

/// The trigger URLs. `x-request-id` is read from the request, and the client's address from
/// `ConnectInfo<SocketAddr>` where the server provides it.
pub fn router(parts: Parts) -> Router {
    let all = any(|state, parameters, request| receive::receive(Target::All, state, parameters, request));
    let detached = any(|state, parameters, request| receive::receive(Target::Detached, state, parameters, request));
    let waiting = any(|state, parameters, request| receive::receive(Target::Waiting, state, parameters, request));
    // A slash at the end is what people paste into vendors' forms; it means the same.
    let mut router = Router::new();
    for (path, method) in [
        ("/v1/webhooks/{integration}", all),
        ("/v1/webhooks/{integration}/workflows/{workflow}", detached),
        ("/v1/webhooks/{integration}/workflows/{workflow}/sync", waiting),
    ] {
        for workspace in ["", "/w/{workspace}"] {
            router = router
                .route(&format!("{workspace}{path}"), method.clone())
                .route(&format!("{workspace}{path}/"), method.clone());
        }
    }
    router.with_state(Arc::new(Receiver::new(parts)))
}
