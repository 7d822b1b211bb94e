//! The bounds of what a step puts out.

use camshaft_model::language::template::depth;
use camshaft_model::outcome::{Failure, FailureKind};
use camshaft_model::state::State;
use camshaft_model::{Value, json, limits};

/// What one execution keeps is bounded in all: no row of steps that each stay within their own bound fills the memory.
pub(super) fn room_for(state: &State, bytes: usize) -> Result<(), Failure> {
    let (used, limit) = (state.kept_bytes.saturating_add(bytes), limits::EXECUTION_BYTES_MAX);
    if used <= limit {
        return Ok(());
    }
    let message = format!(
        "the execution would keep {used} bytes of outputs, variables and events; {limit} is the limit; put out less of each step"
    );
    let details = json!({"bound": "kept", "limit": limit, "used": used, "unit": "bytes"});
    Err(Failure { details: Some(details), ..Failure::new(FailureKind::Budget, message) })
}

/// What a step puts together is held to the bound of what a plugin may put out.
pub(super) fn within_bounds(output: &Value) -> Result<(), Failure> {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (depth, limit) = (depth(output), limits::VALUE_DEPTH_MAX);
    if depth > limit {
        let message = format!("the step's output is nested {depth} levels deep; {limit} is the limit");
        return Err(Failure::new(FailureKind::Budget, message));
    }
    let mut count = Count(0);
    // Counting cannot fail, and values have only text for keys.
    let _ = serde_json::to_writer(&mut count, output);
    let (used, limit) = (count.0, limits::OUTPUT_BYTES_MAX);
    if used <= limit {
        return Ok(());
    }
    let message =
        format!("the step's output has {used} bytes of JSON; {limit} is the limit; `collect` less of each turn");
    Err(Failure::new(FailureKind::Budget, message))
}
