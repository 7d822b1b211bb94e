//! The server's HTTP face, with the real engine, catalog and stores behind it, and plugins that are plain Rust.

mod bench;

mod backups;
mod connections;
mod dialects;
mod environments;
mod events;
mod executions;
mod integrations;
mod isolation;
mod listening;
mod paragon;
mod plugins;
mod publishing;
mod reading;
mod reruns;
mod restart;
mod routes;
mod schedules;
mod secrets;
mod shares;
mod streaming;
mod subscriptions;
mod telling;
mod tokens;
mod triggering;
mod triggers;
mod workflows;
mod workspaces;
