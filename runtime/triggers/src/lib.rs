//! Triggers: the outside in. A webhook comes, its integration's adapter says which events it holds, and the workflows
//! that those events are meant for start. Or the time comes, and [`schedule`] starts them.
//!
//! ```text
//!   request ─► http/receive   the whole of it, step by step
//!           ─► http/request   limits; the body's bytes exactly as they came
//!           ─► Plugins        the adapter: verify, answer a handshake, or name the events
//!           ─► http/event     `$.event`: parsed body, canonical headers, no secrets
//!           ─► matching       which published workflows subscribe, and whose `when` holds
//!           ─► dedupe         came before? then the first answer again
//!           ─► http/throttle  executions a second
//!           ─► http/start     to Dispatch: durable, or waited for
//!           ─► http/reply     ids, or the Exit step's status, headers and body
//! ```
//! [`cloudevents`] does the same for events that name themselves.
//!
//! Floor 1. This crate knows the seams of the model and nothing of who is behind them.

pub mod http;
pub mod schedule;

pub mod cloudevents;
mod dedupe;

pub mod deliveries;
pub mod doctor;
