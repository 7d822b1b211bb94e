//! The server: joins engine, store, host and triggers, keeps what people put in, and answers the management API.
//!
//! Floor 2. `wire` alone names concrete types; everything else here knows only the seams of the model.

pub mod config;
pub mod wire;

pub mod api;
pub mod catalog;
pub mod dialects;
pub mod inspector;
pub mod letters;
pub mod preview;
pub mod readiness;
pub mod reruns;

pub mod backup;
pub mod folder;
pub mod operator;
pub mod retention;
pub mod sharing;
pub mod shipped;
pub mod signing_keys;
pub mod tallies;
pub mod tokens;
pub mod vault;

pub mod arriving;
mod connections;
pub mod envelope;
pub mod listener;
pub mod observe;
pub mod time;

use camshaft_model::seams::Clock;

pub use camshaft_model::limits::COMPONENT_BYTES_MAX;
pub use config::Config;
pub use wire::serve;

/// The OpenAPI 3.1 document of the management API, as JSON text.
pub fn openapi() -> &'static str {
    api::document::text()
}

/// The next times of a schedule, as JSON: what the management API answers, from this machine's clock and without a server.
pub fn preview_of_schedule(query: &preview::PreviewQuery) -> Result<serde_json::Value, String> {
    let next = preview::preview(query, Clock::now(&time::SystemClock))?;
    Ok(serde_json::json!({"next": next}))
}

/// The JSON Schema of the workflow document.
pub fn workflow_schema() -> serde_json::Value {
    camshaft_model::language::schema()
}
