//! WebAssembly: compiles components, calls them in fresh instances within a budget, and grants what operators allow.
//!
//! Nothing here knows of workflows. What a component may reach is decided by its imports and by grants alone.

mod address;
mod bindings;
mod budget;
mod cache;
mod call;
mod capability;
mod epoch;
mod expression;
mod inspect;
mod machine;
mod mask;
mod post;
mod receive;
mod registry;
mod sign;
mod state;
mod tell;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;

use camshaft_model::ids::Digest;
use camshaft_model::language::expression::Jq;
use camshaft_model::limits::Budget;
use camshaft_model::outcome::{Failure, FailureKind};
use camshaft_model::plugin::PluginRelease;
use camshaft_model::seams::{
    Integration, Permissions, Plugins, Receipt, Refusal, Sample, StoreError, TaskCall, TaskDone, WebhookRequest,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::panic::AssertUnwindSafe;
use tokio::io::DuplexStream;
use tokio::sync::Semaphore;

pub use inspect::UploadError;
pub use post::{PostRules, Poster};

use capability::kept::Kept;
use machine::Machine;
use registry::Registry;
use tell::Told;

/// How the host is set up.
pub struct HostConfig {
    /// Where compiled components are kept; none keeps them in memory only.
    pub cache_dir: Option<PathBuf>,
    /// Authenticates what is kept there.
    pub cache_key: [u8; 32],
    /// What one call may use.
    pub budget: Budget,
    /// Most instances at once.
    pub instances_max: u32,
    /// What is called in place of the network; none where it is the network.
    pub stand_in: Option<StandIn>,
}

/// What answers where a granted host is called: the other end of a connection to it, without TLS. It lets a test have a vendor.
pub type StandIn = Arc<dyn Fn(&str) -> DuplexStream + Send + Sync>;

/// Finds the bytes of components.
pub trait Components: Send + Sync {
    /// The bytes, none where there is no such component.
    fn bytes(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>>;
}

/// What the host could not do.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The engine refuses its configuration, or the machine what it asks for.
    #[error("the sandbox cannot be set up: {0}")]
    Setup(String),
    /// No component has this digest.
    #[error("component {0} is not stored")]
    Missing(Digest),
    /// The component does not compile or fit.
    #[error("component {digest} cannot be used: {why}")]
    Unusable {
        /// Which.
        digest: Digest,
        /// Why.
        why: String,
    },
    /// Its bytes cannot be read now.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs plugins. One a process: it owns the wasmtime engine.
pub struct Host {
    machine: Machine,
    registry: Registry,
    budget: Budget,
    permissions: Arc<dyn Permissions>,
    /// A place for each instance that the pool has.
    places: Semaphore,
    told: Told,
    kept: Arc<Kept>,
}

impl Host {
    /// A host with nothing compiled yet.
    pub fn new(
        config: HostConfig,
        permissions: Arc<dyn Permissions>,
        components: Arc<dyn Components>,
    ) -> Result<Arc<Self>, HostError> {
        let machine = Machine::new(&config).map_err(|error| HostError::Setup(error.to_string()))?;
        let cache = cache::Cache::new(config.cache_dir, config.cache_key, machine.engine());
        let registry =
            Registry::new(&machine, cache, components).map_err(|error| HostError::Setup(error.to_string()))?;
        Ok(Arc::new(Self {
            machine,
            registry,
            budget: config.budget,
            permissions,
            places: Semaphore::new(config.instances_max.max(1) as usize),
            told: Told::default(),
            kept: Arc::default(),
        }))
    }

    /// Checks an upload, from its size to what its `describe` says. Everything but whether its version is taken.
    pub async fn inspect(&self, bytes: Vec<u8>) -> Result<PluginRelease, UploadError> {
        inspect::inspect(self, bytes).await
    }

    /// Compiles ahead, so that the first call finds it done.
    pub async fn prepare(&self, digest: Digest) -> Result<(), HostError> {
        self.registry.get(digest).await.map(drop)
    }

    /// The evaluator of jq filters, from the expression component.
    pub fn jq(&self, expression_component: Vec<u8>) -> Result<Arc<dyn Jq>, HostError> {
        expression::evaluator(&self.machine, &self.registry, expression_component)
    }
}

impl Plugins for Host {
    fn call(&self, call: TaskCall) -> BoxFuture<'_, TaskDone> {
        AssertUnwindSafe(self.call_task(call))
            .catch_unwind()
            .map(|done| {
                done.unwrap_or_else(|_| {
                    let failure = Failure::new(FailureKind::Failed, "the host failed during this call; see the log");
                    TaskDone { result: Err(failure), usage: Default::default(), log: Vec::new() }
                })
            })
            .boxed()
    }

    fn receive<'a>(
        &'a self,
        integration: &'a Integration,
        request: &'a WebhookRequest,
    ) -> BoxFuture<'a, Result<Receipt, Refusal>> {
        unless_it_panics(self.receive_delivery(integration, request, false))
    }

    fn examine<'a>(
        &'a self,
        integration: &'a Integration,
        request: &'a WebhookRequest,
    ) -> BoxFuture<'a, Result<Receipt, Refusal>> {
        unless_it_panics(self.receive_delivery(integration, request, true))
    }

    fn sign<'a>(
        &'a self,
        integration: &'a Integration,
        sample: Sample,
    ) -> BoxFuture<'a, Result<WebhookRequest, Refusal>> {
        unless_it_panics(self.sign_sample(integration, sample))
    }
}

/// What an adapter's call comes to, whatever happens in it.
fn unless_it_panics<'a, T: 'a>(
    call: impl Future<Output = Result<T, Refusal>> + Send + 'a,
) -> BoxFuture<'a, Result<T, Refusal>> {
    let panicked = |_| Err(Refusal::Broken(Failure::new(FailureKind::Failed, "the host failed during this call")));
    AssertUnwindSafe(call).catch_unwind().map(move |called| called.unwrap_or_else(panicked)).boxed()
}

/// The BLAKE3 digest of a component's bytes.
pub fn digest(bytes: &[u8]) -> Digest {
    Digest(*blake3::hash(bytes).as_bytes())
}
