//! The server: joins engine, store, host and triggers, keeps what people put in, and answers the management API.
//!
//! Floor 2. `wire` alone names concrete types; everything else here knows only the seams of the model.

pub mod config;
pub mod folder;
pub mod time;
pub mod tokens;
pub mod vault;
