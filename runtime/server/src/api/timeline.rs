//! An execution as people inspect it: its journal folded into steps, attempts, logs and use. Pure.
//!
//! Steps stand in the order in which they began; a step of a loop stands once for each turn, told apart by `iteration`.

use std::collections::{BTreeSet, HashMap};

use camshaft_model::Value;
use camshaft_model::entry::{At, Awaited, Entry, FrameId, Part};
use camshaft_model::outcome::{AttemptOutcome, Ending, Failure, LogLine, Outcome, StepOutcome, Usage};
use camshaft_model::program::{Program, StepAddress};
use camshaft_model::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// Where a step or an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Under way.
    Running,
    /// Waits: for its next attempt, a time, an event, a person, a lock or a child.
    Waiting,
    /// Ended well.
    Succeeded,
    /// Ended by a failure.
    Failed,
    /// Its `when` did not hold.
    Skipped,
    /// Ended because the execution, or the step around it, was stopped.
    Cancelled,
    /// Not run: its output is that of the execution which this one repeats.
    Kept,
}

/// One step, once for each turn of the loops around it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct StepView {
    /// Its `id`, or a stable path.
    pub path: String,
    /// Its `id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its `name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `task`, `if`, `for_each`, …: the kind key of the language.
    pub kind: String,
    /// How many blocks it is in: 0 at the top of the document.
    pub depth: u32,
    /// Turns of the loops around it, outermost first.
    pub iteration: Vec<u32>,
    /// Where it stands.
    pub status: Stage,
    /// When it began (RFC 3339).
    pub started_at: String,
    /// How long it took, attempts and waits included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// What it put out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub output: Option<Value>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub failure: Option<Failure>,
    /// What it waits for, while it does: `{time|event|approval|lock|child, until}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub waits_for: Option<Value>,
    /// The execution that it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub child: Option<String>,
    /// Each try of a task, and the failed ones of any other step.
    pub attempts: Vec<AttemptView>,
}

/// One try of a step.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AttemptView {
    /// From 1.
    pub attempt: u32,
    /// Where it stands.
    pub status: Stage,
    /// When it began (RFC 3339).
    pub started_at: String,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// What the plugin was given; secrets show as `<secret NAME>`.
    #[schema(value_type = Object)]
    pub input: Value,
    /// What it gave back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub output: Option<Value>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub failure: Option<Failure>,
    /// When the next try is due (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<String>,
    /// What it used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub usage: Option<Usage>,
    /// What it logged.
    #[schema(value_type = Vec<Object>)]
    pub log: Vec<LogLine>,
}

/// The steps of an execution, and how it ended.
#[derive(Debug, Default, PartialEq)]
pub struct Timeline {
    /// In the order in which they began.
    pub steps: Vec<StepView>,
    /// How it ended, where it has.
    pub outcome: Option<Outcome>,
}

/// Folds a journal. Without a program (its revision cannot be read any more) steps go by their address: `#3`.
pub fn fold<'a>(program: Option<&Program>, entries: impl IntoIterator<Item = &'a Entry>) -> Timeline {
    let mut folding = Folding {
        program,
        timeline: Timeline::default(),
        at: HashMap::new(),
        open: BTreeSet::new(),
        blocks: HashMap::new(),
        frames: 1,
        exit_seen: false,
    };
    for entry in entries {
        folding.take(entry);
    }
    folding.timeline
}

struct Folding<'a> {
    program: Option<&'a Program>,
    timeline: Timeline,
    /// Where in the timeline a step stands, and when it began.
    at: HashMap<At, (usize, Timestamp)>,
    /// Steps that have begun and not ended.
    open: BTreeSet<At>,
    blocks: HashMap<FrameId, Block>,
    /// Frames made so far; each `entered` makes the next.
    frames: u32,
    /// Whether the `exit` that ends the execution has an entry of its own.
    exit_seen: bool,
}

/// What is around the steps of a frame.
#[derive(Clone, Default)]
struct Block {
    turns: Vec<u32>,
    depth: u32,
    owner: Option<At>,
}

impl Folding<'_> {
    fn take(&mut self, entry: &Entry) {
        match entry {
            Entry::Accepted { .. }
            | Entry::Queued { .. }
            | Entry::Started { .. }
            | Entry::EventReceived { .. }
            | Entry::CancelRequested { .. } => {}
            Entry::Seeded { time, outputs, .. } => {
                for (address, output) in outputs {
                    self.end(At(FrameId::ROOT, *address), *time, Stage::Kept, Some((**output).clone()), None);
                }
            }
            Entry::Entered { time, at, part, .. } => {
                self.step(*at, *time).status = Stage::Running;
                let mut block = self.blocks.get(&at.0).cloned().unwrap_or_default();
                if let Part::Turn(index) = part {
                    block.turns.push(*index);
                }
                block.depth += 1;
                block.owner = Some(*at);
                self.blocks.insert(FrameId(self.frames), block);
                self.frames += 1;
            }
            Entry::LoopStarted { time, at, .. }
            | Entry::LockTaken { time, at }
            | Entry::EventEmitted { time, at, .. } => {
                let step = self.step(*at, *time);
                step.status = Stage::Running;
                step.waits_for = None;
            }
            Entry::Left { time, frame, .. } => self.close(*frame, *time),
            Entry::RetryScheduled { time, at, attempt, failure, due } => {
                self.close_inside(*at, *time);
                let step = self.step(*at, *time);
                step.status = Stage::Waiting;
                step.attempts.push(AttemptView {
                    attempt: *attempt,
                    status: Stage::Failed,
                    started_at: step.started_at.clone(),
                    duration_us: None,
                    input: Value::Null,
                    output: None,
                    failure: Some(failure.clone()),
                    retry_at: Some(due.to_string()),
                    usage: None,
                    log: Vec::new(),
                });
            }
            Entry::WaitStarted { time, at, awaited, until } => {
                let mut waits_for = match serde_json::to_value(awaited) {
                    Ok(Value::Object(fields)) => fields,
                    // `time` alone is a word.
                    _ => [("time".to_owned(), Value::Bool(true))].into_iter().collect(),
                };
                if let Some(until) = until {
                    waits_for.insert("until".to_owned(), until.to_string().into());
                }
                let step = self.step(*at, *time);
                step.status = Stage::Waiting;
                step.waits_for = Some(Value::Object(waits_for));
                if let Awaited::Child { execution, .. } = awaited {
                    step.child = Some(execution.to_string());
                }
            }
            Entry::EventTaken { time, at, .. }
            | Entry::ApprovalGiven { time, at, .. }
            | Entry::ChildEnded { time, at, .. } => self.step(*at, *time).status = Stage::Running,
            Entry::ExitReached { time, at, outcome } => {
                self.exit_seen = true;
                self.end(*at, *time, Stage::Succeeded, Some((*outcome.output).clone()), None);
            }
            Entry::AttemptStarted { time, at, attempt, input } => {
                let step = self.step(*at, *time);
                step.status = Stage::Running;
                step.attempts.push(AttemptView {
                    attempt: *attempt,
                    status: Stage::Running,
                    started_at: time.to_string(),
                    duration_us: None,
                    input: input.value.clone(),
                    output: None,
                    failure: None,
                    retry_at: None,
                    usage: None,
                    log: Vec::new(),
                });
            }
            Entry::AttemptEnded { time, at, attempt, outcome, retry_at, usage, log } => {
                let ends_step = match outcome {
                    AttemptOutcome::Succeeded(output) => Some((Stage::Succeeded, Some(output), None)),
                    AttemptOutcome::Failed(_) if retry_at.is_some() => None,
                    AttemptOutcome::Failed(failure) => Some((Stage::Failed, None, Some(failure))),
                };
                let step = self.step(*at, *time);
                if let Some(view) = step.attempts.iter_mut().rev().find(|view| view.attempt == *attempt) {
                    match outcome {
                        AttemptOutcome::Succeeded(output) => {
                            view.status = Stage::Succeeded;
                            view.output = Some((**output).clone());
                        }
                        AttemptOutcome::Failed(failure) => {
                            view.status = Stage::Failed;
                            view.failure = Some(failure.clone());
                        }
                    }
                    view.duration_us = Some(usage.wall_us);
                    view.retry_at = retry_at.map(|due| due.to_string());
                    view.usage = Some(*usage);
                    view.log.clone_from(log);
                }
                match ends_step {
                    None => step.status = Stage::Waiting,
                    Some((status, output, failure)) => {
                        self.end(*at, *time, status, output.map(|output| (**output).clone()), failure.cloned());
                    }
                }
            }
            Entry::VariablesSet { time, at, values } => {
                self.end(*at, *time, Stage::Succeeded, Some(Value::Object((**values).clone())), None);
            }
            Entry::StepEnded { time, at, outcome, .. } => match outcome {
                StepOutcome::Exited => self.end(*at, *time, Stage::Succeeded, None, None),
                StepOutcome::Succeeded(output) => {
                    self.end(*at, *time, Stage::Succeeded, Some((**output).clone()), None);
                }
                StepOutcome::Failed(failure) => self.end(*at, *time, Stage::Failed, None, Some(failure.clone())),
                StepOutcome::Skipped => self.end(*at, *time, Stage::Skipped, None, None),
            },
            Entry::Ended { time, outcome } => self.end_execution(*time, outcome),
        }
    }

    /// What was open ends with the execution; an `exit` has no entry of its own but this one.
    fn end_execution(&mut self, time: Timestamp, outcome: &Outcome) {
        let stage = match outcome.ending {
            Ending::Succeeded => Stage::Succeeded,
            Ending::Failed if outcome.exit.is_some() => Stage::Succeeded,
            Ending::Failed => Stage::Failed,
            Ending::Cancelled | Ending::TimedOut | Ending::Dropped => Stage::Cancelled,
        };
        let ending: Vec<At> = self.open.iter().copied().collect();
        // An `exit` is in the innermost of the blocks that it ends.
        let around = ending.iter().map(|at| self.timeline.steps[self.at[at].0].depth + 1).max().unwrap_or(0);
        for at in ending {
            let (index, _) = self.at[&at];
            for attempt in &mut self.timeline.steps[index].attempts {
                if attempt.status == Stage::Running {
                    attempt.status = Stage::Cancelled;
                }
            }
            self.end(at, time, stage, None, None);
        }
        if let (Some(path), true, false) = (&outcome.step, outcome.exit.is_some(), self.exit_seen) {
            let known = self.program.and_then(|program| program.steps.iter().find(|step| step.path == *path));
            self.timeline.steps.push(StepView {
                path: path.clone(),
                id: known.and_then(|step| step.id.clone()),
                name: known.and_then(|step| step.name.clone()),
                kind: "exit".to_owned(),
                depth: around,
                iteration: Vec::new(),
                status: Stage::Succeeded,
                started_at: time.to_string(),
                duration_us: Some(0),
                output: Some((*outcome.output).clone()),
                failure: None,
                waits_for: None,
                child: None,
                attempts: Vec::new(),
            });
        }
        self.timeline.outcome = Some(outcome.clone());
    }

    fn end(&mut self, at: At, time: Timestamp, status: Stage, output: Option<Value>, failure: Option<Failure>) {
        self.close_inside(at, time);
        self.step(at, time);
        self.open.remove(&at);
        let (index, began) = self.at[&at];
        let step = &mut self.timeline.steps[index];
        step.status = status;
        step.duration_us = Some(u64::try_from(time.since(began).as_micros()).unwrap_or(u64::MAX));
        step.output = output;
        step.failure = failure;
        step.waits_for = None;
    }

    /// What runs in the blocks of a step is stopped with it.
    fn close_inside(&mut self, at: At, time: Timestamp) {
        let frames: Vec<FrameId> =
            self.blocks.iter().filter(|(_, block)| block.owner == Some(at)).map(|(frame, _)| *frame).collect();
        frames.into_iter().for_each(|frame| self.close(frame, time));
    }

    fn close(&mut self, frame: FrameId, time: Timestamp) {
        self.blocks.remove(&frame);
        let inside = At(frame, StepAddress(0))..=At(frame, StepAddress(u32::MAX));
        let stopped: Vec<At> = self.open.range(inside).copied().collect();
        for at in stopped {
            for attempt in &mut self.timeline.steps[self.at[&at].0].attempts {
                if attempt.status == Stage::Running {
                    attempt.status = Stage::Cancelled;
                }
            }
            self.end(at, time, Stage::Cancelled, None, None);
        }
    }

    /// The step's view; it begins here if it has not before.
    fn step(&mut self, at: At, time: Timestamp) -> &mut StepView {
        let index = match self.at.get(&at) {
            Some((index, _)) => *index,
            None => {
                let Block { turns, depth, .. } = self.blocks.get(&at.0).cloned().unwrap_or_default();
                let view = StepView { depth, iteration: turns, ..self.begun(at.1, time) };
                self.timeline.steps.push(view);
                let index = self.timeline.steps.len() - 1;
                self.at.insert(at, (index, time));
                self.open.insert(at);
                index
            }
        };
        &mut self.timeline.steps[index]
    }

    fn begun(&self, address: StepAddress, time: Timestamp) -> StepView {
        let known = self.program.and_then(|program| program.steps.get(address.0 as usize));
        StepView {
            path: known.map_or_else(|| format!("#{}", address.0), |step| step.path.clone()),
            id: known.and_then(|step| step.id.clone()),
            name: known.and_then(|step| step.name.clone()),
            kind: known.map_or("unknown", |step| step.kind.word()).to_owned(),
            depth: 0,
            iteration: Vec::new(),
            status: Stage::Running,
            started_at: time.to_string(),
            duration_us: None,
            output: None,
            failure: None,
            waits_for: None,
            child: None,
            attempts: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
