//! `for_each`: a block for each item, some at a time; the outputs keep the order of the items.

use std::sync::Arc;

use camshaft_model::entry::{At, Entry, FrameId, Part};
use camshaft_model::language::expression::{Scope, type_of};
use camshaft_model::language::template::{size, weight, within_depth};
use camshaft_model::outcome::{AttemptOutcome, Failure, FailureKind, StepOutcome};
use camshaft_model::program::ForEach;
use camshaft_model::state::{Looping, Passed, Stage};
use camshaft_model::{Value, limits};

use super::bounds::{room_for, within_bounds};
use super::{Action, Moment};

impl Moment<'_> {
    pub(super) fn begin_for_each(&self, at: At, step: &ForEach, scope: &dyn Scope) -> Result<Action, Failure> {
        let items = match step.items.evaluate(scope, self.jq)? {
            Value::Array(items) => items,
            other => {
                let message =
                    format!("`for_each: {}` goes over an array, found {}", step.items.source, type_of(&other));
                return Err(Failure::new(FailureKind::Expression, message));
            }
        };
        if items.len() > limits::ITEMS_MAX {
            let (found, limit) = (items.len(), limits::ITEMS_MAX);
            let message = format!("`for_each: {}` has {found} items; {limit} is the limit", step.items.source);
            return Err(Failure::new(FailureKind::Budget, message));
        }
        items.iter().try_for_each(|item| within_depth(item, limits::VALUE_DEPTH_MAX))?;
        room_for(self.state, items.iter().map(weight).sum())?;
        Ok(Action::Record(Entry::LoopStarted { time: self.now, at, items: Arc::new(items) }))
    }

    /// Begins as many turns as may run, or ends the step behind the last one.
    pub(super) fn more_turns(&self, at: At, step: &ForEach, looping: &Looping, actions: &mut Vec<Action>) {
        let items = looping.items.len() as u32;
        if looping.begun == items && looping.frames.is_empty() {
            let outputs = looping.outputs.iter().map(|output| output.as_deref().cloned().unwrap_or_default());
            let output = Value::Array(outputs.collect());
            actions.push(match within_bounds(&output) {
                Ok(()) => self.step_ended(at, StepOutcome::Succeeded(Arc::new(output))),
                Err(failure) => self.fail(at, failure),
            });
            return;
        }
        let free = step.concurrency.saturating_sub(looping.frames.len() as u32);
        let upto = items.min(looping.begun.saturating_add(free));
        actions.extend((looping.begun..upto).map(|index| self.enter_part(at, step.body, Part::Turn(index))));
    }

    pub(super) fn turn_over(&self, at: At, frame: FrameId, step: &ForEach, passed: Passed) -> Action {
        let Passed::Ended(last) = passed else { return self.end_as(at, passed) };
        let collected = match &step.collect {
            Some(collect) => collect.evaluate(&self.state.scope(frame), self.jq).map(Arc::new),
            None => Ok(last),
        };
        // Not only behind the last turn: until then all of them are in memory, and in the journal.
        let collected = collected.and_then(|output| {
            within_depth(&output, limits::VALUE_DEPTH_MAX - 1)?;
            room_for(self.state, weight(&output)).map(|()| output)
        });
        let kept = match self.state.open.get(&at).map(|open| &open.stage) {
            Some(Stage::Looping(looping)) => looping.bytes,
            _ => 0,
        };
        match collected {
            Ok(output) if kept.saturating_add(size(&output)) > limits::OUTPUT_BYTES_MAX => {
                let limit = limits::OUTPUT_BYTES_MAX;
                let message = format!(
                    "the turns have put out more than {limit} bytes, which is the limit; `collect` less of each"
                );
                self.fail(at, Failure::new(FailureKind::Budget, message))
            }
            Ok(output) => {
                let outcome = AttemptOutcome::Succeeded(output);
                Action::Record(Entry::Left { time: self.now, at, frame, outcome, done: false, next_at: None })
            }
            Err(failure) => self.fail(at, failure),
        }
    }
}
