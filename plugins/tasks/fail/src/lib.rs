//! The task `fail`: fails on purpose, for tests, demonstrations and branches that must not be reached.

use camshaft_sdk::prelude::*;
use std::time::Duration;

/// How to fail.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fail {
    /// The failure's message.
    #[serde(default = "message")]
    pub message: String,
    /// The failure's kind.
    #[serde(default)]
    pub kind: Kind,
    /// With `unavailable`: not before this many milliseconds.
    #[serde(default)]
    pub retry_after: Option<u64>,
    /// The failure's details.
    #[serde(default)]
    pub details: Option<Value>,
}

/// Kinds of failure that a task can have.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Fails, and would fail again.
    #[default]
    Failed,
    /// Fails for its input.
    InvalidInput,
    /// Fails for now: the engine may try again.
    Unavailable,
}

fn message() -> String {
    "failed on purpose".to_owned()
}

/// Fails on purpose, with the message and kind that it is given.
#[task(example("a failure", input = { "message": "the order is closed", "kind": "failed" }))]
pub fn fail(input: Fail) -> Result<(), Failure> {
    let failure = match input.kind {
        Kind::Failed => Failure::failed(input.message),
        Kind::InvalidInput => Failure::invalid_input(input.message),
        Kind::Unavailable => {
            let failure = Failure::unavailable(input.message);
            input.retry_after.map(Duration::from_millis).into_iter().fold(failure, Failure::retry_after)
        }
    };
    Err(Failure { details: input.details, ..failure })
}

#[cfg(test)]
mod tests {
    #[test]
    fn golden_cases_hold() {
        camshaft_sdk::testing::task_cases::<super::fail>("cases");
    }
}
