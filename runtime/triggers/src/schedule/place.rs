//! Which schedule: the identity that its state, its deliveries and its executions share.

use camshaft_model::ids::{Digest, Name, ResourceId};
use camshaft_model::invocation::{DeliveryKey, SeenDelivery, TriggerSource};
use camshaft_model::resource::{ResourceKey, ResourceKind};
use camshaft_model::time::Timestamp;
use camshaft_model::workflow::TriggerKey;

/// A schedule of a workflow where it is published. Each environment has its own, also of the same revision.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The workspace.
    pub workspace: Name,
    /// The workflow.
    pub workflow: ResourceId,
    /// The environment.
    pub environment: Name,
    /// The trigger.
    pub trigger: TriggerKey,
}

/// Stands for a body's digest: a firing has none.
const NO_BODY: Digest = Digest([0; 32]);

impl Place {
    /// What its firings are unique within; also the seed of its jitter.
    pub fn scope(&self) -> String {
        format!("schedule/{}", self.name())
    }

    fn name(&self) -> String {
        format!("{}/{}/{}", self.workflow, self.environment, self.trigger)
    }

    /// The identity of a firing: it starts something once, however often it is tried.
    pub(super) fn delivery(&self, due: Timestamp, now: Timestamp) -> SeenDelivery {
        let key = DeliveryKey { workspace: self.workspace.clone(), scope: self.scope(), id: due.to_string() };
        SeenDelivery { key, body: NO_BODY, at: now, executions: Vec::new() }
    }

    /// What starts its executions.
    pub(super) fn source(&self, due: Timestamp) -> TriggerSource {
        TriggerSource::Schedule { key: self.trigger.clone(), due }
    }

    /// Where it is kept which of its firings wait.
    pub(super) fn record(&self) -> ResourceKey {
        ResourceKey { kind: ResourceKind::Schedule, workspace: self.workspace.clone(), name: self.name() }
    }

    /// The place that a record is of.
    pub(super) fn of_record(key: &ResourceKey) -> Option<Self> {
        let mut parts = key.name.splitn(3, '/');
        let (workflow, environment, trigger) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self {
            workspace: key.workspace.clone(),
            workflow: workflow.parse().ok()?,
            environment: Name::new(environment).ok()?,
            trigger: TriggerKey::from(trigger),
        })
    }
}
