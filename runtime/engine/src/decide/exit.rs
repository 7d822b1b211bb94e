//! `exit`: ends the execution; its keys are the outputs, and what a synchronous caller sees.

use std::sync::Arc;

use camshaft_model::entry::{At, Entry, FrameId};
use camshaft_model::language::expression::Scope;
use camshaft_model::outcome::{Ending, Exit, Failure, FailureKind, Outcome};
use camshaft_model::program::{ExitStep, Step};
use camshaft_model::{Map, Value};

use super::{Action, Moment};

impl Moment<'_> {
    pub(super) fn begin_exit(
        &self,
        at: At,
        step: &Step,
        exit: &ExitStep,
        scope: &dyn Scope,
    ) -> Result<Action, Failure> {
        let mut outputs = exit
            .outputs
            .iter()
            .map(|(name, template)| Ok((name.clone(), template.render(scope, self.jq)?)))
            .collect::<Result<Map<_, _>, Failure>>()?;
        let answer = Exit::from_outputs(&outputs)
            .map_err(|why| Failure::new(FailureKind::Failed, format!("{why} (line {})", step.line)))?;
        outputs.shift_remove("status");
        outputs.shift_remove("headers");
        let failure =
            exit.failed.then(|| Failure::new(FailureKind::Failed, format!("`{}` exits with run: failed", step.path)));
        let outcome = Outcome {
            ending: if exit.failed { Ending::Failed } else { Ending::Succeeded },
            output: Arc::new(Value::Object(outputs)),
            exit: Some(answer),
            failure,
            step: Some(step.path.clone()),
        };
        let (time, outcome) = (self.now, Arc::new(outcome));
        // Inside a block, what is around it is left first: a `finally` may have something to do.
        Ok(Action::Record(match at.0 {
            FrameId::ROOT => Entry::Ended { time, outcome },
            _ => Entry::ExitReached { time, at, outcome },
        }))
    }
}
