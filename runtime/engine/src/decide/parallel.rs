//! `parallel`: several blocks at once; all of them, or the first that succeeds.

use std::sync::Arc;

use camshaft_model::entry::{At, Entry, FrameId, Part};
use camshaft_model::outcome::{AttemptOutcome, StepOutcome};
use camshaft_model::program::{Join, Parallel};
use camshaft_model::state::{Forked, Leaving, Passed};
use camshaft_model::{Map, Value};

use super::bounds::within_bounds;
use super::{Action, Moment};

impl Moment<'_> {
    pub(super) fn begin_parallel(&self, at: At, step: &Parallel) -> Action {
        match step.branches.first() {
            Some((_, block)) => self.enter_part(at, *block, Part::Branch(0)),
            None => self.step_ended(at, StepOutcome::Succeeded(Arc::new(Value::Object(Map::new())))),
        }
    }

    pub(super) fn more_branches(&self, at: At, step: &Parallel, forked: &Forked, actions: &mut Vec<Action>) {
        let named = || step.branches.iter().map(|(name, _)| name).zip(&forked.branches);
        let first = named().find_map(|(name, branch)| match branch {
            Some(Ok(output)) => Some((name.clone(), (**output).clone())),
            _ => None,
        });
        if step.join == Join::Any
            && let Some(winner) = first
        {
            let output = Arc::new(Value::Object(Map::from_iter([winner])));
            actions.push(self.step_ended(at, StepOutcome::Succeeded(output)));
            return;
        }
        let begun = forked.branches.len();
        if begun < step.branches.len() {
            let rest = step.branches.iter().enumerate().skip(begun);
            actions.extend(rest.map(|(index, (_, block))| self.enter_part(at, *block, Part::Branch(index as u32))));
            return;
        }
        if !forked.frames.is_empty() {
            return;
        }
        let last = forked.branches.iter().rev().find_map(|branch| branch.as_ref()?.as_ref().err());
        if let Some(leaving) = last {
            actions.push(self.end_as(at, Passed::Left(leaving.clone())));
            return;
        }
        let outputs = named().map(|(name, branch)| {
            let output = branch.as_ref().and_then(|branch| branch.as_ref().ok());
            (name.clone(), output.map(|output| (**output).clone()).unwrap_or_default())
        });
        let output = Value::Object(outputs.collect());
        actions.push(match within_bounds(&output) {
            Ok(()) => self.step_ended(at, StepOutcome::Succeeded(Arc::new(output))),
            Err(failure) => self.fail(at, failure),
        });
    }

    pub(super) fn branch_over(&self, at: At, frame: FrameId, step: &Parallel, passed: Passed) -> Action {
        let outcome = match (passed, step.join) {
            (Passed::Ended(output), _) => AttemptOutcome::Succeeded(output),
            (Passed::Left(Leaving::Failed { failure, .. }), Join::Any) => AttemptOutcome::Failed(failure),
            (passed, _) => return self.end_as(at, passed),
        };
        Action::Record(Entry::Left { time: self.now, at, frame, outcome, done: false, next_at: None })
    }
}
