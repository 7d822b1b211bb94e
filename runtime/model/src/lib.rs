//! The words and rules of Camshaft: what a workflow, an event, an execution and its journal are.
//!
//! Floor 0. Nothing here does I/O, reads a clock or draws a random number; no other crate of ours is known here.

pub mod ids;
pub mod time;

pub mod language;
pub mod program;
pub mod schedule;
pub mod workflow;

pub mod connection;
pub mod entry;
pub mod event;
pub mod invocation;
pub mod matching;
pub mod outcome;
pub mod state;
pub mod summary;

pub mod lately;
pub mod limits;
pub mod places;
pub mod plugin;
pub mod resource;
pub mod seams;

pub use serde_json::{Map, Value, json};
