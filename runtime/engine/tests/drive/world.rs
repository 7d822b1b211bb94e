//! A world for the engine without disk, sandbox or clock: each seam in its simplest honest form.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use camshaft_engine::{Dispatcher, Engine, EngineParts};
use camshaft_model::entry::{Entry, Sequence};
use camshaft_model::ids::{Digest, ExecutionId, IdOrName, Name, ResourceId};
use camshaft_model::invocation::{DeliveryKey, Reply, RevisionRef, SeenDelivery, TriggerSource};
use camshaft_model::language::expression::Jq;
use camshaft_model::outcome::{Failure, FailureKind};
use camshaft_model::program::Program;
use camshaft_model::resource::{Change, Resource, ResourceKey, ResourceKind};
use camshaft_model::seams::*;
use camshaft_model::summary::Summary;
use camshaft_model::time::{Period, Timestamp};
use camshaft_model::workflow::{Workflow, WorkflowLimits};
use camshaft_model::{Value, json};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Notify;
use uuid::Uuid;

/// What a disk would hold. Every append is one element of `log`, so that a crash can cut between any two.
#[derive(Default)]
pub struct Disk {
    pub log: Mutex<Vec<Append>>,
    pub broken: AtomicBool,
}

impl Disk {
    /// A disk as a crash after the first `appends` appends leaves it.
    pub fn cut(&self, appends: usize) -> Arc<Self> {
        let log = self.log.lock().unwrap()[..appends].to_vec();
        Arc::new(Self { log: Mutex::new(log), broken: AtomicBool::new(false) })
    }

    pub fn journal(&self, id: ExecutionId) -> Vec<Entry> {
        let log = self.log.lock().unwrap();
        let journals = log.iter().flat_map(|append| &append.journals).filter(|journal| journal.id == id);
        journals.flat_map(|journal| journal.entries.iter().map(|entry| (**entry).clone())).collect()
    }

    pub fn appends(&self) -> usize {
        self.log.lock().unwrap().len()
    }

    fn summaries(&self) -> BTreeMap<ExecutionId, Summary> {
        let log = self.log.lock().unwrap();
        log.iter().flat_map(|append| &append.journals).map(|journal| (journal.id, journal.summary.clone())).collect()
    }

    fn seen(&self, key: &DeliveryKey) -> Option<SeenDelivery> {
        let log = self.log.lock().unwrap();
        log.iter()
            .filter_map(|append| append.delivery.as_ref())
            .map(|(seen, _)| seen)
            .find(|seen| seen.key == *key)
            .cloned()
    }
}

impl Store for Disk {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            if self.broken.load(Ordering::SeqCst) {
                return Err(StoreError::Unavailable("the disk is full".into()));
            }
            if let Some(seen) = append.delivery.as_ref().and_then(|(seen, _)| self.seen(&seen.key)) {
                return Err(StoreError::Duplicate(Box::new(seen)));
            }
            for journal in &append.journals {
                assert_eq!(journal.from, self.journal(journal.id).len() as u64, "entries follow those on disk");
            }
            self.log.lock().unwrap().push(append);
            Ok(())
        }
        .boxed()
    }
    fn entries(&self, id: ExecutionId, from: Sequence, limit: usize) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        async move { Ok(self.journal(id).into_iter().skip(from as usize).take(limit).collect()) }.boxed()
    }
    fn summary(&self, id: ExecutionId) -> BoxFuture<'_, Result<Option<Summary>, StoreError>> {
        async move { Ok(self.summaries().remove(&id)) }.boxed()
    }
    fn summaries(&self, _: SummaryQuery) -> BoxFuture<'_, Result<Vec<Summary>, StoreError>> {
        async move { Ok(self.summaries().into_values().collect()) }.boxed()
    }
    fn claim(
        &self,
        after: Option<ExecutionId>,
        limit: usize,
        _: Duration,
    ) -> BoxFuture<'_, Result<Vec<Claim>, StoreError>> {
        async move {
            let open = self.summaries().into_values().filter(|s| !s.status.is_final() && Some(s.id) > after);
            Ok(open.take(limit).map(|s| Claim { id: s.id, fence: Fence(1), summary: s }).collect())
        }
        .boxed()
    }
    fn fence(&self) -> Fence {
        Fence(1)
    }
    fn delivery(&self, key: &DeliveryKey, _: Timestamp) -> BoxFuture<'_, Result<Option<SeenDelivery>, StoreError>> {
        let seen = self.seen(key);
        async move { Ok(seen) }.boxed()
    }
    fn forget_deliveries(&self, _: Timestamp, _: usize) -> BoxFuture<'_, Result<usize, StoreError>> {
        async { Ok(0) }.boxed()
    }
    fn count(&self, _: &CountKey) -> BoxFuture<'_, Result<u64, StoreError>> {
        unreachable!("the engine reads no counters")
    }
    fn forget_counts(&self, _: &Period, _: usize) -> BoxFuture<'_, Result<usize, StoreError>> {
        unreachable!("the engine forgets no counters")
    }
    fn prune(&self, _: Prune) -> BoxFuture<'_, Result<Pruned, StoreError>> {
        unreachable!("the engine forgets no executions")
    }
    fn size(&self) -> BoxFuture<'_, Result<StoreSize, StoreError>> {
        unreachable!("the engine measures nothing")
    }
    fn snapshot(&self) -> BoxFuture<'_, Result<Snapshot, StoreError>> {
        unreachable!("the engine copies nothing")
    }
    fn change(&self, _: Vec<Change>) -> BoxFuture<'_, Result<Vec<Option<Resource>>, StoreError>> {
        unreachable!("the engine changes no resources")
    }
    fn resource(&self, _: ResourceKey) -> BoxFuture<'_, Result<Option<Resource>, StoreError>> {
        unreachable!("the engine reads no resources")
    }
    fn resources(
        &self,
        _: ResourceKind,
        _: Option<Name>,
        _: Option<ResourceKey>,
        _: usize,
    ) -> BoxFuture<'_, Result<Vec<Resource>, StoreError>> {
        unreachable!("the engine reads no resources")
    }
    fn put_blob(&self, _: Digest, _: Vec<u8>) -> BoxFuture<'_, Result<(), StoreError>> {
        unreachable!("the engine keeps no blobs")
    }
    fn blob(&self, _: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        unreachable!("the engine reads no blobs")
    }
    fn healthy(&self) -> bool {
        !self.broken.load(Ordering::SeqCst)
    }
}

/// A clock that moves when a test says so.
#[derive(Default)]
pub struct HandClock {
    now: AtomicU64,
    moved: Arc<Notify>,
}

impl HandClock {
    pub fn advance(&self, by: Duration) {
        self.now.fetch_add(by.as_micros() as u64, Ordering::SeqCst);
        self.moved.notify_waiters();
    }
}

/// Shared, so that sleepers outlive the borrow.
#[derive(Clone, Default)]
pub struct SharedClock(pub Arc<HandClock>);

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.now.load(Ordering::SeqCst))
    }
    fn sleep_until(&self, due: Timestamp) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        async move {
            loop {
                let moved = clock.0.moved.notified();
                tokio::pin!(moved);
                moved.as_mut().enable();
                if clock.now() >= due {
                    return;
                }
                moved.await;
            }
        }
        .boxed()
    }
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

type Behaviour = dyn Fn(&TaskCall) -> BoxFuture<'static, Result<Value, Failure>> + Send + Sync;

/// Task plugins by name.
#[derive(Default)]
pub struct FakePlugins {
    pub behaviours: HashMap<&'static str, Box<Behaviour>>,
    pub calls: Mutex<Vec<TaskCall>>,
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

/// No jq: these workflows use plain paths.
pub struct NoJq;

impl Jq for NoJq {
    fn evaluate(&self, _: &str, _: &str) -> Result<Value, String> {
        Err("no jq here".into())
    }
}

/// One workflow.
pub struct OneWorkflow(pub Arc<Published>);

impl Directory for OneWorkflow {
    fn integration(&self, _: &Name, _: &IdOrName) -> Option<Arc<Integration>> {
        None
    }
    fn subscribers(&self, _: &Name, _: &Name, _: &Name) -> Vec<Arc<Published>> {
        vec![]
    }
    fn published(&self, _: &Name, _: &IdOrName, _: &Name) -> Option<Arc<Published>> {
        Some(self.0.clone())
    }
    fn revision<'a>(
        &'a self,
        _: &'a Name,
        _: &'a RevisionRef,
        _: &'a Name,
    ) -> BoxFuture<'a, Result<Arc<Published>, StoreError>> {
        async { Ok(self.0.clone()) }.boxed()
    }
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn publish(program: Program) -> Arc<Published> {
    Arc::new(Published {
        workspace: name("default"),
        revision: RevisionRef { workflow_id: ResourceId(Uuid::from_u128(7)), workflow: name("flow"), revision: 1 },
        environment: name("production"),
        workflow: Workflow {
            name: name("flow"),
            description: None,
            labels: BTreeMap::new(),
            params: vec![],
            triggers: vec![],
            limits: WorkflowLimits::default(),
        },
        program: Arc::new(program),
    })
}

/// An engine on a disk, with what tests look at.
pub struct World {
    pub disk: Arc<Disk>,
    pub clock: SharedClock,
    pub plugins: Arc<FakePlugins>,
    pub published: Arc<Published>,
    pub engine: Arc<Engine>,
    pub dispatcher: Dispatcher,
}

impl World {
    pub fn new(disk: Arc<Disk>, plugins: FakePlugins, published: Arc<Published>, first_id: u64) -> Self {
        let clock = SharedClock::default();
        clock.advance_to_start();
        let plugins = Arc::new(plugins);
        let engine = Engine::start(EngineParts {
            store: disk.clone(),
            plugins: plugins.clone(),
            directory: Arc::new(OneWorkflow(published.clone())),
            jq: Arc::new(NoJq),
            clock: Arc::new(clock.clone()),
            ids: Arc::new(Counted(AtomicU64::new(first_id))),
            parallel_calls: 16,
        });
        Self { disk, clock, plugins, published, dispatcher: Dispatcher(engine.clone()), engine }
    }

    pub fn request(&self, reply: Reply) -> DispatchRequest {
        let start = Start {
            published: self.published.clone(),
            trigger: TriggerSource::Manual,
            event: Arc::new(json!({"body": {"n": 3}})),
            params: Arc::new(json!({})),
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
}

impl SharedClock {
    fn advance_to_start(&self) {
        self.0.advance(Duration::from_secs(1_000_000));
    }
}
