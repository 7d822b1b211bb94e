//! Frames and steps: entered, left, ended, and what they keep.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::scope::Turn;
use super::{Forked, Frame, Leaving, Open, Passed, Repeating, Stage, State, TryPart, Trying, passed, refuse};
use crate::entry::{At, FrameId, Part};
use crate::language::template::{size, weight};
use crate::outcome::{AttemptOutcome, StepOutcome};
use crate::program::{BlockAddress, StepAddress};
use crate::time::Timestamp;

impl State {
    pub(super) fn enter(&mut self, at: At, block: BlockAddress, part: &Part, time: Timestamp) -> Result<(), String> {
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

    pub(super) fn leave(
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
            AttemptOutcome::Failed(failure) => {
                let leaving = self.frames.get(&frame).and_then(|frame| frame.leaving.clone());
                let own = || Leaving::Failed { origin: at, attempt: self.attempt(at), failure: failure.clone() };
                Err(leaving.unwrap_or_else(own))
            }
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

    pub(super) fn end_step(&mut self, at: At, outcome: &StepOutcome, go_on: bool) -> Result<(), String> {
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
        let stage = self.open.get(&at).map(|open| &open.stage);
        let pending = match stage {
            Some(Stage::Trying(Trying { pending: Some(Passed::Left(leaving)), .. })) => Some(leaving),
            _ => None,
        };
        let branches = match stage {
            Some(Stage::Forked(forked)) => forked.branches.as_slice(),
            _ => &[],
        };
        let branches = branches.iter().rev().filter_map(|branch| branch.as_ref()?.as_ref().err());
        let frames = frames.iter().filter_map(|frame| self.frames.get(frame)?.leaving.as_ref());
        frames.chain(pending).chain(branches)
    }

    /// The step is done; its frame goes on to the next.
    pub(super) fn advance(&mut self, at: At, output: Option<Arc<Value>>) {
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
    pub(super) fn put_output(&mut self, turn: FrameId, step: StepAddress, output: Option<Arc<Value>>) {
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
    pub(super) fn shut(&mut self, at: At) -> Option<Open> {
        let open = self.open.remove(&at)?;
        self.kept_bytes -= open.stage.bytes();
        Some(open)
    }

    /// Puts a step on the list of what is open, in place of what it was.
    pub(super) fn put_open(&mut self, at: At, open: Open) {
        self.kept_bytes += open.stage.bytes();
        if let Some(before) = self.open.insert(at, open) {
            self.kept_bytes -= before.stage.bytes();
        }
    }

    /// The next stage of a step that is open.
    pub(super) fn put_stage(&mut self, at: At, stage: Stage) {
        if let Some(Open { attempt, since, .. }) = self.open.get(&at) {
            let (attempt, since) = (*attempt, *since);
            self.put_open(at, Open { attempt, since, stage });
        }
    }

    /// A step that is tried again leaves no output of its former try behind, neither its own nor of what was in it.
    pub(super) fn forget_inside(&mut self, at: At) {
        let Some(frame) = self.frames.get_mut(&at.0) else {
            return;
        };
        let (scope, inside) = (frame.scope, frame.wrote.split_off(frame.wrote_before));
        inside.into_iter().for_each(|address| self.put_output(scope, address, None));
    }

    /// Takes a step and all that runs in it off the list of what is open.
    pub(super) fn close_inside(&mut self, at: At) {
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
}
