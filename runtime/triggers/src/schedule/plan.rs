//! Every schedule in memory, and which of them wakes next. Pure: what is to be done is handed out, and what came of it handed in.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;

use camshaft_model::ids::{Name, ResourceId};
use camshaft_model::seams::Scheduled;
use camshaft_model::time::Timestamp;

use super::fire::{Attempt, Fate};
use super::line::{Firing, Found, Line, Stage};
use super::place::Place;

/// Where a schedule stands in the plan; given to another one once nothing is under way for it.
pub(super) type Slot = usize;

/// When the store took no writes, it is asked again after so many microseconds.
const AGAIN_US: u64 = 1_000_000;

/// What a former server left behind.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Up to when everything has started, by workspace.
    pub(super) fired: HashMap<Name, Timestamp>,
    /// Firings that wait.
    pub(super) waiting: HashMap<Place, Vec<Firing>>,
}

/// Every schedule.
#[derive(Default)]
pub(super) struct Plan {
    lines: Vec<Option<Line>>,
    free: Vec<Slot>,
    by_place: HashMap<Place, Slot>,
    by_workflow: HashMap<(Name, ResourceId), Vec<Place>>,
    /// Schedules that are gone, with something under way for them still.
    gone: BTreeSet<Slot>,
    /// Each schedule's next time stands here once, and others may that no longer count.
    wakes: BinaryHeap<Reverse<(Timestamp, Slot)>>,
    /// The times that count.
    armed: Vec<Option<Timestamp>>,
    /// Firings under way that no record keeps: a crash finds them again by the time up to which everything has started.
    under_way: BTreeSet<(Timestamp, Slot)>,
    /// Schedules whose record differs from what stands in line.
    pub(super) unsaved: BTreeSet<Slot>,
    /// Workspaces that have come further than is written down.
    pub(super) unsaved_workspaces: BTreeSet<Name>,
}

impl Plan {
    /// Whether there is no schedule.
    pub(super) fn is_empty(&self) -> bool {
        self.by_place.is_empty()
    }

    /// Workspaces with schedules.
    pub(super) fn workspaces(&self) -> BTreeSet<Name> {
        self.by_workflow.keys().map(|(workspace, _)| workspace.clone()).collect()
    }

    pub(super) fn line(&mut self, slot: Slot) -> &mut Line {
        self.lines[slot].as_mut().expect("a slot in use has a schedule")
    }

    /// Takes in what is published of a workflow now. Answers with the places that are gone.
    pub(super) fn publish(&mut self, now: Timestamp, scheduled: Scheduled, left: &mut Left) -> Vec<Place> {
        let Scheduled { workspace, workflow, published } = scheduled;
        let home = (workspace.clone(), workflow);
        let mut before = self.by_workflow.remove(&home).unwrap_or_default();
        let (mut places, earlier) = (Vec::new(), Arc::default());
        for (published, since) in published {
            for (trigger, schedule) in published.schedules() {
                let (environment, trigger) = (published.environment.clone(), trigger.clone());
                let place = Place { workspace: workspace.clone(), workflow, environment, trigger };
                before.retain(|known| *known != place);
                places.push(place.clone());
                let (published, schedule) = (published.clone(), schedule.clone());
                if let Some(slot) = self.by_place.get(&place).copied() {
                    let was_gone = self.gone.remove(&slot);
                    self.line(slot).republish(published, schedule, since, was_gone);
                    self.arm(slot, now);
                    continue;
                }
                let waiting = left.waiting.remove(&place).unwrap_or_default();
                let mut line = match left.fired.get(&workspace) {
                    Some(fired) => Line::resumed(place.clone(), published, schedule, (since, *fired)),
                    None => Line::new(place.clone(), published, schedule, since),
                };
                line.before = Arc::clone(&earlier);
                line.recorded = !waiting.is_empty();
                line.firings.extend(waiting);
                let slot = self.free.pop().unwrap_or_else(|| {
                    self.lines.push(None);
                    self.armed.push(None);
                    self.lines.len() - 1
                });
                self.lines[slot] = Some(line);
                self.by_place.insert(place, slot);
                self.arm(slot, now);
            }
        }
        for place in &before {
            if let Some(slot) = self.by_place.get(place).copied() {
                self.remove(slot);
            }
        }
        if !places.is_empty() {
            self.by_workflow.insert(home, places);
        }
        before
    }

    /// A schedule is not published any more. What is under way for it comes to its end first.
    fn remove(&mut self, slot: Slot) {
        let line = self.line(slot);
        // What is being dispatched is so already.
        line.firings.truncate(usize::from(line.stage == Stage::Firing));
        if line.recorded {
            self.unsaved.insert(slot);
        }
        self.armed[slot] = None;
        self.gone.insert(slot);
        self.let_go(slot);
    }

    /// Gives the slot of a schedule that is gone free, once nobody needs it.
    fn let_go(&mut self, slot: Slot) {
        let line = self.line(slot);
        let is_needed = line.stage == Stage::Firing || line.recorded || line.saving;
        let place = line.place.clone();
        if is_needed || !self.gone.contains(&slot) {
            return;
        }
        self.unsaved.remove(&slot);
        self.under_way.retain(|(_, of)| *of != slot);
        self.gone.remove(&slot);
        self.by_place.remove(&place);
        self.lines[slot] = None;
        self.free.push(slot);
    }

    /// The next time that somebody wakes.
    pub(super) fn wakes(&mut self) -> Option<Timestamp> {
        while let Some(Reverse((at, slot))) = self.wakes.peek().copied() {
            if self.armed[slot] == Some(at) {
                return Some(at);
            }
            self.wakes.pop();
        }
        None
    }

    /// The next schedule that is to wake now, with its firing where there is one to be dispatched, and what else was found.
    pub(super) fn wake(
        &mut self,
        now: Timestamp,
        began: Timestamp,
    ) -> Option<(Slot, Option<Attempt>, Found, Vec<Firing>)> {
        let due = self.wakes().filter(|at| *at <= now)?;
        let Some(Reverse((_, slot))) = self.wakes.pop() else { unreachable!("{due} stands there") };
        self.armed[slot] = None;
        let line = self.line(slot);
        if line.stage == Stage::Again {
            line.stage = Stage::Firing;
            return Some((slot, Attempt::of(line), Found::default(), Vec::new()));
        }
        let found = line.look(now, began);
        let expired = line.expire(now);
        let is_waiting = line.stage == Stage::Waiting && !line.firings.is_empty();
        let attempt = if is_waiting { None } else { Attempt::of(line) };
        line.stage = match (is_waiting, &attempt) {
            (true, _) => Stage::Waiting,
            (false, Some(_)) => Stage::Firing,
            (false, None) => Stage::Idle,
        };
        let is_kept = line.recorded || is_waiting || line.firings.len() > 1;
        let first = line.firings.front().map(|firing| firing.due);
        let workspace = line.place.workspace.clone();
        if is_kept {
            self.unsaved.insert(slot);
        } else if let Some(first) = first {
            self.under_way.insert((first, slot));
        }
        if attempt.is_none() && (!expired.is_empty() || found != Found::default()) {
            self.unsaved_workspaces.insert(workspace);
        }
        self.arm(slot, now);
        Some((slot, attempt, found, expired))
    }

    /// The dispatch of a schedule's first firing is over.
    pub(super) fn fired(&mut self, slot: Slot, now: Timestamp, fate: &Fate) {
        let line = self.line(slot);
        if let Fate::Started(id) | Fate::Skipped(id) | Fate::Busy(id) = fate {
            line.last = Some(*id);
        }
        line.stage = match fate {
            Fate::Started(_) | Fate::Skipped(_) | Fate::Refused(_) | Fate::Nobody => Stage::Idle,
            Fate::Busy(_) => Stage::Waiting,
            Fate::Again(_) => Stage::Again,
        };
        let (stage, is_recorded, workspace) = (line.stage, line.recorded, line.place.workspace.clone());
        let first = line.firings.front().map(|firing| (firing.due, slot));
        if stage == Stage::Idle {
            line.firings.pop_front();
            self.unsaved_workspaces.insert(workspace);
        }
        if stage != Stage::Again {
            // It is over; or waits, and a record keeps it from here on.
            first.map(|first| self.under_way.remove(&first));
        }
        if stage == Stage::Waiting || stage == Stage::Idle && is_recorded {
            self.unsaved.insert(slot);
        }
        if self.gone.contains(&slot) {
            let line = self.line(slot);
            line.firings.clear();
            line.stage = Stage::Idle;
            self.let_go(slot);
        } else {
            self.arm(slot, now);
        }
    }

    /// The execution that a schedule waits for has ended, or has been waited for long enough.
    pub(super) fn unblock(&mut self, slot: Slot, now: Timestamp) {
        if let Some(line) = self.lines[slot].as_mut().filter(|line| line.stage == Stage::Waiting) {
            line.stage = Stage::Idle;
            self.arm(slot, now);
        }
    }

    /// Up to when everything has started, or is kept by a record.
    pub(super) fn fired_up_to(&mut self, now: Timestamp) -> Timestamp {
        let first = [self.wakes(), self.under_way.first().map(|(due, _)| *due)].into_iter().flatten().min();
        first.map_or(now, |first| now.min(Timestamp(first.0.saturating_sub(1))))
    }

    /// Whether a record says what stands in line, now that writing it is over; none where it could not be written.
    pub(super) fn saved(&mut self, slot: Slot, recorded: Option<bool>) {
        let line = self.line(slot);
        line.saving = false;
        line.recorded = recorded.unwrap_or(line.recorded);
        let is_recorded = line.recorded;
        if recorded.is_none() || is_recorded && self.gone.contains(&slot) {
            self.unsaved.insert(slot);
        }
        self.let_go(slot);
    }

    fn arm(&mut self, slot: Slot, now: Timestamp) {
        let line = self.line(slot);
        let at = match line.stage {
            Stage::Again => Some(Timestamp(now.0.saturating_add(AGAIN_US))),
            _ => line.wakes(now),
        };
        self.armed[slot] = at;
        if let Some(at) = at {
            self.wakes.push(Reverse((at, slot)));
        }
    }
}
