//! Components, ready to be instantiated: each compiled once, however many ask for it at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use camshaft_model::ids::Digest;
use tokio::sync::{OnceCell, Semaphore};
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Engine, Result};

use crate::bindings::adapter::exports::camshaft::plugin::{adapter, signer};
use crate::bindings::task::TaskPluginPre;
use crate::cache::Cache;
use crate::machine::Machine;
use crate::state::CallState;
use crate::{Components, HostError, capability};

/// A component with its imports resolved.
#[derive(Clone)]
pub(crate) enum Prepared {
    Task(TaskPluginPre<CallState>),
    Adapter(Adapter),
}

/// An adapter with its imports resolved, and where its exports are.
#[derive(Clone)]
pub(crate) struct Adapter {
    pub(crate) pre: InstancePre<CallState>,
    pub(crate) adapter: adapter::GuestIndices,
    /// None where it cannot sign.
    pub(crate) signer: Option<signer::GuestIndices>,
}

/// All that were asked for.
pub(crate) struct Registry {
    prepared: Mutex<HashMap<Digest, Arc<OnceCell<Prepared>>>>,
    compiler: Arc<Compiler>,
    components: Arc<dyn Components>,
    /// One compilation a core.
    compiling: Semaphore,
}

/// What compiling needs; it runs on a thread of its own.
pub(crate) struct Compiler {
    pub(crate) engine: Engine,
    pub(crate) cache: Cache,
    pub(crate) linker: Linker<CallState>,
}

/// Exports that make a component a plugin.
pub(crate) const TASK: &str = "camshaft:plugin/task@1.";
/// See [`TASK`].
pub(crate) const ADAPTER: &str = "camshaft:plugin/adapter@1.";
/// What an adapter exports besides where it can sign.
const SIGNER: &str = "camshaft:plugin/signer@1.";

impl Compiler {
    /// Compiles or loads, and resolves imports.
    pub(crate) fn prepare(&self, digest: Digest, bytes: &[u8]) -> Result<Prepared> {
        let component = self.cache.component(digest, bytes)?;
        self.resolve(&component)
    }

    pub(crate) fn resolve(&self, component: &Component) -> Result<Prepared> {
        let exports =
            |what: &str| component.component_type().exports(&self.engine).any(|(name, _)| name.starts_with(what));
        let pre = self.linker.instantiate_pre(component)?;
        Ok(if exports(ADAPTER) {
            let signer = exports(SIGNER).then(|| signer::GuestIndices::new(&pre)).transpose()?;
            Prepared::Adapter(Adapter { adapter: adapter::GuestIndices::new(&pre)?, signer, pre })
        } else {
            Prepared::Task(TaskPluginPre::new(pre)?)
        })
    }
}

impl Registry {
    pub(crate) fn new(machine: &Machine, cache: Cache, components: Arc<dyn Components>) -> Result<Self> {
        let engine = machine.engine().clone();
        let linker = capability::linker(&engine)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            prepared: Mutex::default(),
            compiler: Arc::new(Compiler { engine, cache, linker }),
            components,
            compiling: Semaphore::new(cores),
        })
    }

    /// The component, compiled if this is the first to ask.
    pub(crate) async fn get(&self, digest: Digest) -> Result<Prepared, HostError> {
        let cell = self.prepared.lock().unwrap_or_else(PoisonError::into_inner).entry(digest).or_default().clone();
        if let Some(prepared) = cell.get() {
            return Ok(prepared.clone());
        }
        cell.get_or_try_init(|| async {
            let bytes = self.components.bytes(digest).await?.ok_or(HostError::Missing(digest))?;
            self.blocking(move |compiler| compiler.prepare(digest, &bytes))
                .await
                .map_err(|error| HostError::Unusable { digest, why: format!("{error:#}") })
        })
        .await
        .cloned()
    }

    /// Keeps what an upload has compiled already.
    pub(crate) fn keep(&self, digest: Digest, prepared: Prepared) {
        let mut all = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        // Another may be at it; theirs is as good.
        let _ = all.entry(digest).or_default().set(prepared);
    }

    /// Compiles on a thread that may be busy for long, one a core.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Compiler) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _turn = self.compiling.acquire().await?;
        let compiler = self.compiler.clone();
        tokio::task::spawn_blocking(move || work(&compiler)).await?
    }

    pub(crate) fn compiler(&self) -> &Compiler {
        &self.compiler
    }
}
