//! A task that logs lines of a kilobyte, without end unless it is told how many: it meets the bound on logging.

use camshaft_sdk::prelude::*;

/// How many lines.
#[derive(Deserialize, JsonSchema)]
pub struct Flood {
    /// Lines; without end if left out.
    #[serde(default)]
    pub lines: Option<u64>,
}

/// Logs and logs.
#[task(name = "flood-log")]
pub fn flood(input: Flood) -> Result<u64, Failure> {
    let line = "x".repeat(1024);
    let lines = input.lines.unwrap_or(u64::MAX);
    for number in 0..lines {
        log::info!("{number} {line}");
    }
    Ok(lines)
}
