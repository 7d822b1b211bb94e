//! The server: joins engine, store, host and triggers, keeps what people put in, and answers the management API.
//!
//! Floor 2. `wire` alone names concrete types; everything else here knows only the seams of the model.

pub mod config;
pub mod wire;

pub mod api;
pub mod catalog;
pub mod dialects;
pub mod inspector;
pub mod readiness;
pub mod reruns;

pub mod backup;
pub mod firings;
pub mod folder;
pub mod operator;
pub mod retention;
pub mod shipped;
pub mod tokens;
pub mod vault;

pub mod arriving;
pub mod envelope;
pub mod listener;
pub mod observe;
pub mod time;

pub use camshaft_model::limits::COMPONENT_BYTES_MAX;
pub use config::Config;
pub use wire::serve;

/// The OpenAPI 3.1 document of the management API, as JSON text.
pub fn openapi() -> &'static str {
    api::document::text()
}

/// The JSON Schema of the workflow document.
pub fn workflow_schema() -> serde_json::Value {
    camshaft_model::language::schema()
}
