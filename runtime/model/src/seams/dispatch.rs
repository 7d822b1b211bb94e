//! Starting executions, and telling them something.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Published, StoreError};
use crate::ids::{ExecutionId, Name, ResourceId};
use crate::invocation::{Reply, SeenDelivery, TimeLimit, TriggerSource};
use crate::outcome::Outcome;
use crate::program::StepAddress;
use crate::summary::Status;
use crate::time::Timestamp;
use crate::workflow::TriggerKey;

/// One workflow to be started by a delivery.
#[derive(Debug, Clone)]
pub struct Start {
    /// What to run.
    pub published: Arc<Published>,
    /// What starts it.
    pub trigger: TriggerSource,
    /// The trigger of the workflow that does; none for a test, a repetition, a child.
    pub by: Option<TriggerKey>,
    /// `$.event`, null where none.
    pub event: Arc<Value>,
    /// `$.params`, bound and checked.
    pub params: Arc<Value>,
    /// `$.connection`, null where none.
    pub connection: Arc<Value>,
    /// True for a test.
    pub test: bool,
    /// The execution that it repeats.
    pub repeats: Option<ExecutionId>,
    /// Where it begins, if not at the beginning.
    pub seed: Option<Seed>,
}

/// Where an execution begins that repeats another one from a step on.
#[derive(Debug, Clone, Default)]
pub struct Seed {
    /// Outputs of steps of the root block.
    pub outputs: Vec<(StepAddress, Arc<Value>)>,
    /// `$.vars`
    pub variables: Arc<serde_json::Map<String, Value>>,
    /// Index in the root block of the step to begin with.
    pub next: u32,
    /// What the root block had come to.
    pub last: Arc<Value>,
}

/// Everything that one request starts: accepted in one append, or not at all.
#[derive(Debug, Clone)]
pub struct DispatchRequest {
    /// Its identity, where the vendor or caller gave one: `executions` is filled in by the engine.
    pub delivery: Option<SeenDelivery>,
    /// The workflows.
    pub starts: Vec<Start>,
    /// Whether the caller waits. Waiting is for exactly one start.
    pub reply: Reply,
    /// How long it waits.
    pub window: Duration,
    /// `X-Request-Id`.
    pub request_id: Option<String>,
}

/// What became of a dispatch.
#[derive(Debug, Clone)]
pub struct Dispatched {
    /// Workflow and execution, in the order of the starts.
    pub executions: Vec<(Name, ExecutionId)>,
    /// True where an earlier delivery of the same id started these.
    pub replayed: bool,
    /// What was left out because of its workflow's limits; others were started.
    pub refused: Vec<LimitReached>,
    /// For a caller that waits: the outcome, or none where the window was over first. Everything that led to it is
    /// durable.
    pub outcome: Option<Arc<Outcome>>,
}

/// Whose a limit is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limited {
    /// A workflow, by its document.
    Workflow,
    /// A workspace.
    Workspace(Name),
    /// The whole instance, by its configuration.
    Instance,
}

/// How many executions a workspace or the instance may have, and how long they may take. Children, repetitions and tests count as others do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// Whose it is.
    pub of: Limited,
    /// What its counters are kept under.
    pub owner: ResourceId,
    /// Executions under way at once. One that waits for long is not under way, and children are let in.
    pub at_once: Option<u32>,
    /// Executions accepted in a day (UTC).
    pub per_day: Option<u64>,
    /// Executions accepted in a month (UTC).
    pub per_month: Option<u64>,
    /// How long an execution may take, waiting included, whatever its workflow says.
    pub execution_time: Option<Duration>,
}

impl Quota {
    /// Whether it bounds anything.
    pub fn bounds(&self) -> bool {
        let Self { of: _, owner: _, at_once, per_day, per_month, execution_time } = self;
        at_once.is_some() || per_day.is_some() || per_month.is_some() || execution_time.is_some()
    }

    /// What bounds an execution closer than the `limits.timeout` of its workflow: the shortest of these; of two that are alike, the
    /// first.
    pub fn closest(quotas: &[Self], timeout: Duration) -> Option<TimeLimit> {
        let times = quotas.iter().filter_map(|quota| Some((quota.execution_time?, quota)));
        let (time, quota) = times.filter(|(time, _)| *time < timeout).min_by_key(|(time, _)| *time)?;
        let limit_ms = u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        Some(TimeLimit { of: quota.of.clone(), limit_ms })
    }
}

/// A limit that leaves no room for one more execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitReached {
    /// Whose limit it is.
    pub of: Limited,
    /// The workflow that was not started.
    pub workflow: Name,
    /// `executions at once`, `executions a day`, `executions a month`
    pub what: &'static str,
    /// The limit.
    pub limit: u64,
    /// When to try again, seconds from now; 1 where that hangs on other executions.
    pub retry_after_s: u64,
}

impl std::error::Error for LimitReached {}

impl std::fmt::Display for LimitReached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.of {
            Limited::Workflow => write!(f, "workflow `{}`", self.workflow)?,
            Limited::Workspace(workspace) => write!(f, "workspace `{workspace}`")?,
            Limited::Instance => f.write_str("this server")?,
        }
        write!(f, " has reached its limit of {} {}", self.limit, self.what)
    }
}

/// Why nothing was started.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DispatchError {
    /// The same delivery id came with another body.
    #[error("delivery id `{id}` came before with a different body")]
    DifferentBody {
        /// The id.
        id: String,
    },
    /// Limits of the workflows leave no room. Nothing was started.
    #[error("{0}")]
    LimitReached(LimitReached),
    /// It could not be made durable. Nothing was started; the caller may try again.
    #[error("not durable now: {0}")]
    NotDurable(String),
    /// The server is going down.
    #[error("the server is stopping")]
    Stopping,
}

/// An event for steps that wait.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its topic.
    pub topic: String,
    /// `{id, type, topic, source, subject, time, data}`; source and id are its identity.
    pub event: Arc<Value>,
}

/// A person's answer to an approval.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Path of the step; may be left out where only one approval is asked.
    pub step: Option<String>,
    /// Turns of the loops around it, where it is in any.
    pub iteration: Option<Vec<u32>>,
    /// Yes or no.
    pub approved: bool,
    /// Who: the label of a token, or `operator`.
    pub by: String,
    /// Whether they may answer whatever the step says.
    pub is_operator: bool,
    /// Whether they manage executions: only such may answer where a step names nobody.
    pub manages: bool,
    /// What they say.
    pub comment: Option<String>,
}

/// Why something could not be told to an execution.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TellError {
    /// There is none.
    #[error("there is no execution {0}")]
    Unknown(ExecutionId),
    /// It is over.
    #[error("execution {0} has ended already: {1}")]
    Ended(ExecutionId, Status),
    /// It cannot take it as it stands.
    #[error("{0}")]
    Unfit(String),
    /// Somebody else is asked.
    #[error("`{by}` is not asked; {} may answer", .of.join(", "))]
    NotAsked {
        /// Who answered.
        by: String,
        /// Who may.
        of: Vec<String>,
    },
    /// It could not be made durable.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Is told what became of each start that a trigger asked for, whoever handed it in. A delivery that had come before is not told
/// of again where it starts something; where it starts nothing, it is not known to have come before.
pub trait Witness: Send + Sync {
    /// The trigger started its workflow at this time; told once it is known, which may be when the execution has ended.
    fn started(&self, published: &Published, trigger: &TriggerKey, at: Timestamp, execution: ExecutionId);
    /// It could not.
    fn not_started(&self, published: &Published, trigger: &TriggerKey, at: Timestamp, why: String);
    /// None of these could: they are turned away before they are dispatched.
    fn turned_away(&self, starts: &[Start], at: Timestamp, why: &str) {
        for Start { published, by, .. } in starts {
            by.iter().for_each(|by| self.not_started(published, by, at, why.to_owned()));
        }
    }
}

/// Starts executions and waits for them; the engine, as triggers know it.
pub trait Dispatch: Send + Sync {
    /// Accepts executions. For a detached caller they are durable when this returns. For one that waits, it returns with
    /// the outcome, or when the window is over; either way what the answer tells is durable.
    fn dispatch(&self, request: DispatchRequest) -> BoxFuture<'_, Result<Dispatched, DispatchError>>;
    /// Waits for an execution, for at most `window`. None where it still goes on, or where there is no such execution.
    fn outcome(&self, id: ExecutionId, window: Duration) -> BoxFuture<'_, Result<Option<Arc<Outcome>>, StoreError>>;
    /// Asks for an execution's end. Durable when it returns; the execution ends as soon as its attempts are stopped.
    fn cancel(&self, id: ExecutionId, by: String) -> BoxFuture<'_, Result<(), TellError>>;
    /// Hands an event to every open execution of the workspace that has a step which waits for its topic, now or later.
    /// Durable when it returns; answers with the executions, those too that knew it already.
    fn send<'a>(&'a self, workspace: &'a Name, message: Message) -> BoxFuture<'a, Result<Vec<ExecutionId>, TellError>>;
    /// Hands an event to one execution. Durable when it returns.
    fn send_to(&self, id: ExecutionId, message: Message) -> BoxFuture<'_, Result<(), TellError>>;
    /// Answers an approval. Durable when it returns.
    fn answer(&self, id: ExecutionId, answer: Answer) -> BoxFuture<'_, Result<(), TellError>>;
}
