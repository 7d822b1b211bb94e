//! What happens next, as a pure function: no I/O, no clock, no chance.
//!
//! Each open frame stands at one step. `decide` looks at every frame whose step is not under way and says what to do
//! with it; the caller applies that and asks again, until there is nothing left to do without the world's help.

mod approval;
mod bounds;
mod emit;
mod exit;
mod for_each;
mod r#if;
mod lock;
mod parallel;
mod repeat;
mod retry;
mod set;
mod switch;
mod task;
mod time;
mod r#try;
mod wait;
mod workflow;

use std::sync::Arc;
use std::time::Duration;

use camshaft_model::entry::{At, Awaited, Entry, FrameId, Part};
use camshaft_model::ids::Name;
use camshaft_model::language::expression::Jq;
use camshaft_model::language::template::{Input, weight};
use camshaft_model::outcome::{Ending, Failure, FailureKind, Outcome, StepOutcome};
use camshaft_model::plugin::PluginPin;
use camshaft_model::program::{BlockAddress, OnError, Program, RepeatAfterCrash, Step, StepKind};
use camshaft_model::state::{Frame, Leaving, Open, Passed, Stage, State, passed};
use camshaft_model::time::Timestamp;
use camshaft_model::{Value, limits};

pub use retry::settle;
pub use time::{next_due, next_end};

use crate::evaluate::OfStep;
use bounds::{held_by, room_in_place_of};
use time::{deadline, out_of_time, remaining, time_limit};

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
    /// Start an execution of another workflow; its id goes into the entry.
    StartChild {
        /// The step.
        at: At,
        /// The workflow.
        workflow: Name,
        /// Its parameters, as the step gives them.
        params: Value,
        /// Whether the step ends with it.
        waits: bool,
    },
    /// Send an event to everybody who waits for it, then end the step.
    Emit {
        /// The step.
        at: At,
        /// The event.
        event: Arc<Value>,
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
#[derive(Clone, Copy)]
struct Moment<'a> {
    program: &'a Program,
    state: &'a State,
    now: Timestamp,
    jq: &'a dyn Jq,
}

/// Everything that can be done now. Empty means: wait for a result, a command, or for [`next_due`]; unless `jq` has put something
/// off, which is then to be decided again.
pub fn decide(program: &Program, state: &State, now: Timestamp, jq: &dyn Jq) -> Vec<Action> {
    if state.outcome.is_some() {
        return Vec::new();
    }
    if let (None, Some(queued_at)) = (state.started_at, state.queued_at) {
        return queued(state, queued_at, now);
    }
    let Some(started_at) = state.started_at else {
        // Even an execution that is cancelled before it starts tells so in order: started, then ended.
        return vec![Action::Record(Entry::Started { time: now })];
    };
    if let Some(by) = &state.cancel {
        let failure = Failure::new(FailureKind::Cancelled, format!("cancelled by {by}"));
        return vec![end(now, Ending::Cancelled, Some(failure), None)];
    }
    if now >= started_at.plus(time_limit(program, state)) {
        return vec![end(now, Ending::TimedOut, Some(out_of_time(program, state)), None)];
    }
    let moment = Moment { program, state, now, jq };
    if let Some(action) = moment.expired() {
        return vec![action];
    }
    let (mut actions, mut held) = (Vec::new(), 0);
    for (id, frame) in &state.frames {
        let before = actions.len();
        let jq = OfStep::new(jq);
        Moment { jq: &jq, ..moment }.frame(*id, frame, &mut actions);
        if jq.has_put_off() {
            // What came of an evaluation that was not made counts for nothing.
            actions.truncate(before);
            return actions;
        }
        if actions[before..].iter().any(|action| moment.closes_others(*id, action)) {
            // What other frames would do may no longer be theirs to do.
            return actions.split_off(before);
        }
        if actions[before..].iter().any(|action| matches!(action, Action::Record(Entry::EventTaken { .. }))) {
            // It is one step's only; what the others take is decided behind that.
            return actions;
        }
        held += actions[before..].iter().map(held_by).sum::<usize>();
        if held > limits::OUTPUT_BYTES_MAX {
            // Room for what the others put together is looked for once this is counted.
            return actions;
        }
        if !actions.is_empty() && jq.is_spent() {
            // What the other frames do is decided once these are carried out, and commands and due times looked at.
            return actions;
        }
    }
    actions
}

/// An execution that stands in line is started from outside, cancelled, or dropped.
fn queued(state: &State, queued_at: Timestamp, now: Timestamp) -> Vec<Action> {
    if let Some(by) = &state.cancel {
        let failure = Failure::new(FailureKind::Cancelled, format!("cancelled by {by}"));
        return vec![end(now, Ending::Cancelled, Some(failure), None)];
    }
    if now < queued_at.plus(limits::QUEUED_MAX) {
        return Vec::new();
    }
    let message = format!("it stood in line for longer than {:?}", limits::QUEUED_MAX);
    vec![end(now, Ending::Dropped, Some(Failure::new(FailureKind::Timeout, message)), None)]
}

/// What to do about attempts that a former server left under way: make them again, or give them up as lost.
pub fn resume(program: &Program, state: &State, now: Timestamp) -> Vec<Action> {
    state
        .open
        .iter()
        .filter_map(|(at, open)| {
            let Open { attempt, stage: Stage::Attempting { input }, .. } = open else { return None };
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

/// The entry for a step that failed in the engine's own hands.
pub fn failed(program: &Program, state: &State, at: At, failure: Failure, now: Timestamp, jq: &dyn Jq) -> Entry {
    match (Moment { program, state, now, jq }).fail(at, failure) {
        Action::Record(entry) => entry,
        _ => unreachable!("a failure is recorded, and nothing else"),
    }
}

impl Moment<'_> {
    /// A step that is out of time.
    fn expired(&self) -> Option<Action> {
        self.state.open.iter().find_map(|(at, open)| {
            let step = self.program.step(at.1);
            deadline(step, open).filter(|end| self.now >= *end)?;
            let limit = step.timeout.unwrap_or_default();
            let message = format!("`{}` took longer than its limit of {limit:?}", step.path);
            Some(self.fail(*at, Failure::new(FailureKind::Timeout, message)))
        })
    }

    /// Whether an action of a frame ends a step in which another block is open.
    fn closes_others(&self, frame: FrameId, action: &Action) -> bool {
        let Action::Record(Entry::StepEnded { at, .. } | Entry::RetryScheduled { at, .. }) = action else {
            return false;
        };
        self.state.open.get(at).is_some_and(|open| open.stage.frames().into_iter().any(|other| other != frame))
    }

    fn frame(&self, id: FrameId, frame: &Frame, actions: &mut Vec<Action>) {
        if frame.leaving.is_none()
            && let Some(address) = self.program.block(frame.block).get(frame.next as usize)
        {
            return self.step(At(id, *address), actions);
        }
        actions.extend(match (frame.owner, passed(frame)) {
            (Some(owner), passed) => self.part_over(owner, id, passed),
            (None, Passed::Ended(output)) => {
                let ending = Ending::Succeeded;
                let outcome = Outcome { ending, output, exit: None, failure: None, step: None };
                Some(Action::Record(Entry::Ended { time: self.now, outcome: Arc::new(outcome) }))
            }
            (None, Passed::Left(Leaving::Exit(outcome))) => {
                Some(Action::Record(Entry::Ended { time: self.now, outcome }))
            }
            (None, Passed::Left(Leaving::Failed { origin, failure, .. })) => {
                let path = self.program.step(origin.1).path.clone();
                Some(end(self.now, Ending::Failed, Some(failure), Some(path)))
            }
        });
    }

    /// A block of a step is over, or was left.
    fn part_over(&self, owner: At, frame: FrameId, passed: Passed) -> Option<Action> {
        let step = self.program.step(owner.1);
        let open = self.state.open.get(&owner)?;
        Some(match (&step.kind, &open.stage) {
            (StepKind::ForEach(for_each), Stage::Looping(_)) => self.turn_over(owner, frame, for_each, passed),
            (StepKind::Repeat(repeat), Stage::Repeating(repeating)) => {
                self.round_over(owner, frame, repeat, repeating, passed)
            }
            (StepKind::Parallel(parallel), Stage::Forked(_)) => self.branch_over(owner, frame, parallel, passed),
            (StepKind::Try(r#try), Stage::Trying(trying)) => self.try_over(owner, r#try, trying, passed),
            _ => self.end_as(owner, passed),
        })
    }

    /// The step ends as its block did.
    fn end_as(&self, at: At, passed: Passed) -> Action {
        match passed {
            Passed::Ended(output) => self.step_ended(at, StepOutcome::Succeeded(output)),
            Passed::Left(Leaving::Failed { failure, .. }) => self.fail(at, failure),
            Passed::Left(Leaving::Exit(_)) => self.step_ended(at, StepOutcome::Exited),
        }
    }

    fn step(&self, at: At, actions: &mut Vec<Action>) {
        let step = self.program.step(at.1);
        let Some(open) = self.state.open.get(&at) else {
            actions.push(self.begin(at, step));
            return;
        };
        match (&open.stage, &step.kind) {
            (Stage::Settled(Ok(output)), _) => {
                actions.push(self.step_ended(at, StepOutcome::Succeeded(output.clone())));
            }
            (Stage::Settled(Err(failure)), _) => actions.push(self.fail(at, failure.clone())),
            (Stage::Retrying { due, .. }, _) if self.now < *due => {}
            (Stage::Retrying { input: Some(input), .. }, _) => {
                actions.push(self.attempt(at, step, open.attempt + 1, input.clone()));
            }
            (Stage::Retrying { input: None, .. }, _) => actions.push(self.open(at, step)),
            (Stage::Looping(looping), StepKind::ForEach(for_each)) => self.more_turns(at, for_each, looping, actions),
            (Stage::Repeating(repeating), StepKind::Repeat(repeat)) => {
                actions.extend(self.next_round(at, repeat, repeating));
            }
            (Stage::Forked(forked), StepKind::Parallel(parallel)) => {
                self.more_branches(at, parallel, forked, actions);
            }
            (Stage::Locked { frame: None, .. }, StepKind::Lock(lock)) => actions.push(self.enter(at, lock.body)),
            (Stage::Waiting { awaited, until }, kind) => {
                actions.extend(self.go_on_waiting(at, kind, awaited, *until));
            }
            (Stage::Emitting { event }, _) => actions.push(Action::Emit { at, event: event.clone() }),
            _ => {}
        }
    }

    fn begin(&self, at: At, step: &Step) -> Action {
        if let Some(when) = &step.when {
            match when.holds(&self.state.scope(at.0), self.jq) {
                Ok(true) => {}
                Ok(false) => return self.step_ended(at, StepOutcome::Skipped),
                Err(failure) => return self.fail(at, failure),
            }
        }
        self.open(at, step)
    }

    /// Begins an attempt of a step.
    fn open(&self, at: At, step: &Step) -> Action {
        let scope = self.state.scope(at.0);
        let action = match &step.kind {
            StepKind::Task(task) => self.begin_task(at, step, task, &scope),
            StepKind::If(r#if) => self.begin_if(at, r#if, &scope),
            StepKind::Switch(switch) => self.begin_switch(at, switch, &scope),
            StepKind::Set(values) => self.begin_set(at, values, &scope),
            StepKind::Exit(exit) => self.begin_exit(at, step, exit, &scope),
            StepKind::ForEach(for_each) => self.begin_for_each(at, for_each, &scope),
            StepKind::Repeat(repeat) => Ok(self.enter_part(at, repeat.body, Part::Turn(0))),
            StepKind::Parallel(parallel) => Ok(self.begin_parallel(at, parallel)),
            StepKind::Try(r#try) => Ok(self.enter_part(at, r#try.body, Part::Try)),
            StepKind::Wait(wait) => self.begin_wait(at, wait, &scope),
            StepKind::Approval(approval) => self.begin_approval(at, approval, &scope),
            StepKind::Lock(lock) => self.begin_lock(at, lock, &scope),
            StepKind::Workflow(child) => self.begin_workflow(at, child, &scope),
            StepKind::Emit(emit) => self.begin_emit(at, step, emit, &scope),
        };
        action.unwrap_or_else(|failure| self.fail(at, failure))
    }

    /// Opens a block, or ends the step with null where there is none.
    fn enter_some(&self, at: At, block: Option<BlockAddress>) -> Action {
        match block {
            Some(block) => self.enter(at, block),
            None => self.step_ended(at, StepOutcome::Succeeded(Arc::new(Value::Null))),
        }
    }

    fn enter(&self, at: At, block: BlockAddress) -> Action {
        self.enter_part(at, block, Part::Body)
    }

    fn enter_part(&self, at: At, block: BlockAddress, part: Part) -> Action {
        Action::Record(Entry::Entered { time: self.now, at, block, part })
    }

    fn wait_for(&self, at: At, awaited: Awaited, until: Option<Timestamp>) -> Action {
        Action::Record(Entry::WaitStarted { time: self.now, at, awaited, until })
    }

    fn step_ended(&self, at: At, outcome: StepOutcome) -> Action {
        if let StepOutcome::Succeeded(output) = &outcome
            && let Err(failure) = room_in_place_of(self.state, at, weight(output))
        {
            return self.fail(at, failure);
        }
        Action::Record(Entry::StepEnded { time: self.now, at, outcome, go_on: false })
    }

    /// A step has failed: it is tried again, passed over, or fails the block around it.
    fn fail(&self, at: At, failure: Failure) -> Action {
        let step = self.program.step(at.1);
        let attempt = self.state.attempt(at);
        // A task's attempts were counted when each ended.
        if !matches!(step.kind, StepKind::Task(_))
            && let Some(wait) = retry::next_wait(&step.retry, attempt, &failure, retry::spread(self.state, at, attempt))
        {
            let due = self.now.plus(wait);
            return Action::Record(Entry::RetryScheduled { time: self.now, at, attempt, failure, due });
        }
        let go_on = step.on_error == OnError::Continue;
        Action::Record(Entry::StepEnded { time: self.now, at, outcome: StepOutcome::Failed(failure), go_on })
    }
}

fn end(now: Timestamp, ending: Ending, failure: Option<Failure>, step: Option<String>) -> Action {
    let outcome = Outcome { ending, output: Arc::new(Value::Null), exit: None, failure, step };
    Action::Record(Entry::Ended { time: now, outcome: Arc::new(outcome) })
}

/// What names something for several executions is 1 to 256 bytes of one line, as documents and the API have it.
fn one_line(what: &str, text: &str) -> Result<(), Failure> {
    let limit = limits::KEY_BYTES_MAX;
    let message = if text.is_empty() || text.len() > limit {
        format!("{what} has {} bytes; it has 1 to {limit}", text.len())
    } else if text.chars().any(char::is_control) {
        format!("{what} {text:?} has control characters, such as line breaks; it is one line of text")
    } else {
        return Ok(());
    };
    Err(Failure::new(FailureKind::Failed, message))
}

/// A value as the text that it stands for: a string as it is, anything else as JSON.
fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
