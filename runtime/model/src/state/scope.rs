//! What expressions of a step see: the execution's context, from the innermost loop turn outwards.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::State;
use crate::entry::{At, FrameId};
use crate::language::expression::{Root, Scope};
use crate::program::StepAddress;

/// What belongs to one loop turn, or to the root block.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    /// What is around it; none for the root block.
    pub(super) outer: Option<FrameId>,
    /// The loop; none for the root block.
    pub(super) owner: Option<At>,
    /// `$.index`
    pub(super) index: Value,
    /// The items of a `for_each`.
    pub(super) items: Option<Arc<Vec<Value>>>,
    pub(super) outputs: HashMap<StepAddress, Arc<Value>>,
}

impl Turn {
    pub(super) fn root() -> Self {
        Self { outer: None, owner: None, index: Value::Null, items: None, outputs: HashMap::new() }
    }
}

/// A state seen from one of its frames.
struct FrameScope<'a> {
    state: &'a State,
    frame: FrameId,
    turn: FrameId,
    received: Option<&'a Value>,
}

impl State {
    /// The context of expressions for steps of a frame.
    pub fn scope(&self, frame: FrameId) -> impl Scope + '_ {
        self.frame_scope(frame, None)
    }

    /// The same, for a `match` that looks at an event.
    pub fn scope_with<'a>(&'a self, frame: FrameId, received: &'a Value) -> impl Scope + 'a {
        self.frame_scope(frame, Some(received))
    }

    fn frame_scope<'a>(&'a self, frame: FrameId, received: Option<&'a Value>) -> FrameScope<'a> {
        let turn = self.frames.get(&frame).map_or(FrameId::ROOT, |frame| frame.scope);
        FrameScope { state: self, frame, turn, received }
    }

    /// What can be read of steps at the top of the document, and in blocks of theirs that are no loops; by address.
    pub fn root_outputs(&self) -> Vec<(StepAddress, Arc<Value>)> {
        let root = self.turns.get(&FrameId::ROOT);
        let mut outputs: Vec<_> = root.map(|turn| turn.outputs.clone()).unwrap_or_default().into_iter().collect();
        outputs.sort_by_key(|(address, _)| *address);
        outputs
    }

    /// Indexes of the loop turns around a frame, outermost first.
    pub fn turns(&self, frame: FrameId) -> Vec<u32> {
        let mut turns = Vec::new();
        let mut at = self.frames.get(&frame).map(|frame| frame.scope);
        while let Some(turn) = at.and_then(|at| self.turns.get(&at)) {
            if turn.owner.is_some() {
                turns.extend(turn.index.as_u64().map(|index| index as u32));
            }
            at = turn.outer;
        }
        turns.reverse();
        turns
    }
}

impl<'a> FrameScope<'a> {
    fn around(&self) -> impl Iterator<Item = &'a Turn> + use<'a> {
        let turns = &self.state.turns;
        std::iter::successors(turns.get(&self.turn), move |turn| turn.outer.and_then(|outer| turns.get(&outer)))
    }

    fn error(&self) -> Option<&'a Value> {
        let mut frame = self.state.frames.get(&self.frame)?;
        loop {
            match (&frame.error, frame.owner) {
                (Some(error), _) => return Some(error),
                (None, Some(At(outer, _))) => frame = self.state.frames.get(&outer)?,
                (None, None) => return None,
            }
        }
    }
}

impl Scope for FrameScope<'_> {
    fn get(&self, root: &Root) -> Option<&Value> {
        let state = self.state;
        match root {
            Root::Event => Some(&state.invocation.event),
            Root::Params => Some(&state.invocation.params),
            Root::Vars => Some(&state.variables),
            Root::Execution => Some(&state.execution),
            Root::Step(_, address) => self.around().find_map(|turn| turn.outputs.get(address)).map(|output| &**output),
            Root::Index => self.around().next().map(|turn| &turn.index),
            Root::Item(_, address) => {
                let turn = self.around().find(|turn| turn.owner.is_some_and(|owner| owner.1 == *address))?;
                turn.items.as_ref()?.get(turn.index.as_u64()? as usize)
            }
            Root::Error => self.error(),
            Root::Received => self.received,
            Root::Env => Some(&state.invocation.env),
            Root::Connection => Some(&state.invocation.connection),
        }
    }
}
