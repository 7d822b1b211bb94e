//! Running plugins, and what operators allow them.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use crate::connection::ConnectionRef;
use crate::ids::{ExecutionId, Name, ResourceId, SecretName};
use crate::language::template::{Input, SecretOf};
use crate::outcome::{Failure, FailureKind, LogLine, Usage};
use crate::plugin::{Grant, PluginPin};
use crate::time::Timestamp;

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
    /// The connection that the execution runs with.
    pub connection: Option<ConnectionRef>,
    /// True for tests that should change nothing outside.
    pub dry_run: bool,
    /// How long it may take, where the step says so and it is less than the budget.
    pub timeout: Option<Duration>,
}

impl TaskCall {
    /// A secret that its input has a place for, or why there is none.
    pub fn secret(&self, permissions: &dyn Permissions, of: SecretOf, name: &SecretName) -> Result<String, Failure> {
        let denied = |why: String| Failure::new(FailureKind::Denied, why);
        match (of, &self.connection) {
            (SecretOf::Workspace, _) => {
                let secret = permissions.secret(&self.workspace, &self.environment, name);
                secret.ok_or_else(|| {
                    denied(format!("there is no secret `{name}`; `camshaft secret set {name}` makes it"))
                })
            }
            (SecretOf::Connection, Some(connection)) => {
                let credential = permissions.credential(&self.workspace, connection, name);
                credential.ok_or_else(|| denied(format!("{connection} has no credential `{name}`")))
            }
            (SecretOf::Connection, None) => {
                Err(denied(format!("the execution runs with no connection that could have a credential `{name}`")))
            }
        }
    }
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

/// What an adapter is to sign as its vendor would, so that people can try an integration out.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The event's type, as the adapter names it.
    pub event: String,
    /// The body.
    pub body: bytes::Bytes,
    /// An id that no delivery had before.
    pub id: String,
    /// When it is sent.
    pub sent_at: Timestamp,
    /// The integration's URL, as the outside sees it.
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
    /// 503: cannot be verified now; the same delivery may be taken later.
    Unavailable(String),
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
    /// Lets an integration's adapter look at a delivery to find out about it: nobody outside hears of that, for it has no network. An
    /// adapter that needs one refuses with [`Refusal::Unavailable`].
    fn examine<'a>(
        &'a self,
        integration: &'a Integration,
        request: &'a WebhookRequest,
    ) -> BoxFuture<'a, Result<Receipt, Refusal>> {
        let _ = request;
        let message = format!("adapter `{}` cannot be asked here", integration.adapter.name);
        async { Err(Refusal::Unavailable(message)) }.boxed()
    }
    /// Has an integration's adapter make the delivery that its vendor would send. The integration's secrets are not masked in
    /// it: it is what proves itself.
    fn sign<'a>(
        &'a self,
        integration: &'a Integration,
        sample: Sample,
    ) -> BoxFuture<'a, Result<WebhookRequest, Refusal>> {
        let _ = sample;
        let message = format!("adapter `{}` cannot sign", integration.adapter.name);
        async { Err(Refusal::Unsupported(message)) }.boxed()
    }
}

/// What operators allow and keep secret; the host asks at each call, so that a change holds at once.
pub trait Permissions: Send + Sync {
    /// What a plugin is granted in a workspace; nothing where no grant was made.
    fn grant(&self, workspace: &Name, plugin: &Name) -> Arc<Grant>;
    /// The value of a secret.
    fn secret(&self, workspace: &Name, environment: &Name, name: &SecretName) -> Option<String>;
    /// The value of a credential of a connection; of none where nobody is connected.
    fn credential(&self, workspace: &Name, connection: &ConnectionRef, name: &SecretName) -> Option<String> {
        let _ = (workspace, connection, name);
        None
    }
}
