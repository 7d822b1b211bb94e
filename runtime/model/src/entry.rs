//! One line of an execution's journal.
//!
//! Entries are written as JSON, so that a journal can be read with nothing but a text tool, and so that fields may be
//! added: a reader ignores what it does not know, and every field that came later has a default.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::invocation::Invocation;
use crate::language::template::Input;
use crate::outcome::{AttemptOutcome, LogLine, Outcome, StepOutcome, Usage};
use crate::program::{BlockAddress, StepAddress};
use crate::time::Timestamp;

/// Position of an entry in its journal, from 0.
pub type Sequence = u64;

/// An activation of a block within an execution. The root is 0; each [`Entry::Entered`] makes the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FrameId(pub u32);

impl FrameId {
    /// The frame of the root block.
    pub const ROOT: Self = Self(0);
}

/// One occurrence of a step: the step, in the frame that it runs in. In a loop each turn has a frame of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct At(pub FrameId, pub StepAddress);

/// A turn of a loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// From 0.
    pub index: u32,
    /// The item, where the loop goes over items.
    pub item: Arc<Value>,
}

/// One line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// The execution exists. Always the first.
    Accepted {
        /// When.
        time: Timestamp,
        /// What it is.
        invocation: Arc<Invocation>,
    },
    /// It runs.
    Started {
        /// When.
        time: Timestamp,
    },
    /// A step opened a block.
    Entered {
        /// When.
        time: Timestamp,
        /// The step.
        at: At,
        /// The block.
        block: BlockAddress,
        /// The turn, in a loop.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        turn: Option<Turn>,
    },
    /// An attempt of a task began.
    AttemptStarted {
        /// When.
        time: Timestamp,
        /// The step.
        at: At,
        /// From 1.
        attempt: u32,
        /// What the plugin is given; secrets as references.
        input: Arc<Input>,
    },
    /// An attempt ended.
    AttemptEnded {
        /// When.
        time: Timestamp,
        /// The step.
        at: At,
        /// From 1.
        attempt: u32,
        /// How.
        outcome: AttemptOutcome,
        /// When the next attempt is due; none where this was the last.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
        /// What it used.
        #[serde(default)]
        usage: Usage,
        /// What it logged.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        log: Vec<LogLine>,
    },
    /// Variables were written.
    VariablesSet {
        /// When.
        time: Timestamp,
        /// The step.
        at: At,
        /// The values.
        values: Arc<Map<String, Value>>,
    },
    /// A step ended.
    StepEnded {
        /// When.
        time: Timestamp,
        /// The step.
        at: At,
        /// How.
        outcome: StepOutcome,
        /// Whether the block goes on behind a failure (`on_error: continue`).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        go_on: bool,
    },
    /// Somebody asked for the end.
    CancelRequested {
        /// When.
        time: Timestamp,
        /// Who: the label of a token, or `operator`.
        by: String,
    },
    /// The execution ended. Always the last.
    Ended {
        /// When.
        time: Timestamp,
        /// How.
        outcome: Arc<Outcome>,
    },
}

impl Entry {
    /// When it was written.
    pub fn time(&self) -> Timestamp {
        match self {
            Self::Accepted { time, .. }
            | Self::Started { time }
            | Self::Entered { time, .. }
            | Self::AttemptStarted { time, .. }
            | Self::AttemptEnded { time, .. }
            | Self::VariablesSet { time, .. }
            | Self::StepEnded { time, .. }
            | Self::CancelRequested { time, .. }
            | Self::Ended { time, .. } => *time,
        }
    }

    /// The word of its kind, as in its JSON.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Started { .. } => "started",
            Self::Entered { .. } => "entered",
            Self::AttemptStarted { .. } => "attempt_started",
            Self::AttemptEnded { .. } => "attempt_ended",
            Self::VariablesSet { .. } => "variables_set",
            Self::StepEnded { .. } => "step_ended",
            Self::CancelRequested { .. } => "cancel_requested",
            Self::Ended { .. } => "ended",
        }
    }
}

/// An entry that does not follow from those before it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("entry {sequence} ({word}) is illegal: {why}")]
pub struct IllegalEntry {
    /// Its position.
    pub sequence: Sequence,
    /// Its kind.
    pub word: &'static str,
    /// What rule it breaks.
    pub why: String,
}
