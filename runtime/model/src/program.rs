//! A compiled workflow: steps at fixed addresses, blocks of steps, expressions ready to evaluate.
//!
//! A program is made once for each revision by `language` and never changes. `decide` reads it; nobody else needs to.
//!
//! ```text
//!   blocks[0] (root) = [steps 0, 1, 5]
//!   steps[1] = If { then: blocks[1], otherwise: blocks[2] }     blocks[1] = [2, 3]   blocks[2] = [4]
//! ```
//! A step belongs to exactly one block. Loops, branches and the parts of a `try` refer to blocks in the same way.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::Name;
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

    /// Topics of the events that its steps wait for.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match &step.kind {
            StepKind::Wait(Wait::Event { topic, .. }) => Some(topic.as_str()),
            _ => None,
        })
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
    /// How long one attempt may take; of a step with blocks, everything in them.
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
    /// A block for each item.
    ForEach(ForEach),
    /// A block again and again.
    Repeat(Repeat),
    /// Several blocks at once.
    Parallel(Parallel),
    /// A block, what to do when it fails, and what to do in any case.
    Try(Try),
    /// Waits for a time or an event.
    Wait(Wait),
    /// Waits for a person's yes.
    Approval(Approval),
    /// A block that one execution at a time may be in.
    Lock(Lock),
    /// An execution of another workflow.
    Workflow(Child),
    /// Sends an event.
    Emit(Emit),
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
            Self::ForEach(_) => "for_each",
            Self::Repeat(_) => "repeat",
            Self::Parallel(_) => "parallel",
            Self::Try(_) => "try",
            Self::Wait(_) => "wait",
            Self::Approval(_) => "approval",
            Self::Lock(_) => "lock",
            Self::Workflow(_) => "workflow",
            Self::Emit(_) => "emit",
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

/// `for_each`, `as`, `concurrency`, `do`, `collect`.
#[derive(Debug)]
pub struct ForEach {
    /// An array.
    pub items: Expression,
    /// Turns at once; at least 1.
    pub concurrency: u32,
    /// What is done with each item.
    pub body: BlockAddress,
    /// What becomes of a turn in the step's output; the turn's last output where it is left out.
    pub collect: Option<Expression>,
}

/// `repeat`, `until`, `every`, `at_most`.
#[derive(Debug)]
pub struct Repeat {
    /// What is done in each turn.
    pub body: BlockAddress,
    /// Asked after each turn; without it all `at_most` turns are made.
    pub until: Option<Expression>,
    /// Pause between two turns.
    pub every: Option<Duration>,
    /// Most turns; at least 1.
    pub at_most: u32,
}

/// `parallel`, `join`.
#[derive(Debug)]
pub struct Parallel {
    /// Name and block of each branch.
    pub branches: Vec<(String, BlockAddress)>,
    /// When the step is over.
    pub join: Join,
}

/// When a `parallel` step is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Join {
    /// When every branch is; one that fails fails the step.
    #[default]
    All,
    /// When one branch has succeeded; the others are cancelled. It fails when all have failed.
    Any,
}

/// `try`, `catch`, `finally`.
#[derive(Debug)]
pub struct Try {
    /// What may fail.
    pub body: BlockAddress,
    /// What is done when it did; `$.error` tells why.
    pub catch: Option<BlockAddress>,
    /// What is done whichever way the step is left, but for the end of the whole execution by a person or its limit of time.
    pub finally: Option<BlockAddress>,
}

/// `wait`.
#[derive(Debug)]
pub enum Wait {
    /// For so long: `5m`, or a number of seconds.
    For(Template),
    /// Until a time (RFC 3339). One that is past is over at once.
    Until(Template),
    /// For an event.
    Event {
        /// Its topic.
        topic: String,
        /// Whether it is the one that is meant: `$.received` is the event.
        matches: Option<Expression>,
        /// How long at most; the step then fails with `timeout`.
        timeout: Option<Duration>,
    },
}

/// `approval`.
#[derive(Debug)]
pub struct Approval {
    /// What is asked.
    pub ask: Template,
    /// Labels of the tokens that may answer; anybody's who may manage executions where it is empty.
    pub of: Vec<String>,
    /// How long at most; the step then fails with `timeout`.
    pub timeout: Option<Duration>,
}

/// `lock`, `do`.
#[derive(Debug)]
pub struct Lock {
    /// What is locked, within the workspace.
    pub key: Template,
    /// How long to stand in line at most; the step then fails with `timeout`.
    pub timeout: Option<Duration>,
    /// What is done while it is held.
    pub body: BlockAddress,
}

/// `workflow`, `with`, `wait`.
#[derive(Debug)]
pub struct Child {
    /// The workflow; what is published in the execution's environment when the step begins.
    pub workflow: Name,
    /// Its parameters: an object.
    pub with: Template,
    /// Whether the step ends with the child, with its output, or at once, with its id.
    pub wait: bool,
}

/// `emit`.
#[derive(Debug)]
pub struct Emit {
    /// The event's type.
    pub kind: Template,
    /// What waits listen to; the type where it is left out.
    pub topic: Option<Template>,
    /// What it happened to.
    pub subject: Option<Template>,
    /// What it carries.
    pub data: Template,
}

/// Whether a value counts as true: everything but `false` and `null`, as in jq.
pub fn truthy(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false))
}
