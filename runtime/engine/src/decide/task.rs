//! `task`: calls a plugin with the rendered input.

use std::sync::Arc;

use camshaft_model::entry::{At, Entry};
use camshaft_model::language::expression::Scope;
use camshaft_model::language::template::{Input, weight};
use camshaft_model::outcome::Failure;
use camshaft_model::program::{Step, StepKind, Task};

use super::bounds::room_for;
use super::{Action, Call, Moment, remaining};

impl Moment<'_> {
    pub(super) fn begin_task(&self, at: At, step: &Step, task: &Task, scope: &dyn Scope) -> Result<Action, Failure> {
        let input = Arc::new(task.with.render_input(scope, self.jq)?);
        room_for(self.state, weight(&input.value))?;
        Ok(self.attempt(at, step, 1, input))
    }

    /// One attempt. A further one gets the input of the first: what the step saw when it began.
    pub(super) fn attempt(&self, at: At, step: &Step, attempt: u32, input: Arc<Input>) -> Action {
        let StepKind::Task(task) = &step.kind else {
            unreachable!("only a task has attempts; `apply` opens them for no other kind");
        };
        let timeout = remaining(self.program, self.state, step, self.now);
        Action::Call {
            entry: Some(Entry::AttemptStarted { time: self.now, at, attempt, input: input.clone() }),
            call: Call { at, attempt, plugin: task.plugin.clone(), input, timeout },
        }
    }
}
