//! A host with whatever guests, grants and secrets a test wants.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use camshaft_host::{Components, Host, HostConfig, StandIn, digest};
use camshaft_model::Value;
use camshaft_model::ids::{Digest, ExecutionId, Name, ResourceId, SecretName};
use camshaft_model::json;
use camshaft_model::language::template::Input;
use camshaft_model::limits::Budget;
use camshaft_model::outcome::{Failure, FailureKind};
use camshaft_model::plugin::{Grant, PluginPin};
use camshaft_model::seams::{Integration, Permissions, Plugins, StoreError, TaskCall, TaskDone, WebhookRequest};
use camshaft_model::time::Timestamp;
use futures::FutureExt;
use futures::future::BoxFuture;

/// The bytes of a test guest.
pub fn guest(name: &str) -> Vec<u8> {
    built("guests", name)
}

/// The bytes of a component that the binary carries.
pub fn shipped(name: &str) -> Vec<u8> {
    built("plugins", name)
}

fn built(folder: &str, name: &str) -> Vec<u8> {
    // Asked when the test runs: what was compiled in may be another clone with the same target folder.
    let host = std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    let path = Path::new(&host).join("../../target").join(folder).join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask plugins`", path.display()))
}

/// What is stored and allowed; changes hold at once.
#[derive(Default)]
pub struct Shelf {
    components: Mutex<HashMap<Digest, Vec<u8>>>,
    grant: Mutex<Arc<Grant>>,
    secrets: Mutex<HashMap<String, String>>,
}

impl Components for Shelf {
    fn bytes(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        let bytes = self.components.lock().unwrap().get(&digest).cloned();
        async { Ok(bytes) }.boxed()
    }
}

impl Permissions for Shelf {
    fn grant(&self, _: &Name, _: &Name) -> Arc<Grant> {
        self.grant.lock().unwrap().clone()
    }

    fn secret(&self, _: &Name, _: &Name, name: &SecretName) -> Option<String> {
        self.secrets.lock().unwrap().get(name.as_str()).cloned()
    }
}

/// A host and its shelf.
pub struct World {
    pub host: Arc<Host>,
    shelf: Arc<Shelf>,
}

impl World {
    /// With this budget and nothing kept on disk.
    pub fn new(budget: Budget) -> Self {
        Self::with_cache(budget, None, 0)
    }

    /// With compiled components kept in a folder, under a key.
    pub fn with_cache(budget: Budget, cache_dir: Option<PathBuf>, key: u8) -> Self {
        Self::with(HostConfig { cache_dir, cache_key: [key; 32], budget, instances_max: 16, stand_in: None })
    }

    /// With this in place of the network.
    pub fn with_stand_in(stand_in: StandIn) -> Self {
        let (cache_dir, budget) = (None, Budget::default());
        Self::with(HostConfig { cache_dir, cache_key: [0; 32], budget, instances_max: 16, stand_in: Some(stand_in) })
    }

    fn with(config: HostConfig) -> Self {
        let shelf = Arc::new(Shelf::default());
        let host = Host::new(config, shelf.clone(), shelf.clone()).unwrap();
        Self { host, shelf }
    }

    pub fn grant(&self, grant: Grant) {
        *self.shelf.grant.lock().unwrap() = Arc::new(grant);
    }

    pub fn secret(&self, name: &str, value: &str) {
        self.shelf.secrets.lock().unwrap().insert(name.to_owned(), value.to_owned());
    }

    /// Keeps a component; gives its pin.
    pub fn add(&self, bytes: Vec<u8>) -> PluginPin {
        let digest = digest(&bytes);
        self.shelf.components.lock().unwrap().insert(digest, bytes);
        PluginPin { name: name("guest"), version: "1.0.0".parse().unwrap(), digest, observable: true }
    }

    /// Calls a component once.
    pub async fn call(&self, bytes: Vec<u8>, input: Value) -> TaskDone {
        self.call_with(bytes, Input::plain(input)).await
    }

    pub async fn call_with(&self, bytes: Vec<u8>, input: Input) -> TaskDone {
        let call = TaskCall {
            plugin: self.add(bytes),
            input: Arc::new(input),
            execution: ExecutionId(uuid::Uuid::nil()),
            step: "step".into(),
            attempt: 1,
            iteration: vec![],
            idempotency_key: "key".into(),
            workspace: name("default"),
            environment: name("production"),
            connection: None,
            dry_run: false,
            timeout: None,
        };
        self.host.call(call).await
    }

    /// An integration of an adapter.
    pub fn integration(&self, adapter: Vec<u8>, config: Value, secrets: &[(&str, &[&str])]) -> Integration {
        let owned = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect();
        Integration {
            id: ResourceId(uuid::Uuid::nil()),
            name: name("shop"),
            workspace: name("default"),
            adapter: self.add(adapter),
            config,
            secrets: secrets.iter().map(|&(field, values)| (field.to_owned(), owned(values))).collect(),
            enabled: true,
        }
    }

    /// A well-behaved call right after a bad one: it has an instance of its own, and ends well.
    pub async fn assert_next_call_is_unhurt(&self) {
        let done = self.call(guest("counter"), Value::Null).await;
        assert_eq!(done.result, Ok(json!({"calls": 1})));
        assert!(done.log.is_empty(), "{:?}", done.log);
    }
}

/// A delivery: `POST` with these headers and this body, received at this time.
pub fn delivery(headers: &[(&str, &str)], body: &str, received_at_ms: u64) -> WebhookRequest {
    WebhookRequest {
        method: "POST".to_owned(),
        path: String::new(),
        query: String::new(),
        headers: headers.iter().map(|&(name, value)| (name.to_owned(), value.as_bytes().to_owned())).collect(),
        body: body.to_owned().into(),
        remote_address: None,
        received_at: Timestamp::from_millis(received_at_ms),
        public_url: "https://camshaft.example/v1/webhooks/shop".to_owned(),
    }
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// The failure, which must be of this kind.
pub fn failure(done: &TaskDone, kind: FailureKind) -> &Failure {
    let failure = done.result.as_ref().expect_err("the call fails");
    assert_eq!(failure.kind, kind, "{failure:?}");
    failure
}

/// The failure, which must be a breach of this bound that names limit and use.
pub fn breach<'a>(done: &'a TaskDone, bound: &str) -> &'a Value {
    let failure = failure(done, FailureKind::Budget);
    let details = failure.details.as_ref().expect("a breach has details");
    assert_eq!(details["bound"], bound, "{failure:?}");
    assert!(details["limit"].is_u64() && details["used"].is_u64() && details["unit"].is_string(), "{failure:?}");
    assert!(details["used"].as_u64() >= details["limit"].as_u64(), "{failure:?}");
    assert!(failure.message.contains(&details["limit"].to_string()), "{failure:?}");
    details
}
