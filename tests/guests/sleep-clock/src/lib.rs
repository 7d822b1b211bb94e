//! A task that waits inside a call of the host, where neither epochs nor fuel reach: it meets the bound on wall-clock time.

use camshaft_sdk::prelude::*;
use std::time::Duration;

/// How long.
#[derive(Deserialize, JsonSchema)]
pub struct Sleep {
    /// Milliseconds.
    pub ms: u64,
}

/// Waits.
#[task(name = "sleep-clock")]
pub fn sleep(input: Sleep) -> Result<u64, Failure> {
    clock::sleep(Duration::from_millis(input.ms));
    Ok(input.ms)
}
