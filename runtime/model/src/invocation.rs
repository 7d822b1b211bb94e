//! One event (or a person's wish) bound to one workflow, and how its caller wants the reply.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::entry::At;
use crate::ids::{Digest, ExecutionId, Name, ResourceId};
use crate::seams::Limited;
use crate::time::Timestamp;
use crate::workflow::TriggerKey;

/// What started an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum TriggerSource {
    /// A person or program over the management API.
    Manual,
    /// A delivery to an integration.
    Webhook {
        /// The integration's name.
        integration: Name,
    },
    /// A direct call of the workflow with one of its tokens.
    Request,
    /// An event from outside, or of an `emit` step.
    Event {
        /// Its type.
        #[serde(rename = "type")]
        event_type: String,
        /// Where it happened.
        source: String,
        /// How many executions led to it, one emitting what started the next; 0 from outside.
        #[serde(default)]
        depth: u32,
    },
    /// An event of an app, for one of its users.
    AppEvent {
        /// Its name.
        name: String,
    },
    /// A user has finished connecting.
    Connected {
        /// The integration's name.
        integration: Name,
    },
    /// A delivery of an app's own API.
    Resource {
        /// The integration's name.
        integration: Name,
    },
    /// The time.
    Schedule {
        /// Which of the workflow's schedules.
        key: TriggerKey,
        /// When it was due.
        due: Timestamp,
    },
    /// A `workflow` step of another execution.
    Workflow {
        /// That execution.
        parent: ExecutionId,
    },
}

impl TriggerSource {
    /// The word of the language.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Webhook { .. } => "webhook",
            Self::Request => "request",
            Self::Event { .. } => "event",
            Self::AppEvent { .. } => "app_event",
            Self::Connected { .. } => "connected",
            Self::Resource { .. } => "resource",
            Self::Schedule { .. } => "schedule",
            Self::Workflow { .. } => "workflow",
        }
    }
}

/// How the caller wants the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// The execution's id once it is durable.
    Detach,
    /// The outcome.
    Wait,
}

/// Which published revision is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionRef {
    /// The workflow.
    pub workflow_id: ResourceId,
    /// Its name at that time.
    pub workflow: Name,
    /// 1, 2, 3…
    pub revision: u32,
}

/// The step that started an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// Its execution.
    pub execution: ExecutionId,
    /// The step.
    pub at: At,
    /// Whether it waits for the end.
    pub waits: bool,
    /// How many executions are above this one.
    pub depth: u32,
}

/// What bounds an execution's time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeLimit {
    /// Whose limit it is.
    pub of: Limited,
    /// How long the execution may take from its start on, waiting included, milliseconds.
    pub limit_ms: u64,
}

impl TimeLimit {
    /// How long.
    pub fn limit(&self) -> Duration {
        Duration::from_millis(self.limit_ms)
    }
}

/// Everything about an execution that is fixed when it is accepted; the first entry of its journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Invocation {
    /// The execution.
    pub id: ExecutionId,
    /// The workspace.
    pub workspace: Name,
    /// What runs.
    pub revision: RevisionRef,
    /// `production`, …
    pub environment: Name,
    /// What started it.
    pub trigger: TriggerSource,
    /// `$.event`; null where none.
    pub event: Arc<Value>,
    /// `$.params`: an object.
    pub params: Arc<Value>,
    /// `$.env`: the environment's variables as they were then; null where there are none.
    #[serde(default, skip_serializing_if = "is_null")]
    pub env: Arc<Value>,
    /// `$.connection`: the connection that it runs with, as it was then; null where it runs with none.
    #[serde(default, skip_serializing_if = "is_null")]
    pub connection: Arc<Value>,
    /// Labels of the workflow, to find executions by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// `X-Request-Id` of the request that brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// True for test executions.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
    /// The step that started it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// The execution that this one repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<ExecutionId>,
    /// What bounded it closer than the `limits.timeout` of its workflow when it was accepted, where anything did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<TimeLimit>,
}

impl Invocation {
    /// How many executions led to this one, by starting it or by an event that did.
    pub fn depth(&self) -> u32 {
        let by_event = match self.trigger {
            TriggerSource::Event { depth, .. } => depth,
            _ => 0,
        };
        self.parent.as_ref().map_or(0, |parent| parent.depth).max(by_event)
    }
}

fn is_null(value: &Value) -> bool {
    value.is_null()
}

/// The identity of a delivery, for which a second one starts nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeliveryKey {
    /// The workspace.
    pub workspace: Name,
    /// What the id is unique within: `integration/github`, `integration/github/workflow/triage/sync`, `workflow/triage`,
    /// `schedule/WORKFLOW-ID/production/schedule`, `connected/CONNECTION-ID`.
    pub scope: String,
    /// The id that the vendor or the caller gave.
    pub id: String,
}

impl DeliveryKey {
    /// Of an event, in an environment: source and id are its identity (CloudEvents 1.0, 3.1.1). What is too long to be a key
    /// is one by its digest.
    pub fn of_event(workspace: &Name, environment: &Name, source: &str, id: &str) -> Self {
        let text = format!("{} {source} {id}", source.len());
        let id = if text.len() <= 255 { text } else { format!("blake3:{}", blake3::hash(text.as_bytes()).to_hex()) };
        Self { workspace: workspace.clone(), scope: format!("events/environment/{environment}"), id }
    }
}

/// A delivery as the store remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenDelivery {
    /// Its identity.
    pub key: DeliveryKey,
    /// Digest of the request's body: the same key with another body is a conflict where the caller chose the key.
    pub body: Digest,
    /// When it came.
    pub at: Timestamp,
    /// What it started, in order.
    pub executions: Vec<(Name, ExecutionId)>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As it was written before executions had a limit of time beside their workflow's.
    const FORMER: &str = r#"{"id":"00000000-0000-0000-0000-000000000001","workspace":"acme",
        "revision":{"workflow_id":"00000000-0000-0000-0000-000000000007","workflow":"orders","revision":1},
        "environment":"production","trigger":{"kind":"manual"},"event":null,"params":{}}"#;

    #[test]
    fn what_a_former_release_wrote_is_read_and_what_bounds_nothing_is_written_as_it_wrote_it() {
        let mut invocation: Invocation = serde_json::from_str(FORMER).unwrap();
        assert_eq!(invocation.time_limit, None);
        let former: Value = serde_json::from_str(FORMER).unwrap();
        assert_eq!(serde_json::to_value(&invocation).unwrap(), former);
        for (of, written) in [
            (Limited::Instance, json!({"of": "instance", "limit_ms": 1500})),
            (Limited::Workspace(Name::new("acme").unwrap()), json!({"of": {"workspace": "acme"}, "limit_ms": 1500})),
        ] {
            invocation.time_limit = Some(TimeLimit { of, limit_ms: 1500 });
            let value = serde_json::to_value(&invocation).unwrap();
            assert_eq!(value["time_limit"], written);
            assert_eq!(serde_json::from_value::<Invocation>(value).unwrap(), invocation);
        }
    }

    #[test]
    fn what_a_later_release_adds_is_passed_over() {
        let mut later: Value = serde_json::from_str(FORMER).unwrap();
        later["something"] = json!({"of": "later"});
        assert_eq!(serde_json::from_value::<Invocation>(later).unwrap(), serde_json::from_str(FORMER).unwrap());
    }
}
