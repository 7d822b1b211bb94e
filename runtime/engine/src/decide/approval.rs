//! `approval`: waits for a person's yes.

use camshaft_model::entry::{At, Awaited};
use camshaft_model::language::expression::Scope;
use camshaft_model::outcome::Failure;
use camshaft_model::program::Approval;

use super::bounds::room_for;
use super::{Action, Moment, text_of};

impl Moment<'_> {
    pub(super) fn begin_approval(&self, at: At, step: &Approval, scope: &dyn Scope) -> Result<Action, Failure> {
        let ask = text_of(step.ask.render(scope, self.jq)?);
        room_for(self.state, ask.len())?;
        let until = step.timeout.map(|timeout| self.now.plus(timeout));
        Ok(self.wait_for(at, Awaited::Approval { ask, of: step.of.clone() }, until))
    }
}
