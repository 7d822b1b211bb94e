//! `try`: a block, what to do when it fails, and what to do in any case.

use std::sync::Arc;

use camshaft_model::entry::{At, Part};
use camshaft_model::json;
use camshaft_model::program::Try;
use camshaft_model::state::{Leaving, Passed, TryPart, Trying};

use super::{Action, Moment};

impl Moment<'_> {
    /// `catch` follows a failure of the body, `finally` whatever there was; behind it, what was before it counts.
    pub(super) fn try_over(&self, at: At, step: &Try, trying: &Trying, passed: Passed) -> Action {
        if let (TryPart::Body, Some(block), Passed::Left(Leaving::Failed { origin, attempt, failure })) =
            (trying.part, step.catch, &passed)
        {
            let error = json!({
                "step": self.program.step(origin.1).path,
                "kind": failure.kind.as_str(),
                "message": failure.message,
                "attempt": attempt,
            });
            return self.enter_part(at, block, Part::Catch(Arc::new(error)));
        }
        match (trying.part, step.finally) {
            (TryPart::Finally, _) => match (passed, &trying.pending) {
                (Passed::Ended(_), Some(pending)) => self.end_as(at, pending.clone()),
                (passed, _) => self.end_as(at, passed),
            },
            (_, Some(block)) => self.enter_part(at, block, Part::Finally),
            (_, None) => self.end_as(at, passed),
        }
    }
}
