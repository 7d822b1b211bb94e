//! Write Camshaft plugins in Rust.
//!
//! A plugin is a WebAssembly component. A *task* does one piece of work, JSON in and JSON out; an *adapter* understands one
//! vendor's webhooks. This is a whole task:
//!
//! ```
//! use camshaft_sdk::prelude::*;
//!
//! /// Who is greeted.
//! #[derive(Deserialize, JsonSchema)]
//! struct Greet {
//!     name: String,
//! }
//!
//! /// The greeting.
//! #[derive(Serialize, JsonSchema)]
//! struct Greeting {
//!     text: String,
//! }
//!
//! /// Greets somebody by name.
//! #[task]
//! fn greet(_context: &Context, input: Greet) -> Result<Greeting, Failure> {
//!     Ok(Greeting { text: format!("Hello, {}!", input.name) })
//! }
//! ```
//!
//! `cargo build --target wasm32-wasip2` makes the component. Natively the same crate is an ordinary library, so its tests are
//! ordinary tests; [`testing`] stands in for the host.
//!
//! What a plugin reaches decides what it is: one that never calls [`http`] has no import that reaches the outside. The runtime
//! reads that off the component and calls it *silent*, which lets it run such a step without waiting for the disk.

pub mod adapter;
pub mod task;

pub mod clock;
pub mod http;
pub mod log;
pub mod random;
pub mod secrets;
pub mod verify;

#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

#[cfg(target_arch = "wasm32")]
mod allocator;
mod bindings;
mod export;
mod host;
mod json;

pub use adapter::Adapter;
pub use camshaft_sdk_macros::{adapter, task};
pub use task::{Context, Failure, FailureKind, Task};

/// Everything that a plugin usually names.
pub mod prelude {
    pub use crate::adapter::{
        Adapter, Description, Event, EventType, Integration, Receipt, Rejection, Request, Response, Sample, Secret,
    };
    pub use crate::task::{Context, Failure, FailureKind};
    pub use crate::{adapter, clock, http, log, random, secrets, task, verify};
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
    pub use serde_json::{Value, json};
}

/// For the code that the attributes write; not for people.
#[doc(hidden)]
pub mod private {
    pub use crate::bindings::{adapter as adapter_world, signer as signer_world, task as task_world};
    pub use crate::export::{AdapterExport, TaskExport, file_example, inline_example};
    pub use serde_json::json;
}

/// The README's plugin is compiled with the documentation's tests.
#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
