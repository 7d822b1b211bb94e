//! `repeat`: a block again and again, until something holds.

use camshaft_model::entry::{At, Entry, FrameId, Part};
use camshaft_model::outcome::{AttemptOutcome, Failure, FailureKind, StepOutcome};
use camshaft_model::program::Repeat;
use camshaft_model::state::{Passed, Repeating};

use super::{Action, Moment};

impl Moment<'_> {
    pub(super) fn round_over(
        &self,
        at: At,
        frame: FrameId,
        step: &Repeat,
        repeating: &Repeating,
        passed: Passed,
    ) -> Action {
        let Passed::Ended(last) = passed else { return self.end_as(at, passed) };
        let turns = repeating.ended + 1;
        let done = match &step.until {
            Some(until) => match until.holds(&self.state.scope(frame), self.jq) {
                Ok(holds) => holds,
                Err(failure) => return self.fail(at, failure),
            },
            None => turns >= step.at_most,
        };
        let pause = step.every.filter(|_| !done && turns < step.at_most);
        let next_at = pause.map(|pause| self.now.plus(pause));
        let outcome = AttemptOutcome::Succeeded(last);
        Action::Record(Entry::Left { time: self.now, at, frame, outcome, done, next_at })
    }

    /// The next turn, or the step's end; nothing during a turn or a pause.
    pub(super) fn next_round(&self, at: At, step: &Repeat, repeating: &Repeating) -> Option<Action> {
        if repeating.frame.is_some() {
            return None;
        }
        if repeating.done {
            return Some(self.step_ended(at, StepOutcome::Succeeded(repeating.last.clone())));
        }
        if repeating.ended >= step.at_most {
            let until = step.until.as_ref().map(|until| until.source.as_str()).unwrap_or_default();
            let message = format!("after {} turns `until: {until}` does not hold", repeating.ended);
            return Some(self.fail(at, Failure::new(FailureKind::Failed, message)));
        }
        let is_due = repeating.next_at.is_none_or(|due| self.now >= due);
        is_due.then(|| self.enter_part(at, step.body, Part::Turn(repeating.ended)))
    }
}
