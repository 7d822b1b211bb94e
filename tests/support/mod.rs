//! What the tests of the whole need: a real server process, and a service outside that remembers who called.

pub mod recorder;
pub mod server;
