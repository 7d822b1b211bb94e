//! Everything that people put in, in memory: loaded from the store at start, changed only together with it.
//!
//! ```text
//!   handler ─► Catalog::change ─► compile what becomes published ─► Store::change (durable) ─► take into memory
//!   triggers, engine, host ─► Directory, Permissions, FindTask: read the memory, never the disk
//! ```
//! Reads take a lock for microseconds and hand out `Arc`s. Writers hold [`Catalog::edit`] from reading to changing, so
//! that nobody changes what they looked at.

mod directory;
mod people;
pub mod quotas;
mod schedules;
pub mod shares;
mod shelf;
pub mod specs;
mod subscriptions;
mod users;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use camshaft_model::ids::{Digest, Name, ResourceId, SecretName};
use camshaft_model::invocation::RevisionRef;
use camshaft_model::language;
use camshaft_model::plugin::{Grant, PluginKind, PluginRelease};
use camshaft_model::resource::{Change, Expect, Resource, ResourceKey, ResourceKind};
use camshaft_model::seams::{Integration, Published, Quota, Store, StoreError};
use camshaft_model::time::Timestamp;
use semver::Version;

pub use directory::WorkspaceTasks;
use quotas::InstanceLimits;
use shelf::Shelf;
use specs::{EnvironmentSpec, IntegrationSpec, Kept, RevisionSpec, SecretSpec, WorkflowSpec, WorkspaceSpec};

use crate::tokens::{TokenSpec, Tokens};
use crate::vault::Vault;

/// The environments that every workspace has.
pub const ENVIRONMENTS: [&str; 3] = ["development", "production", "staging"];
/// Resources read, or written, at once.
const PAGE: usize = 1_000;
/// Revisions kept compiled though they are not published now: executions that began before the latest publishing.
const FORMER_REVISIONS_MAX: usize = 256;

/// What becomes of a published revision that does not compile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Faulty {
    /// The change that publishes it is refused.
    Refuse,
    /// It was published by a release that took it: it starts nothing, and the server goes on with the others.
    LeaveOut,
}

/// What is known of every workspace.
pub struct Catalog {
    store: Arc<dyn Store>,
    vault: Arc<Vault>,
    tokens: Tokens,
    /// What bounds the whole instance.
    instance: Arc<[Quota]>,
    shelves: RwLock<HashMap<Name, Shelf>>,
    former: Mutex<HashMap<(ResourceId, u32, Name), Arc<Published>>>,
    edit: tokio::sync::Mutex<()>,
    schedules: schedules::Changes,
}

impl Catalog {
    /// Loads everything. Published revisions that this release does not take are left out, and told in the log. Damaged resources, and secrets that the vault cannot open, are errors that name them.
    pub async fn load(
        store: Arc<dyn Store>,
        vault: Arc<Vault>,
        tokens: Tokens,
        limits: InstanceLimits,
    ) -> anyhow::Result<Arc<Self>> {
        let catalog = Self {
            tokens: tokens.with_key(vault.access_key()),
            store,
            vault,
            instance: quotas::of_instance(limits),
            shelves: RwLock::default(),
            former: Mutex::default(),
            edit: tokio::sync::Mutex::default(),
            schedules: schedules::Changes::default(),
        };
        // Revisions are read when they are needed: there may be many, and few are published. Reruns, letters, how far schedules
        // have fired and what triggers have done are not the catalog's.
        let elsewhere = [
            ResourceKind::Revision,
            ResourceKind::Rerun,
            ResourceKind::Schedule,
            ResourceKind::Letter,
            ResourceKind::Tally,
        ];
        for kind in ResourceKind::ALL.into_iter().filter(|kind| !elsewhere.contains(kind)) {
            let mut after = None;
            loop {
                let page = catalog.store.resources(kind, None, after, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.key.clone());
                for resource in page {
                    let compiled = catalog.compile_published(&resource, &[], Faulty::LeaveOut).await?;
                    catalog.take(resource, compiled)?;
                }
            }
        }
        Ok(Arc::new(catalog))
    }

    /// The right to change resources; held from reading what is there until the change is made.
    pub async fn edit(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.edit.lock().await
    }

    /// Carries out all changes or none. Durable, and seen by everybody, when this returns.
    pub async fn change(&self, changes: Vec<Change>) -> Result<Vec<Option<Resource>>, StoreError> {
        let mut compiled = Vec::with_capacity(changes.len());
        for change in &changes {
            compiled.push(match change {
                Change::Put { resource, .. } => self.compile_published(resource, &changes, Faulty::Refuse).await?,
                Change::Delete { .. } => Vec::new(),
            });
        }
        let keys: Vec<_> = changes.iter().map(|change| key_of(change).clone()).collect();
        let after = self.store.change(changes).await?;
        for ((key, resource), compiled) in keys.iter().zip(&after).zip(compiled) {
            match resource {
                Some(resource) => self.take(resource.clone(), compiled)?,
                None => self.forget(key),
            }
        }
        Ok(after)
    }

    /// The revisions that a workflow's head publishes and that are not in memory yet, compiled. `beside` are changes of
    /// the same transaction, which may hold the revision.
    async fn compile_published(
        &self,
        head: &Resource,
        beside: &[Change],
        faulty: Faulty,
    ) -> Result<Vec<Arc<Published>>, StoreError> {
        if head.key.kind != ResourceKind::Workflow {
            return Ok(Vec::new());
        }
        let spec: Kept<WorkflowSpec> = Kept::read(head)?;
        let name = Name::new(&head.key.name).map_err(|error| StoreError::Damaged(error.to_string()))?;
        let disabled = &spec.spec.disabled_triggers;
        let mut compiled = Vec::new();
        for (environment, revision) in &spec.spec.published {
            let revision = RevisionRef { workflow_id: head.id, workflow: name.clone(), revision: *revision };
            let known = self.read(&head.key.workspace, |shelf| shelf.published(&name, environment));
            match known.flatten() {
                Some(known) if known.revision == revision => compiled.push(Arc::new(known.switched(disabled))),
                _ => {
                    let key = specs::revision_key(&head.key.workspace, head.id, revision.revision);
                    let found = beside.iter().find_map(|change| match change {
                        Change::Put { resource, .. } if resource.key == key => Some(resource.clone()),
                        _ => None,
                    });
                    let found = match found {
                        Some(found) => found,
                        None => self.revision_resource(key).await?,
                    };
                    match compile(&head.key.workspace, &revision, environment, &found) {
                        Ok(published) => compiled.push(Arc::new(published.switched(disabled))),
                        // Whatever else changes of a workflow: what it has published already stays published.
                        Err(error)
                            if faulty == Faulty::LeaveOut
                                || self.publishes(&head.key.workspace, &name, environment)
                                    == Some(revision.revision) =>
                        {
                            tracing::error!(workflow = %name, %environment, %error, "not started: publish it anew");
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        Ok(compiled)
    }

    /// The revision that a workflow publishes in an environment, whether it compiles or not.
    fn publishes(&self, workspace: &Name, name: &Name, environment: &Name) -> Option<u32> {
        self.workflow(workspace, name)?.spec.published.get(environment).copied()
    }

    async fn revision_resource(&self, key: ResourceKey) -> Result<Resource, StoreError> {
        let name = key.name.clone();
        self.store
            .resource(key)
            .await?
            .ok_or_else(|| StoreError::Damaged(format!("revision `{name}` is named and not there")))
    }

    fn take(&self, resource: Resource, compiled: Vec<Arc<Published>>) -> Result<(), StoreError> {
        let workspace = resource.key.workspace.clone();
        if resource.key.kind == ResourceKind::Token {
            let kept: Kept<TokenSpec> = Kept::read(&resource)?;
            self.tokens.put(resource.id, &workspace, &kept.spec);
        }
        let has_schedule = compiled.iter().any(|published| published.schedules().next().is_some());
        let mut shelves = self.shelves.write().unwrap_or_else(PoisonError::into_inner);
        let shelf = shelves.entry(workspace.clone()).or_default();
        shelf.take(&resource, compiled, &self.vault)?;
        if resource.key.kind == ResourceKind::Workspace {
            let limits = shelf.workspace.as_ref().map(|kept| kept.spec.limits.clone()).unwrap_or_default();
            shelf.quotas = quotas::of_workspace(&workspace, &limits, &self.instance);
        }
        drop(shelves);
        if resource.key.kind == ResourceKind::Workflow {
            self.schedules.note((workspace, resource.id), has_schedule);
        }
        Ok(())
    }

    fn forget(&self, key: &ResourceKey) {
        let mut shelves = self.shelves.write().unwrap_or_else(PoisonError::into_inner);
        let Some(shelf) = shelves.get_mut(&key.workspace) else { return };
        if key.kind == ResourceKind::Workflow
            && let Some(kept) = Name::new(&key.name).ok().and_then(|name| shelf.workflows.get(&name))
        {
            self.schedules.note((key.workspace.clone(), kept.id), false);
        }
        if let Some(token) = shelf.forget(key) {
            self.tokens.remove(token);
        }
    }

    fn read<T>(&self, workspace: &Name, look: impl FnOnce(&Shelf) -> T) -> Option<T> {
        self.shelves.read().unwrap_or_else(PoisonError::into_inner).get(workspace).map(look)
    }

    // -----------------------------------------------------------------------------------------------------------------
    // What the management API reads

    /// Every workspace, by name: the operators' own, and those that were made.
    pub fn workspaces(&self) -> Vec<Name> {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        let made = shelves.iter().filter(|(_, shelf)| shelf.workspace.is_some()).map(|(name, _)| name.clone());
        let all: BTreeSet<_> = made.chain([self.tokens.home().clone()]).collect();
        all.into_iter().collect()
    }

    /// Whether there is a workspace of this name.
    pub fn has_workspace(&self, name: &Name) -> bool {
        name == self.tokens.home() || self.workspace_kept(name).is_some()
    }

    /// A workspace as it is stored; the operators' own need not be.
    pub fn workspace_kept(&self, name: &Name) -> Option<Arc<Kept<WorkspaceSpec>>> {
        self.read(name, |shelf| shelf.workspace.clone()).flatten()
    }

    /// The tokens that are valid.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// A workflow by its name.
    pub fn workflow(&self, workspace: &Name, name: &Name) -> Option<Arc<Kept<WorkflowSpec>>> {
        self.read(workspace, |shelf| shelf.workflows.get(name).cloned()).flatten()
    }

    /// A workflow's name by its id.
    pub fn workflow_name(&self, workspace: &Name, id: ResourceId) -> Option<Name> {
        self.read(workspace, |shelf| shelf.workflow_names.get(&id).cloned()).flatten()
    }

    /// Every workflow, by name.
    pub fn workflows(&self, workspace: &Name) -> Vec<Arc<Kept<WorkflowSpec>>> {
        self.read(workspace, |shelf| shelf.workflows.values().cloned().collect()).unwrap_or_default()
    }

    /// A revision's document and pins.
    pub async fn revision_document(
        &self,
        workspace: &Name,
        workflow: ResourceId,
        revision: u32,
    ) -> Result<Option<Kept<RevisionSpec>>, StoreError> {
        let found = self.store.resource(specs::revision_key(workspace, workflow, revision)).await?;
        found.as_ref().map(Kept::read).transpose()
    }

    /// The published revision of a workflow in an environment, if any.
    pub fn published_here(&self, workspace: &Name, name: &Name, environment: &Name) -> Option<Arc<Published>> {
        self.read(workspace, |shelf| shelf.published(name, environment)).flatten()
    }

    /// An integration as it is stored.
    pub fn integration_kept(&self, workspace: &Name, name: &Name) -> Option<Arc<Kept<IntegrationSpec>>> {
        self.read(workspace, |shelf| shelf.integrations.get(name).map(|(kept, _)| kept.clone())).flatten()
    }

    /// Every integration, by name.
    pub fn integrations(&self, workspace: &Name) -> Vec<Arc<Kept<IntegrationSpec>>> {
        self.read(workspace, |shelf| shelf.integrations.values().map(|(kept, _)| kept.clone()).collect())
            .unwrap_or_default()
    }

    /// An integration, ready to receive.
    pub fn integration_ready(&self, workspace: &Name, name: &Name) -> Option<Arc<Integration>> {
        self.read(workspace, |shelf| shelf.integrations.get(name).map(|(_, ready)| ready.clone())).flatten()
    }

    /// Workflows that are published anywhere with a webhook trigger for an integration.
    pub fn listeners(&self, workspace: &Name, integration: &Name) -> BTreeSet<Name> {
        self.read(workspace, |shelf| shelf.listeners(integration)).unwrap_or_default()
    }

    /// Releases of a plugin, oldest version first.
    pub fn releases(&self, workspace: &Name, name: &Name) -> Vec<Arc<Kept<PluginRelease>>> {
        self.read(workspace, |shelf| shelf.releases.get(name).map(|all| all.values().cloned().collect()))
            .flatten()
            .unwrap_or_default()
    }

    /// Every release of every plugin, by name and version; of one kind where it is named.
    pub fn all_releases(&self, workspace: &Name, kind: Option<PluginKind>) -> Vec<Arc<Kept<PluginRelease>>> {
        self.read(workspace, |shelf| {
            let all = shelf.releases.values().flat_map(BTreeMap::values);
            all.filter(|kept| kind.is_none_or(|kind| kept.spec.kind == kind)).cloned().collect()
        })
        .unwrap_or_default()
    }

    /// One release.
    pub fn release(&self, workspace: &Name, name: &Name, version: &Version) -> Option<Arc<Kept<PluginRelease>>> {
        self.read(workspace, |shelf| shelf.releases.get(name)?.get(version).cloned()).flatten()
    }

    /// The release of these bytes.
    pub fn release_of(&self, workspace: &Name, digest: Digest) -> Option<Arc<Kept<PluginRelease>>> {
        self.read(workspace, |shelf| {
            shelf.releases.values().flat_map(BTreeMap::values).find(|kept| kept.spec.digest == digest).cloned()
        })
        .flatten()
    }

    /// A plugin's grant as it is stored.
    pub fn grant_kept(&self, workspace: &Name, plugin: &Name) -> Option<Arc<Kept<Grant>>> {
        self.read(workspace, |shelf| shelf.grants.get(plugin).map(|(kept, _)| kept.clone())).flatten()
    }

    /// Whether there is a secret of this name in an environment.
    pub fn has_secret(&self, workspace: &Name, name: &SecretName, environment: &Name) -> bool {
        self.secret_in(workspace, name, environment).is_some()
    }

    /// What a secret is in an environment: its own value, or the one for all of them.
    pub fn secret_in(&self, workspace: &Name, name: &SecretName, environment: &Name) -> Option<Arc<Kept<SecretSpec>>> {
        let own = self.secret_kept(workspace, name, Some(environment));
        own.or_else(|| self.secret_kept(workspace, name, None))
    }

    /// A secret as it is stored: the value for all environments, or one's own.
    pub fn secret_kept(
        &self,
        workspace: &Name,
        name: &SecretName,
        environment: Option<&Name>,
    ) -> Option<Arc<Kept<SecretSpec>>> {
        let key = (name.clone(), environment.cloned());
        self.read(workspace, |shelf| shelf.secrets.get(&key).cloned()).flatten()
    }

    /// The environments of a workspace, by name: those that are always there, and its own.
    pub fn environments(&self, workspace: &Name) -> BTreeSet<Name> {
        let always = ENVIRONMENTS.map(|name| Name::new(name).expect("a name"));
        let own = self.read(workspace, |shelf| shelf.environments.keys().cloned().collect::<Vec<_>>());
        always.into_iter().chain(own.unwrap_or_default()).collect()
    }

    /// An environment as it is stored; those that are always there need not be.
    pub fn environment_kept(&self, workspace: &Name, name: &Name) -> Option<Arc<Kept<EnvironmentSpec>>> {
        self.read(workspace, |shelf| shelf.environments.get(name).map(|(kept, _)| kept.clone())).flatten()
    }

    /// Every secret, by name.
    pub fn secrets(&self, workspace: &Name) -> Vec<Arc<Kept<SecretSpec>>> {
        self.read(workspace, |shelf| shelf.secrets.values().cloned().collect()).unwrap_or_default()
    }

    /// Every token, oldest first.
    pub fn tokens_kept(&self, workspace: &Name) -> Vec<Arc<Kept<TokenSpec>>> {
        self.read(workspace, |shelf| shelf.tokens.values().cloned().collect()).unwrap_or_default()
    }

    /// Writes down when tokens were presented last, of those that were since the last time. One commit for many.
    pub async fn write_uses(&self) -> Result<(), StoreError> {
        let _editing = self.edit().await;
        let put = |(workspace, id, last_used_at): (Name, ResourceId, Timestamp)| {
            let kept = self.read(&workspace, |shelf| shelf.tokens.get(&id).cloned()).flatten()?;
            let spec = TokenSpec { last_used_at: Some(last_used_at), ..kept.spec.clone() };
            let resource = specs::resource(kept.key.clone(), id, &spec, kept.updated_at);
            Some(Change::Put { resource, expect: Expect::Generation(kept.generation) })
        };
        let mut changes: Vec<_> = self.tokens.unwritten().into_iter().filter_map(put).collect();
        while !changes.is_empty() {
            let rest = changes.split_off(changes.len().min(PAGE));
            self.change(changes).await?;
            changes = rest;
        }
        Ok(())
    }

    /// Seals and opens secrets.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }
}

fn key_of(change: &Change) -> &ResourceKey {
    match change {
        Change::Put { resource, .. } => &resource.key,
        Change::Delete { key, .. } => key,
    }
}

/// Compiles a stored revision with exactly its pins.
fn compile(
    workspace: &Name,
    revision: &RevisionRef,
    environment: &Name,
    stored: &Resource,
) -> Result<Published, StoreError> {
    let RevisionSpec { document, pins } = Kept::read(stored)?.spec;
    let compiled = language::compile(&document, &language::Pins(&pins)).map_err(|faults| {
        let first = faults.first().map(ToString::to_string).unwrap_or_default();
        StoreError::Damaged(format!(
            "revision {} of `{}` does not compile: {first}",
            revision.revision, revision.workflow
        ))
    })?;
    let (workflow, program) = (Arc::new(compiled.workflow), Arc::new(compiled.program));
    let (workspace, revision, environment) = (workspace.clone(), revision.clone(), environment.clone());
    Ok(Published::new(workspace, revision, environment, workflow, program, &BTreeSet::new()))
}
