//! What the management API asks of the host: look at a component, and compile one ahead.

use bytes::Bytes;
use camshaft_model::ids::Digest;
use camshaft_model::plugin::PluginRelease;
use futures::future::BoxFuture;

/// Why a component was not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unfit {
    /// A check of the upload failed.
    #[error("{message}")]
    Refused {
        /// Which: `size`, `component`, `world`, `imports`, `describe`
        check: String,
        /// Why, with the value.
        message: String,
    },
    /// The host cannot look at it now.
    #[error("{0}")]
    Unavailable(String),
}

/// Looks at components.
pub trait Inspector: Send + Sync {
    /// Every check of an upload but whether its version is taken; runs its `describe`.
    fn inspect(&self, bytes: Bytes) -> BoxFuture<'_, Result<PluginRelease, Unfit>>;
    /// Compiles a stored component, so that its first call does not wait.
    fn prepare(&self, digest: Digest) -> BoxFuture<'_, Result<(), String>>;
}
