//! What is stored of each kind of resource: the shapes behind `Resource::spec`.
//!
//! They are read back by later versions: a field that comes later has a default.

use std::collections::{BTreeMap, BTreeSet};

use camshaft_model::connection::ConnectionRef;
use camshaft_model::ids::{Name, ResourceId, SecretName};
use camshaft_model::plugin::PluginPin;
use camshaft_model::resource::{Resource, ResourceKey, ResourceKind};
use camshaft_model::seams::StoreError;
use camshaft_model::time::Timestamp;
use camshaft_model::workflow::{Trigger, TriggerKey, trigger_keys};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::shares::SharedFrom;
use crate::vault::Sealed;

/// A resource whose spec is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept<T> {
    /// Its identity.
    pub key: ResourceKey,
    /// Its id.
    pub id: ResourceId,
    /// 1 when it was made, one more at each change.
    pub generation: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// What it is.
    pub spec: T,
}

impl<T: DeserializeOwned> Kept<T> {
    /// Reads a resource; [`StoreError::Damaged`] names the one that cannot be read.
    pub fn read(resource: &Resource) -> Result<Self, StoreError> {
        let spec = T::deserialize(&resource.spec).map_err(|error| {
            let ResourceKey { kind, name, .. } = &resource.key;
            StoreError::Damaged(format!("{} `{name}` cannot be read: {error}", kind.as_str()))
        })?;
        Ok(Self {
            key: resource.key.clone(),
            id: resource.id,
            generation: resource.generation,
            created_at: resource.created_at,
            updated_at: resource.updated_at,
            spec,
        })
    }
}

/// A resource to be put; the store sets its generation.
pub fn resource(key: ResourceKey, id: ResourceId, spec: &impl Serialize, now: Timestamp) -> Resource {
    let spec = serde_json::to_value(spec).expect("specs are plain data with text keys");
    Resource { key, id, generation: 0, spec, created_at: now, updated_at: now }
}

/// The key of a resource.
pub fn key(kind: ResourceKind, workspace: &Name, name: impl ToString) -> ResourceKey {
    ResourceKey { kind, workspace: workspace.clone(), name: name.to_string() }
}

/// The key of a revision: its workflow's id and its number, padded so that they sort.
pub fn revision_key(workspace: &Name, workflow: ResourceId, revision: u32) -> ResourceKey {
    key(ResourceKind::Revision, workspace, format!("{workflow}/{revision:010}"))
}

/// An environment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EnvironmentSpec {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `$.env`
    #[serde(default)]
    pub variables: Map<String, Value>,
}

/// A workspace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkspaceSpec {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// How much of everything, beside the instance's own limits.
    #[serde(default)]
    pub limits: WorkspaceLimits,
}

/// How much of everything a workspace may use; what is left out is not limited by it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceLimits {
    /// Executions that it may start in a second, in place of `limits.executions_per_second`; 0 is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executions_per_second: Option<u32>,
    /// Executions under way at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_executions: Option<u32>,
    /// Executions accepted in a day (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_day: Option<u64>,
    /// Executions accepted in a month (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_month: Option<u64>,
    /// How long an execution may take, waiting included, whatever its workflow says; seconds, at least one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub execution_time_s: Option<u64>,
}

/// A workflow's head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkflowSpec {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Of the latest revision.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What starts the latest revision.
    #[serde(default)]
    pub triggers: Vec<TriggerSpec>,
    /// Number of the latest revision.
    pub latest_revision: u32,
    /// Environment and the revision that runs there.
    #[serde(default)]
    pub published: BTreeMap<Name, u32>,
    /// What was published in an environment before, the latest last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub former: BTreeMap<Name, Vec<u32>>,
    /// Triggers that are switched off, of whichever revision.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub disabled_triggers: BTreeSet<TriggerKey>,
    /// Environment and since when what runs there does: schedules make up for nothing that was due before.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub since: BTreeMap<Name, Timestamp>,
    /// Where it comes from, if another workspace has lent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_from: Option<SharedFrom>,
}

/// A trigger, as lists show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TriggerSpec {
    /// The word of the language.
    pub kind: String,
    /// What it is switched on and off by.
    #[serde(default)]
    pub key: TriggerKey,
    /// The integration that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration: Option<Name>,
    /// What an `event` trigger is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// What an `app_event` trigger is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_event: Option<String>,
}

impl TriggerSpec {
    /// The triggers of a document.
    pub fn all(triggers: &[Trigger]) -> Vec<Self> {
        let one = |(key, trigger): (TriggerKey, &Trigger)| {
            let (integration, event_type, app_event) = match trigger {
                Trigger::Webhook { integration, .. }
                | Trigger::Connected { integration }
                | Trigger::Resource { integration, .. } => (Some(integration.clone()), None, None),
                Trigger::Event { kind, .. } => (None, Some(kind.clone()), None),
                Trigger::AppEvent { name, integration, .. } => (integration.clone(), None, Some(name.clone())),
                Trigger::Schedule(schedule) => (schedule.integration.clone(), None, None),
                Trigger::Manual | Trigger::Request => (None, None, None),
            };
            Self { kind: trigger.word().to_owned(), key, integration, event_type, app_event }
        };
        trigger_keys(triggers).into_iter().zip(triggers).map(one).collect()
    }
}

/// One immutable revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RevisionSpec {
    /// The document as it came.
    pub document: String,
    /// Each plugin as the document writes it, and the release that it meant then.
    pub pins: BTreeMap<String, PluginPin>,
}

/// An integration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntegrationSpec {
    /// The adapter's release.
    pub adapter: PluginPin,
    /// Its configuration, an object.
    pub config: Value,
    /// Each secret with its values, sealed.
    #[serde(default)]
    pub secrets: BTreeMap<String, Vec<Sealed>>,
    /// False where it takes no deliveries.
    pub enabled: bool,
}

/// What an integration's secret is sealed for.
pub fn integration_place(workspace: &Name, integration: &str, field: &str) -> String {
    format!("integration {workspace} {integration} {field}")
}

/// A user of an app.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UserSpec {
    /// What the app says of the user: `$.connection.metadata`.
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

/// A connection of a user to an integration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectionSpec {
    /// Whose, and to what.
    #[serde(flatten)]
    pub of: ConnectionRef,
    /// What the user has set: `$.connection.settings`.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// Each credential, sealed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub credentials: BTreeMap<SecretName, Sealed>,
    /// The workflows that the user has enabled, and since when.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub enabled: BTreeMap<ResourceId, Timestamp>,
    /// Since when it is set up; none while it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected_at: Option<Timestamp>,
    /// Whether `connected` triggers are still to be told of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unannounced: bool,
}

/// The key of a connection: the user's resource and the integration's name.
pub fn connection_key(workspace: &Name, user: ResourceId, integration: &Name) -> ResourceKey {
    key(ResourceKind::Connection, workspace, format!("{user}/{integration}"))
}

/// What a credential of a connection with this key is sealed for.
pub fn credential_place(key: &ResourceKey, name: &SecretName) -> String {
    format!("connection {} {} {name}", key.workspace, key.name)
}

/// A public key that tokens of users are verified with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SigningKeySpec {
    /// As it was given, in PEM.
    pub pem: String,
}

/// A secret of the workspace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecretSpec {
    /// Its value, sealed.
    pub value: Sealed,
}

/// The key of a secret: its value everywhere, or in one environment.
pub fn secret_key(name: &SecretName, environment: Option<&Name>) -> String {
    match environment {
        Some(environment) => format!("{name}@{environment}"),
        None => name.to_string(),
    }
}

/// What a secret of this key is sealed for.
pub fn secret_place(workspace: &Name, secret: &str) -> String {
    format!("secret {workspace} {secret}")
}
