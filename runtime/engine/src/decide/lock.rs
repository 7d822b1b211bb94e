//! `lock`: stands in line; the block is entered once the lock is taken.

use camshaft_model::entry::{At, Awaited};
use camshaft_model::language::expression::Scope;
use camshaft_model::outcome::{Failure, FailureKind};
use camshaft_model::program::Lock;
use camshaft_model::state::Stage;

use super::{Action, Moment, one_line, text_of};

impl Moment<'_> {
    pub(super) fn begin_lock(&self, at: At, step: &Lock, scope: &dyn Scope) -> Result<Action, Failure> {
        let key = text_of(step.key.render(scope, self.jq)?);
        one_line("the key of a lock", &key)?;
        if let Some(holder) = self.holder_around(at, &key) {
            let message =
                format!("the lock `{key}` is held by `{holder}` around this step, which would wait for itself");
            return Err(Failure::new(FailureKind::Failed, message));
        }
        let until = step.timeout.map(|timeout| self.now.plus(timeout));
        Ok(self.wait_for(at, Awaited::Lock { key }, until))
    }

    /// The path of the step around this one that holds a lock.
    fn holder_around(&self, at: At, wanted: &str) -> Option<&str> {
        let owner = |at: &At| self.state.frames.get(&at.0)?.owner;
        let holds = |at: &At| match self.state.open.get(at).map(|open| &open.stage) {
            Some(Stage::Locked { key, .. }) => key == wanted,
            _ => false,
        };
        let holder = std::iter::successors(owner(&at), owner).find(holds)?;
        Some(&self.program.step(holder.1).path)
    }
}
