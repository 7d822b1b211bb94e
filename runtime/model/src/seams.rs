//! The seams: what the floors above give each other, as traits.
//!
//! Each has a second implementer in tests. Comments say what is true after a call returned, and after a crash.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::entry::{Entry, Sequence};
use crate::ids::{Digest, ExecutionId, IdOrName, Name, ResourceId, SecretName};
use crate::invocation::{Reply, RevisionRef, SeenDelivery, TriggerSource};
use crate::language::template::Input;
use crate::outcome::{Failure, LogLine, Outcome, Usage};
use crate::plugin::{Grant, PluginPin};
use crate::program::{Program, StepAddress};
use crate::resource::{Change, Resource, ResourceKey, ResourceKind};
use crate::schedule::Schedule;
use crate::summary::{Status, Summary};
use crate::time::{Period, Timestamp};
use crate::workflow::{Trigger, TriggerKey, Workflow, trigger_keys};

/// Tells the time. Only the outermost layer has a real one.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Returns once `due` is reached; at once if it is past. Dropping the future forgets it.
    fn sleep_until(&self, due: Timestamp) -> BoxFuture<'static, ()>;
}

/// Makes ids that nobody made before. Only the outermost layer draws random numbers.
pub trait Ids: Send + Sync {
    /// A fresh execution id, not smaller than those before it.
    fn execution(&self) -> ExecutionId;
    /// A fresh resource id.
    fn resource(&self) -> ResourceId;
}

// ---------------------------------------------------------------------------------------------------------------------
// Store

/// What the store could not do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The disk or the database refused. Nothing of the call is durable.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// What is stored cannot be read.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// A change expected another generation.
    #[error("{} `{}` has generation {found}, not the expected one", .key.kind.as_str(), .key.name)]
    Conflict {
        /// The resource.
        key: ResourceKey,
        /// Its generation; 0 where there is none.
        found: u64,
    },
    /// The delivery was seen before; nothing of the append is durable.
    #[error("delivery `{}` was seen before", .0.key.id)]
    Duplicate(Box<SeenDelivery>),
    /// Another server took the execution over: the fence is too old. Nothing of the append is durable.
    #[error("execution {0} is driven by another server")]
    Fenced(ExecutionId),
    /// A counter of the append stands at its limit. Nothing of the append is durable.
    #[error("{} has reached its limit of {limit} for {}", .key.owner, .key.period)]
    LimitReached {
        /// The counter.
        key: CountKey,
        /// What it may not go beyond.
        limit: u64,
    },
}

/// A right to append to an execution, which ends when another server is given a newer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fence(pub u64);

/// Entries of one execution, to be appended together.
#[derive(Debug, Clone)]
pub struct JournalAppend {
    /// The execution.
    pub id: ExecutionId,
    /// The right to do so.
    pub fence: Fence,
    /// The sequence of the first entry; must be what follows the latest durable one.
    pub from: Sequence,
    /// The entries.
    pub entries: Vec<Arc<Entry>>,
    /// The execution as lists show it after these entries.
    pub summary: Summary,
}

/// What is counted: the executions of a workflow, a workspace or the instance in a period. Ordered by period first, so that old ones stand together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountKey {
    /// `day/2026-11-21`, `month/2026-11`
    pub period: Period,
    /// Whose: a workflow's id, or that of a [`Quota`].
    pub owner: ResourceId,
}

/// One more in a counter, as long as it stays within a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The counter; it begins at 0.
    pub key: CountKey,
    /// What it may reach and not go beyond.
    pub limit: u64,
}

/// Everything that becomes durable together, or not at all.
#[derive(Debug, Clone, Default)]
pub struct Append {
    /// Entries of one or more executions.
    pub journals: Vec<JournalAppend>,
    /// The delivery that brought them: refused as [`StoreError::Duplicate`] if its key was seen since `seen_after`.
    pub delivery: Option<(SeenDelivery, Timestamp)>,
    /// Counters that each go up by one: refused as [`StoreError::LimitReached`] where one would go beyond its limit. The
    /// same counter twice goes up by two. A delivery that was seen before is told first, and counts nothing.
    pub counts: Vec<Count>,
}

/// Which executions a list shows, newest first.
#[derive(Debug, Clone, Default)]
pub struct SummaryQuery {
    /// Whose.
    pub workspace: Option<Name>,
    /// Of this workflow.
    pub workflow: Option<ResourceId>,
    /// In one of these; empty is any.
    pub statuses: Vec<Status>,
    /// Older than this one: the cursor of the page before.
    pub before: Option<ExecutionId>,
    /// At most so many.
    pub limit: usize,
}

/// Which ended executions are forgotten in one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prune {
    /// Those that ended before this time.
    pub ended_before: Timestamp,
    /// At most so many executions.
    pub limit: usize,
    /// About so many entries: an execution that has more goes in several calls. The first of them makes it unseen, the last
    /// one counts it.
    pub entries: usize,
}

/// What was forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many executions went.
    pub executions: usize,
    /// Bytes of keys and values that went with them.
    pub bytes: u64,
    /// Whether a further call finds something to forget.
    pub more: bool,
}

/// How large a store is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreSize {
    /// Length of its file. Freed pages are used again before it grows; not all of its bytes need stand on the disk.
    pub file_bytes: u64,
    /// Bytes of the keys and values that it keeps; what they take in the file is more.
    pub used_bytes: u64,
}

/// A copy of a store, in pieces of some hundred KiB and in a form that only the store itself reads. It ends with the last piece,
/// or with an error, behind which nothing comes.
pub type Snapshot = BoxStream<'static, Result<bytes::Bytes, StoreError>>;

/// An open execution, handed to this server to be driven.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The execution.
    pub id: ExecutionId,
    /// The right to append to it.
    pub fence: Fence,
    /// As lists show it: whoever takes it up learns its workflow and where it stands without reading its journal.
    pub summary: Summary,
}

/// Durability: journals, what is derived from them, and resources.
pub trait Store: Send + Sync {
    /// Appends atomically. When this returns `Ok`, everything in it survives a crash; when it returns an error, nothing
    /// of it will ever be seen. Many callers at once share one commit.
    fn append(&self, append: Append) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Entries of an execution from a sequence on, at most `limit`; empty where there is no such execution.
    fn entries(&self, id: ExecutionId, from: Sequence, limit: usize) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>>;
    /// One execution as lists show it.
    fn summary(&self, id: ExecutionId) -> BoxFuture<'_, Result<Option<Summary>, StoreError>>;
    /// A page of executions, newest first.
    fn summaries(&self, query: SummaryQuery) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>>;
    /// Takes up to `limit` open executions that no live server drives, for `lease`; oldest first, behind `after`. The
    /// embedded store has one server and grants at once.
    fn claim(
        &self,
        after: Option<ExecutionId>,
        limit: usize,
        lease: Duration,
    ) -> BoxFuture<'_, Result<Vec<Claim>, StoreError>>;
    /// The fence for executions that this server accepts.
    fn fence(&self) -> Fence;
    /// A delivery seen at or after a time.
    fn delivery(
        &self,
        key: &crate::invocation::DeliveryKey,
        seen_after: Timestamp,
    ) -> BoxFuture<'_, Result<Option<SeenDelivery>, StoreError>>;
    /// Forgets deliveries seen before a time, at most `limit` of them; tells how many went.
    fn forget_deliveries(&self, before: Timestamp, limit: usize) -> BoxFuture<'_, Result<usize, StoreError>>;
    /// Where a counter stands: how many appends that named it are durable; 0 where there is none.
    fn count(&self, key: &CountKey) -> BoxFuture<'_, Result<u64, StoreError>>;
    /// Forgets the counters of earlier periods of the same kind (days before a day, months before a month), oldest first, at
    /// most `limit` of them; tells how many went.
    fn forget_counts(&self, before: &Period, limit: usize) -> BoxFuture<'_, Result<usize, StoreError>>;
    /// Forgets ended executions with all that is kept of them, those that ended first before others. Open ones are never
    /// touched. One transaction: work of others goes in between two calls.
    fn prune(&self, prune: Prune) -> BoxFuture<'_, Result<Pruned, StoreError>>;
    /// How large the store is, as of what is durable.
    fn size(&self) -> BoxFuture<'_, Result<StoreSize, StoreError>>;
    /// A copy of everything as it stands at one moment: what was acknowledged before the call is in it, and of what comes
    /// later nothing. Writing goes on meanwhile; what it frees is not used again until the copy is read or dropped.
    fn snapshot(&self) -> BoxFuture<'_, Result<Snapshot, StoreError>>;

    /// Carries out all changes or none; answers with the resources as they stand after (none for a deletion). Durable
    /// when it returns. [`StoreError::Conflict`] where an expectation does not hold.
    fn change(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<Vec<Option<Resource>>, StoreError>>;
    /// One resource.
    fn resource(&self, key: ResourceKey) -> BoxFuture<'_, Result<Option<Resource>, StoreError>>;
    /// Resources of a kind in the order of their names, behind `after`, at most `limit`; of all workspaces where none is named.
    fn resources(
        &self,
        kind: ResourceKind,
        workspace: Option<Name>,
        after: Option<ResourceKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Resource>, StoreError>>;

    /// Keeps bytes under their digest. Durable when it returns; the same bytes twice are kept once.
    fn put_blob(&self, digest: Digest, bytes: Vec<u8>) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Bytes by digest.
    fn blob(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>>;
    /// True while appends can become durable; `readyz` asks.
    fn healthy(&self) -> bool;
}

// ---------------------------------------------------------------------------------------------------------------------
// Plugins

/// A call of a task plugin.
#[derive(Debug, Clone)]
pub struct TaskCall {
    /// The release.
    pub plugin: PluginPin,
    /// The input; secrets as references, which the host resolves.
    pub input: Arc<Input>,
    /// The execution.
    pub execution: ExecutionId,
    /// Path of the step.
    pub step: String,
    /// From 1.
    pub attempt: u32,
    /// Turns of the loops around it.
    pub iteration: Vec<u32>,
    /// The same for every attempt of this step.
    pub idempotency_key: String,
    /// The workspace.
    pub workspace: Name,
    /// The environment.
    pub environment: Name,
    /// True for tests that should change nothing outside.
    pub dry_run: bool,
    /// How long it may take, where the step says so and it is less than the budget.
    pub timeout: Option<Duration>,
}

/// How a task call ended. Secrets that the call was given are masked in all of it.
#[derive(Debug, Clone)]
pub struct TaskDone {
    /// The output, or why there is none.
    pub result: Result<Value, Failure>,
    /// What it used.
    pub usage: Usage,
    /// What it logged.
    pub log: Vec<LogLine>,
}

/// A delivery, exactly as it came.
#[derive(Debug, Clone)]
pub struct WebhookRequest {
    /// `POST`
    pub method: String,
    /// The path behind the integration's URL.
    pub path: String,
    /// The raw query string.
    pub query: String,
    /// In the order of the wire.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Untouched.
    pub body: bytes::Bytes,
    /// The client's address.
    pub remote_address: Option<String>,
    /// When it came.
    pub received_at: Timestamp,
    /// The URL that the vendor called, as the outside sees it.
    pub public_url: String,
}

/// An integration, ready to receive.
#[derive(Clone)]
pub struct Integration {
    /// Its id.
    pub id: ResourceId,
    /// Its name.
    pub name: Name,
    /// Its workspace.
    pub workspace: Name,
    /// Its adapter.
    pub adapter: PluginPin,
    /// Its configuration, an object.
    pub config: Value,
    /// Its secrets, each with one or more values. Never shown.
    pub secrets: Vec<(String, Vec<String>)>,
    /// False where it takes no deliveries.
    pub enabled: bool,
}

/// What an adapter made of one event of a delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterEvent {
    /// The vendor's id.
    pub id: Option<String>,
    /// The type.
    pub kind: String,
    /// Where it happened.
    pub source: Option<String>,
    /// What it happened to.
    pub subject: Option<String>,
    /// When it happened.
    pub time: Option<Timestamp>,
    /// The body where it is not the request's.
    pub body: Option<Value>,
}

/// An answer of an adapter's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterResponse {
    /// The status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What becomes of a delivery that an adapter accepted. Secrets that the adapter was given are masked in all of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    /// Events to start workflows with.
    pub events: Vec<AdapterEvent>,
    /// An answer in place of ours.
    pub respond: Option<AdapterResponse>,
}

/// Why a delivery was not accepted, with the same secrets masked.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// 401: the signature or token is missing, wrong or too old.
    Unauthorized(String),
    /// 400: not what the vendor sends.
    Malformed(String),
    /// 400: not what the adapter takes.
    Unsupported(String),
    /// 500: the adapter itself failed.
    Broken(Failure),
}

/// Runs plugins.
pub trait Plugins: Send + Sync {
    /// Calls a task in a fresh instance. Ends within its budget, whatever the guest does, and never panics.
    fn call(&self, call: TaskCall) -> BoxFuture<'_, TaskDone>;
    /// Lets an integration's adapter look at a delivery.
    fn receive<'a>(
        &'a self,
        integration: &'a Integration,
        request: &'a WebhookRequest,
    ) -> BoxFuture<'a, Result<Receipt, Refusal>>;
}

/// What operators allow and keep secret; the host asks at each call, so that a change holds at once.
pub trait Permissions: Send + Sync {
    /// What a plugin is granted in a workspace; nothing where no grant was made.
    fn grant(&self, workspace: &Name, plugin: &Name) -> Arc<Grant>;
    /// The value of a secret.
    fn secret(&self, workspace: &Name, environment: &Name, name: &SecretName) -> Option<String>;
}

// ---------------------------------------------------------------------------------------------------------------------
// What is published, and starting it

/// A revision that is ready to run.
#[derive(Debug)]
pub struct Published {
    /// The workspace.
    pub workspace: Name,
    /// Which revision of which workflow.
    pub revision: RevisionRef,
    /// Where it is published.
    pub environment: Name,
    /// What its document says.
    pub workflow: Arc<Workflow>,
    /// Its steps.
    pub program: Arc<Program>,
    /// Its triggers that are switched on, by their places in the document.
    switched_on: Vec<(TriggerKey, usize)>,
}

impl Published {
    /// A revision, with these of its triggers switched off.
    pub fn new(
        workspace: Name,
        revision: RevisionRef,
        environment: Name,
        workflow: Arc<Workflow>,
        program: Arc<Program>,
        disabled: &BTreeSet<TriggerKey>,
    ) -> Self {
        let keys = trigger_keys(&workflow.triggers).into_iter().zip(0..);
        let switched_on = keys.filter(|(key, _)| !disabled.contains(key)).collect();
        Self { workspace, revision, environment, workflow, program, switched_on }
    }

    /// The same with these of its triggers switched off, whatever was before.
    pub fn switched(&self, disabled: &BTreeSet<TriggerKey>) -> Self {
        let Self { workspace, revision, environment, workflow, program, switched_on: _ } = self;
        let (workflow, program) = (workflow.clone(), program.clone());
        Self::new(workspace.clone(), revision.clone(), environment.clone(), workflow, program, disabled)
    }

    /// The schedules among the triggers that are switched on.
    pub fn schedules(&self) -> impl Iterator<Item = (&TriggerKey, &Schedule)> {
        self.triggers().filter_map(|(key, trigger)| match trigger {
            Trigger::Schedule(schedule) => Some((key, &**schedule)),
            _ => None,
        })
    }

    /// The triggers that are switched on, in the order of the document.
    pub fn triggers(&self) -> impl Iterator<Item = (&TriggerKey, &Trigger)> {
        self.switched_on.iter().map(|(key, index)| (key, &self.workflow.triggers[*index]))
    }
}

/// What is published of one workflow that has, or had, a schedule.
#[derive(Debug, Clone)]
pub struct Scheduled {
    /// Its workspace.
    pub workspace: Name,
    /// The workflow.
    pub workflow: ResourceId,
    /// What is published of it now, and since when that is so. Empty where nothing is any more.
    pub published: Vec<(Arc<Published>, Timestamp)>,
}

/// Finds integrations and published workflows; a snapshot in memory.
pub trait Directory: Send + Sync {
    /// The workspace that an integration or a workflow of this id belongs to.
    fn home(&self, id: ResourceId) -> Option<Name>;
    /// An integration.
    fn integration(&self, workspace: &Name, which: &IdOrName) -> Option<Arc<Integration>>;
    /// The variables of an environment, an object; none where it has none.
    fn variables(&self, workspace: &Name, environment: &Name) -> Option<Arc<Value>>;
    /// What bounds a workspace beside its workflows' own limits: its quota and the instance's, those that bound anything.
    fn quotas(&self, workspace: &Name) -> Arc<[Quota]>;
    /// Every workflow published in the environment that has a webhook trigger for this integration, by name.
    fn subscribers(&self, workspace: &Name, integration: &Name, environment: &Name) -> Vec<Arc<Published>>;
    /// Every workflow published in the environment that has a trigger for events of this type, by name.
    fn concerned(&self, workspace: &Name, kind: &str, environment: &Name) -> Vec<Arc<Published>>;
    /// A workflow, as it is published in the environment.
    fn published(&self, workspace: &Name, which: &IdOrName, environment: &Name) -> Option<Arc<Published>>;
    /// A revision, published or not: executions pin theirs. The environment is the execution's.
    fn revision<'a>(
        &'a self,
        workspace: &'a Name,
        revision: &'a RevisionRef,
        environment: &'a Name,
    ) -> BoxFuture<'a, Result<Arc<Published>, StoreError>>;
    /// The workflows with schedules, of all workspaces, that have changed behind a number, each as it is now; and the number
    /// to ask with for what changes next. 0 is before everything. Waits until there is one; a directory that knows of no
    /// schedules waits for ever.
    fn scheduled(&self, behind: u64) -> BoxFuture<'_, (u64, Vec<Scheduled>)> {
        let _ = behind;
        Box::pin(std::future::pending())
    }
}

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limited {
    /// A workflow, by its document.
    Workflow,
    /// A workspace.
    Workspace(Name),
    /// The whole instance, by its configuration.
    Instance,
}

/// How many executions a workspace or the instance may have. Children, repetitions and tests count as others do.
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
}

impl Quota {
    /// Whether it bounds anything.
    pub fn bounds(&self) -> bool {
        self.at_once.is_some() || self.per_day.is_some() || self.per_month.is_some()
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
