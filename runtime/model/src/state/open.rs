//! Steps that have begun and not ended, and the frames of their blocks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use crate::entry::{At, Awaited, FrameId, Sequence};
use crate::language::template::{Input, weight};
use crate::outcome::{Failure, Outcome};
use crate::program::{BlockAddress, StepAddress};
use crate::time::Timestamp;

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
    /// Steps that have put something out, in this block or in blocks of its steps, as far as these are no loop turns.
    pub(super) wrote: Vec<StepAddress>,
    /// How many of them had when the step began that is open or comes next.
    pub(super) wrote_before: usize,
    /// Why it is left before its end.
    pub leaving: Option<Leaving>,
    /// The frame of the innermost loop turn around it, or the root.
    pub scope: FrameId,
    /// `$.error`, in a `catch`.
    pub error: Option<Arc<Value>>,
}

/// Why a block is left before its end.
#[derive(Debug, Clone, PartialEq)]
pub enum Leaving {
    /// A step failed.
    Failed {
        /// The step that failed first, however many blocks the failure has gone up through.
        origin: At,
        /// Its last attempt.
        attempt: u32,
        /// Why.
        failure: Failure,
    },
    /// An `exit` was reached.
    Exit(Arc<Outcome>),
}

/// How a part of a step ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Passed {
    /// It came to its end, with this output.
    Ended(Arc<Value>),
    /// It was left.
    Left(Leaving),
}

/// A step that has begun.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    /// From 1.
    pub attempt: u32,
    /// When this attempt began.
    pub since: Timestamp,
    /// How far it is.
    pub stage: Stage,
}

/// How far a step is.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// An attempt of a task is under way.
    Attempting {
        /// What the plugin was given.
        input: Arc<Input>,
    },
    /// The next attempt is due at a time.
    Retrying {
        /// What the plugin was given; none where the step is no task.
        input: Option<Arc<Input>>,
        /// When.
        due: Timestamp,
    },
    /// The world has answered; what becomes of it is decided next.
    Settled(Result<Arc<Value>, Failure>),
    /// In its one block.
    Inside {
        /// The block's frame.
        frame: FrameId,
    },
    /// In a `for_each`.
    Looping(Looping),
    /// In a `repeat`.
    Repeating(Repeating),
    /// In a `parallel`.
    Forked(Forked),
    /// In a `try`.
    Trying(Trying),
    /// It waits.
    Waiting {
        /// For what.
        awaited: Awaited,
        /// Until when at most.
        until: Option<Timestamp>,
    },
    /// It holds a lock.
    Locked {
        /// What is locked.
        key: String,
        /// The block's frame; none until it is entered.
        frame: Option<FrameId>,
    },
    /// An event is being sent.
    Emitting {
        /// The event.
        event: Arc<Value>,
    },
}

/// A `for_each` under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Looping {
    /// What it goes over.
    pub items: Arc<Vec<Value>>,
    /// Turns begun.
    pub begun: u32,
    /// Turns under way.
    pub frames: BTreeMap<FrameId, u32>,
    /// What ended turns have put out, by their index.
    pub outputs: Vec<Option<Arc<Value>>>,
    /// How large these are together, bytes of JSON, roughly.
    pub bytes: usize,
    /// Bytes of memory that these and the items take, roughly.
    pub weight: usize,
}

/// A `repeat` under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Repeating {
    /// The turn under way.
    pub frame: Option<FrameId>,
    /// Turns ended.
    pub ended: u32,
    /// What the latest one put out.
    pub last: Arc<Value>,
    /// Whether it is over.
    pub done: bool,
    /// When the next turn is due.
    pub next_at: Option<Timestamp>,
}

/// A `parallel` under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Forked {
    /// Branches under way.
    pub frames: BTreeMap<FrameId, u32>,
    /// How branches ended, by their index; as many as have begun.
    pub branches: Vec<Option<Result<Arc<Value>, Leaving>>>,
}

/// A `try` under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Trying {
    /// The part under way.
    pub part: TryPart,
    /// Its frame.
    pub frame: FrameId,
    /// What comes of the step once `finally` has ended.
    pub pending: Option<Passed>,
}

/// A part of a `try`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryPart {
    /// The body.
    Body,
    /// `catch`
    Catch,
    /// `finally`
    Finally,
}

impl Stage {
    /// Frames of its blocks that are open.
    pub fn frames(&self) -> Vec<FrameId> {
        match self {
            Self::Inside { frame } => vec![*frame],
            Self::Looping(looping) => looping.frames.keys().copied().collect(),
            Self::Repeating(repeating) => repeating.frame.into_iter().collect(),
            Self::Forked(forked) => forked.frames.keys().copied().collect(),
            Self::Trying(trying) => vec![trying.frame],
            Self::Locked { frame, .. } => frame.iter().copied().collect(),
            Self::Attempting { .. }
            | Self::Retrying { .. }
            | Self::Settled(_)
            | Self::Waiting { .. }
            | Self::Emitting { .. } => Vec::new(),
        }
    }

    /// What it holds that nothing else does, bytes as [`weight`] counts them.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Attempting { input } | Self::Retrying { input: Some(input), .. } => weight(&input.value),
            Self::Looping(looping) => looping.weight,
            Self::Waiting { awaited: Awaited::Approval { ask, .. }, .. } => ask.len(),
            Self::Waiting { awaited: Awaited::Lock { key }, .. } | Self::Locked { key, .. } => key.len(),
            Self::Emitting { event } => weight(event),
            Self::Waiting { .. }
            | Self::Retrying { input: None, .. }
            // What becomes of it is decided next.
            | Self::Settled(_)
            | Self::Inside { .. }
            | Self::Repeating(_)
            | Self::Forked(_)
            | Self::Trying(_) => 0,
        }
    }

    /// When it goes on though nothing happens.
    pub fn due(&self) -> Option<Timestamp> {
        match self {
            Self::Retrying { due, .. } => Some(*due),
            Self::Waiting { until, .. } => *until,
            Self::Repeating(repeating) => repeating.next_at,
            _ => None,
        }
    }

    /// Whether it waits for a time or for somebody.
    pub fn waits(&self) -> bool {
        match self {
            Self::Retrying { .. } | Self::Waiting { .. } => true,
            Self::Repeating(repeating) => repeating.frame.is_none() && repeating.next_at.is_some(),
            _ => false,
        }
    }
}

/// An event that came and that no step has taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// The sequence of its entry.
    pub sequence: Sequence,
    /// Its topic.
    pub topic: String,
    /// `{id, type, topic, source, subject, time, data}`
    pub event: Arc<Value>,
}

/// Events that came for an execution.
#[derive(Debug, Clone, Default)]
pub struct Inbox {
    /// Those that no step has taken, in their order.
    pub events: VecDeque<Received>,
    /// Source and id of the latest, so that one that comes twice counts once.
    known: VecDeque<(Value, Value)>,
}

impl Inbox {
    /// Whether an event of the same source and id came before.
    pub fn knows(&self, event: &Value) -> bool {
        self.known.iter().any(|(source, id)| *source == event["source"] && *id == event["id"])
    }

    pub(super) fn put(&mut self, received: Received) {
        if self.known.len() == crate::limits::RECEIVED_MAX {
            self.known.pop_front();
        }
        self.known.push_back((received.event["source"].clone(), received.event["id"].clone()));
        self.events.push_back(received);
    }

    pub(super) fn take(&mut self, sequence: Sequence) -> Option<Received> {
        let index = self.events.iter().position(|received| received.sequence == sequence)?;
        self.events.remove(index)
    }
}
