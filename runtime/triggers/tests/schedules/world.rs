//! A world for schedules: a directory that a test fills, an engine that accepts and remembers, a clock that a test moves, and a
//! store that survives whoever uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use camshaft_model::connection::{Connection, ConnectionRef};
use camshaft_model::ids::{ExecutionId, IdOrName, Name, ResourceId, UserId};
use camshaft_model::invocation::{DeliveryKey, RevisionRef, SeenDelivery, TriggerSource};
use camshaft_model::language::{Pins, compile};
use camshaft_model::limits;
use camshaft_model::outcome::{Ending, Outcome};
use camshaft_model::resource::{Resource, ResourceKey};
use camshaft_model::seams::*;
use camshaft_model::summary::Status;
use camshaft_model::time::Timestamp;
use camshaft_model::workflow::TriggerKey;
use camshaft_model::{Value, json};
use camshaft_triggers::schedule::{Parts, Place, Schedules};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

mod store;

/// A Saturday.
pub const NOON: &str = "2026-11-21T12:00:00Z";

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn id(number: u64) -> ResourceId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    ResourceId::from_bytes(bytes)
}

/// An execution that the engine accepted.
#[derive(Debug, Clone)]
pub struct Accepted {
    pub start: Start,
    pub status: Status,
    pub at: Timestamp,
}

/// What survives a crash.
#[derive(Default)]
struct Kept {
    executions: BTreeMap<ExecutionId, Accepted>,
    deliveries: BTreeMap<DeliveryKey, SeenDelivery>,
    resources: BTreeMap<ResourceKey, Resource>,
}

/// A clock that a test moves. Whoever waits for anything looks again when it is told of a move.
#[derive(Default)]
struct Time {
    now: AtomicU64,
    sleepers: Mutex<BTreeSet<(Timestamp, u64)>>,
    slept: AtomicU64,
    moved: Notify,
}

#[derive(Default)]
pub struct World {
    time: Arc<Time>,
    /// Calls of the seams so far: when none is made any more, everything rests.
    calls: AtomicUsize,
    kept: Mutex<Kept>,
    scheduled: Mutex<Vec<Scheduled>>,
    /// What dispatching fails with.
    pub refuses: Mutex<Option<DispatchError>>,
    /// Who is connected.
    pub connections: Mutex<Vec<Arc<Connection>>>,
    /// Whose execution cannot be made durable.
    pub refuses_user: Mutex<Option<String>>,
    /// Whether the store fails.
    pub broken: Mutex<bool>,
    /// Whether whoever dispatches hears no more of it, though it is done.
    pub deaf: Mutex<bool>,
    under_way: AtomicUsize,
    pub most_under_way: AtomicUsize,
    pub changes: AtomicUsize,
    /// How often schedules looked for a delivery, and for what goes on.
    pub looks: [AtomicUsize; 2],
    /// What schedules said that they did not start, which the engine was not asked for.
    pub not_started: Mutex<Vec<String>>,
}

/// A server over a world; dropped, it has crashed.
pub struct Server {
    pub world: Arc<World>,
    pub schedules: Arc<Schedules>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// At noon, with these schedules published then.
    pub async fn with(schedules: &str) -> Self {
        let world = World::at(NOON);
        world.publish("triage", "production", schedules, NOON);
        Self::over(world).await
    }

    pub async fn over(world: Arc<World>) -> Self {
        let parts = Parts {
            directory: world.clone(),
            dispatch: world.clone(),
            store: world.clone(),
            clock: Arc::new(HandClock(world.time.clone())),
            ids: world.clone(),
            witness: world.clone(),
        };
        let schedules = Arc::new(Schedules::new(parts));
        let running = schedules.clone();
        let task = tokio::spawn(async move { running.run().await.unwrap() });
        let server = Self { world, schedules, task };
        server.world.rest().await;
        server
    }

    /// The process ends, and another one is started at a time.
    pub async fn crash_until(self, time: &str) -> Self {
        let world = self.world.clone();
        self.task.abort();
        drop(self);
        world.rest().await;
        world.time.sleepers.lock().unwrap().clear();
        *world.deaf.lock().unwrap() = false;
        world.time.now.store(at(time).0, Ordering::SeqCst);
        Self::over(world).await
    }

    /// Lets the time go on, and everybody wake on the way.
    pub async fn until(&self, time: &str) {
        self.world.until(at(time)).await;
    }

    /// Due times of the executions so far, in the order in which they were accepted: `12:00:05`.
    pub fn fired(&self) -> Vec<String> {
        self.world.executions().iter().map(|(_, one)| due_of(one).to_string()[11..19].to_owned()).collect()
    }

    /// The same with whose they are: `12:00:05 ada`.
    pub fn fired_for(&self) -> Vec<String> {
        let one = |one: &Accepted| {
            let user = one.start.connection["user"].as_str().unwrap_or("nobody");
            format!("{} {user}", &due_of(one).to_string()[11..19])
        };
        self.world.executions().iter().map(|(_, accepted)| one(accepted)).collect()
    }

    /// The latest execution.
    pub fn latest(&self) -> ExecutionId {
        self.world.executions().last().unwrap().0
    }

    pub fn place(&self, trigger: &str) -> Place {
        Place { workspace: name("default"), workflow: id(1), environment: name("production"), trigger: trigger.into() }
    }
}

pub fn due_of(execution: &Accepted) -> Timestamp {
    match execution.start.trigger {
        TriggerSource::Schedule { due, .. } => due,
        ref other => panic!("{other:?} is no schedule"),
    }
}

impl World {
    pub fn at(time: &str) -> Arc<Self> {
        let world = Self::default();
        world.time.now.store(at(time).0, Ordering::SeqCst);
        Arc::new(world)
    }

    /// Publishes `triage` as workflow 1, and others by their number.
    pub fn publish(&self, workflow: &str, environment: &str, schedules: &str, since: &str) {
        let number = workflow.trim_start_matches("triage").parse().unwrap_or(1);
        let mut all = self.scheduled.lock().unwrap();
        let mut here = all.iter().rev().find(|known| known.workflow == id(number)).cloned();
        let mut published = here.take().map(|known| known.published).unwrap_or_default();
        published.retain(|(known, _)| known.environment != name(environment));
        if !schedules.is_empty() {
            published.push((document(workflow, number, environment, schedules), at(since)));
        }
        all.push(Scheduled { workspace: name("default"), workflow: id(number), published });
        self.time.moved.notify_waiters();
    }

    /// Connects a user to `crm`, with workflow 1 enabled since a time.
    pub fn connect(&self, number: u64, user: &str, since: &str) {
        let of = ConnectionRef { user: UserId::new(user).unwrap(), integration: name("crm") };
        let enabled = [(id(1), at(since))].into();
        let connection = Connection::new(id(number), of, enabled, (&json!({}), &json!({})));
        self.connections.lock().unwrap().push(Arc::new(connection));
    }

    pub fn executions(&self) -> Vec<(ExecutionId, Accepted)> {
        let kept = self.kept.lock().unwrap();
        kept.executions.iter().map(|(id, one)| (*id, one.clone())).collect()
    }

    pub fn events(&self) -> Vec<Value> {
        self.executions().iter().map(|(_, one)| (*one.start.event).clone()).collect()
    }

    pub fn end(&self, id: ExecutionId, status: Status) {
        self.kept.lock().unwrap().executions.get_mut(&id).unwrap().status = status;
        self.time.moved.notify_waiters();
    }

    /// What is written down of schedules, by the end of its key.
    pub fn record(&self, key: &str) -> Option<Value> {
        let kept = self.kept.lock().unwrap();
        kept.resources.iter().find(|(known, _)| known.name.ends_with(key)).map(|(_, resource)| resource.spec.clone())
    }

    pub fn forget_deliveries(&self) {
        self.kept.lock().unwrap().deliveries.clear();
    }

    /// Until nobody calls anything any more.
    pub async fn rest(&self) {
        loop {
            let before = self.calls.load(Ordering::SeqCst);
            for _ in 0..64 {
                tokio::task::yield_now().await;
            }
            if self.calls.load(Ordering::SeqCst) == before {
                return;
            }
        }
    }

    /// The clock shows another time at once, and nobody woke on the way.
    pub async fn jump(&self, time: &str) {
        self.time.now.store(at(time).0, Ordering::SeqCst);
        self.time.moved.notify_waiters();
        self.rest().await;
    }

    async fn until(&self, end: Timestamp) {
        loop {
            self.rest().await;
            let first = self.time.sleepers.lock().unwrap().first().map(|(due, _)| *due);
            let next = first.unwrap_or(end).min(end).max(self.now());
            self.time.now.store(next.0, Ordering::SeqCst);
            self.time.moved.notify_waiters();
            if next == end {
                return self.rest().await;
            }
        }
    }

    fn called(&self) -> usize {
        self.calls.fetch_add(1, Ordering::SeqCst)
    }

    fn store<T>(&self, look: impl FnOnce(&mut Kept) -> T) -> Result<T, StoreError> {
        self.called();
        if *self.broken.lock().unwrap() {
            return Err(StoreError::Unavailable("it is broken".to_owned()));
        }
        Ok(look(&mut self.kept.lock().unwrap()))
    }
}

fn document(workflow: &str, number: u64, environment: &str, schedules: &str) -> Arc<Published> {
    let text = format!(
        "name: {workflow}\nparams: {{ who: {{ type: string, default: nobody }} }}\ntriggers: [ {schedules} ]\nsteps: []\n"
    );
    let compiled = compile(&text, &Pins(&BTreeMap::new())).unwrap_or_else(|faults| panic!("{faults:?}"));
    let revision = RevisionRef { workflow_id: id(number), workflow: name(workflow), revision: 1 };
    let (workflow, program) = (Arc::new(compiled.workflow), Arc::new(compiled.program));
    let (workspace, environment) = (name("default"), name(environment));
    Arc::new(Published::new(workspace, revision, environment, workflow, program, &BTreeSet::new()))
}

/// A sleeper, until it wakes or is forgotten.
struct Sleeper(Arc<Time>, (Timestamp, u64));

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.sleepers.lock().unwrap().remove(&self.1);
    }
}

/// The clock of a world.
struct HandClock(Arc<Time>);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.now.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, due: Timestamp) -> BoxFuture<'static, ()> {
        let time = self.0.clone();
        let place = (due, time.slept.fetch_add(1, Ordering::SeqCst));
        time.sleepers.lock().unwrap().insert(place);
        let sleeper = Sleeper(time.clone(), place);
        async move {
            let _sleeper = sleeper;
            loop {
                let moved = time.moved.notified();
                tokio::pin!(moved);
                moved.as_mut().enable();
                if Timestamp(time.now.load(Ordering::SeqCst)) >= due {
                    return;
                }
                moved.await;
            }
        }
        .boxed()
    }
}

impl Ids for World {
    fn execution(&self) -> ExecutionId {
        unreachable!("the engine gives executions their ids")
    }
    fn resource(&self) -> ResourceId {
        id(1_000 + self.called() as u64)
    }
}

impl Witness for World {
    fn started(&self, _: &Published, _: &TriggerKey, _: Timestamp, _: ExecutionId) {
        unreachable!("the engine tells what it has started")
    }
    fn not_started(&self, published: &Published, trigger: &TriggerKey, at: Timestamp, why: String) {
        let workflow = &published.revision.workflow;
        self.not_started.lock().unwrap().push(format!("{at} {workflow} {trigger}: {why}"));
    }
}

impl Directory for World {
    fn quotas(&self, _: &Name) -> Arc<[Quota]> {
        unreachable!("the engine knows the quotas")
    }
    fn concerned(&self, _: &Name, _: &str, _: &Name) -> Vec<Arc<Published>> {
        unreachable!("schedules are no events")
    }
    fn variables(&self, _: &Name, _: &Name) -> Option<Arc<Value>> {
        unreachable!("schedules read no variables")
    }
    fn home(&self, _: ResourceId) -> Option<Name> {
        unreachable!("schedules know whose they are")
    }
    fn integration(&self, _: &Name, _: &IdOrName) -> Option<Arc<Integration>> {
        unreachable!("schedules ask for no integrations")
    }
    fn subscribers(&self, _: &Name, _: &Name, _: &Name) -> Vec<Arc<Published>> {
        unreachable!("schedules ask for no subscribers")
    }
    fn published(&self, _: &Name, _: &IdOrName, _: &Name) -> Option<Arc<Published>> {
        unreachable!("schedules are told what is published")
    }
    fn revision<'a>(
        &'a self,
        _: &'a Name,
        _: &'a RevisionRef,
        _: &'a Name,
    ) -> BoxFuture<'a, Result<Arc<Published>, StoreError>> {
        unreachable!("schedules start what is published")
    }

    fn enabling(&self, _: &Name, integration: &Name, workflow: ResourceId) -> Vec<Arc<Connection>> {
        let all = self.connections.lock().unwrap();
        let here = all.iter().filter(|one| one.of.integration == *integration && one.enables(workflow));
        here.cloned().collect()
    }

    fn scheduled(&self, behind: u64) -> BoxFuture<'_, (u64, Vec<Scheduled>)> {
        async move {
            loop {
                let moved = self.time.moved.notified();
                tokio::pin!(moved);
                moved.as_mut().enable();
                let all = self.scheduled.lock().unwrap().clone();
                if all.len() as u64 > behind {
                    self.called();
                    return (all.len() as u64, all[behind as usize..].to_vec());
                }
                moved.await;
            }
        }
        .boxed()
    }
}

impl Dispatch for World {
    /// As the engine does: a delivery that was seen starts nothing.
    fn dispatch(&self, request: DispatchRequest) -> BoxFuture<'_, Result<Dispatched, DispatchError>> {
        async move {
            let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_under_way.fetch_max(under_way, Ordering::SeqCst);
            tokio::task::yield_now().await;
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            let accepted = self.accept(request);
            if *self.deaf.lock().unwrap() {
                std::future::pending::<()>().await;
            }
            accepted
        }
        .boxed()
    }

    fn outcome(&self, id: ExecutionId, window: Duration) -> BoxFuture<'_, Result<Option<Arc<Outcome>>, StoreError>> {
        let over = HandClock(self.time.clone()).sleep_until(self.now().plus(window));
        async move {
            let ended = async {
                loop {
                    let moved = self.time.moved.notified();
                    tokio::pin!(moved);
                    moved.as_mut().enable();
                    if self.kept.lock().unwrap().executions[&id].status.is_final() {
                        return;
                    }
                    moved.await;
                }
            };
            tokio::select! {
                () = ended => {
                    let ending = Ending::Succeeded;
                    Ok(Some(Arc::new(Outcome { ending, output: Arc::default(), exit: None, failure: None, step: None })))
                }
                () = over => Ok(None),
            }
        }
        .boxed()
    }

    fn cancel(&self, id: ExecutionId, by: String) -> BoxFuture<'_, Result<(), TellError>> {
        assert_eq!(by, "schedule");
        self.end(id, Status::Cancelled);
        async { Ok(()) }.boxed()
    }

    fn send<'a>(&'a self, _: &'a Name, _: Message) -> BoxFuture<'a, Result<Vec<ExecutionId>, TellError>> {
        unreachable!("schedules send no events")
    }
    fn send_to(&self, _: ExecutionId, _: Message) -> BoxFuture<'_, Result<(), TellError>> {
        unreachable!("schedules send no events")
    }
    fn answer(&self, _: ExecutionId, _: Answer) -> BoxFuture<'_, Result<(), TellError>> {
        unreachable!("schedules answer no approvals")
    }
}

impl World {
    pub fn now(&self) -> Timestamp {
        HandClock(self.time.clone()).now()
    }

    fn accept(&self, request: DispatchRequest) -> Result<Dispatched, DispatchError> {
        self.called();
        if let Some(error) = self.refuses.lock().unwrap().clone() {
            return Err(error);
        }
        let user = request.starts[0].connection["user"].as_str().map(str::to_owned);
        if user.is_some() && *self.refuses_user.lock().unwrap() == user {
            return Err(DispatchError::NotDurable("the disk is full".into()));
        }
        let mut kept = self.kept.lock().unwrap();
        let delivery = request.delivery.expect("every firing is a delivery");
        let window = limits::DEDUPE_WINDOW;
        if let Some(seen) = kept.deliveries.get(&delivery.key).filter(|seen| delivery.at.since(seen.at) <= window) {
            let (executions, refused) = (seen.executions.clone(), vec![]);
            return Ok(Dispatched { executions, replayed: true, refused, outcome: None });
        }
        let [start] = &request.starts[..] else { panic!("a firing starts one workflow") };
        let id = ExecutionId::from_bytes(*id(kept.executions.len() as u64 + 1).as_bytes());
        let executions = vec![(start.published.revision.workflow.clone(), id)];
        kept.executions.insert(id, Accepted { start: start.clone(), status: Status::Running, at: self.now() });
        kept.deliveries.insert(delivery.key.clone(), SeenDelivery { executions: executions.clone(), ..delivery });
        Ok(Dispatched { executions, replayed: false, refused: vec![], outcome: None })
    }
}
