//! What happens next, as a pure function: no I/O, no clock, no chance.
//!
//! Each open frame stands at one step. `decide` looks at every frame whose step is not under way and says what to do
//! with it; the caller applies that and asks again, until there is nothing left to do without the world's help.

mod exit;
mod r#if;
mod retry;
mod set;
mod switch;
mod task;

use std::sync::Arc;
use std::time::Duration;

use camshaft_model::Value;
use camshaft_model::entry::{At, Entry, FrameId};
use camshaft_model::language::expression::Jq;
use camshaft_model::language::template::Input;
use camshaft_model::outcome::{Ending, Failure, FailureKind, Outcome, StepOutcome};
use camshaft_model::plugin::PluginPin;
use camshaft_model::program::{BlockAddress, OnError, Program, RepeatAfterCrash, Step, StepKind};
use camshaft_model::state::{Frame, OpenStep, State};
use camshaft_model::time::Timestamp;

pub use retry::settle;

/// What the engine wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Apply this entry; it has no effect outside.
    Record(Entry),
    /// Apply `entry` (an `attempt_started`), then call the plugin.
    Call {
        /// The entry; none where a former server wrote it and the attempt is made again.
        entry: Option<Entry>,
        /// The call.
        call: Call,
    },
}

/// An attempt of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The step.
    pub at: At,
    /// From 1.
    pub attempt: u32,
    /// The release.
    pub plugin: PluginPin,
    /// The input.
    pub input: Arc<Input>,
    /// How long it may take; the execution's own end counts too.
    pub timeout: Option<Duration>,
}

/// What an evaluation needs.
struct Moment<'a> {
    program: &'a Program,
    state: &'a State,
    now: Timestamp,
    jq: &'a dyn Jq,
}

/// Everything that can be done now. Empty means: wait for a result, a command, or for [`next_due`].
pub fn decide(program: &Program, state: &State, now: Timestamp, jq: &dyn Jq) -> Vec<Action> {
    if state.outcome.is_some() {
        return Vec::new();
    }
    let Some(started_at) = state.started_at else {
        // Even an execution that is cancelled before it starts tells so in order: started, then ended.
        return vec![Action::Record(Entry::Started { time: now })];
    };
    if let Some(by) = &state.cancel {
        let failure = Failure::new(FailureKind::Cancelled, format!("cancelled by {by}"));
        return vec![end(now, Ending::Cancelled, Some(failure), None)];
    }
    if now >= started_at.plus(program.timeout) {
        let limit = format!("{:?}", program.timeout);
        let failure =
            Failure::new(FailureKind::Timeout, format!("the execution took longer than its limit of {limit}"));
        return vec![end(now, Ending::TimedOut, Some(failure), None)];
    }
    let moment = Moment { program, state, now, jq };
    state.frames.iter().filter_map(|(id, frame)| moment.frame(*id, frame)).collect()
}

/// When to decide again though nothing has happened: the next retry, or the execution's end of time.
pub fn next_due(program: &Program, state: &State) -> Option<Timestamp> {
    let end = state.started_at.filter(|_| state.outcome.is_none()).map(|started| started.plus(program.timeout));
    [state.next_due(), end].into_iter().flatten().min()
}

/// What to do about attempts that a former server left under way: make them again, or give them up as lost.
pub fn resume(program: &Program, state: &State, now: Timestamp) -> Vec<Action> {
    state
        .open
        .iter()
        .filter_map(|(at, open)| {
            let OpenStep::Attempting { attempt, input, .. } = open else { return None };
            let step = program.step(at.1);
            let StepKind::Task(task) = &step.kind else { return None };
            if task.plugin.observable && step.repeat == RepeatAfterCrash::Never {
                let failure = Failure::new(
                    FailureKind::Lost,
                    format!("the server stopped during attempt {attempt} of `{}`, which is never repeated", step.path),
                );
                return Some(Action::Record(settle(state, *at, *attempt, step, Err(failure), now)));
            }
            let timeout = remaining(program, state, step, now);
            let call = Call { at: *at, attempt: *attempt, plugin: task.plugin.clone(), input: input.clone(), timeout };
            Some(Action::Call { entry: None, call })
        })
        .collect()
}

/// The time that an attempt of a step may take: its own, and what is left of the execution's.
fn remaining(program: &Program, state: &State, step: &Step, now: Timestamp) -> Option<Duration> {
    let end = state.started_at.map(|started| started.plus(program.timeout).since(now));
    [step.timeout, end].into_iter().flatten().min()
}

impl Moment<'_> {
    fn frame(&self, id: FrameId, frame: &Frame) -> Option<Action> {
        if let Some((origin, failure)) = &frame.failed {
            return Some(match frame.owner {
                None => {
                    let path = self.program.step(origin.1).path.clone();
                    end(self.now, Ending::Failed, Some(failure.clone()), Some(path))
                }
                Some(owner) => self.fail(owner, failure.clone()),
            });
        }
        match self.program.block(frame.block).get(frame.next as usize) {
            Some(address) => self.step(At(id, *address)),
            None => Some(match frame.owner {
                None => Action::Record(Entry::Ended {
                    time: self.now,
                    outcome: Arc::new(Outcome {
                        ending: Ending::Succeeded,
                        output: frame.last.clone(),
                        exit: None,
                        failure: None,
                        step: None,
                    }),
                }),
                Some(owner) => self.step_ended(owner, StepOutcome::Succeeded(frame.last.clone())),
            }),
        }
    }

    fn step(&self, at: At) -> Option<Action> {
        let step = self.program.step(at.1);
        match self.state.open.get(&at) {
            Some(OpenStep::Attempting { .. } | OpenStep::Inside { .. }) => None,
            Some(OpenStep::Spent { failure }) => Some(self.fail(at, failure.clone())),
            Some(OpenStep::Retrying { attempt, input, due }) => {
                (self.now >= *due).then(|| self.attempt(at, step, attempt + 1, input.clone()))
            }
            None => Some(self.begin(at, step)),
        }
    }

    fn begin(&self, at: At, step: &Step) -> Action {
        let scope = self.state.scope(at.0);
        if let Some(when) = &step.when {
            match when.holds(&scope, self.jq) {
                Ok(true) => {}
                Ok(false) => return self.step_ended(at, StepOutcome::Skipped),
                Err(failure) => return self.fail(at, failure),
            }
        }
        let action = match &step.kind {
            StepKind::Task(task) => self.begin_task(at, step, task, &scope),
            StepKind::If(r#if) => self.begin_if(at, r#if, &scope),
            StepKind::Switch(switch) => self.begin_switch(at, switch, &scope),
            StepKind::Set(values) => self.begin_set(at, values, &scope),
            StepKind::Exit(exit) => self.begin_exit(step, exit, &scope),
        };
        action.unwrap_or_else(|failure| self.fail(at, failure))
    }

    /// Opens a block, or ends the step with null where there is none.
    fn enter(&self, at: At, block: Option<BlockAddress>) -> Action {
        match block {
            Some(block) => Action::Record(Entry::Entered { time: self.now, at, block, turn: None }),
            None => self.step_ended(at, StepOutcome::Succeeded(Arc::new(Value::Null))),
        }
    }

    fn step_ended(&self, at: At, outcome: StepOutcome) -> Action {
        Action::Record(Entry::StepEnded { time: self.now, at, outcome, go_on: false })
    }

    fn fail(&self, at: At, failure: Failure) -> Action {
        let go_on = self.program.step(at.1).on_error == OnError::Continue;
        Action::Record(Entry::StepEnded { time: self.now, at, outcome: StepOutcome::Failed(failure), go_on })
    }
}

fn end(now: Timestamp, ending: Ending, failure: Option<Failure>, step: Option<String>) -> Action {
    let outcome = Outcome { ending, output: Arc::new(Value::Null), exit: None, failure, step };
    Action::Record(Entry::Ended { time: now, outcome: Arc::new(outcome) })
}
