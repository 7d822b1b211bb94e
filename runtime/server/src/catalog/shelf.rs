//! One workspace's resources with the indexes that reads need.
//!
//! A shelf is changed by taking in or forgetting one stored resource at a time; nothing here does I/O.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use camshaft_model::Value;
use camshaft_model::ids::{Name, ResourceId, SecretName};
use camshaft_model::plugin::{Grant, PluginRelease};
use camshaft_model::resource::{Resource, ResourceKey, ResourceKind};
use camshaft_model::seams::{Integration, Published, Quota, StoreError};
use camshaft_model::time::Timestamp;
use camshaft_model::workflow::Trigger;
use semver::Version;

use super::shares::ShareSpec;
use super::specs::{self, EnvironmentSpec, IntegrationSpec, Kept, SecretSpec, WorkflowSpec, WorkspaceSpec};
use super::users::Users;
use crate::letters::subscription::{self, SubscriptionSpec};
use crate::tokens::TokenSpec;
use crate::vault::Vault;

/// One workspace.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) workspace: Option<Arc<Kept<WorkspaceSpec>>>,
    /// Of a workspace that has limits of its own: these, and the instance's.
    pub(super) quotas: Option<Arc<[Quota]>>,
    pub(super) workflows: BTreeMap<Name, Arc<Kept<WorkflowSpec>>>,
    pub(super) workflow_names: HashMap<ResourceId, Name>,
    pub(super) integrations: BTreeMap<Name, (Arc<Kept<IntegrationSpec>>, Arc<Integration>)>,
    pub(super) integration_names: HashMap<ResourceId, Name>,
    pub(super) releases: BTreeMap<Name, BTreeMap<Version, Arc<Kept<PluginRelease>>>>,
    pub(super) grants: BTreeMap<Name, (Arc<Kept<Grant>>, Arc<Grant>)>,
    /// By name and, where it is one environment's own, that environment.
    pub(super) secrets: BTreeMap<(SecretName, Option<Name>), Arc<Kept<SecretSpec>>>,
    /// With the variables of each as workflows see them.
    pub(super) environments: BTreeMap<Name, (Arc<Kept<EnvironmentSpec>>, Arc<Value>)>,
    pub(super) tokens: BTreeMap<ResourceId, Arc<Kept<TokenSpec>>>,
    pub(super) subscriptions: BTreeMap<Name, Arc<Kept<SubscriptionSpec>>>,
    /// What is offered or lent to others, by the key's name.
    pub(super) shares: BTreeMap<String, Arc<Kept<ShareSpec>>>,
    pub(super) users: Users,
    /// By workflow, then environment.
    published: HashMap<Name, BTreeMap<Name, Arc<Published>>>,
    /// By integration, then environment and workflow: the order in which a delivery's workflows are told.
    subscribers: HashMap<Name, BTreeMap<(Name, Name), Arc<Published>>>,
    /// The same by type of event.
    concerned: HashMap<String, BTreeMap<(Name, Name), Arc<Published>>>,
}

impl Shelf {
    /// Takes a stored resource in, in place of an older one. `compiled` is what a workflow's head publishes.
    pub(super) fn take(
        &mut self,
        resource: &Resource,
        compiled: Vec<Arc<Published>>,
        vault: &Vault,
    ) -> Result<(), StoreError> {
        let ResourceKey { kind, workspace, name } = &resource.key;
        let damaged = |why: String| StoreError::Damaged(format!("{} `{name}`: {why}", kind.as_str()));
        let as_name = |text: &str| Name::new(text).map_err(|error| damaged(error.to_string()));
        match kind {
            ResourceKind::Workflow => {
                let name = as_name(name)?;
                self.workflow_names.insert(resource.id, name.clone());
                self.workflows.insert(name.clone(), Arc::new(Kept::read(resource)?));
                self.publish(&name, compiled);
            }
            ResourceKind::Integration => {
                let name = as_name(name)?;
                let kept: Kept<IntegrationSpec> = Kept::read(resource)?;
                let mut secrets = Vec::with_capacity(kept.spec.secrets.len());
                for (field, values) in &kept.spec.secrets {
                    let place = specs::integration_place(workspace, name.as_str(), field);
                    let values: Result<Vec<_>, _> = values.iter().map(|sealed| vault.unseal(&place, sealed)).collect();
                    secrets.push((field.clone(), values.map_err(|error| damaged(error.to_string()))?));
                }
                let ready = Integration {
                    id: resource.id,
                    name: name.clone(),
                    workspace: workspace.clone(),
                    adapter: kept.spec.adapter.clone(),
                    config: kept.spec.config.clone(),
                    secrets,
                    enabled: kept.spec.enabled,
                };
                self.integration_names.insert(resource.id, name.clone());
                self.integrations.insert(name, (Arc::new(kept), Arc::new(ready)));
            }
            ResourceKind::Plugin => {
                let kept: Kept<PluginRelease> = Kept::read(resource)?;
                let versions = self.releases.entry(kept.spec.name.clone()).or_default();
                versions.insert(kept.spec.version.clone(), Arc::new(kept));
            }
            ResourceKind::Grant => {
                let kept: Kept<Grant> = Kept::read(resource)?;
                let grant = Arc::new(kept.spec.clone());
                self.grants.insert(as_name(name)?, (Arc::new(kept), grant));
            }
            ResourceKind::Secret => {
                let kept: Kept<SecretSpec> = Kept::read(resource)?;
                // Found out now, not in the middle of an execution.
                vault
                    .unseal(&specs::secret_place(workspace, name), &kept.spec.value)
                    .map_err(|error| damaged(error.to_string()))?;
                let (name, environment) = match name.split_once('@') {
                    Some((name, environment)) => (name, Some(as_name(environment)?)),
                    None => (name.as_str(), None),
                };
                let name = SecretName::new(name).map_err(|error| damaged(error.to_string()))?;
                self.secrets.insert((name, environment), Arc::new(kept));
            }
            ResourceKind::Token => {
                self.tokens.insert(resource.id, Arc::new(Kept::read(resource)?));
            }
            ResourceKind::Environment => {
                let kept: Kept<EnvironmentSpec> = Kept::read(resource)?;
                let variables = Arc::new(Value::Object(kept.spec.variables.clone()));
                self.environments.insert(as_name(name)?, (Arc::new(kept), variables));
            }
            ResourceKind::Workspace => self.workspace = Some(Arc::new(Kept::read(resource)?)),
            ResourceKind::Subscription => {
                let kept: Kept<SubscriptionSpec> = Kept::read(resource)?;
                // Found out now, not when somebody is to be told something.
                kept.spec
                    .secrets(vault, &subscription::place(workspace, name), resource.updated_at)
                    .map_err(|error| damaged(error.to_string()))?;
                self.subscriptions.insert(as_name(name)?, Arc::new(kept));
            }
            ResourceKind::Share => {
                self.shares.insert(name.clone(), Arc::new(Kept::read(resource)?));
            }
            ResourceKind::User | ResourceKind::Connection | ResourceKind::SigningKey => {
                self.users.take(resource, vault)?;
            }
            ResourceKind::Revision
            | ResourceKind::Rerun
            | ResourceKind::Schedule
            | ResourceKind::Letter
            | ResourceKind::Tally => {}
        }
        Ok(())
    }

    /// Forgets a resource. Answers with the id of a token, so that it can be made invalid.
    pub(super) fn forget(&mut self, key: &ResourceKey) -> Option<ResourceId> {
        self.users.forget(key);
        let name = Name::new(&key.name).ok();
        match (key.kind, name) {
            (ResourceKind::Workflow, Some(name)) => {
                self.publish(&name, Vec::new());
                if let Some(kept) = self.workflows.remove(&name) {
                    self.workflow_names.remove(&kept.id);
                }
            }
            (ResourceKind::Integration, Some(name)) => {
                if let Some((kept, _)) = self.integrations.remove(&name) {
                    self.integration_names.remove(&kept.id);
                }
            }
            (ResourceKind::Grant, Some(name)) => {
                self.grants.remove(&name);
            }
            (ResourceKind::Environment, Some(name)) => {
                self.environments.remove(&name);
            }
            (ResourceKind::Subscription, Some(name)) => {
                self.subscriptions.remove(&name);
            }
            (ResourceKind::Plugin, _) => {
                for versions in self.releases.values_mut() {
                    versions.retain(|_, kept| kept.key != *key);
                }
                self.releases.retain(|_, versions| !versions.is_empty());
            }
            (ResourceKind::Share, _) => {
                self.shares.remove(&key.name);
            }
            (ResourceKind::Secret, _) => self.secrets.retain(|_, kept| kept.key != *key),
            (ResourceKind::Token, _) => {
                let id = self.tokens.values().find(|kept| kept.key == *key).map(|kept| kept.id)?;
                self.tokens.remove(&id);
                return Some(id);
            }
            _ => {}
        }
        None
    }

    /// What is published of a workflow in an environment.
    pub(super) fn published(&self, workflow: &Name, environment: &Name) -> Option<Arc<Published>> {
        self.published.get(workflow)?.get(environment).cloned()
    }

    /// What is published of a workflow anywhere, and since when it runs there.
    pub(super) fn published_anywhere(&self, workflow: ResourceId) -> Vec<(Arc<Published>, Timestamp)> {
        let Some(name) = self.workflow_names.get(&workflow) else { return Vec::new() };
        let (Some(kept), Some(published)) = (self.workflows.get(name), self.published.get(name)) else {
            return Vec::new();
        };
        let since = |environment| kept.spec.since.get(environment).copied().unwrap_or(kept.updated_at);
        published.iter().map(|(environment, published)| (published.clone(), since(environment))).collect()
    }

    /// What is published in an environment with a webhook trigger for an integration, by name.
    pub(super) fn subscribers(&self, integration: &Name, environment: &Name) -> Vec<Arc<Published>> {
        let Some(all) = self.subscribers.get(integration) else { return Vec::new() };
        all.iter().filter(|((of, _), _)| of == environment).map(|(_, published)| published.clone()).collect()
    }

    /// What is published in an environment with a trigger for events of a type, by name.
    pub(super) fn concerned(&self, kind: &str, environment: &Name) -> Vec<Arc<Published>> {
        let Some(all) = self.concerned.get(kind) else { return Vec::new() };
        all.iter().filter(|((of, _), _)| of == environment).map(|(_, published)| published.clone()).collect()
    }

    /// Everything that is published, by workflow and environment.
    pub(super) fn all_published(&self) -> Vec<Arc<Published>> {
        let all: BTreeMap<_, _> = self.published.iter().collect();
        all.into_values().flat_map(BTreeMap::values).cloned().collect()
    }

    /// Workflows that are published anywhere with a webhook trigger for an integration.
    pub(super) fn listeners(&self, integration: &Name) -> BTreeSet<Name> {
        let all = self.subscribers.get(integration).into_iter().flat_map(BTreeMap::keys);
        all.map(|(_, workflow)| workflow.clone()).collect()
    }

    fn publish(&mut self, workflow: &Name, now: Vec<Arc<Published>>) {
        for (environment, before) in self.published.remove(workflow).unwrap_or_default() {
            let place = (environment, workflow.clone());
            for integration in integrations_of(&before) {
                withdraw(&mut self.subscribers, integration, &place);
            }
            for kind in event_types_of(&before) {
                withdraw(&mut self.concerned, kind, &place);
            }
        }
        for published in now {
            let environment = published.environment.clone();
            for integration in integrations_of(&published) {
                let place = (environment.clone(), workflow.clone());
                self.subscribers.entry(integration.clone()).or_default().insert(place, published.clone());
            }
            for kind in event_types_of(&published) {
                let place = (environment.clone(), workflow.clone());
                self.concerned.entry(kind.to_owned()).or_default().insert(place, published.clone());
            }
            self.published.entry(workflow.clone()).or_default().insert(environment, published);
        }
    }
}

/// Takes a publication out of an index.
fn withdraw<K: Hash + Eq + Borrow<Q>, Q: Hash + Eq + ?Sized>(
    index: &mut HashMap<K, BTreeMap<(Name, Name), Arc<Published>>>,
    key: &Q,
    place: &(Name, Name),
) {
    if let Some(found) = index.get_mut(key) {
        found.remove(place);
        if found.is_empty() {
            index.remove(key);
        }
    }
}

fn event_types_of(published: &Published) -> impl Iterator<Item = &str> {
    published.triggers().filter_map(|(_, trigger)| match trigger {
        Trigger::Event { kind, .. } => Some(kind.as_str()),
        _ => None,
    })
}

fn integrations_of(published: &Published) -> impl Iterator<Item = &Name> {
    published.triggers().filter_map(|(_, trigger)| match trigger {
        Trigger::Webhook { integration, .. } | Trigger::Resource { integration, .. } => Some(integration),
        _ => None,
    })
}
