//! `switch`: the block of the case that equals the value.

use camshaft_model::entry::At;
use camshaft_model::language::expression::Scope;
use camshaft_model::outcome::Failure;
use camshaft_model::program::Switch;

use super::{Action, Moment, text_of};

impl Moment<'_> {
    pub(super) fn begin_switch(&self, at: At, step: &Switch, scope: &dyn Scope) -> Result<Action, Failure> {
        let text = text_of(step.value.evaluate(scope, self.jq)?);
        let case = step.cases.iter().find(|(case, _)| *case == text).map(|(_, block)| *block);
        Ok(self.enter_some(at, case.or(step.default)))
    }
}
