//! A small world behind the seams: two integrations, a few workflows, an engine that only keeps books, and a clock that
//! stands still.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode};
use camshaft_model::ids::{Digest, ExecutionId, IdOrName, Name, ResourceId};
use camshaft_model::invocation::{DeliveryKey, Reply, RevisionRef, SeenDelivery};
use camshaft_model::language::diagnose::Mark;
use camshaft_model::language::expression::{Comparison, Expression, Form, Jq, JqError, Path, Root, Segment};
use camshaft_model::outcome::{Ending, Exit, Outcome};
use camshaft_model::places::Places;
use camshaft_model::plugin::PluginPin;
use camshaft_model::program::Program;
use camshaft_model::seams::*;
use camshaft_model::time::Timestamp;
use camshaft_model::workflow::{Param, Trigger, TriggerKey, Workflow, WorkflowLimits};
use camshaft_model::{Value, json, limits};
use camshaft_triggers::deliveries::{Deliveries, DeliveryCounts};
use camshaft_triggers::http::{Parts, Settings, Throttle, router};
use futures::FutureExt;
use futures::future::BoxFuture;
use http_body_util::BodyExt;
use tokio::sync::Notify;
use tower::ServiceExt;

mod store;

pub(crate) const SECRET: &str = "It's a Secret to Everybody";
pub(crate) const NOW: Timestamp = Timestamp(1_795_244_400_123_000);

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn id(n: u8) -> ResourceId {
    ResourceId::from_bytes([n; 16])
}

/// What the adapter does with a request.
type Adapter = Box<dyn Fn(&WebhookRequest) -> Result<Receipt, Refusal> + Send>;

/// Everything behind the seams.
pub(crate) struct World {
    pub(crate) integrations: Vec<Arc<Integration>>,
    pub(crate) published: Vec<Arc<Published>>,
    pub(crate) adapter: Mutex<Adapter>,
    pub(crate) requests: Mutex<Vec<WebhookRequest>>,
    pub(crate) dispatched: Mutex<Vec<DispatchRequest>>,
    /// Workflow, trigger and why, of what was told to the witness.
    pub(crate) not_started: Mutex<Vec<(String, String, String)>>,
    pub(crate) dispatch_error: Mutex<Option<DispatchError>>,
    pub(crate) outcome: Mutex<Option<Arc<Outcome>>>,
    /// Where it is set, dispatching waits for it.
    pub(crate) gate: Mutex<Option<Arc<Notify>>>,
    pub(crate) store_error: Mutex<Option<StoreError>>,
    deliveries: Mutex<BTreeMap<DeliveryKey, SeenDelivery>>,
    executions: AtomicU64,
    now_us: AtomicU64,
}

pub(crate) fn event(kind: &str) -> AdapterEvent {
    AdapterEvent { id: None, kind: kind.into(), source: None, subject: None, time: None, body: None }
}

pub(crate) fn identified(id: &str, kind: &str) -> AdapterEvent {
    AdapterEvent { id: Some(id.into()), ..event(kind) }
}

pub(crate) fn receipt(events: Vec<AdapterEvent>) -> Result<Receipt, Refusal> {
    Ok(Receipt { events, respond: None })
}

/// `$.event.type == "KIND"`
pub(crate) fn type_is(kind: &str) -> Expression {
    let path = Path { root: Root::Event, segments: vec![Segment::Key("type".into())] };
    let form = Form::Compare(
        Box::new(Form::Path(path)),
        Comparison::Equal,
        Box::new(Form::Literal(Value::String(kind.into()))),
    );
    Expression { source: format!("$.event.type == \"{kind}\""), mark: Mark { line: 1, column: 1 }, form }
}

/// An expression that fails whatever the event is.
pub(crate) fn failing() -> Expression {
    jq("error")
}

/// One that cannot be evaluated now.
pub(crate) fn busy() -> Expression {
    jq("busy")
}

fn jq(filter: &str) -> Expression {
    let form = Form::Jq { filter: filter.into(), roots: vec![Root::Event] };
    Expression { source: filter.into(), mark: Mark { line: 1, column: 1 }, form }
}

pub(crate) fn webhook(integration: &str, when: Option<Expression>) -> Trigger {
    Trigger::Webhook { integration: name(integration), when, failure_status: None }
}

pub(crate) fn workflow(number: u8, text: &str, triggers: Vec<Trigger>, params: Vec<Param>) -> Arc<Published> {
    let workflow = Workflow {
        name: name(text),
        description: None,
        labels: BTreeMap::new(),
        params,
        triggers,
        limits: WorkflowLimits::default(),
    };
    let revision = RevisionRef { workflow_id: id(number), workflow: name(text), revision: 1 };
    let program = Arc::new(Program { steps: vec![], blocks: vec![vec![]], timeout: Duration::from_secs(60) });
    let (workspace, environment, workflow) = (name("default"), name("production"), Arc::new(workflow));
    Arc::new(Published::new(workspace, revision, environment, workflow, program, &BTreeSet::new()))
}

pub(crate) fn exited(status: u16, headers: &[(&str, &str)], output: Value) -> Outcome {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let exit = Some(Exit { status, headers });
    Outcome { ending: Ending::Succeeded, output: Arc::new(output), exit, failure: None, step: None }
}

impl Default for World {
    /// `github` with a secret, `off` that is disabled; `triage` and `archive` listen to `github`, `orders` to `shop`.
    fn default() -> Self {
        let integration = |number, text: &str, enabled| {
            Arc::new(Integration {
                id: id(number),
                name: name(text),
                workspace: name("default"),
                adapter: PluginPin {
                    name: name("github"),
                    version: "1.0.0".parse().unwrap(),
                    digest: Digest([0; 32]),
                    observable: false,
                },
                config: json!({}),
                secrets: vec![("signing_secret".into(), vec![SECRET.into(), "pin7".into(), String::new()])],
                enabled,
            })
        };
        Self {
            integrations: vec![integration(1, "github", true), integration(2, "off", false)],
            published: vec![
                workflow(11, "triage", vec![webhook("github", None)], vec![]),
                workflow(12, "archive", vec![Trigger::Manual, webhook("github", None)], vec![]),
                workflow(13, "orders", vec![webhook("shop", None)], vec![]),
            ],
            adapter: Mutex::new(Box::new(|_| receipt(vec![event("push")]))),
            requests: Mutex::default(),
            dispatched: Mutex::default(),
            not_started: Mutex::default(),
            dispatch_error: Mutex::default(),
            outcome: Mutex::new(Some(Arc::new(exited(201, &[("X-Answer", "42")], json!({"body": {"ok": true}}))))),
            gate: Mutex::default(),
            store_error: Mutex::default(),
            deliveries: Mutex::default(),
            executions: AtomicU64::new(0),
            now_us: AtomicU64::new(NOW.0),
        }
    }
}

impl World {
    /// With an adapter that does this.
    pub(crate) fn adapter(
        self,
        adapter: impl Fn(&WebhookRequest) -> Result<Receipt, Refusal> + Send + 'static,
    ) -> Self {
        *self.adapter.lock().unwrap() = Box::new(adapter);
        self
    }

    pub(crate) fn publish(mut self, published: Vec<Arc<Published>>) -> Self {
        self.published = published;
        self
    }

    /// The trigger URLs in this world, without a limit of the rate.
    pub(crate) fn open(self) -> Front {
        self.open_with(0, |_| {})
    }

    pub(crate) fn open_with(self, executions_per_second: u32, set: impl FnOnce(&mut Settings)) -> Front {
        let world = Arc::new(self);
        let deliveries = Arc::new(Deliveries::default());
        let mut settings = Settings::new(name("default"));
        set(&mut settings);
        let router = router(Parts {
            directory: world.clone(),
            plugins: world.clone(),
            dispatch: world.clone(),
            jq: world.clone(),
            places: Places::new(2),
            clock: world.clone(),
            store: world.clone(),
            throttle: Arc::new(Throttle::new(executions_per_second, world.clone())),
            witness: world.clone(),
            deliveries: deliveries.clone(),
            settings,
        });
        Front { world, router, deliveries }
    }
}

/// The trigger URLs, and the world behind them.
pub(crate) struct Front {
    pub(crate) world: Arc<World>,
    pub(crate) router: Router,
    pub(crate) deliveries: Arc<Deliveries>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Held to a status and to what its message says.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, says: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        let message = self.json()["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.contains(says), "{message:?} does not say {says:?}");
    }
}

impl Front {
    pub(crate) async fn send(&self, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([203, 0, 113, 9], 4711))));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: head.status, headers: head.headers, bytes }
    }

    /// POSTs a body with headers.
    pub(crate) async fn post(&self, uri: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut request = Request::post(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.world.now_us.fetch_add(by.as_micros() as u64, Ordering::Relaxed);
    }

    /// The workflows started so far, in order.
    pub(crate) fn started(&self) -> Vec<String> {
        let dispatched = self.world.dispatched.lock().unwrap();
        let starts = dispatched.iter().flat_map(|request| &request.starts);
        starts.map(|start| start.published.revision.workflow.to_string()).collect()
    }

    /// The events started with so far, in order.
    pub(crate) fn events(&self) -> Vec<Value> {
        let dispatched = self.world.dispatched.lock().unwrap();
        dispatched.iter().flat_map(|request| &request.starts).map(|start| (*start.event).clone()).collect()
    }

    pub(crate) fn counts(&self) -> DeliveryCounts {
        self.deliveries.counts(id(1))
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp(self.now_us.load(Ordering::Relaxed))
    }
    fn sleep_until(&self, _: Timestamp) -> BoxFuture<'static, ()> {
        std::future::pending().boxed()
    }
}

impl Jq for World {
    fn evaluate(&self, filter: &str, _: &str) -> Result<Value, JqError> {
        match filter {
            "busy" => Err(JqError::Unavailable("no memory".to_owned())),
            _ => Err(JqError::Failed("no jq here".to_owned())),
        }
    }
}

impl Directory for World {
    fn concerned(&self, _: &Name, kind: &str, environment: &Name) -> Vec<Arc<Published>> {
        let is_meant = |trigger: &Trigger| matches!(trigger, Trigger::Event { kind: of, .. } if of == kind);
        let all = self.published.iter().filter(|published| published.environment == *environment);
        all.filter(|published| published.triggers().any(|(_, trigger)| is_meant(trigger))).cloned().collect()
    }

    fn quotas(&self, _: &Name) -> Arc<[Quota]> {
        Arc::default()
    }

    fn variables(&self, _: &Name, _: &Name) -> Option<Arc<Value>> {
        None
    }

    fn home(&self, id: ResourceId) -> Option<Name> {
        let is_here = self.integrations.iter().any(|integration| integration.id == id);
        is_here.then(|| self.integrations[0].workspace.clone())
    }

    fn integration(&self, _: &Name, which: &IdOrName) -> Option<Arc<Integration>> {
        let found = self.integrations.iter().find(|integration| match which {
            IdOrName::Id(id) => integration.id == *id,
            IdOrName::Name(name) => integration.name == *name,
        });
        found.cloned()
    }

    fn subscribers(&self, _: &Name, integration: &Name, environment: &Name) -> Vec<Arc<Published>> {
        let subscribes = |published: &&Arc<Published>| {
            published.environment == *environment
                && published
                    .workflow
                    .triggers
                    .iter()
                    .any(|trigger| matches!(trigger, Trigger::Webhook { integration: of, .. } if of == integration))
        };
        self.published.iter().filter(subscribes).cloned().collect()
    }

    fn published(&self, _: &Name, which: &IdOrName, environment: &Name) -> Option<Arc<Published>> {
        let found = self.published.iter().find(|published| match which {
            IdOrName::Id(id) => published.revision.workflow_id == *id,
            IdOrName::Name(name) => published.revision.workflow == *name,
        });
        found.filter(|published| published.environment == *environment).cloned()
    }

    fn revision<'a>(
        &'a self,
        _: &'a Name,
        _: &'a RevisionRef,
        _: &'a Name,
    ) -> BoxFuture<'a, Result<Arc<Published>, StoreError>> {
        unreachable!("triggers start what is published")
    }
}

impl Plugins for World {
    fn call(&self, _: TaskCall) -> BoxFuture<'_, TaskDone> {
        unreachable!("triggers call no tasks")
    }

    fn receive<'a>(
        &'a self,
        _: &'a Integration,
        request: &'a WebhookRequest,
    ) -> BoxFuture<'a, Result<Receipt, Refusal>> {
        self.requests.lock().unwrap().push(request.clone());
        let result = (self.adapter.lock().unwrap())(request);
        async move { result }.boxed()
    }
}

impl Witness for World {
    fn started(&self, _: &Published, _: &TriggerKey, _: Timestamp, _: ExecutionId) {
        unreachable!("the engine tells of what it starts")
    }

    fn not_started(&self, published: &Published, trigger: &TriggerKey, at: Timestamp, why: String) {
        assert_eq!(at, self.now());
        let workflow = published.revision.workflow.to_string();
        self.not_started.lock().unwrap().push((workflow, trigger.to_string(), why));
    }
}

impl Dispatch for World {
    fn dispatch(&self, request: DispatchRequest) -> BoxFuture<'_, Result<Dispatched, DispatchError>> {
        async move {
            let gate = self.gate.lock().unwrap().clone();
            if let Some(gate) = gate {
                gate.notified().await;
            }
            self.accept(request)
        }
        .boxed()
    }

    fn outcome(&self, _: ExecutionId, _: Duration) -> BoxFuture<'_, Result<Option<Arc<Outcome>>, StoreError>> {
        let outcome = self.outcome.lock().unwrap().clone();
        async move { Ok(outcome) }.boxed()
    }

    fn send<'a>(&'a self, _: &'a Name, _: Message) -> BoxFuture<'a, Result<Vec<ExecutionId>, TellError>> {
        unreachable!("webhooks send no events")
    }
    fn send_to(&self, _: ExecutionId, _: Message) -> BoxFuture<'_, Result<(), TellError>> {
        unreachable!("webhooks send no events")
    }
    fn answer(&self, _: ExecutionId, _: camshaft_model::seams::Answer) -> BoxFuture<'_, Result<(), TellError>> {
        unreachable!("webhooks answer no approvals")
    }
    fn cancel(&self, _: ExecutionId, _: String) -> BoxFuture<'_, Result<(), TellError>> {
        unreachable!("triggers cancel nothing")
    }
}

impl World {
    /// As the engine does: a delivery that was seen starts nothing.
    fn accept(&self, request: DispatchRequest) -> Result<Dispatched, DispatchError> {
        if let Some(error) = self.dispatch_error.lock().unwrap().clone() {
            return Err(error);
        }
        assert!(request.reply == Reply::Detach || request.starts.len() == 1, "waiting is for exactly one start");
        let outcome = (request.reply == Reply::Wait).then(|| self.outcome.lock().unwrap().clone()).flatten();
        let mut deliveries = self.deliveries.lock().unwrap();
        if let Some(delivery) = &request.delivery
            && let Some(seen) = deliveries.get(&delivery.key)
            && delivery.at.since(seen.at) <= limits::DEDUPE_WINDOW
        {
            return if seen.body == delivery.body {
                Ok(Dispatched { executions: seen.executions.clone(), replayed: true, refused: vec![], outcome })
            } else {
                Err(DispatchError::DifferentBody { id: delivery.key.id.clone() })
            };
        }
        let accept = |start: &Start| {
            let number = self.executions.fetch_add(1, Ordering::Relaxed) + 1;
            (start.published.revision.workflow.clone(), execution(number))
        };
        let executions: Vec<_> = request.starts.iter().map(accept).collect();
        if let Some(delivery) = &request.delivery {
            deliveries
                .insert(delivery.key.clone(), SeenDelivery { executions: executions.clone(), ..delivery.clone() });
        }
        self.dispatched.lock().unwrap().push(request);
        Ok(Dispatched { executions, replayed: false, refused: vec![], outcome })
    }
}

/// The id of the first execution, the second…
pub(crate) fn execution(number: u64) -> ExecutionId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    ExecutionId::from_bytes(bytes)
}
