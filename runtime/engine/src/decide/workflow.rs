//! `workflow`: starts an execution of another workflow.

use camshaft_model::entry::At;
use camshaft_model::language::expression::{Scope, type_of};
use camshaft_model::outcome::{Failure, FailureKind};
use camshaft_model::program::Child;
use camshaft_model::{Map, Value};

use super::{Action, Moment};

impl Moment<'_> {
    pub(super) fn begin_workflow(&self, at: At, step: &Child, scope: &dyn Scope) -> Result<Action, Failure> {
        let params = match step.with.render(scope, self.jq)? {
            params @ Value::Object(_) => params,
            Value::Null => Value::Object(Map::new()),
            other => {
                let message = format!("`with` of workflow `{}` is an object, found {}", step.workflow, type_of(&other));
                return Err(Failure::new(FailureKind::InvalidInput, message));
            }
        };
        Ok(Action::StartChild { at, workflow: step.workflow.clone(), params, waits: step.wait })
    }
}
