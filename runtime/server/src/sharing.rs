//! Shared workflows: what one workspace offers and another accepts runs there, as that one's own.
//!
//! ```text
//!   offer (in A) ─► accept (in B): a copy in B, of what A publishes ─► A publishes: the copy follows in the same commit
//! ```
//! A copy is a head and revisions like any other, so that everything of B's holds for it: secrets, variables, grants, limits, who
//! sees its executions. Nobody changes it in B. It follows as far as it could run there, and A never learns how far that is.

use std::collections::BTreeMap;
use std::sync::Arc;

use camshaft_model::ids::{Name, ResourceId};
use camshaft_model::resource::{Change, Expect, ResourceKind};

use crate::api::App;
use crate::api::problem::{Fault, Problem};
use crate::api::publish;
use crate::catalog::shares::{ShareSpec, SharedFrom};
use crate::catalog::specs::{self, Kept, TriggerSpec, WorkflowSpec};

/// A workflow in a workspace that another one has lent it.
pub struct Copy {
    app: App,
    name: Name,
    id: ResourceId,
    head: WorkflowSpec,
    /// Its head as it stands; none for one that is being accepted.
    before: Option<Arc<Kept<WorkflowSpec>>>,
    revisions: BTreeMap<u32, Change>,
}

/// Refuses to change a workflow that is another workspace's.
pub fn check_own(kept: &Kept<WorkflowSpec>) -> Result<(), Problem> {
    let Some(SharedFrom { workspace, workflow, .. }) = &kept.spec.shared_from else { return Ok(()) };
    let name = &kept.key.name;
    let detail =
        format!("workflow `{name}` is `{workflow}` of the workspace `{workspace}`, and is changed there alone");
    Err(Problem::new(Fault::Conflict, detail))
}

/// The workflow that a share has become where it was accepted.
pub fn copy_of(lender: &App, share: &Kept<ShareSpec>) -> Option<Copy> {
    let app = lender.within(share.spec.to.clone());
    let id = share.spec.accepted?;
    let name = app.catalog.workflow_name(&app.workspace, id)?;
    let before = app.catalog.workflow(&app.workspace, &name)?;
    let head = before.spec.clone();
    Some(Copy { app, name, id, head, before: Some(before), revisions: BTreeMap::new() })
}

/// The changes that bring every copy of a workflow to what it publishes from now on.
pub async fn follow(lender: &App, of: &Kept<WorkflowSpec>, now: &WorkflowSpec) -> Result<Vec<Change>, Problem> {
    let mut changes = Vec::new();
    if now.published == of.spec.published {
        return Ok(changes);
    }
    for share in lender.catalog.shares_of(&lender.workspace, of.id) {
        let Some(mut copy) = copy_of(lender, &share) else { continue };
        let behind = copy.bring(lender, of.id, &now.published).await?;
        copy.note(behind);
        changes.extend(copy.changes());
    }
    Ok(changes)
}

impl Copy {
    /// One that is being accepted, and publishes nothing yet.
    pub fn new(app: &App, name: Name, from: SharedFrom) -> Self {
        let head = WorkflowSpec {
            description: None,
            labels: BTreeMap::new(),
            triggers: Vec::new(),
            latest_revision: 0,
            published: BTreeMap::new(),
            former: BTreeMap::new(),
            disabled_triggers: Default::default(),
            since: BTreeMap::new(),
            shared_from: Some(from),
        };
        let id = app.ids.resource();
        Self { app: app.clone(), name, id, head, before: None, revisions: BTreeMap::new() }
    }

    /// One that was here before and is shared again.
    pub fn again(app: &App, name: Name, before: Arc<Kept<WorkflowSpec>>) -> Self {
        let (id, head) = (before.id, before.spec.clone());
        Self { app: app.clone(), name, id, head, before: Some(before), revisions: BTreeMap::new() }
    }

    /// Its id.
    pub fn id(&self) -> ResourceId {
        self.id
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Publishes what its lender does, wherever it could run; tells why it could not where it could not.
    pub async fn bring(
        &mut self,
        lender: &App,
        of: ResourceId,
        published: &BTreeMap<Name, u32>,
    ) -> Result<Option<Problem>, Problem> {
        let mut behind = None;
        for environment in self.app.catalog.environments(&self.app.workspace) {
            match published.get(&environment) {
                None => {
                    self.head.published.remove(&environment);
                    self.head.since.remove(&environment);
                }
                Some(revision) if self.head.published.get(&environment) == Some(revision) => {}
                Some(revision) => match self.publish(lender, of, *revision, &environment).await {
                    // What is wrong inside is nothing that anybody here could mend.
                    Err(problem) if problem.status() >= 500 => return Err(problem),
                    Err(problem) => behind = behind.or(Some(problem)),
                    Ok(()) => {}
                },
            }
        }
        Ok(behind)
    }

    async fn publish(
        &mut self,
        lender: &App,
        of: ResourceId,
        revision: u32,
        environment: &Name,
    ) -> Result<(), Problem> {
        let stored = lender.catalog.revision_document(&lender.workspace, of, revision).await?;
        let lost = || Problem::internal(format!("revision {revision} of workflow {of} is not stored"));
        let spec = stored.ok_or_else(lost)?.spec;
        let (app, now) = (&self.app, self.app.clock.now());
        let fit = publish::fits(app, self.name.as_str(), revision, &spec, environment, publish::Whose::Lent).await?;
        let is_here = app.catalog.revision_document(&app.workspace, self.id, revision).await?.is_some();
        if !is_here {
            let key = specs::revision_key(&app.workspace, self.id, revision);
            let resource = specs::resource(key, app.ids.resource(), &spec, now);
            self.revisions.insert(revision, Change::Put { resource, expect: Expect::Absent });
        }
        self.head.published.insert(environment.clone(), revision);
        self.head.since.insert(environment.clone(), now);
        if revision >= self.head.latest_revision {
            let workflow = &fit.compiled.workflow;
            self.head.latest_revision = revision;
            self.head.description.clone_from(&workflow.description);
            self.head.labels.clone_from(&workflow.labels);
            self.head.triggers = TriggerSpec::all(&workflow.triggers);
        }
        Ok(())
    }

    /// Keeps why it does not run what its lender publishes.
    pub fn note(&mut self, behind: Option<Problem>) {
        if let Some(from) = &mut self.head.shared_from {
            from.behind = behind.map(|problem| problem.detail().to_owned());
        }
    }

    /// Starts nothing any more, or goes on; what runs goes on either way.
    pub fn set_ended(&mut self, ended: bool) {
        if ended {
            self.head.published.clear();
            self.head.since.clear();
        }
        if let Some(from) = &mut self.head.shared_from {
            from.ended = ended;
            from.behind = None;
        }
    }

    /// What makes it so, revisions before the head that names them.
    pub fn changes(self) -> Vec<Change> {
        let Self { app, name, id, head, before, revisions } = self;
        if before.as_ref().is_some_and(|kept| kept.spec == head) {
            return Vec::new();
        }
        let key = specs::key(ResourceKind::Workflow, &app.workspace, &name);
        let resource = specs::resource(key, id, &head, app.clock.now());
        let expect = before.map_or(Expect::Absent, |kept| Expect::Generation(kept.generation));
        revisions.into_values().chain([Change::Put { resource, expect }]).collect()
    }
}
