//! What the tests of the whole need: a real server process, and services outside that remember who called and what they were told.

pub mod receiver;
pub mod recorder;
pub mod server;
