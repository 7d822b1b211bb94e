//! `switch`: the block of the case that equals the value.

use camshaft_model::Value;
use camshaft_model::entry::At;
use camshaft_model::language::expression::Scope;
use camshaft_model::outcome::Failure;
use camshaft_model::program::Switch;

use super::{Action, Moment};

impl Moment<'_> {
    pub(super) fn begin_switch(&self, at: At, step: &Switch, scope: &dyn Scope) -> Result<Action, Failure> {
        let text = match step.value.evaluate(scope, self.jq)? {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let case = step.cases.iter().find(|(case, _)| *case == text).map(|(_, block)| *block);
        Ok(self.enter(at, case.or(step.default)))
    }
}
