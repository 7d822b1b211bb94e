//! The catalog behind the seams: what triggers, engine, host and language ask it.

use std::sync::{Arc, PoisonError};

use camshaft_model::Value;
use camshaft_model::connection::{Connection, ConnectionRef};
use camshaft_model::ids::{IdOrName, Name, ResourceId, SecretName, UserId};
use camshaft_model::invocation::RevisionRef;
use camshaft_model::language::{FindTask, TaskMissing};
use camshaft_model::plugin::{Grant, PluginKind, PluginPin};
use camshaft_model::seams::{Directory, Integration, Permissions, Published, Quota, Scheduled, StoreError};
use futures::FutureExt;
use futures::future::BoxFuture;
use semver::VersionReq;

use super::shelf::Shelf;
use super::specs::{self, Kept};
use super::{Catalog, FORMER_REVISIONS_MAX, compile};

impl Directory for Catalog {
    fn home(&self, id: ResourceId) -> Option<Name> {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        let mut shelves = shelves.iter();
        let is_here =
            |shelf: &Shelf| shelf.integration_names.contains_key(&id) || shelf.workflow_names.contains_key(&id);
        shelves.find(|(_, shelf)| is_here(shelf)).map(|(name, _)| name.clone())
    }

    fn integration(&self, workspace: &Name, which: &IdOrName) -> Option<Arc<Integration>> {
        self.read(workspace, |shelf| {
            let name = match which {
                IdOrName::Name(name) => name,
                IdOrName::Id(id) => shelf.integration_names.get(id)?,
            };
            shelf.integrations.get(name).map(|(_, ready)| ready.clone())
        })
        .flatten()
    }

    fn quotas(&self, workspace: &Name) -> Arc<[Quota]> {
        let own = self.read(workspace, |shelf| shelf.quotas.clone()).flatten();
        own.unwrap_or_else(|| self.instance.clone())
    }

    fn variables(&self, workspace: &Name, environment: &Name) -> Option<Arc<Value>> {
        self.read(workspace, |shelf| shelf.environments.get(environment).map(|(_, variables)| variables.clone()))
            .flatten()
    }

    fn subscribers(&self, workspace: &Name, integration: &Name, environment: &Name) -> Vec<Arc<Published>> {
        self.read(workspace, |shelf| shelf.subscribers(integration, environment)).unwrap_or_default()
    }

    fn concerned(&self, workspace: &Name, kind: &str, environment: &Name) -> Vec<Arc<Published>> {
        self.read(workspace, |shelf| shelf.concerned(kind, environment)).unwrap_or_default()
    }

    fn connections(&self, workspace: &Name, user: &UserId) -> Vec<Arc<Connection>> {
        self.read(workspace, |shelf| shelf.users.ready(user)).unwrap_or_default()
    }

    fn enabling(&self, workspace: &Name, integration: &Name, workflow: ResourceId) -> Vec<Arc<Connection>> {
        self.read(workspace, |shelf| shelf.users.enabling(integration, workflow)).unwrap_or_default()
    }

    fn published(&self, workspace: &Name, which: &IdOrName, environment: &Name) -> Option<Arc<Published>> {
        self.read(workspace, |shelf| {
            let name = match which {
                IdOrName::Name(name) => name,
                IdOrName::Id(id) => shelf.workflow_names.get(id)?,
            };
            shelf.published(name, environment)
        })
        .flatten()
    }

    fn lent(&self, by: &Name, workflow: ResourceId, environment: &Name) -> Option<Arc<Published>> {
        self.lent_by(by, workflow, environment)
    }

    fn revision<'a>(
        &'a self,
        workspace: &'a Name,
        revision: &'a RevisionRef,
        environment: &'a Name,
    ) -> BoxFuture<'a, Result<Arc<Published>, StoreError>> {
        async move {
            let published = self.published(workspace, &IdOrName::Id(revision.workflow_id), environment);
            if let Some(published) = published.filter(|published| published.revision.revision == revision.revision) {
                return Ok(published);
            }
            let place = (revision.workflow_id, revision.revision, environment.clone());
            if let Some(known) = self.former.lock().unwrap_or_else(PoisonError::into_inner).get(&place) {
                return Ok(known.clone());
            }
            let key = specs::revision_key(workspace, revision.workflow_id, revision.revision);
            let stored = self.revision_resource(key).await?;
            let compiled = Arc::new(compile(workspace, revision, environment, &stored)?);
            let mut former = self.former.lock().unwrap_or_else(PoisonError::into_inner);
            if former.len() >= FORMER_REVISIONS_MAX {
                former.clear();
            }
            former.insert(place, compiled.clone());
            Ok(compiled)
        }
        .boxed()
    }

    fn scheduled(&self, behind: u64) -> BoxFuture<'_, (u64, Vec<Scheduled>)> {
        async move {
            let (number, changed) = self.schedules.behind(behind).await;
            let scheduled = changed.into_iter().map(|(workspace, workflow)| {
                let published = self.read(&workspace, |shelf| shelf.published_anywhere(workflow)).unwrap_or_default();
                Scheduled { workspace, workflow, published }
            });
            (number, scheduled.collect())
        }
        .boxed()
    }
}

impl Permissions for Catalog {
    fn grant(&self, workspace: &Name, plugin: &Name) -> Arc<Grant> {
        self.read(workspace, |shelf| shelf.grants.get(plugin).map(|(_, grant)| grant.clone()))
            .flatten()
            .unwrap_or_default()
    }

    fn secret(&self, workspace: &Name, environment: &Name, name: &SecretName) -> Option<String> {
        let kept = self.secret_in(workspace, name, environment)?;
        // Every secret was opened once when it was taken in, so this one opens.
        self.vault.unseal(&specs::secret_place(workspace, &kept.key.name), &kept.spec.value).ok()
    }

    fn credential(&self, workspace: &Name, connection: &ConnectionRef, name: &SecretName) -> Option<String> {
        let kept = self.connection(workspace, connection)?;
        self.vault.unseal(&specs::credential_place(&kept.key, name), kept.spec.credentials.get(name)?).ok()
    }
}

/// The plugins that workflows of a workspace may name.
pub struct WorkspaceTasks<'a> {
    /// Where they are.
    pub catalog: &'a Catalog,
    /// Whose they are.
    pub workspace: &'a Name,
}

impl WorkspaceTasks<'_> {
    /// The newest release of a plugin in a range, of this kind.
    pub fn newest(&self, kind: PluginKind, name: &Name, range: &VersionReq) -> Result<PluginPin, TaskMissing> {
        let releases = self.catalog.releases(self.workspace, name);
        if releases.is_empty() {
            return Err(TaskMissing::NoSuchPlugin);
        }
        if !releases.iter().any(|kept| kept.spec.kind == kind) {
            return Err(TaskMissing::NotATask);
        }
        let newest = releases.iter().rev().find(|kept| kept.spec.kind == kind && range.matches(&kept.spec.version));
        newest
            .map(|kept: &Arc<Kept<_>>| kept.spec.pin())
            .ok_or_else(|| TaskMissing::NoSuchVersion(releases.iter().map(|kept| kept.spec.version.clone()).collect()))
    }
}

impl FindTask for WorkspaceTasks<'_> {
    fn find(&self, name: &Name, range: &VersionReq) -> Result<PluginPin, TaskMissing> {
        self.newest(PluginKind::Task, name, range)
    }

    fn names(&self) -> Vec<String> {
        let tasks = self.catalog.all_releases(self.workspace, Some(PluginKind::Task));
        let mut names: Vec<_> = tasks.iter().map(|kept| kept.spec.name.to_string()).collect();
        names.dedup();
        names
    }
}
