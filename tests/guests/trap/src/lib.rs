//! A task that panics or aborts.

use camshaft_sdk::prelude::*;

/// How to end.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// With a panic, whose message the SDK logs.
    Panic,
    /// With no word.
    Abort,
}

/// Ends badly.
#[task(name = "trap")]
pub fn trap(input: How) -> Result<(), Failure> {
    match input {
        How::Panic => panic!("this is on purpose"),
        How::Abort => std::process::abort(),
    }
}
