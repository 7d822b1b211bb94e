//! Concurrency of workflows: how many executions of each run, and which stand in line.
//!
//! Memory only, as the locks are: a start counts the open executions again before any is let in.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use camshaft_model::ids::{ExecutionId, ResourceId};
use camshaft_model::workflow::WhenFull;

#[derive(Default)]
pub(crate) struct Gates(Mutex<HashMap<ResourceId, Gate>>);

#[derive(Default)]
struct Gate {
    running: u32,
    line: VecDeque<ExecutionId>,
    /// As the latest revision says.
    limit: u32,
}

/// How far a workflow's concurrency is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Executions that run; waiting ones count.
    pub running: u32,
    /// Executions that stand in line.
    pub queued: usize,
}

/// What becomes of one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It runs.
    Runs,
    /// It stands in line.
    Queues,
    /// It is turned away.
    Rejected,
}

impl Gates {
    /// One more execution of a workflow.
    pub(crate) fn enter(&self, workflow: ResourceId, id: ExecutionId, limit: u32, when_full: WhenFull) -> Admission {
        let mut gates = self.lock();
        let gate = gates.entry(workflow).or_default();
        gate.limit = limit;
        if gate.running < limit && gate.line.is_empty() {
            gate.running += 1;
            Admission::Runs
        } else if when_full == WhenFull::Queue {
            gate.line.push_back(id);
            Admission::Queues
        } else {
            Admission::Rejected
        }
    }

    /// An execution is over, or was given up. Answers with those whose turn it is.
    pub(crate) fn leave(&self, workflow: ResourceId, id: ExecutionId) -> Vec<ExecutionId> {
        let mut gates = self.lock();
        let Some(gate) = gates.get_mut(&workflow) else { return Vec::new() };
        match gate.line.iter().position(|other| *other == id) {
            Some(index) => drop(gate.line.remove(index)),
            None => gate.running = gate.running.saturating_sub(1),
        }
        let next = gate.admit();
        if gate.running == 0 && gate.line.is_empty() {
            gates.remove(&workflow);
        }
        next
    }

    /// An execution of a former server: it runs, or stands in line. They come in their order.
    pub(crate) fn restore(&self, workflow: ResourceId, id: ExecutionId, is_queued: bool) {
        let mut gates = self.lock();
        let gate = gates.entry(workflow).or_default();
        match is_queued {
            true => gate.line.push_back(id),
            false => gate.running += 1,
        }
    }

    /// The limit of a workflow from now on. Answers with those that there is room for.
    pub(crate) fn widen(&self, workflow: ResourceId, limit: u32) -> Vec<ExecutionId> {
        let mut gates = self.lock();
        let Some(gate) = gates.get_mut(&workflow) else { return Vec::new() };
        gate.limit = limit;
        gate.admit()
    }

    /// Whether an execution stands in line.
    pub(crate) fn is_in_line(&self, workflow: ResourceId, id: ExecutionId) -> bool {
        self.lock().get(&workflow).is_some_and(|gate| gate.line.contains(&id))
    }

    /// How many executions of a workflow run, and how many stand in line.
    pub(crate) fn occupancy(&self, workflow: ResourceId) -> Occupancy {
        let gates = self.lock();
        gates
            .get(&workflow)
            .map_or_else(Occupancy::default, |gate| Occupancy { running: gate.running, queued: gate.line.len() })
    }

    /// Workflows of which something stands in line, with the first of each.
    pub(crate) fn in_line(&self) -> Vec<(ResourceId, ExecutionId)> {
        self.lock().iter().filter_map(|(workflow, gate)| Some((*workflow, *gate.line.front()?))).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ResourceId, Gate>> {
        // Nothing panics while holding it; poisoned gates are still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    fn admit(&mut self) -> Vec<ExecutionId> {
        let mut admitted = Vec::new();
        while self.running < self.limit
            && let Some(next) = self.line.pop_front()
        {
            self.running += 1;
            admitted.push(next);
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn id(n: u128) -> ExecutionId {
        ExecutionId(Uuid::from_u128(n))
    }

    #[test]
    fn as_many_run_as_the_limit_says_and_the_others_in_their_order() {
        let (gates, workflow) = (Gates::default(), ResourceId(Uuid::from_u128(7)));
        let enter = |n| gates.enter(workflow, id(n), 2, WhenFull::Queue);
        assert_eq!([1, 2, 3, 4].map(enter), [Admission::Runs, Admission::Runs, Admission::Queues, Admission::Queues]);
        assert_eq!(gates.enter(workflow, id(5), 2, WhenFull::Reject), Admission::Rejected);
        assert_eq!(gates.leave(workflow, id(3)), [], "it stood in line");
        assert_eq!(gates.leave(workflow, id(1)), [id(4)]);
        assert_eq!(gates.leave(workflow, id(2)), []);
        assert_eq!(gates.leave(workflow, id(4)), []);
        assert_eq!(enter(6), Admission::Runs);
    }

    #[test]
    fn what_a_former_server_left_counts() {
        let (gates, workflow) = (Gates::default(), ResourceId(Uuid::from_u128(7)));
        gates.restore(workflow, id(1), false);
        gates.restore(workflow, id(2), true);
        assert_eq!(gates.in_line(), [(workflow, id(2))]);
        assert_eq!(gates.widen(workflow, 1), []);
        assert_eq!(gates.enter(workflow, id(3), 1, WhenFull::Queue), Admission::Queues);
        assert_eq!(gates.leave(workflow, id(1)), [id(2)]);
    }
}
