//! What is there to be started.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::Value;

use super::{Integration, Quota, StoreError};
use crate::connection::Connection;
use crate::ids::{IdOrName, Name, ResourceId, UserId};
use crate::invocation::RevisionRef;
use crate::program::Program;
use crate::schedule::Schedule;
use crate::time::Timestamp;
use crate::workflow::{Trigger, TriggerKey, Workflow, trigger_keys};

/// A revision that is ready to run.
#[derive(Debug)]
pub struct Published {
    /// The workspace.
    pub workspace: Name,
    /// Which revision of which workflow.
    pub revision: RevisionRef,
    /// Where it is published.
    pub environment: Name,
    /// What its document says.
    pub workflow: Arc<Workflow>,
    /// Its steps.
    pub program: Arc<Program>,
    /// Its triggers that are switched on, by their places in the document.
    switched_on: Vec<(TriggerKey, usize)>,
}

impl Published {
    /// A revision, with these of its triggers switched off.
    pub fn new(
        workspace: Name,
        revision: RevisionRef,
        environment: Name,
        workflow: Arc<Workflow>,
        program: Arc<Program>,
        disabled: &BTreeSet<TriggerKey>,
    ) -> Self {
        let keys = trigger_keys(&workflow.triggers).into_iter().zip(0..);
        let switched_on = keys.filter(|(key, _)| !disabled.contains(key)).collect();
        Self { workspace, revision, environment, workflow, program, switched_on }
    }

    /// The same with these of its triggers switched off, whatever was before.
    pub fn switched(&self, disabled: &BTreeSet<TriggerKey>) -> Self {
        let Self { workspace, revision, environment, workflow, program, switched_on: _ } = self;
        let (workflow, program) = (workflow.clone(), program.clone());
        Self::new(workspace.clone(), revision.clone(), environment.clone(), workflow, program, disabled)
    }

    /// The schedules among the triggers that are switched on.
    pub fn schedules(&self) -> impl Iterator<Item = (&TriggerKey, &Schedule)> {
        self.triggers().filter_map(|(key, trigger)| match trigger {
            Trigger::Schedule(schedule) => Some((key, &**schedule)),
            _ => None,
        })
    }

    /// The triggers that are switched on, in the order of the document.
    pub fn triggers(&self) -> impl Iterator<Item = (&TriggerKey, &Trigger)> {
        self.switched_on.iter().map(|(key, index)| (key, &self.workflow.triggers[*index]))
    }
}

/// What is published of one workflow that has, or had, a schedule.
#[derive(Debug, Clone)]
pub struct Scheduled {
    /// Its workspace.
    pub workspace: Name,
    /// The workflow.
    pub workflow: ResourceId,
    /// What is published of it now, and since when that is so. Empty where nothing is any more.
    pub published: Vec<(Arc<Published>, Timestamp)>,
}

/// Finds integrations and published workflows; a snapshot in memory.
pub trait Directory: Send + Sync {
    /// The workspace that an integration or a workflow of this id belongs to.
    fn home(&self, id: ResourceId) -> Option<Name>;
    /// An integration.
    fn integration(&self, workspace: &Name, which: &IdOrName) -> Option<Arc<Integration>>;
    /// The variables of an environment, an object; none where it has none.
    fn variables(&self, workspace: &Name, environment: &Name) -> Option<Arc<Value>>;
    /// What bounds a workspace beside its workflows' own limits: its quota and the instance's, those that bound anything.
    fn quotas(&self, workspace: &Name) -> Arc<[Quota]>;
    /// Every workflow published in the environment that has a webhook trigger for this integration, by name.
    fn subscribers(&self, workspace: &Name, integration: &Name, environment: &Name) -> Vec<Arc<Published>>;
    /// Every workflow published in the environment that has a trigger for events of this type, by name.
    fn concerned(&self, workspace: &Name, kind: &str, environment: &Name) -> Vec<Arc<Published>>;
    /// The connections of a user that are set up, by integration; a directory that knows of no users has none.
    fn connections(&self, workspace: &Name, user: &UserId) -> Vec<Arc<Connection>> {
        let _ = (workspace, user);
        Vec::new()
    }
    /// The connections to an integration that are set up and have a workflow enabled, by user.
    fn enabling(&self, workspace: &Name, integration: &Name, workflow: ResourceId) -> Vec<Arc<Connection>> {
        let _ = (workspace, integration, workflow);
        Vec::new()
    }
    /// A workflow, as it is published in the environment.
    fn published(&self, workspace: &Name, which: &IdOrName, environment: &Name) -> Option<Arc<Published>>;
    /// A workflow that a workspace has lent another, by its id there, as it is published there in the environment. A directory
    /// that knows of no lending has none.
    fn lent(&self, by: &Name, workflow: ResourceId, environment: &Name) -> Option<Arc<Published>> {
        let _ = (by, workflow, environment);
        None
    }
    /// A revision, published or not: executions pin theirs. The environment is the execution's.
    fn revision<'a>(
        &'a self,
        workspace: &'a Name,
        revision: &'a RevisionRef,
        environment: &'a Name,
    ) -> BoxFuture<'a, Result<Arc<Published>, StoreError>>;
    /// The workflows with schedules, of all workspaces, that have changed behind a number, each as it is now; and the number
    /// to ask with for what changes next. 0 is before everything. Waits until there is one; a directory that knows of no
    /// schedules waits for ever.
    fn scheduled(&self, behind: u64) -> BoxFuture<'_, (u64, Vec<Scheduled>)> {
        let _ = behind;
        Box::pin(std::future::pending())
    }
}
