//! What counts executions: the limits of a workflow, and the quotas of its workspace and of the instance.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use camshaft_model::ids::ResourceId;
use camshaft_model::seams::{Count, CountKey, LimitReached, Limited, Published, Quota};
use camshaft_model::time::{Period, Timestamp};

/// Which counters count an execution.
#[derive(Clone)]
pub(crate) struct Counted {
    pub(crate) published: Arc<Published>,
    pub(crate) quotas: Arc<[Quota]>,
}

impl Counted {
    /// One more in each.
    pub(crate) fn counts(&self, now: Timestamp) -> Vec<Count> {
        let limits = &self.published.workflow.limits;
        let of_workflow = (self.published.revision.workflow_id, limits.per_day, limits.per_month);
        let of_quotas = self.quotas.iter().map(|quota| (quota.owner, quota.per_day, quota.per_month));
        let mut counts = Vec::new();
        for (owner, per_day, per_month) in std::iter::once(of_workflow).chain(of_quotas) {
            let count =
                |period: fn(Timestamp) -> Period, limit| Count { key: CountKey { period: period(now), owner }, limit };
            counts.extend(per_day.map(|limit| count(Period::day, limit)));
            counts.extend(per_month.map(|limit| count(Period::month, limit)));
        }
        counts
    }

    /// Whether a counter is one of them.
    pub(crate) fn is_by(&self, owner: ResourceId) -> bool {
        self.published.revision.workflow_id == owner || self.quotas.iter().any(|quota| quota.owner == owner)
    }

    /// What an execution is told when a counter has no room for it.
    pub(crate) fn reached(&self, key: &CountKey, limit: u64, now: Timestamp) -> LimitReached {
        let quota = self.quotas.iter().find(|quota| quota.owner == key.owner);
        let what = match key.period.kind() {
            "day/" => "executions a day",
            _ => "executions a month",
        };
        let retry_after_s = key.period.end().map_or(1, |end| end.since(now).as_secs() + 1);
        let of = quota.map_or(Limited::Workflow, |quota| quota.of.clone());
        LimitReached { of, workflow: self.published.revision.workflow.clone(), what, limit, retry_after_s }
    }
}

/// Counters that the store has said stand at a limit, so that nothing runs ahead of the disk only to be turned away. They never go
/// down; whoever has a higher limit asks the store again.
#[derive(Default)]
pub(crate) struct Full(Mutex<HashMap<CountKey, u64>>);

impl Full {
    /// A counter stands at a limit, or beyond.
    pub(crate) fn note(&self, key: CountKey, limit: u64, now: Timestamp) {
        let mut full = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        full.retain(|key, _| key.period.end().is_some_and(|end| end > now));
        let at_least = full.entry(key).or_default();
        *at_least = (*at_least).max(limit);
    }

    /// Why an execution need not begin, where that is known.
    pub(crate) fn turns_away(&self, counted: &Counted, now: Timestamp) -> Option<LimitReached> {
        let full = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if full.is_empty() {
            return None;
        }
        let reached = |Count { key, limit }: &Count| full.get(key).is_some_and(|at_least| at_least >= limit);
        counted
            .counts(now)
            .iter()
            .find(|count| reached(count))
            .map(|Count { key, limit }| counted.reached(key, *limit, now))
    }
}
