//! A task that gives an output of any size: it meets the bound on output, or on memory.

use camshaft_sdk::prelude::*;

/// How much.
#[derive(Deserialize, JsonSchema)]
pub struct Flood {
    /// Bytes of the output's text; 100 MB if left out.
    #[serde(default = "hundred_megabytes")]
    pub bytes: usize,
}

fn hundred_megabytes() -> usize {
    100_000_000
}

/// Gives so many letters.
#[task(name = "flood-output")]
pub fn flood(input: Flood) -> Result<String, Failure> {
    Ok("x".repeat(input.bytes))
}
