//! A world for the engine without disk, sandbox or clock: each seam in its simplest honest form.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use camshaft_engine::{Dispatcher, Engine, EngineParts};
use camshaft_model::entry::Entry;
use camshaft_model::ids::{Digest, ExecutionId, IdOrName, Name, ResourceId};
use camshaft_model::invocation::{DeliveryKey, Reply, RevisionRef, SeenDelivery, TriggerSource};
use camshaft_model::language::diagnose::Diagnostic;
use camshaft_model::language::expression::{Jq, JqError};
use camshaft_model::language::{FindTask, TaskMissing, compile};
use camshaft_model::outcome::{Failure, FailureKind, Outcome};
use camshaft_model::places::Places;
use camshaft_model::plugin::PluginPin;
use camshaft_model::program::Program;
use camshaft_model::seams::*;
use camshaft_model::time::Timestamp;
use camshaft_model::workflow::{Trigger, TriggerKey, Workflow, WorkflowLimits};
use camshaft_model::{Value, json};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime::Handle;
use uuid::Uuid;

pub use crate::clock::SharedClock;
pub use crate::disk::Disk;
use crate::hold::{Crowd, Hold};

struct Unwatched;

impl Witness for Unwatched {
    fn started(&self, _: &Published, _: &TriggerKey, _: Timestamp, _: ExecutionId) {}

    fn not_started(&self, _: &Published, _: &TriggerKey, _: Timestamp, _: String) {}
}

/// Ids in order, from a number on.
pub struct Counted(AtomicU64);

impl Ids for Counted {
    fn execution(&self) -> ExecutionId {
        ExecutionId(Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::SeqCst))))
    }
    fn resource(&self) -> ResourceId {
        ResourceId(Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::SeqCst))))
    }
}

pub type Behaviour = dyn Fn(&TaskCall) -> BoxFuture<'static, Result<Value, Failure>> + Send + Sync;

/// Task plugins by name.
#[derive(Default)]
pub struct FakePlugins {
    pub behaviours: HashMap<&'static str, Box<Behaviour>>,
    pub calls: Mutex<Vec<TaskCall>>,
}

impl FakePlugins {
    /// `silent` and `observable` echo what they are given, `fails` fails as it is told, and `hold` and `observable-hold` end
    /// when a test says so.
    pub fn holding(hold: &Arc<Hold>) -> Self {
        let mut plugins = Self::default();
        for echo in ["silent", "observable"] {
            plugins
                .behaviours
                .insert(echo, Box::new(|call| futures::future::ready(Ok(call.input.value.clone())).boxed()));
        }
        let fail = |call: &TaskCall| {
            let kind = serde_json::from_value(call.input.value["kind"].clone()).unwrap_or(FailureKind::Failed);
            let message = call.input.value["message"].as_str().unwrap_or("as it was told").to_owned();
            futures::future::ready(Err(Failure::new(kind, message))).boxed()
        };
        plugins.behaviours.insert("fails", Box::new(fail));
        for holds in ["hold", "observable-hold"] {
            let hold = hold.clone();
            plugins.behaviours.insert(holds, Box::new(move |call| hold.enter(call)));
        }
        plugins
    }

    /// What the calls of a plugin were given, in their order.
    pub fn inputs(&self, plugin: &str) -> Vec<Value> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|call| call.plugin.name.as_str() == plugin).map(|call| call.input.value.clone()).collect()
    }
}

impl Plugins for FakePlugins {
    fn call(&self, call: TaskCall) -> BoxFuture<'_, TaskDone> {
        self.calls.lock().unwrap().push(call.clone());
        let result = match self.behaviours.get(call.plugin.name.as_str()) {
            Some(behaviour) => behaviour(&call),
            None => async { Err(Failure::new(FailureKind::Failed, "no such plugin")) }.boxed(),
        };
        async move { TaskDone { result: result.await, usage: Default::default(), log: vec![] } }.boxed()
    }
    fn receive<'a>(&'a self, _: &'a Integration, _: &'a WebhookRequest) -> BoxFuture<'a, Result<Receipt, Refusal>> {
        unreachable!("the engine calls no adapters")
    }
}

thread_local! {
    /// How often jq was asked on this thread, which is a test's own.
    pub static EVALUATIONS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// jq without its sandbox. A filter that says `panic` is a fault of the engine's own.
pub struct NativeJq;

impl Jq for NativeJq {
    fn evaluate(&self, filter: &str, context: &str) -> Result<Value, JqError> {
        assert!(!filter.contains("panic"), "on purpose");
        EVALUATIONS.with(|count| count.set(count.get() + 1));
        let text = camshaft_jq::evaluate(filter, context).map_err(|fault| fault.to_string())?;
        serde_json::from_str(&text).map_err(|error| error.to_string().into())
    }
}

/// The same in a world with a clock: a filter that says `slow` takes 80 ms, one that says `crowd` until a test ends it.
struct TimedJq(SharedClock, Arc<Crowd>);

/// How long a slow filter takes.
pub const SLOW: Duration = Duration::from_millis(80);

impl Jq for TimedJq {
    fn evaluate(&self, filter: &str, context: &str) -> Result<Value, JqError> {
        if filter.contains("slow") {
            self.0.0.advance(SLOW);
        }
        if filter.contains("crowd") {
            self.1.enter(context);
        }
        NativeJq.evaluate(filter, context)
    }
    fn processor_time(&self) -> Duration {
        Duration::from_micros(self.0.now().0)
    }
}

/// What is published, by name.
pub struct Workflows(pub Vec<Arc<Published>>, pub Quotas);

/// What bounds the workspace; a test may change it.
pub type Quotas = Arc<Mutex<Arc<[Quota]>>>;

impl Directory for Workflows {
    fn concerned(&self, _: &Name, kind: &str, environment: &Name) -> Vec<Arc<Published>> {
        let is_meant = |trigger: &Trigger| matches!(trigger, Trigger::Event { kind: of, .. } if of == kind);
        let all = self.0.iter().filter(|published| published.environment == *environment);
        all.filter(|published| published.triggers().any(|(_, trigger)| is_meant(trigger))).cloned().collect()
    }

    fn quotas(&self, _: &Name) -> Arc<[Quota]> {
        self.1.lock().unwrap().clone()
    }

    fn variables(&self, _: &Name, _: &Name) -> Option<Arc<Value>> {
        None
    }

    fn home(&self, _: ResourceId) -> Option<Name> {
        None
    }

    fn integration(&self, _: &Name, _: &IdOrName) -> Option<Arc<Integration>> {
        None
    }
    fn subscribers(&self, _: &Name, _: &Name, _: &Name) -> Vec<Arc<Published>> {
        vec![]
    }
    fn published(&self, _: &Name, which: &IdOrName, _: &Name) -> Option<Arc<Published>> {
        self.0.iter().find(|known| *which == IdOrName::Name(known.revision.workflow.clone())).cloned()
    }
    fn revision<'a>(
        &'a self,
        _: &'a Name,
        revision: &'a RevisionRef,
        _: &'a Name,
    ) -> BoxFuture<'a, Result<Arc<Published>, StoreError>> {
        let known = self.0.iter().find(|known| known.revision == *revision).cloned();
        async move { known.ok_or_else(|| StoreError::Damaged("no such revision".into())) }.boxed()
    }
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn publish(program: Program) -> Arc<Published> {
    let workflow = Workflow {
        name: name("flow"),
        description: None,
        labels: BTreeMap::new(),
        params: vec![],
        triggers: vec![],
        limits: WorkflowLimits::default(),
    };
    publish_as(7, workflow, program)
}

fn publish_as(id: u128, workflow: Workflow, program: Program) -> Arc<Published> {
    let workflow_id = ResourceId(Uuid::from_u128(id));
    let revision = RevisionRef { workflow_id, workflow: workflow.name.clone(), revision: 1 };
    let (workspace, environment) = (name("default"), name("production"));
    let (workflow, program) = (Arc::new(workflow), Arc::new(program));
    Arc::new(Published::new(workspace, revision, environment, workflow, program, &BTreeSet::new()))
}

/// Every task there is; `observable` and what is called alike can be seen from outside.
pub struct Shelf;

impl FindTask for Shelf {
    fn find(&self, name: &Name, _: &semver::VersionReq) -> Result<PluginPin, TaskMissing> {
        Ok(PluginPin {
            name: name.clone(),
            version: semver::Version::new(1, 0, 0),
            digest: Digest([1; 32]),
            observable: name.as_str().starts_with("observable"),
        })
    }
    fn names(&self) -> Vec<String> {
        vec![]
    }
}

/// Publishes a document.
pub fn document(id: u128, text: &str) -> Arc<Published> {
    let compiled = compile(text, &Shelf).unwrap_or_else(|faults: Vec<Diagnostic>| {
        let faults: Vec<_> = faults.iter().map(Diagnostic::to_string).collect();
        panic!("{text}\n{}", faults.join("\n"))
    });
    publish_as(id, compiled.workflow, compiled.program)
}

/// Lets other tasks run until `holds`. Bounded, so that a mistake shows as a failure and not as a hang.
pub async fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if holds() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{what} did not come to pass");
}

/// An engine on a disk, with what tests look at.
pub struct World {
    pub disk: Arc<Disk>,
    pub clock: SharedClock,
    pub plugins: Arc<FakePlugins>,
    /// The first of the workflows.
    pub published: Arc<Published>,
    pub workflows: Vec<Arc<Published>>,
    pub hold: Arc<Hold>,
    pub crowd: Arc<Crowd>,
    pub quotas: Quotas,
    pub engine: Arc<Engine>,
    pub dispatcher: Dispatcher,
    first_id: u64,
}

impl World {
    pub fn new(disk: Arc<Disk>, plugins: FakePlugins, published: Arc<Published>, first_id: u64) -> Self {
        let clock = SharedClock::default();
        clock.advance_to_start();
        Self::begin(disk, plugins, Arc::default(), vec![published], clock, first_id)
    }

    /// A server on an empty disk, with these documents; the first is the one that is started.
    pub async fn of(documents: &[&str]) -> Self {
        let workflows = documents.iter().enumerate().map(|(n, text)| document(n as u128 + 7, text)).collect();
        Self::with(workflows).await
    }

    /// The same, of workflows that are published already.
    pub async fn with(workflows: Vec<Arc<Published>>) -> Self {
        let clock = SharedClock::default();
        clock.advance_to_start();
        let hold = Arc::new(Hold::default());
        let plugins = FakePlugins::holding(&hold);
        let world = Self::begin(Arc::default(), plugins, hold, workflows, clock, 1);
        world.engine.recover().await.unwrap();
        world
    }

    /// A new server on what a crash at this moment leaves on the disk.
    pub async fn again(&self) -> Self {
        self.after(self.disk.appends()).await
    }

    /// A new server on what a crash after so many appends leaves on the disk.
    pub async fn after(&self, appends: usize) -> Self {
        let world = self.crashed(appends);
        world.engine.recover().await.unwrap();
        world
    }

    /// The same, before it has taken up anything.
    pub fn crashed(&self, appends: usize) -> Self {
        let hold = Arc::new(Hold::default());
        let (plugins, workflows) = (FakePlugins::holding(&hold), self.workflows.clone());
        let (disk, clock, first_id) = (self.disk.cut(appends), self.clock.clone(), self.first_id + 100_000);
        let world = Self::begin(disk, plugins, hold, workflows, clock, first_id);
        world.bound(&self.quotas.lock().unwrap());
        world
    }

    pub fn begin(
        disk: Arc<Disk>,
        plugins: FakePlugins,
        hold: Arc<Hold>,
        workflows: Vec<Arc<Published>>,
        clock: SharedClock,
        first_id: u64,
    ) -> Self {
        let (plugins, quotas, crowd) = (Arc::new(plugins), Quotas::default(), Arc::<Crowd>::default());
        let engine = Engine::start(EngineParts {
            store: disk.clone(),
            plugins: plugins.clone(),
            directory: Arc::new(Workflows(workflows.clone(), quotas.clone())),
            jq: Arc::new(TimedJq(clock.clone(), crowd.clone())),
            places: Places::new(Handle::current().metrics().num_workers()),
            witness: Arc::new(Unwatched),
            clock: Arc::new(clock.clone()),
            ids: Arc::new(Counted(AtomicU64::new(first_id))),
            parallel_calls: 128,
        });
        let (published, dispatcher) = (workflows[0].clone(), Dispatcher(engine.clone()));
        Self { disk, clock, plugins, published, workflows, hold, crowd, quotas, dispatcher, engine, first_id }
    }

    /// The workspace is bounded so from now on.
    pub fn bound(&self, quotas: &[Quota]) {
        *self.quotas.lock().unwrap() = quotas.into();
    }

    pub fn request(&self, reply: Reply) -> DispatchRequest {
        self.request_of(&self.published, json!({"body": {"n": 3}}), reply)
    }

    fn request_of(&self, published: &Arc<Published>, event: Value, reply: Reply) -> DispatchRequest {
        let start = Start {
            published: published.clone(),
            trigger: TriggerSource::Manual,
            by: None,
            event: Arc::new(event),
            params: Arc::new(Value::Object(published.workflow.bind_params(&Default::default()).unwrap())),
            connection: Arc::default(),
            test: false,
            repeats: None,
            seed: None,
        };
        DispatchRequest {
            delivery: None,
            starts: vec![start],
            reply,
            window: Duration::from_secs(50),
            request_id: None,
        }
    }

    pub fn delivery(&self, id: &str, body: u8) -> SeenDelivery {
        SeenDelivery {
            key: DeliveryKey { workspace: name("default"), scope: "integration/x".into(), id: id.into() },
            body: Digest([body; 32]),
            at: self.clock.now(),
            executions: vec![],
        }
    }

    pub fn calls(&self) -> usize {
        self.plugins.calls.lock().unwrap().len()
    }

    /// Starts the first workflow, detached; `body` is `$.event.body`.
    pub async fn start(&self, body: Value) -> ExecutionId {
        self.try_start(body).await.unwrap()
    }

    pub async fn try_start(&self, body: Value) -> Result<ExecutionId, DispatchError> {
        let request = self.request_of(&self.published, json!({ "body": body }), Reply::Detach);
        Ok(self.dispatcher.dispatch(request).await?.executions[0].1)
    }

    /// Starts the first workflow, detached, with this as `$.event`.
    pub async fn start_with(&self, event: Value) -> ExecutionId {
        let request = self.request_of(&self.published, event, Reply::Detach);
        self.dispatcher.dispatch(request).await.unwrap().executions[0].1
    }

    /// Starts another one of the workflows.
    pub async fn start_of(&self, workflow: &str, body: Value) -> ExecutionId {
        let published = self.workflows.iter().find(|known| known.revision.workflow == name(workflow)).unwrap();
        let request = self.request_of(published, json!({ "body": body }), Reply::Detach);
        self.dispatcher.dispatch(request).await.unwrap().executions[0].1
    }

    /// Runs the first workflow to its end.
    pub async fn run(&self, body: Value) -> Arc<Outcome> {
        let id = self.start(body).await;
        self.outcome(id).await
    }

    /// How an execution ends, without the clock being moved.
    pub async fn outcome(&self, id: ExecutionId) -> Arc<Outcome> {
        eventually(&format!("the end of {id}, which is {:?},", self.disk.words(id)), || self.has_ended(id)).await;
        match self.disk.journal(id).pop() {
            Some(Entry::Ended { outcome, .. }) => outcome,
            last => panic!("the last entry is {last:?}"),
        }
    }

    pub fn has_ended(&self, id: ExecutionId) -> bool {
        self.disk.status(id).is_some_and(|status| status.is_final())
    }

    /// Lets everything run that can, until nothing moves any more.
    pub async fn rest(&self) {
        for _ in 0..300 {
            tokio::task::yield_now().await;
        }
    }

    /// Lets time pass, and what is due then happen.
    pub async fn pass(&self, time: Duration) {
        self.rest().await;
        self.clock.0.advance(time);
        self.rest().await;
    }

    /// Sends an event to everybody in the workspace.
    pub async fn send(&self, topic: &str, id: &str, data: Value) -> Vec<ExecutionId> {
        self.dispatcher.send(&name("default"), message(topic, id, data)).await.unwrap()
    }

    /// Answers the one approval that is asked.
    pub async fn answer(&self, id: ExecutionId, approved: bool, by: &str) -> Result<(), TellError> {
        let (by, comment) = (by.to_owned(), None);
        let answer = Answer { step: None, iteration: None, approved, by, is_operator: false, manages: true, comment };
        self.dispatcher.answer(id, answer).await
    }
}

pub fn message(topic: &str, id: &str, data: Value) -> Message {
    let event = json!({"id": id, "type": topic, "topic": topic, "source": "/test", "subject": null,
        "time": "2026-11-21T07:00:00Z", "data": data});
    Message { topic: topic.into(), event: Arc::new(event) }
}
