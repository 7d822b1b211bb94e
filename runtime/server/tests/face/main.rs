//! The server's HTTP face, with the real engine, catalog and stores behind it, and plugins that are plain Rust.

mod bench;

mod workflows;
mod publishing;
mod triggering;
mod plugins;
mod integrations;
mod secrets;
mod tokens;
mod executions;
mod routes;
mod restart;
mod listening;
