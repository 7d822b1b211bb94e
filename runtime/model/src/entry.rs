//! One line of an execution's journal.
//!
//! Entries are written as JSON, so that a journal can be read with nothing but a text tool, and so that fields may be
//! added: a reader ignores what it does not know, and every field that came later has a default.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::{ExecutionId, Name};
use crate::invocation::Invocation;
use crate::language::template::Input;
use crate::outcome::{AttemptOutcome, Failure, LogLine, Outcome, StepOutcome, Usage};
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

/// Which part of its step a block is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The only one that runs: of `if`, `switch` and `lock`.
    #[default]
    Body,
    /// The body of `try`.
    Try,
    /// A turn of a loop, from 0.
    Turn(u32),
    /// A branch of `parallel`, from 0.
    Branch(u32),
    /// `catch`, with `$.error`.
    Catch(Arc<Value>),
    /// `finally`
    Finally,
}

impl Part {
    fn is_body(&self) -> bool {
        *self == Self::Body
    }
}

/// What a step waits for besides a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Awaited {
    /// Only the time.
    Time,
    /// An event of this topic.
    Event {
        /// The topic.
        topic: String,
    },
    /// A person's answer.
    Approval {
        /// What is asked.
        ask: String,
        /// Labels of the tokens that may answer; empty is any.
        of: Vec<String>,
    },
    /// A lock.
    Lock {
        /// What is locked.
        key: String,
    },
    /// The end of a child.
    Child {
        /// The execution.
        execution: ExecutionId,
        /// Its workflow.
        workflow: Name,
    },
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
    /// It begins where another one had got to (a rerun from a step): what that one's steps put out. Always the second.
    Seeded {
        /// When.
        time: Timestamp,
        /// Outputs of steps of the root block.
        outputs: Vec<(StepAddress, Arc<Value>)>,
        /// `$.vars`
        variables: Arc<Map<String, Value>>,
        /// Index in the root block of the step to begin with.
        next: u32,
        /// What the root block had come to: its output, if nothing more puts one out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last: Option<Arc<Value>>,
    },
    /// It stands in line for its workflow's concurrency.
    Queued {
        /// When.
        time: Timestamp,
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
        /// Which part of the step it is.
        #[serde(default, skip_serializing_if = "Part::is_body")]
        part: Part,
    },
    /// A `for_each` began.
    LoopStarted {
        /// When.
        time: Timestamp,
        /// The step.
        at: At,
        /// What it goes over.
        items: Arc<Vec<Value>>,
    },
    /// A turn of a loop or a branch of `parallel` ended.
    Left {
        /// When.
        time: Timestamp,
        /// The step.
        at: At,
        /// The block's frame.
        frame: FrameId,
        /// How.
        outcome: AttemptOutcome,
        /// Whether the loop is over (`until` holds).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        done: bool,
        /// When the next turn is due.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_at: Option<Timestamp>,
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
    /// A step that is no task failed, and will be tried again from its beginning.
    RetryScheduled {
        /// When.
        time: Timestamp,
        /// The step.
        at: At,
        /// The attempt that failed, from 1.
        attempt: u32,
        /// Why.
        failure: Failure,
        /// When the next attempt is due.
        due: Timestamp,
    },
    /// A step waits.
    WaitStarted {
        /// When.
        time: Timestamp,
        /// The step.
        at: At,
        /// For what.
        awaited: Awaited,
        /// Until when at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// An event came for this execution; a step that waits for it, now or later, may take it.
    EventReceived {
        /// When.
        time: Timestamp,
        /// Its topic.
        topic: String,
        /// `{id, type, topic, source, subject, time, data}`
        event: Arc<Value>,
    },
    /// A step took an event.
    EventTaken {
        /// When.
        time: Timestamp,
        /// The step.
        at: At,
        /// The sequence of the `event_received`.
        event: Sequence,
    },
    /// A person answered.
    ApprovalGiven {
        /// When.
        time: Timestamp,
        /// The step.
        at: At,
        /// Yes or no.
        approved: bool,
        /// Who: the label of a token, or `operator`.
        by: String,
        /// What they said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
    },
    /// The lock that a step stood in line for is its own, until the step ends.
    LockTaken {
        /// When.
        time: Timestamp,
        /// The step.
        at: At,
    },
    /// A child that a step waited for ended.
    ChildEnded {
        /// When.
        time: Timestamp,
        /// The step.
        at: At,
        /// How.
        outcome: AttemptOutcome,
    },
    /// An event is sent; it has reached everybody once the step has ended.
    EventEmitted {
        /// When.
        time: Timestamp,
        /// The step.
        at: At,
        /// `{id, type, topic, source, subject, time, data}`
        event: Arc<Value>,
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
    /// `exit` was reached inside a block; the blocks around it are left one by one.
    ExitReached {
        /// When.
        time: Timestamp,
        /// The step.
        at: At,
        /// What the execution's outcome will be.
        outcome: Arc<Outcome>,
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

/// Kinds of entries and their words, in one place.
macro_rules! kinds {
    ($($kind:ident $word:literal)*) => {
        impl Entry {
            /// When it was written.
            pub fn time(&self) -> Timestamp {
                match self {
                    $(Self::$kind { time, .. })|* => *time,
                }
            }

            /// The word of its kind, as in its JSON.
            pub fn word(&self) -> &'static str {
                match self {
                    $(Self::$kind { .. } => $word,)*
                }
            }
        }
    };
}

kinds! {
    Accepted "accepted"
    Seeded "seeded"
    Queued "queued"
    Started "started"
    Entered "entered"
    LoopStarted "loop_started"
    Left "left"
    AttemptStarted "attempt_started"
    AttemptEnded "attempt_ended"
    RetryScheduled "retry_scheduled"
    WaitStarted "wait_started"
    EventReceived "event_received"
    EventTaken "event_taken"
    ApprovalGiven "approval_given"
    LockTaken "lock_taken"
    ChildEnded "child_ended"
    EventEmitted "event_emitted"
    VariablesSet "variables_set"
    ExitReached "exit_reached"
    StepEnded "step_ended"
    CancelRequested "cancel_requested"
    Ended "ended"
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
