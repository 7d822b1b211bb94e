//! The state of an execution: what its entries, applied in order, add up to.
//!
//! The same [`State::apply`] runs live, after a crash and for the timeline; so an entry carries everything that its
//! application needs, and an entry that does not follow from those before it is refused, never guessed at.

mod open;
mod scope;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value, json};

pub use self::open::{
    Forked, Frame, Inbox, Leaving, Looping, Open, Passed, Received, Repeating, Stage, TryPart, Trying,
};
use self::scope::Turn;
use crate::entry::{At, Awaited, Entry, FrameId, IllegalEntry, Part, Sequence};
use crate::ids::ExecutionId;
use crate::invocation::Invocation;
use crate::language::template::{size, weight};
use crate::limits;
use crate::outcome::{AttemptOutcome, Failure, FailureKind, Outcome, StepOutcome};
use crate::program::{BlockAddress, Program, ROOT, StepAddress};
use crate::summary::{Asked, LockClaim, Outlook, Status, Summary};
use crate::time::Timestamp;

/// An execution, folded from its journal.
#[derive(Debug, Clone)]
pub struct State {
    /// What was accepted.
    pub invocation: Arc<Invocation>,
    /// When.
    pub accepted_at: Timestamp,
    /// When it stood in line.
    pub queued_at: Option<Timestamp>,
    /// When it began to run.
    pub started_at: Option<Timestamp>,
    /// When the latest entry was written.
    pub updated_at: Timestamp,
    /// Number of entries applied; the sequence of the next one.
    pub next_sequence: Sequence,
    /// Open activations of blocks.
    pub frames: BTreeMap<FrameId, Frame>,
    /// Steps that have begun and not ended.
    pub open: BTreeMap<At, Open>,
    /// `$.vars`: an object.
    pub variables: Value,
    /// Events that came for it.
    pub inbox: Inbox,
    /// Who asked for the end.
    pub cancel: Option<String>,
    /// How it ended.
    pub outcome: Option<Arc<Outcome>>,
    /// How much it keeps, bytes of JSON, roughly: outputs, variables, what loops go over and collect, events.
    pub kept_bytes: usize,
    turns: HashMap<FrameId, Turn>,
    execution: Value,
    frames_made: u32,
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
            wrote: Vec::new(),
            wrote_before: 0,
            leaving: None,
            scope: FrameId::ROOT,
            error: None,
        };
        Ok(Self {
            accepted_at: *time,
            queued_at: None,
            started_at: None,
            updated_at: *time,
            next_sequence: 1,
            frames: BTreeMap::from([(FrameId::ROOT, root)]),
            open: BTreeMap::new(),
            variables: Value::Object(Map::new()),
            inbox: Inbox::default(),
            cancel: None,
            outcome: None,
            kept_bytes: 0,
            turns: HashMap::from([(FrameId::ROOT, Turn::root())]),
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
        let sequence = self.next_sequence;
        self.take(entry).map_err(|why| illegal(sequence, entry, why))?;
        self.updated_at = entry.time();
        self.next_sequence += 1;
        Ok(())
    }

    /// As [`Self::apply`]; the error is the rule that it breaks. Checks first, changes then.
    fn take(&mut self, entry: &Entry) -> Result<(), String> {
        if self.outcome.is_some() {
            return refuse("the execution has ended");
        }
        match entry {
            Entry::Accepted { .. } => return refuse("the execution is accepted already"),
            Entry::Seeded { outputs, variables, next, .. } => {
                if self.next_sequence != 1 {
                    return refuse("an execution is seeded before anything else");
                }
                for (address, output) in outputs {
                    self.put_output(FrameId::ROOT, *address, Some(output.clone()));
                }
                self.variables = Value::Object((**variables).clone());
                self.kept_bytes += weight(&self.variables);
                if let Some(frame) = self.frames.get_mut(&FrameId::ROOT) {
                    frame.next = *next;
                    frame.last = outputs.last().map(|(_, output)| output.clone()).unwrap_or_default();
                }
            }
            Entry::Queued { time } => {
                if self.queued_at.is_some() || self.started_at.is_some() {
                    return refuse("the execution is queued or started already");
                }
                self.queued_at = Some(*time);
            }
            Entry::Started { time } => {
                if self.started_at.is_some() {
                    return refuse("the execution has started already");
                }
                self.started_at = Some(*time);
                self.execution = self.describe_execution(*time);
            }
            Entry::Entered { time, at, block, part } => self.enter(*at, *block, part, *time)?,
            Entry::LoopStarted { time, at, items } => {
                let attempt = self.fresh(*at)?;
                let outputs = vec![None; items.len()];
                let weight = items.iter().map(weight).sum();
                let (items, frames) = (items.clone(), BTreeMap::new());
                let looping = Looping { items, begun: 0, frames, outputs, bytes: 0, weight };
                self.put_open(*at, Open { attempt, since: *time, stage: Stage::Looping(looping) });
            }
            Entry::Left { at, frame, outcome, done, next_at, .. } => {
                self.leave(*at, *frame, outcome, *done, *next_at)?
            }
            Entry::AttemptStarted { time, at, attempt, input } => {
                let expected = self.fresh(*at)?;
                if *attempt != expected {
                    return Err(format!("attempt {attempt} does not follow: {expected} would"));
                }
                let stage = Stage::Attempting { input: input.clone() };
                self.put_open(*at, Open { attempt: *attempt, since: *time, stage });
            }
            Entry::AttemptEnded { at, attempt, outcome, retry_at, .. } => {
                let open = self.open.get(at).filter(|open| open.attempt == *attempt);
                let Some(input) = open.and_then(|open| match &open.stage {
                    Stage::Attempting { input } => Some(input.clone()),
                    _ => None,
                }) else {
                    return Err(format!("attempt {attempt} is not under way"));
                };
                match (outcome, retry_at) {
                    (AttemptOutcome::Succeeded(output), None) => self.advance(*at, Some(output.clone())),
                    (AttemptOutcome::Failed(_), Some(due)) => {
                        self.put_stage(*at, Stage::Retrying { input: Some(input), due: *due });
                    }
                    // The step's end, with what becomes of the failure, is an entry of its own.
                    (AttemptOutcome::Failed(failure), None) => {
                        self.put_stage(*at, Stage::Settled(Err(failure.clone())))
                    }
                    (AttemptOutcome::Succeeded(_), Some(_)) => return refuse("a success is not tried again"),
                }
            }
            Entry::RetryScheduled { at, attempt, due, .. } => {
                self.check_current(*at)?;
                let before = self.attempt(*at);
                if before != *attempt {
                    return Err(format!("attempt {attempt} is not under way; {before} is"));
                }
                self.close_inside(*at);
                self.forget_inside(*at);
                let stage = Stage::Retrying { input: None, due: *due };
                self.put_open(*at, Open { attempt: *attempt, since: entry.time(), stage });
            }
            Entry::WaitStarted { time, at, awaited, until } => {
                let attempt = self.fresh(*at)?;
                let stage = Stage::Waiting { awaited: awaited.clone(), until: *until };
                self.put_open(*at, Open { attempt, since: *time, stage });
            }
            Entry::EventReceived { topic, event, .. } => {
                if self.inbox.events.len() >= limits::RECEIVED_MAX {
                    return Err(format!("{} events wait to be taken already", limits::RECEIVED_MAX));
                }
                let received = Received { sequence: self.next_sequence, topic: topic.clone(), event: event.clone() };
                self.kept_bytes += weight(event);
                self.inbox.put(received);
            }
            Entry::EventTaken { time, at, event } => {
                self.check_current(*at)?;
                match self.open.get(at).map(|open| &open.stage) {
                    Some(Stage::Waiting { awaited: Awaited::Event { .. }, .. } | Stage::Retrying { .. }) | None => {}
                    Some(_) => return refuse("the step does not wait for an event"),
                }
                let Some(received) = self.inbox.take(*event) else {
                    return Err(format!("event {event} is not there"));
                };
                self.kept_bytes -= weight(&received.event);
                let attempt = self.attempt(*at);
                let stage = Stage::Settled(Ok(received.event));
                self.put_open(*at, Open { attempt, since: *time, stage });
            }
            Entry::ApprovalGiven { time, at, approved, by, comment } => {
                let awaits = |awaited: &Awaited| matches!(awaited, Awaited::Approval { .. });
                self.check_waiting(*at, awaits, "the step does not wait for an approval")?;
                let settled = Stage::Settled(if *approved {
                    Ok(Arc::new(json!({"approved": true, "by": by, "at": time.to_string(), "comment": comment})))
                } else {
                    let said = comment.as_ref().map(|comment| format!(": {comment}")).unwrap_or_default();
                    Err(Failure::new(FailureKind::Rejected, format!("rejected by {by}{said}")))
                });
                self.put_stage(*at, settled);
            }
            Entry::LockTaken { at, .. } => {
                let mut taken = None;
                let awaits = |awaited: &Awaited| match awaited {
                    Awaited::Lock { key } => {
                        taken = Some(key.clone());
                        true
                    }
                    _ => false,
                };
                self.check_waiting(*at, awaits, "the step does not stand in line for a lock")?;
                self.put_stage(*at, Stage::Locked { key: taken.unwrap_or_default(), frame: None });
            }
            Entry::ChildEnded { at, outcome, .. } => {
                let awaits = |awaited: &Awaited| matches!(awaited, Awaited::Child { .. });
                self.check_waiting(*at, awaits, "the step does not wait for a child")?;
                let settled = Stage::Settled(match outcome {
                    AttemptOutcome::Succeeded(output) => Ok(output.clone()),
                    AttemptOutcome::Failed(failure) => Err(failure.clone()),
                });
                self.put_stage(*at, settled);
            }
            Entry::EventEmitted { time, at, event } => {
                let attempt = self.fresh(*at)?;
                let stage = Stage::Emitting { event: event.clone() };
                self.put_open(*at, Open { attempt, since: *time, stage });
            }
            Entry::VariablesSet { at, values, .. } => {
                self.fresh(*at)?;
                if let Value::Object(variables) = &mut self.variables {
                    for (name, value) in values.iter() {
                        let before = variables.insert(name.clone(), value.clone());
                        self.kept_bytes = self.kept_bytes + weight(value) - before.as_ref().map_or(0, weight);
                    }
                }
                self.advance(*at, Some(Arc::new(Value::Object((**values).clone()))));
            }
            Entry::ExitReached { at, outcome, .. } => {
                self.check_current(*at)?;
                self.close_inside(*at);
                if let Some(frame) = self.frames.get_mut(&at.0) {
                    frame.leaving = Some(Leaving::Exit(outcome.clone()));
                }
            }
            Entry::StepEnded { at, outcome, go_on, .. } => self.end_step(*at, outcome, *go_on)?,
            Entry::CancelRequested { by, .. } => self.cancel = Some(by.clone()),
            Entry::Ended { outcome, .. } => {
                self.outcome = Some(outcome.clone());
                self.frames.clear();
                self.open.clear();
                self.turns.clear();
                self.inbox = Inbox::default();
                self.kept_bytes = weight(&self.variables);
            }
        }
        Ok(())
    }

    /// The attempt that a step would begin with now.
    fn fresh(&self, at: At) -> Result<u32, String> {
        self.check_current(at)?;
        match self.open.get(&at) {
            None => Ok(1),
            Some(Open { attempt, stage: Stage::Retrying { .. }, .. }) => Ok(attempt + 1),
            Some(_) => refuse("the step is open already"),
        }
    }

    /// The attempt that is under way, or that would begin now.
    pub fn attempt(&self, at: At) -> u32 {
        match self.open.get(&at) {
            None => 1,
            // It failed before it had opened anything.
            Some(Open { attempt, stage: Stage::Retrying { .. }, .. }) => attempt + 1,
            Some(open) => open.attempt,
        }
    }

    /// The step must be the current one of an open frame that is not being left.
    fn check_current(&self, at: At) -> Result<(), String> {
        if self.started_at.is_none() {
            return refuse("the execution has not started");
        }
        let all = At(at.0, StepAddress(0))..=At(at.0, StepAddress(u32::MAX));
        match self.frames.get(&at.0) {
            None => Err(format!("frame {} is not open", at.0.0)),
            Some(frame) if frame.leaving.is_some() => Err(format!("frame {} is being left", at.0.0)),
            Some(_) if self.open.range(all).any(|(open, _)| *open != at) => {
                Err(format!("another step is open in frame {}", at.0.0))
            }
            Some(_) => Ok(()),
        }
    }

    /// Refuses unless a step waits for what is meant.
    fn check_waiting(&self, at: At, mut is_meant: impl FnMut(&Awaited) -> bool, otherwise: &str) -> Result<(), String> {
        match self.open.get(&at).map(|open| &open.stage) {
            Some(Stage::Waiting { awaited, .. }) if is_meant(awaited) => Ok(()),
            _ => Err(otherwise.to_owned()),
        }
    }

    fn enter(&mut self, at: At, block: BlockAddress, part: &Part, time: Timestamp) -> Result<(), String> {
        let frame = FrameId(self.frames_made);
        let outer = self.frames.get(&at.0).map_or(FrameId::ROOT, |frame| frame.scope);
        let mut turn = None;
        let mut error = None;
        let open = self.open.get_mut(&at);
        match (part, open.map(|open| &mut open.stage)) {
            (Part::Body, Some(Stage::Locked { frame: inside @ None, .. })) => *inside = Some(frame),
            (Part::Turn(index), Some(Stage::Looping(looping))) => {
                if *index != looping.begun || *index as usize >= looping.items.len() {
                    return Err(format!("turn {index} does not follow: {} would", looping.begun));
                }
                looping.begun += 1;
                looping.frames.insert(frame, *index);
                turn = Some((*index, Some(looping.items.clone())));
            }
            (Part::Turn(index), Some(Stage::Repeating(repeating))) => {
                if repeating.frame.is_some() || repeating.done || *index != repeating.ended {
                    return Err(format!("turn {index} does not follow"));
                }
                repeating.frame = Some(frame);
                repeating.next_at = None;
                turn = Some((*index, None));
            }
            (Part::Branch(index), Some(Stage::Forked(forked))) => {
                if *index as usize != forked.branches.len() {
                    return Err(format!("branch {index} does not follow"));
                }
                forked.branches.push(None);
                forked.frames.insert(frame, *index);
            }
            (Part::Catch(why), Some(Stage::Trying(trying))) => {
                if trying.part != TryPart::Body {
                    return refuse("a `catch` follows the body of its `try`");
                }
                let body = std::mem::replace(&mut trying.frame, frame);
                trying.part = TryPart::Catch;
                error = Some(why.clone());
                self.close(body);
            }
            (Part::Finally, Some(Stage::Trying(trying))) => {
                if trying.part == TryPart::Finally {
                    return refuse("`finally` has begun already");
                }
                let former = std::mem::replace(&mut trying.frame, frame);
                trying.part = TryPart::Finally;
                let passed = self.frames.get(&former).map(passed);
                trying.pending = passed;
                self.close(former);
            }
            (_, None | Some(Stage::Retrying { .. })) => {
                let attempt = self.fresh(at)?;
                let stage = match part {
                    Part::Body => Stage::Inside { frame },
                    Part::Turn(0) => {
                        turn = Some((0, None));
                        let last = Arc::new(Value::Null);
                        Stage::Repeating(Repeating { frame: Some(frame), ended: 0, last, done: false, next_at: None })
                    }
                    Part::Branch(0) => {
                        Stage::Forked(Forked { frames: BTreeMap::from([(frame, 0)]), branches: vec![None] })
                    }
                    Part::Try => Stage::Trying(Trying { part: TryPart::Body, frame, pending: None }),
                    Part::Turn(_) | Part::Branch(_) | Part::Catch(_) | Part::Finally => {
                        return refuse("the step has not begun");
                    }
                };
                self.put_open(at, Open { attempt, since: time, stage });
            }
            (_, Some(_)) => return refuse("the step is open already"),
        }
        self.frames_made += 1;
        let scope = match turn {
            Some((index, items)) => {
                let turn =
                    Turn { outer: Some(outer), owner: Some(at), index: json!(index), items, outputs: HashMap::new() };
                self.turns.insert(frame, turn);
                frame
            }
            None => outer,
        };
        let last = Arc::new(Value::Null);
        let (wrote, wrote_before) = (Vec::new(), 0);
        let opened = Frame { block, owner: Some(at), next: 0, last, wrote, wrote_before, leaving: None, scope, error };
        self.frames.insert(frame, opened);
        Ok(())
    }

    fn leave(
        &mut self,
        at: At,
        frame: FrameId,
        outcome: &AttemptOutcome,
        done: bool,
        next_at: Option<Timestamp>,
    ) -> Result<(), String> {
        let absent = || format!("frame {} is no block of this step", frame.0);
        let result = match outcome {
            AttemptOutcome::Succeeded(output) => Ok(output.clone()),
            AttemptOutcome::Failed(failure) => Err(failure.clone()),
        };
        match (self.open.get_mut(&at).map(|open| &mut open.stage), result) {
            (Some(Stage::Looping(looping)), Ok(output)) => {
                let index = looping.frames.remove(&frame).ok_or_else(absent)?;
                let weight = weight(&output);
                looping.bytes += size(&output);
                looping.weight += weight;
                looping.outputs[index as usize] = Some(output);
                self.kept_bytes += weight;
            }
            (Some(Stage::Repeating(repeating)), Ok(output)) => {
                if repeating.frame != Some(frame) {
                    return Err(absent());
                }
                repeating.frame = None;
                repeating.ended += 1;
                repeating.last = output;
                repeating.done = done;
                repeating.next_at = next_at;
            }
            (Some(Stage::Forked(forked)), result) => {
                let index = forked.frames.remove(&frame).ok_or_else(absent)?;
                forked.branches[index as usize] = Some(result);
            }
            _ => return Err(absent()),
        }
        self.close(frame);
        Ok(())
    }

    fn end_step(&mut self, at: At, outcome: &StepOutcome, go_on: bool) -> Result<(), String> {
        self.check_current(at)?;
        let frames = self.open.get(&at).map_or_else(Vec::new, |open| open.stage.frames());
        let attempt = self.attempt(at);
        match outcome {
            StepOutcome::Succeeded(output) => {
                self.close_inside(at);
                self.advance(at, Some(output.clone()));
            }
            StepOutcome::Skipped => self.advance(at, None),
            StepOutcome::Failed(_) if go_on => {
                self.close_inside(at);
                self.advance(at, None);
            }
            StepOutcome::Failed(failure) => {
                // A failure keeps the step that it began with, however many blocks it goes up through.
                let inner = self.left_by(at, &frames).find_map(|leaving| match leaving {
                    Leaving::Failed { origin, attempt, failure: inner } if inner == failure => {
                        Some((*origin, *attempt))
                    }
                    _ => None,
                });
                let (origin, attempt) = inner.unwrap_or((at, attempt));
                self.close_inside(at);
                if let Some(frame) = self.frames.get_mut(&at.0) {
                    frame.leaving = Some(Leaving::Failed { origin, attempt, failure: failure.clone() });
                }
            }
            StepOutcome::Exited => {
                let exit = self.left_by(at, &frames).find_map(|leaving| match leaving {
                    Leaving::Exit(outcome) => Some(outcome.clone()),
                    Leaving::Failed { .. } => None,
                });
                let exit = exit.ok_or("no `exit` was reached in the step")?;
                self.close_inside(at);
                if let Some(frame) = self.frames.get_mut(&at.0) {
                    frame.leaving = Some(Leaving::Exit(exit));
                }
            }
        }
        Ok(())
    }

    /// How the parts of a step were left.
    fn left_by<'a>(&'a self, at: At, frames: &'a [FrameId]) -> impl Iterator<Item = &'a Leaving> {
        let pending = match self.open.get(&at).map(|open| &open.stage) {
            Some(Stage::Trying(Trying { pending: Some(Passed::Left(leaving)), .. })) => Some(leaving),
            _ => None,
        };
        let frames = frames.iter().filter_map(|frame| self.frames.get(frame)?.leaving.as_ref());
        frames.chain(pending)
    }

    /// The step is done; its frame goes on to the next.
    fn advance(&mut self, at: At, output: Option<Arc<Value>>) {
        self.shut(at);
        let Some(frame) = self.frames.get_mut(&at.0) else {
            return;
        };
        frame.next += 1;
        if let Some(output) = &output {
            frame.last = output.clone();
            frame.wrote.push(at.1);
        }
        frame.wrote_before = frame.wrote.len();
        let scope = frame.scope;
        self.put_output(scope, at.1, output);
    }

    /// What `$.steps` reads of a step in a turn from now on.
    fn put_output(&mut self, turn: FrameId, step: StepAddress, output: Option<Arc<Value>>) {
        let Some(turn) = self.turns.get_mut(&turn) else {
            return;
        };
        self.kept_bytes += output.as_deref().map_or(0, weight);
        let before = match output {
            Some(output) => turn.outputs.insert(step, output),
            None => turn.outputs.remove(&step),
        };
        self.kept_bytes -= before.as_deref().map_or(0, weight);
    }

    /// Takes a step off the list of what is open.
    fn shut(&mut self, at: At) -> Option<Open> {
        let open = self.open.remove(&at)?;
        self.kept_bytes -= open.stage.bytes();
        Some(open)
    }

    /// Puts a step on the list of what is open, in place of what it was.
    fn put_open(&mut self, at: At, open: Open) {
        self.kept_bytes += open.stage.bytes();
        if let Some(before) = self.open.insert(at, open) {
            self.kept_bytes -= before.stage.bytes();
        }
    }

    /// The next stage of a step that is open.
    fn put_stage(&mut self, at: At, stage: Stage) {
        if let Some(Open { attempt, since, .. }) = self.open.get(&at) {
            let (attempt, since) = (*attempt, *since);
            self.put_open(at, Open { attempt, since, stage });
        }
    }

    /// A step that is tried again leaves no output of its former try behind, neither its own nor of what was in it.
    fn forget_inside(&mut self, at: At) {
        let Some(frame) = self.frames.get_mut(&at.0) else {
            return;
        };
        let (scope, inside) = (frame.scope, frame.wrote.split_off(frame.wrote_before));
        inside.into_iter().for_each(|address| self.put_output(scope, address, None));
    }

    /// Takes a step and all that runs in it off the list of what is open.
    fn close_inside(&mut self, at: At) {
        if let Some(open) = self.shut(at) {
            open.stage.frames().into_iter().for_each(|frame| self.close(frame));
        }
    }

    /// Blocks nest no deeper than a document may, so this does not go deep.
    fn close(&mut self, frame: FrameId) {
        let inside = At(frame, StepAddress(0))..=At(frame, StepAddress(u32::MAX));
        let steps: Vec<At> = self.open.range(inside).map(|(at, _)| *at).collect();
        steps.into_iter().for_each(|at| self.close_inside(at));
        if let Some(turn) = self.turns.remove(&frame) {
            self.kept_bytes -= turn.outputs.values().map(|output| weight(output)).sum::<usize>();
        }
        if let Some(Frame { owner: Some(owner), scope, wrote, .. }) = self.frames.remove(&frame)
            && scope != frame
            && let Some(around) = self.frames.get_mut(&owner.0)
        {
            around.wrote.extend(wrote);
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

    /// Where it stands.
    pub fn status(&self) -> Status {
        match &self.outcome {
            Some(outcome) => outcome.ending.into(),
            None if self.started_at.is_none() && self.queued_at.is_some() => Status::Queued,
            None if self.started_at.is_none() => Status::Accepted,
            None => {
                let works = |open: &Open| matches!(open.stage, Stage::Attempting { .. } | Stage::Emitting { .. });
                let waits = self.open.values().any(|open| open.stage.waits());
                if waits && !self.open.values().any(works) { Status::Waiting } else { Status::Running }
            }
        }
    }

    /// When something is due though nothing happens.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.open.values().filter_map(|open| open.stage.due()).min()
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
            failure: self
                .outcome
                .as_ref()
                .and_then(|outcome| outcome.failure.as_ref())
                .map(|failure| shortened(&failure.to_string())),
            labels: invocation.labels.clone(),
            test: invocation.test,
            parent: invocation.parent.as_ref().map(|parent| parent.execution),
            repeats: invocation.repeats,
            outlook: Outlook::default(),
        }
    }

    /// What its steps ask persons for, as lists show it.
    pub fn asked(&self, program: &Program) -> Vec<Asked> {
        let asked = |(at, open): (&At, &Open)| match &open.stage {
            Stage::Waiting { awaited: Awaited::Approval { ask, of }, until } => Some(Asked {
                step: program.step(at.1).path.clone(),
                iteration: self.turns(at.0),
                ask: shortened(ask),
                of: of.clone(),
                since: open.since,
                until: *until,
            }),
            _ => None,
        };
        self.open.iter().filter_map(asked).take(limits::ASKED_MAX).collect()
    }

    /// Executions that its steps wait for.
    pub fn children(&self) -> impl Iterator<Item = (At, ExecutionId)> {
        self.open.iter().filter_map(|(at, open)| match &open.stage {
            Stage::Waiting { awaited: Awaited::Child { execution, .. }, .. } => Some((*at, *execution)),
            _ => None,
        })
    }

    /// Locks that its steps hold or stand in line for.
    pub fn locks(&self) -> Vec<LockClaim> {
        let claim = |(at, open): (&At, &Open)| {
            let (key, held) = match &open.stage {
                Stage::Waiting { awaited: Awaited::Lock { key }, .. } => (key, false),
                Stage::Locked { key, .. } => (key, true),
                _ => return None,
            };
            Some(LockClaim { key: key.clone(), at: *at, since: open.since, held })
        };
        self.open.iter().filter_map(claim).collect()
    }
}

/// A text as a summary carries it.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(limits::SUMMARY_TEXT_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// How a block that is over, or left, has passed.
pub fn passed(frame: &Frame) -> Passed {
    match &frame.leaving {
        None => Passed::Ended(frame.last.clone()),
        Some(leaving) => Passed::Left(leaving.clone()),
    }
}

fn refuse<T>(why: &str) -> Result<T, String> {
    Err(why.to_owned())
}

fn illegal(sequence: Sequence, entry: &Entry, why: impl Into<String>) -> IllegalEntry {
    IllegalEntry { sequence, word: entry.word(), why: why.into() }
}
