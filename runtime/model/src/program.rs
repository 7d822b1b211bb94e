//! A compiled workflow: steps at fixed addresses, blocks of steps, expressions ready to evaluate.
//!
//! A program is made once for each revision by `language` and never changes. `decide` reads it; nobody else needs to.
//!
//! ```text
//!   blocks[0] (root) = [steps 0, 1, 5]
//!   steps[1] = If { then: blocks[1], otherwise: blocks[2] }     blocks[1] = [2, 3]   blocks[2] = [4]
//! ```
//! A step belongs to exactly one block. Loops and branches to come refer to blocks in the same way.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::language::expression::Expression;
use crate::language::template::Template;
use crate::outcome::FailureKind;
use crate::plugin::PluginPin;

/// Where a step stands in its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepAddress(pub u32);

/// Where a block stands in its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlockAddress(pub u32);

/// The block that an execution begins with.
pub const ROOT: BlockAddress = BlockAddress(0);

/// A compiled workflow.
#[derive(Debug)]
pub struct Program {
    /// Every step, nested ones included, in the order of the document.
    pub steps: Vec<Step>,
    /// Every block; the first is the root.
    pub blocks: Vec<Vec<StepAddress>>,
    /// How long an execution may take.
    pub timeout: Duration,
}

impl Program {
    /// The step at an address. Addresses come from this program, so there is one.
    pub fn step(&self, address: StepAddress) -> &Step {
        &self.steps[address.0 as usize]
    }

    /// The steps of a block.
    pub fn block(&self, address: BlockAddress) -> &[StepAddress] {
        &self.blocks[address.0 as usize]
    }
}

/// One step.
#[derive(Debug)]
pub struct Step {
    /// Its `id`, or a stable path: `2`, `2.then.0`, `route.push.1`.
    pub path: String,
    /// Its `id`, where it has one.
    pub id: Option<String>,
    /// Its `name`, for people.
    pub name: Option<String>,
    /// Line in the document, from 1.
    pub line: u32,
    /// Skipped unless this holds.
    pub when: Option<Expression>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// Whether and when to try again.
    pub retry: Retry,
    /// What a failure does.
    pub on_error: OnError,
    /// Whether an attempt that the server did not survive may be made again.
    pub repeat: RepeatAfterCrash,
    /// What it does.
    pub kind: StepKind,
}

/// What a failure of a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// It fails the block around it.
    #[default]
    Fail,
    /// It is noted, and the next step follows.
    Continue,
}

/// Whether an observable attempt that the server did not survive is made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RepeatAfterCrash {
    /// With the same idempotency key.
    #[default]
    Allowed,
    /// Never: the attempt ends as `lost`.
    Never,
}

/// When to try a step again.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// Attempts in all; 1 is no retry.
    pub attempts: u32,
    /// Wait before the second attempt.
    pub first: Duration,
    /// What each further wait is multiplied with.
    pub factor: f64,
    /// Longest wait.
    pub max: Duration,
    /// Whether waits are spread at random (between half and all of their length).
    pub jitter: bool,
    /// The failures that are worth another attempt.
    pub on: Vec<FailureKind>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 1,
            first: Duration::from_secs(1),
            factor: 2.0,
            max: Duration::from_secs(60),
            jitter: true,
            on: vec![FailureKind::Unavailable, FailureKind::Timeout],
        }
    }
}

/// What a step does; one variant a kind key of the language.
#[derive(Debug)]
pub enum StepKind {
    /// Calls a task plugin.
    Task(Task),
    /// One of two blocks.
    If(If),
    /// The block of the case that equals the value.
    Switch(Switch),
    /// Writes variables: `$.vars`.
    Set(Vec<(String, Template)>),
    /// Ends the execution.
    Exit(ExitStep),
}

impl StepKind {
    /// The kind key.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Task(_) => "task",
            Self::If(_) => "if",
            Self::Switch(_) => "switch",
            Self::Set(_) => "set",
            Self::Exit(_) => "exit",
        }
    }
}

/// A call of a task plugin.
#[derive(Debug)]
pub struct Task {
    /// The release, resolved when the revision was made.
    pub plugin: PluginPin,
    /// The input.
    pub with: Template,
}

/// `if`, `then`, `else`.
#[derive(Debug)]
pub struct If {
    /// What is asked.
    pub condition: Expression,
    /// Where it holds.
    pub then: BlockAddress,
    /// Where it does not.
    pub otherwise: Option<BlockAddress>,
}

/// `switch`, `cases`, `default`.
#[derive(Debug)]
pub struct Switch {
    /// What is compared.
    pub value: Expression,
    /// Case and block. A case is the text of the document; numbers and booleans equal their JSON text.
    pub cases: Vec<(String, BlockAddress)>,
    /// Where no case is equal.
    pub default: Option<BlockAddress>,
}

/// `exit`.
#[derive(Debug)]
pub struct ExitStep {
    /// Every key but `run`.
    pub outputs: Vec<(String, Template)>,
    /// Whether the execution is recorded as failed, whatever is answered.
    pub failed: bool,
}

/// Whether a value counts as true: everything but `false` and `null`, as in jq.
pub fn truthy(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false))
}
