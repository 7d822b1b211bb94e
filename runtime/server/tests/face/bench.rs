//! A server on a bench: the real router over a store, with plugins that are plain Rust in place of the sandbox.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use camshaft_engine::{Appended, Dispatcher, Engine, EngineParts};
use camshaft_model::ids::{Digest, Name};
use camshaft_model::language::expression::{Jq, JqError};
use camshaft_model::outcome::{Failure, FailureKind, Usage};
use camshaft_model::places::Places;
use camshaft_model::plugin::{AdapterDescriptor, Descriptor, PluginKind, PluginRelease, SecretField, TaskDescriptor};
use camshaft_model::seams::{
    AdapterEvent, Clock, Ids, Integration, Permissions, Plugins, Receipt, Refusal, Store, TaskCall, TaskDone,
    WebhookRequest,
};
use camshaft_model::{Value, json};
use camshaft_server::api::{self, App, Instance};
use camshaft_server::backup::Backups;
use camshaft_server::catalog::Catalog;
use camshaft_server::catalog::quotas::InstanceLimits;
use camshaft_server::dialects::{self, Paragon, ToolJet};
use camshaft_server::envelope::Envelope;
use camshaft_server::folder::DataFolder;
use camshaft_server::inspector::{Inspector, Unfit};
use camshaft_server::letters::announcing::Announcing;
use camshaft_server::letters::{self, Letters};
use camshaft_server::observe::Metrics;
use camshaft_server::readiness::Readiness;
use camshaft_server::reruns::{self, Reruns};
use camshaft_server::shipped::Shipped;
use camshaft_server::tallies::Tallies;
use camshaft_server::time::{OrderedIds, SystemClock};
use camshaft_server::tokens::Tokens;
use camshaft_server::vault::Vault;
use camshaft_store::MemoryStore;
use camshaft_triggers::deliveries::Deliveries;
use camshaft_triggers::http::{Parts, PerAddress, Settings, Throttle};
use camshaft_triggers::schedule::{self, Schedules};
use futures::FutureExt;
use futures::future::BoxFuture;
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;
use tokio::sync::{Notify, broadcast};

use crate::subscriptions::Outside;

/// The admin token of every bench.
pub const ADMIN: &str = "an admin token of this bench";

/// What the bench's plugins are made of: a component is the JSON of its release.
pub fn component(name: &str, version: &str, kind: &str, imports: &[&str]) -> Vec<u8> {
    serde_json::to_vec(&json!({"name": name, "version": version, "kind": kind, "imports": imports})).unwrap()
}

/// A server on a bench.
pub struct Bench {
    pub app: App,
    pub engine: Arc<Engine>,
    pub envelope: Arc<Envelope>,
    pub hands: Arc<Hands>,
    /// The outside, as subscriptions reach it.
    pub post: Arc<Outside>,
    /// Its data folder, which holds the key, for as long as the bench stands.
    _data: TempDir,
}

/// How a bench differs from the plain one.
pub struct Options {
    pub store: Arc<dyn Store>,
    pub executions_per_second: u32,
    /// Largest body of what starts something, bytes.
    pub body_bytes: usize,
    /// Of ToolJet's; 0 is no limit.
    pub requests_of_an_address: u32,
    pub key: [u8; 32],
    pub limits: InstanceLimits,
    /// Notices of appends that a listener may lag behind; the engine's own number where there is none.
    pub notices: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            store: Arc::new(MemoryStore::new()),
            executions_per_second: 0,
            body_bytes: 1 << 20,
            requests_of_an_address: 0,
            key: [7; 32],
            notices: None,
            limits: InstanceLimits::default(),
        }
    }
}

/// What a request was answered with.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: axum::http::HeaderMap,
    pub bytes: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// This status, or the whole answer in the panic.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// A problem of this status whose text names all of these.
    #[track_caller]
    pub fn problem(self, status: u16, named: &[&str]) -> Value {
        let answer = self.is(status);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", answer.text());
        let value = answer.json();
        assert_eq!(value["status"], status);
        for text in named {
            assert!(value["detail"].as_str().unwrap().contains(text), "{text:?} is not in {value:#}");
        }
        value
    }
}

impl Bench {
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        Self::try_with(options).await.unwrap()
    }

    pub async fn try_with(options: Options) -> anyhow::Result<Self> {
        let Options { store, executions_per_second, body_bytes, requests_of_an_address, key, notices, limits } =
            options;
        let workspace = Name::new("default").unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids: Arc<dyn Ids> = Arc::new(OrderedIds);
        let tokens = Tokens::new(Some(ADMIN), &workspace);
        let data = tempfile::tempdir()?;
        let folder = DataFolder::open(data.path())?;
        folder.write_private("keys", &hex::encode(key))?;
        let catalog = Catalog::load(store.clone(), Arc::new(Vault::open(&folder)?), tokens, limits).await?;
        let hands = Arc::new(Hands::new(catalog.clone()));
        let jq: Arc<dyn Jq> = Arc::new(NoJq);
        let places = Places::new(2);
        let post = Arc::new(Outside::default());
        let parts =
            letters::Parts { store: store.clone(), catalog: catalog.clone(), post: post.clone(), clock: clock.clone() };
        let letters = Letters::load(parts).await?;
        tokio::spawn(letters.clone().run());
        let tallies = Tallies::load(&*store, clock.clone()).await?;
        let engine = Engine::start(EngineParts {
            store: Arc::new(Announcing::new(store.clone(), letters.clone())),
            plugins: hands.clone(),
            directory: catalog.clone(),
            jq: jq.clone(),
            places: places.clone(),
            witness: tallies.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            parallel_calls: 8,
        });
        let dispatch = Arc::new(Dispatcher(engine.clone()));
        let throttle = Arc::new(Throttle::new(executions_per_second, clock.clone()));
        let deliveries = Arc::new(Deliveries::default());
        let (under_way, occupied, widened) = (engine.clone(), engine.clone(), engine.clone());
        let appended = match notices {
            Some(notices) => forward(engine.appended(), notices),
            None => {
                let engine = engine.clone();
                Box::new(move || engine.appended())
            }
        };
        let sync_window = Duration::from_secs(50);
        let triggers = Parts {
            directory: catalog.clone(),
            plugins: hands.clone(),
            dispatch: dispatch.clone(),
            jq,
            places,
            clock: clock.clone(),
            store: store.clone(),
            throttle: throttle.clone(),
            witness: tallies.clone(),
            deliveries: deliveries.clone(),
            settings: Settings { sync_window, body_bytes, ..Settings::new(workspace.clone()) },
        };
        let schedules = Arc::new(Schedules::new(schedule::Parts {
            directory: catalog.clone(),
            dispatch: dispatch.clone(),
            store: store.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            witness: tallies.clone(),
        }));
        let instance = Arc::new(Instance {
            store: store.clone(),
            triggers: triggers.clone(),
            backups: Backups::new(folder, store.clone(), clock.clone()),
            catalog: catalog.clone(),
            dispatch: dispatch.clone(),
            shipped: shipped(),
            inspector: hands.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            throttle: throttle.clone(),
            deliveries: deliveries.clone(),
            tallies,
            schedules,
            readiness: Arc::new(Readiness::default()),
            reruns: Reruns::new(executions_per_second, clock.clone()),
            letters,
            metrics: Metrics::install()?,
            under_way: Box::new(move || under_way.under_way()),
            occupancy: Box::new(move |workflow| occupied.occupancy(workflow)),
            widen: Box::new(move |workflow, limit| widened.widen(workflow, limit)),
            appended,
            public_url: "https://hooks.example".to_owned(),
            sync_window,
        });
        for workspace in catalog.workspaces() {
            instance.ship(&workspace).await?;
        }
        let app = App::new(instance.clone(), workspace.clone());
        app.readiness.shipped();
        engine.recover().await?;
        app.readiness.recovered();
        reruns::resume(&app).await?;
        let tooljet = ToolJet {
            throttle: PerAddress::new(requests_of_an_address, Duration::from_secs(60), app.clock.clone()),
            trusted_proxies: Vec::new(),
        };
        let router = api::router(instance.clone())
            .merge(dialects::router(instance, tooljet, Paragon { window: Duration::from_secs(55) }))
            .merge(camshaft_triggers::http::router(triggers));
        let envelope = Envelope::new(router, app.metrics.clone())?;
        Ok(Self { app, engine, envelope: Arc::new(envelope), hands, post, _data: data })
    }

    /// Any request.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.envelope.answer(request.body(body.into()).unwrap(), None).await;
        let (head, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 64 << 20).await.unwrap();
        Answer { status: head.status.as_u16(), headers: head.headers, bytes }
    }

    /// A request with a token.
    pub async fn call_as(&self, token: &str, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        self.send(method, path, &[("authorization", &format!("Bearer {token}"))], body).await
    }

    /// A request with the admin token.
    pub async fn call(&self, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        self.call_as(ADMIN, method, path, body).await
    }

    /// A request without a body, with the admin token, and the answer's JSON.
    pub async fn get(&self, path: &str) -> Value {
        self.call("GET", path, Body::empty()).await.is(200).json()
    }

    /// Puts and publishes a workflow.
    pub async fn publish(&self, name: &str, document: &str) {
        let path = format!("/api/v1/workflows/{name}");
        let put = self.call("PUT", &path, document.to_owned()).await;
        assert!(put.status == 200 || put.status == 201, "{}", put.text());
        self.call("POST", &format!("{path}/publish"), "{}").await.is(200);
    }

    /// Starts a workflow and waits for its execution's end.
    pub async fn run(&self, name: &str, body: &str) -> Value {
        let path = format!("/api/v1/workflows/{name}/trigger");
        let id = self.call("POST", &path, body.to_owned()).await.is(200).json()["execution_id"].clone();
        self.ended(id.as_str().unwrap()).await
    }

    /// An execution once it has ended.
    pub async fn ended(&self, id: &str) -> Value {
        let window = Duration::from_secs(60);
        let outcome = self.app.dispatch.outcome(id.parse().unwrap(), window).await.unwrap();
        assert!(outcome.is_some(), "execution {id} does not end");
        self.get(&format!("/api/v1/executions/{id}")).await
    }
}

/// The engine's notices through a narrower channel, so that a listener soon lags behind.
fn forward(mut from: Receiver<Appended>, notices: usize) -> Box<dyn Fn() -> Receiver<Appended> + Send + Sync> {
    let to = broadcast::Sender::new(notices);
    let forwarding = to.clone();
    tokio::spawn(async move {
        while let Ok(appended) = from.recv().await {
            let _ = forwarding.send(appended);
        }
    });
    Box::new(move || to.subscribe())
}

/// Plugins that every bench has from its start.
pub fn shipped() -> Vec<Shipped> {
    let plugin = |name: &'static str, component: Vec<u8>| {
        let digest = Digest(*blake3::hash(&component).as_bytes());
        Shipped { name, digest, component: component.leak() }
    };
    vec![
        plugin("echo", component("echo", "1.0.0", "task", &[])),
        plugin("fail", component("fail", "1.0.0", "task", &[])),
        plugin("block", component("block", "1.0.0", "task", &[])),
        plugin("caller", component("caller", "1.0.0", "task", &["wasi:http/outgoing-handler@0.2.3"])),
        plugin("reader", component("reader", "1.0.0", "task", &["camshaft:plugin/secrets@1.0.0"])),
        plugin("generic", component("generic", "1.2.0", "adapter", &[])),
        plugin("signed", component("signed", "1.0.0", "adapter", &[])),
    ]
}

/// The bench's plugins.
pub struct Hands {
    permissions: Arc<dyn Permissions>,
    /// Calls of `block` wait for this.
    pub release: Notify,
    /// Told when `block` is called.
    pub blocked: Notify,
    /// The inputs that tasks were given, secrets in their places.
    pub seen: Mutex<Vec<Value>>,
    /// How often a component was inspected.
    pub inspected: Mutex<Vec<String>>,
}

impl Hands {
    fn new(permissions: Arc<dyn Permissions>) -> Self {
        Self {
            permissions,
            release: Notify::new(),
            blocked: Notify::new(),
            seen: Mutex::default(),
            inspected: Mutex::default(),
        }
    }
}

impl Plugins for Hands {
    fn call(&self, call: TaskCall) -> BoxFuture<'_, TaskDone> {
        async move {
            let resolved = call.input.resolve(|of, name| call.secret(&*self.permissions, of, name));
            let result = match (call.plugin.name.as_str(), resolved) {
                (_, Err(failure)) => Err(failure),
                ("fail", Ok(_)) => Err(Failure::new(FailureKind::Failed, "it was told to fail")),
                ("block", Ok(_)) => {
                    self.blocked.notify_one();
                    self.release.notified().await;
                    Ok(Value::Null)
                }
                // What a plugin was given is masked in what it gives back.
                (_, Ok(resolved)) => {
                    self.seen.lock().unwrap().push(resolved);
                    Ok(call.input.value.clone())
                }
            };
            TaskDone { result, usage: Usage { wall_us: 5, ..Usage::default() }, log: Vec::new() }
        }
        .boxed()
    }

    fn receive<'a>(
        &'a self,
        integration: &'a Integration,
        request: &'a WebhookRequest,
    ) -> BoxFuture<'a, Result<Receipt, Refusal>> {
        let signature = request.headers.iter().find(|(name, _)| name == "x-signature");
        let wanted = integration.secrets.iter().find(|(name, _)| name == "signing_secret");
        let signed = wanted.is_none_or(|(_, values)| {
            signature.is_some_and(|(_, given)| values.iter().any(|value| value.as_bytes() == given))
        });
        let event =
            AdapterEvent { id: None, kind: "thing".to_owned(), source: None, subject: None, time: None, body: None };
        let answer = match signed {
            true => Ok(Receipt { events: vec![event], respond: None }),
            false => Err(Refusal::Unauthorized("the signature is wrong".to_owned())),
        };
        std::future::ready(answer).boxed()
    }
}

impl Inspector for Hands {
    fn inspect(&self, bytes: Bytes) -> BoxFuture<'_, Result<PluginRelease, Unfit>> {
        let refused = |check: &str, message: String| Unfit::Refused { check: check.to_owned(), message };
        let answer = serde_json::from_slice::<Value>(&bytes)
            .map_err(|error| refused("component", format!("these bytes are no component: {error}")))
            .map(|value| release(&value, &bytes));
        if let Ok(release) = &answer {
            self.inspected.lock().unwrap().push(release.name.to_string());
        }
        std::future::ready(answer).boxed()
    }

    fn prepare(&self, _: Digest) -> BoxFuture<'_, Result<(), String>> {
        std::future::ready(Ok(())).boxed()
    }
}

fn release(value: &Value, bytes: &Bytes) -> PluginRelease {
    let text = |key: &str| value[key].as_str().unwrap().to_owned();
    let kind = if text("kind") == "adapter" { PluginKind::Adapter } else { PluginKind::Task };
    let descriptor = match kind {
        PluginKind::Task => Descriptor::Task(TaskDescriptor {
            summary: "A task".to_owned(),
            input_schema: json!({}),
            output_schema: json!({}),
            examples: vec![],
            hosts: vec!["https://api.example.com".to_owned()],
            secrets: vec![],
        }),
        PluginKind::Adapter => Descriptor::Adapter(AdapterDescriptor {
            vendor: "Bench".to_owned(),
            summary: "An adapter".to_owned(),
            config_schema: value.get("config_schema").cloned().unwrap_or_else(|| json!({
                "type": "object",
                "properties": {
                    "auth": {"anyOf": [
                        {"type": "object", "properties": {"header": {"type": "string"}}, "additionalProperties": false, "required": ["header"]},
                        {"type": "null"},
                    ]},
                    "nothing": {"type": "object", "additionalProperties": false},
                    "tolerance_s": {"type": "integer", "minimum": 0},
                },
                "additionalProperties": false,
            })),
            secrets: vec![SecretField {
                name: "signing_secret".to_owned(),
                required: text("name") == "signed",
                summary: "the vendor's page of webhooks".to_owned(),
            }],
            events: vec![],
            docs: None,
            hosts: vec!["https://keys.*.example.com".to_owned()],
        }),
    };
    let imports = value["imports"].as_array().unwrap().iter();
    PluginRelease {
        name: Name::new(&text("name")).unwrap(),
        version: text("version").parse().unwrap(),
        digest: Digest(*blake3::hash(bytes).as_bytes()),
        kind,
        size_bytes: bytes.len() as u64,
        observable: false,
        imports: imports.map(|import| import.as_str().unwrap().to_owned()).collect(),
        exports: vec![],
        shipped: false,
        descriptor,
    }
}

struct NoJq;

impl Jq for NoJq {
    fn evaluate(&self, filter: &str, _: &str) -> Result<Value, JqError> {
        Err(format!("no jq on the bench: {filter}").into())
    }
}

/// A workflow that echoes a parameter and exits with it.
pub const ECHO: &str = r#"
name: echo-it
description: Says it again
labels: { team: bench }
params:
  text: { type: string, default: hello }
triggers:
  - manual: {}
  - request: {}
steps:
  - id: said
    task: echo@1
    with: { text: "{{ $.params.text }}" }
  - exit: { status: 201, headers: { X-Said: "{{ $.steps.said.text }}" }, body: { said: "{{ $.steps.said.text }}" } }
"#;
