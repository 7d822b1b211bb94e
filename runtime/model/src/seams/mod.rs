//! The seams: what the floors above give each other, as traits.
//!
//! Each has a second implementer in tests. Comments say what is true after a call returned, and after a crash.

mod directory;
mod dispatch;
mod plugins;
mod post;
mod store;

use futures::future::BoxFuture;

use crate::ids::{ExecutionId, ResourceId};
use crate::time::Timestamp;

pub use directory::*;
pub use dispatch::*;
pub use plugins::*;
pub use post::*;
pub use store::*;

/// Tells the time. Only the outermost layer has a real one.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Returns once `due` is reached; at once if it is past. Dropping the future forgets it.
    fn sleep_until(&self, due: Timestamp) -> BoxFuture<'static, ()>;
}

/// Makes ids that nobody made before. Only the outermost layer draws random numbers.
pub trait Ids: Send + Sync {
    /// A fresh execution id, not smaller than those before it.
    fn execution(&self) -> ExecutionId;
    /// A fresh resource id.
    fn resource(&self) -> ResourceId;
}
