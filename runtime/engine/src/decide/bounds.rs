//! The bounds of what a step puts out.

use camshaft_model::entry::{At, Awaited, Entry};
use camshaft_model::language::template::{depth, weight};
use camshaft_model::outcome::{Failure, FailureKind, StepOutcome};
use camshaft_model::state::State;
use camshaft_model::{Value, json, limits};

use super::Action;

/// What one execution keeps is bounded in all: no row of steps that each stay within their own bound fills the memory.
pub(super) fn room_for(state: &State, bytes: usize) -> Result<(), Failure> {
    room(state.kept_bytes.saturating_add(bytes))
}

/// The same for what an open step puts out: what it holds while it is open goes.
pub(super) fn room_in_place_of(state: &State, at: At, bytes: usize) -> Result<(), Failure> {
    let held = state.open.get(&at).map_or(0, |open| open.stage.bytes());
    room((state.kept_bytes - held).saturating_add(bytes))
}

/// Bytes that an execution keeps once an action is carried out.
pub(super) fn held_by(action: &Action) -> usize {
    match action {
        Action::Call { call, .. } => weight(&call.input.value),
        Action::Record(Entry::EventEmitted { event, .. }) => weight(event),
        Action::Record(Entry::VariablesSet { values, .. }) => values.values().map(weight).sum(),
        Action::Record(Entry::LoopStarted { items, .. }) => items.iter().map(weight).sum(),
        Action::Record(Entry::WaitStarted { awaited: Awaited::Approval { ask, .. }, .. }) => ask.len(),
        Action::Record(Entry::StepEnded { outcome: StepOutcome::Succeeded(output), .. }) => weight(output),
        _ => 0,
    }
}

fn room(used: usize) -> Result<(), Failure> {
    let limit = limits::EXECUTION_BYTES_MAX;
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
