//! Taking an entry in: what each changes, and what has to be so before it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Inbox, Leaving, Looping, Open, Received, Stage, State, refuse};
use crate::entry::{At, Awaited, Entry, FrameId};
use crate::language::template::weight;
use crate::limits;
use crate::outcome::{AttemptOutcome, Failure, FailureKind};
use crate::program::StepAddress;

impl State {
    /// As [`Self::apply`]; the error is the rule that it breaks. Checks first, changes then.
    pub(super) fn take(&mut self, entry: &Entry) -> Result<(), String> {
        if self.outcome.is_some() {
            return refuse("the execution has ended");
        }
        match entry {
            Entry::Accepted { .. } => return refuse("the execution is accepted already"),
            Entry::Seeded { outputs, variables, next, last, .. } => {
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
                    // An entry of an older release does not say.
                    let of_outputs = || outputs.last().map(|(_, output)| output.clone()).unwrap_or_default();
                    frame.last = last.clone().unwrap_or_else(of_outputs);
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
    pub(super) fn fresh(&self, at: At) -> Result<u32, String> {
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
    pub(super) fn check_current(&self, at: At) -> Result<(), String> {
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
}
