//! `if`: one of two blocks.

use camshaft_model::entry::At;
use camshaft_model::language::expression::Scope;
use camshaft_model::outcome::Failure;
use camshaft_model::program::If;

use super::{Action, Moment};

impl Moment<'_> {
    pub(super) fn begin_if(&self, at: At, step: &If, scope: &dyn Scope) -> Result<Action, Failure> {
        let holds = step.condition.holds(scope, self.jq)?;
        Ok(self.enter_some(at, if holds { Some(step.then) } else { step.otherwise }))
    }
}
