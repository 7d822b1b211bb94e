//! What bounds workspaces and the instance, beside the limits of each workflow.

use std::sync::Arc;
use std::time::Duration;

use camshaft_model::ids::{Name, ResourceId};
use camshaft_model::seams::{Limited, Quota};

use super::specs::WorkspaceLimits;

/// What bounds the whole instance, by its configuration; 0 is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InstanceLimits {
    /// Executions under way at once.
    pub parallel_executions: u32,
    /// Executions accepted in a day (UTC).
    pub per_day: u64,
    /// Executions accepted in a month (UTC).
    pub per_month: u64,
    /// How long an execution may take; none is no limit.
    pub execution_time: Option<Duration>,
}

/// The instance's quota, if it bounds anything.
pub(super) fn of_instance(limits: InstanceLimits) -> Arc<[Quota]> {
    let InstanceLimits { parallel_executions, per_day, per_month, execution_time } = limits;
    let quota = Quota {
        of: Limited::Instance,
        owner: owner("instance"),
        at_once: (parallel_executions > 0).then_some(parallel_executions),
        per_day: (per_day > 0).then_some(per_day),
        per_month: (per_month > 0).then_some(per_month),
        execution_time,
    };
    [quota].into_iter().filter(Quota::bounds).collect()
}

/// The quotas of a workspace that has limits of its own.
pub(super) fn of_workspace(workspace: &Name, limits: &WorkspaceLimits, instance: &[Quota]) -> Option<Arc<[Quota]>> {
    let own = Quota {
        of: Limited::Workspace(workspace.clone()),
        owner: of_workspace_owner(workspace),
        at_once: limits.parallel_executions,
        per_day: limits.per_day,
        per_month: limits.per_month,
        execution_time: limits.execution_time_s.map(Duration::from_secs),
    };
    own.bounds().then(|| [own].into_iter().chain(instance.iter().cloned()).collect())
}

/// What the counters of a workspace are kept under.
pub fn of_workspace_owner(workspace: &Name) -> ResourceId {
    owner(&format!("workspace/{workspace}"))
}

/// The same for ever; ids of resources have a version in them, so it is none of theirs but by a chance of 2^-60.
fn owner(of: &str) -> ResourceId {
    let digest = blake3::hash(format!("the quota of {of}").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_bytes()[..16]);
    ResourceId::from_bytes(bytes)
}
