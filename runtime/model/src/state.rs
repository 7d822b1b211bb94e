//! The state of an execution: what its entries, applied in order, add up to.
//!
//! The same [`State::apply`] runs live, after a crash and for the timeline; so an entry carries everything that its
//! application needs, and an entry that does not follow from those before it is refused, never guessed at.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::entry::{At, Entry, FrameId, IllegalEntry, Sequence, Turn};
use crate::invocation::Invocation;
use crate::language::expression::{Root, Scope};
use crate::language::template::Input;
use crate::outcome::{AttemptOutcome, Failure, Outcome, StepOutcome};
use crate::program::{BlockAddress, ROOT, StepAddress};
use crate::summary::{Status, Summary};
use crate::time::Timestamp;

/// An execution, folded from its journal.
#[derive(Debug, Clone)]
pub struct State {
    /// What was accepted.
    pub invocation: Arc<Invocation>,
    /// When.
    pub accepted_at: Timestamp,
    /// When it began to run.
    pub started_at: Option<Timestamp>,
    /// When the latest entry was written.
    pub updated_at: Timestamp,
    /// Number of entries applied; the sequence of the next one.
    pub next_sequence: Sequence,
    /// Open activations of blocks.
    pub frames: BTreeMap<FrameId, Frame>,
    /// Steps that have begun and not ended.
    pub open: BTreeMap<At, OpenStep>,
    /// `$.vars`: an object.
    pub variables: Value,
    /// Who asked for the end.
    pub cancel: Option<String>,
    /// How it ended.
    pub outcome: Option<Arc<Outcome>>,
    outputs: HashMap<(FrameId, StepAddress), Arc<Value>>,
    scopes: HashMap<FrameId, LoopScope>,
    execution: Value,
    frames_made: u32,
}

/// An activation of a block.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// The block.
    pub block: BlockAddress,
    /// The step that opened it; none for the root.
    pub owner: Option<At>,
    /// Index in the block of the step that is open or comes next.
    pub next: u32,
    /// Output of the latest step.
    pub last: Arc<Value>,
    /// The failure that stopped it.
    pub failed: Option<(At, Failure)>,
    /// The frame of the innermost loop turn around it, or the root.
    pub scope: FrameId,
}

/// The turn that a scope stands for, and what is around it.
#[derive(Debug, Clone)]
struct LoopScope {
    outer: FrameId,
    index: Value,
    turn: Turn,
}

/// A step that has begun.
#[derive(Debug, Clone, PartialEq)]
pub enum OpenStep {
    /// An attempt is under way.
    Attempting {
        /// From 1.
        attempt: u32,
        /// What the plugin was given.
        input: Arc<Input>,
        /// Since when.
        since: Timestamp,
    },
    /// The next attempt is due at a time.
    Retrying {
        /// The attempt that failed.
        attempt: u32,
        /// What the plugin was given.
        input: Arc<Input>,
        /// When the next one is due.
        due: Timestamp,
    },
    /// Its last attempt failed; what becomes of the failure is decided next.
    Spent {
        /// Why.
        failure: Failure,
    },
    /// It has opened a block.
    Inside {
        /// The block's frame.
        frame: FrameId,
    },
}

impl State {
    /// The state after the first entry, which must be `accepted`.
    pub fn begin(entry: &Entry) -> Result<Self, IllegalEntry> {
        let Entry::Accepted { time, invocation } = entry else {
            return Err(illegal(0, entry, "the first entry of a journal is `accepted`"));
        };
        let root = Frame {
            block: ROOT,
            owner: None,
            next: 0,
            last: Arc::new(Value::Null),
            failed: None,
            scope: FrameId::ROOT,
        };
        Ok(Self {
            accepted_at: *time,
            started_at: None,
            updated_at: *time,
            next_sequence: 1,
            frames: BTreeMap::from([(FrameId::ROOT, root)]),
            open: BTreeMap::new(),
            variables: Value::Object(Map::new()),
            cancel: None,
            outcome: None,
            outputs: HashMap::new(),
            scopes: HashMap::new(),
            execution: Value::Null,
            frames_made: 1,
            invocation: invocation.clone(),
        })
    }

    /// Folds a whole journal.
    pub fn fold<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Result<Option<Self>, IllegalEntry> {
        let mut entries = entries.into_iter();
        let Some(first) = entries.next() else {
            return Ok(None);
        };
        let mut state = Self::begin(first)?;
        entries.try_for_each(|entry| state.apply(entry))?;
        Ok(Some(state))
    }

    /// Takes the next entry in. On error the state is as it was.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), IllegalEntry> {
        let refuse = |why: &str| Err(illegal(self.next_sequence, entry, why));
        if self.outcome.is_some() {
            return refuse("the execution has ended");
        }
        match entry {
            Entry::Accepted { .. } => return refuse("the execution is accepted already"),
            Entry::Started { time } => {
                if self.started_at.is_some() {
                    return refuse("the execution has started already");
                }
                self.started_at = Some(*time);
                self.execution = self.describe_execution(*time);
            }
            Entry::Entered { at, block, turn, .. } => {
                self.check_current(entry, *at)?;
                if self.open.contains_key(at) {
                    return refuse("the step is open already");
                }
                let frame = FrameId(self.frames_made);
                self.frames_made += 1;
                let outer = self.frames[&at.0].scope;
                if let Some(turn) = turn {
                    let scope = LoopScope { outer, index: json!(turn.index), turn: turn.clone() };
                    self.scopes.insert(frame, scope);
                }
                self.frames.insert(
                    frame,
                    Frame {
                        block: *block,
                        owner: Some(*at),
                        next: 0,
                        last: Arc::new(Value::Null),
                        failed: None,
                        scope: if turn.is_some() { frame } else { outer },
                    },
                );
                self.open.insert(*at, OpenStep::Inside { frame });
            }
            Entry::AttemptStarted { time, at, attempt, input } => {
                self.check_current(entry, *at)?;
                let expected = match self.open.get(at) {
                    None => 1,
                    Some(OpenStep::Retrying { attempt, .. }) => attempt + 1,
                    Some(_) => return refuse("the step is open already"),
                };
                if *attempt != expected {
                    return refuse(&format!("attempt {attempt} does not follow: {expected} would"));
                }
                self.open.insert(*at, OpenStep::Attempting { attempt: *attempt, input: input.clone(), since: *time });
            }
            Entry::AttemptEnded { at, attempt, outcome, retry_at, .. } => {
                let input = match self.open.get(at) {
                    Some(OpenStep::Attempting { attempt: current, input, .. }) if current == attempt => input.clone(),
                    _ => return refuse(&format!("attempt {attempt} is not under way")),
                };
                match (outcome, retry_at) {
                    (AttemptOutcome::Succeeded(output), None) => self.advance(*at, Some(output.clone())),
                    (AttemptOutcome::Failed(_), Some(due)) => {
                        self.open.insert(*at, OpenStep::Retrying { attempt: *attempt, input, due: *due });
                    }
                    // The step's end, with what becomes of the failure, is an entry of its own.
                    (AttemptOutcome::Failed(failure), None) => {
                        self.open.insert(*at, OpenStep::Spent { failure: failure.clone() });
                    }
                    (AttemptOutcome::Succeeded(_), Some(_)) => {
                        return refuse("a success is not tried again");
                    }
                }
            }
            Entry::VariablesSet { at, values, .. } => {
                self.check_current(entry, *at)?;
                if let Value::Object(variables) = &mut self.variables {
                    for (name, value) in values.iter() {
                        variables.insert(name.clone(), value.clone());
                    }
                }
                self.advance(*at, Some(Arc::new(Value::Object((**values).clone()))));
            }
            Entry::StepEnded { at, outcome, go_on, .. } => {
                self.check_current(entry, *at)?;
                // A failure keeps the step that it began with, however many blocks it goes up through.
                let mut origin = *at;
                if let Some(OpenStep::Inside { frame }) = self.open.get(at) {
                    let frame = *frame;
                    if let Some((inner, _)) = self.frames.get(&frame).and_then(|frame| frame.failed.as_ref()) {
                        origin = *inner;
                    }
                    self.close(frame);
                }
                match outcome {
                    StepOutcome::Succeeded(output) => self.advance(*at, Some(output.clone())),
                    StepOutcome::Skipped => self.advance(*at, None),
                    StepOutcome::Failed(_) if *go_on => self.advance(*at, None),
                    StepOutcome::Failed(failure) => {
                        self.open.remove(at);
                        if let Some(frame) = self.frames.get_mut(&at.0) {
                            frame.failed = Some((origin, failure.clone()));
                        }
                    }
                }
            }
            Entry::CancelRequested { by, .. } => self.cancel = Some(by.clone()),
            Entry::Ended { outcome, .. } => {
                self.outcome = Some(outcome.clone());
                self.frames.clear();
                self.open.clear();
            }
        }
        self.updated_at = entry.time();
        self.next_sequence += 1;
        Ok(())
    }

    /// The step must be the current one of an open frame that has not failed.
    fn check_current(&self, entry: &Entry, at: At) -> Result<(), IllegalEntry> {
        let refuse = |why: String| Err(illegal(self.next_sequence, entry, why));
        if self.started_at.is_none() {
            return refuse("the execution has not started".to_owned());
        }
        match self.frames.get(&at.0) {
            None => refuse(format!("frame {} is not open", at.0.0)),
            Some(frame) if frame.failed.is_some() => refuse(format!("frame {} has failed", at.0.0)),
            Some(_)
                if self
                    .open
                    .range(At(at.0, StepAddress(0))..=At(at.0, StepAddress(u32::MAX)))
                    .any(|(o, _)| *o != at) =>
            {
                refuse(format!("another step is open in frame {}", at.0.0))
            }
            Some(_) => Ok(()),
        }
    }

    /// The step is done; its frame goes on to the next.
    fn advance(&mut self, at: At, output: Option<Arc<Value>>) {
        self.open.remove(&at);
        let Some(frame) = self.frames.get_mut(&at.0) else {
            return;
        };
        frame.next += 1;
        if let Some(output) = output {
            frame.last = output.clone();
            self.outputs.insert((frame.scope, at.1), output);
        }
    }

    fn close(&mut self, frame: FrameId) {
        self.frames.remove(&frame);
        if self.scopes.remove(&frame).is_some() {
            self.outputs.retain(|(scope, _), _| *scope != frame);
        }
    }

    fn describe_execution(&self, started_at: Timestamp) -> Value {
        let invocation = &self.invocation;
        json!({
            "id": invocation.id.to_string(),
            "workflow": invocation.revision.workflow.as_str(),
            "revision": invocation.revision.revision,
            "environment": invocation.environment.as_str(),
            "workspace": invocation.workspace.as_str(),
            "trigger": invocation.trigger.word(),
            "started_at": started_at.to_string(),
            "test": invocation.test,
        })
    }

    /// The context of expressions for steps of a frame.
    pub fn scope(&self, frame: FrameId) -> impl Scope + '_ {
        StateScope { state: self, scope: self.frames.get(&frame).map_or(FrameId::ROOT, |frame| frame.scope) }
    }

    /// Indexes of the loop turns around a frame, outermost first.
    pub fn turns(&self, frame: FrameId) -> Vec<u32> {
        let mut turns = Vec::new();
        let mut scope = self.frames.get(&frame).map_or(FrameId::ROOT, |frame| frame.scope);
        while let Some(around) = self.scopes.get(&scope) {
            turns.push(around.turn.index);
            scope = around.outer;
        }
        turns.reverse();
        turns
    }

    /// Where it stands.
    pub fn status(&self) -> Status {
        match &self.outcome {
            Some(outcome) => outcome.ending.into(),
            None if self.started_at.is_none() => Status::Accepted,
            None if !self.open.is_empty()
                && self
                    .open
                    .values()
                    .all(|step| matches!(step, OpenStep::Retrying { .. } | OpenStep::Inside { .. }))
                && self.open.values().any(|step| matches!(step, OpenStep::Retrying { .. })) =>
            {
                Status::Waiting
            }
            None => Status::Running,
        }
    }

    /// When something is due though nothing happens.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.open
            .values()
            .filter_map(|step| match step {
                OpenStep::Retrying { due, .. } => Some(*due),
                _ => None,
            })
            .min()
    }

    /// What a list shows.
    pub fn summary(&self) -> Summary {
        let invocation = &self.invocation;
        Summary {
            id: invocation.id,
            workspace: invocation.workspace.clone(),
            revision: invocation.revision.clone(),
            environment: invocation.environment.clone(),
            trigger: invocation.trigger.clone(),
            status: self.status(),
            accepted_at: self.accepted_at,
            started_at: self.started_at,
            updated_at: self.updated_at,
            ended_at: self.outcome.as_ref().map(|_| self.updated_at),
            failure: self.outcome.as_ref().and_then(|outcome| outcome.failure.as_ref()).map(|failure| {
                let text = failure.to_string();
                match text.char_indices().nth(200) {
                    Some((end, _)) => format!("{}…", &text[..end]),
                    None => text,
                }
            }),
            labels: invocation.labels.clone(),
            test: invocation.test,
        }
    }
}

fn illegal(sequence: Sequence, entry: &Entry, why: impl Into<String>) -> IllegalEntry {
    IllegalEntry { sequence, word: entry.word(), why: why.into() }
}

/// A state seen from one of its loop scopes.
struct StateScope<'a> {
    state: &'a State,
    scope: FrameId,
}

impl Scope for StateScope<'_> {
    fn get(&self, root: &Root) -> Option<&Value> {
        let state = self.state;
        match root {
            Root::Event => Some(&state.invocation.event),
            Root::Params => Some(&state.invocation.params),
            Root::Vars => Some(&state.variables),
            Root::Execution => Some(&state.execution),
            Root::Step(_, address) => {
                let mut scope = self.scope;
                loop {
                    if let Some(output) = state.outputs.get(&(scope, *address)) {
                        return Some(output);
                    }
                    scope = state.scopes.get(&scope)?.outer;
                }
            }
            Root::Index => state.scopes.get(&self.scope).map(|around| &around.index),
            // Loops that name their item come with the loops; one item a scope until then.
            Root::Item(_) => state.scopes.get(&self.scope).map(|around| &*around.turn.item),
            Root::Env | Root::Connection | Root::Error => None,
        }
    }
}
