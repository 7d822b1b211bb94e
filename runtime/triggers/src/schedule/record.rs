//! What is written down of schedules: up to when everything has started, by workspace, and which firings wait.
//!
//! Written behind the firings, at most ten times a second, and once a minute while there are schedules at all.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use camshaft_model::ids::{Name, ResourceId};
use camshaft_model::resource::{Change, Expect, Resource, ResourceKey, ResourceKind};
use camshaft_model::seams::{Ids, Store, StoreError};
use camshaft_model::time::Timestamp;
use camshaft_model::{Value, json};
use serde::Deserialize;

use super::line::Firing;
use super::place::Place;
use super::plan::{Left, Plan, Slot};

/// When the store takes no writes, it is asked again after this.
pub(super) const AGAIN: Duration = Duration::from_secs(1);
/// The pause behind a write.
const PAUSE: Duration = Duration::from_millis(100);
/// While firings are under way without end, it is written all the same so long after the first of them.
const BUSY_FOR: Duration = Duration::from_secs(1);
/// While there are schedules, it is written at least so often.
const EVERY: Duration = Duration::from_secs(60);
/// Records that are read at once.
const PAGE: usize = 1_000;
/// Key of the record that says up to when everything has started.
const FIRED: &str = "fired";

/// Where the records stand.
#[derive(Default)]
pub(super) struct Records {
    ids: HashMap<Name, ResourceId>,
    saving: bool,
    /// When the latest write was over.
    saved_at: Timestamp,
    /// Since when there is something to write.
    unwritten_since: Option<Timestamp>,
    /// Not before this time, where the latest one failed.
    not_before: Timestamp,
}

/// Changes on their way.
pub(super) struct Changes {
    changes: Vec<Change>,
    slots: Vec<(Slot, bool)>,
    workspaces: BTreeSet<Name>,
}

/// What became of them.
pub(super) struct Saved {
    result: Result<(), StoreError>,
    slots: Vec<(Slot, bool)>,
    workspaces: BTreeSet<Name>,
}

#[derive(Deserialize)]
struct UpTo {
    up_to: Timestamp,
}

#[derive(Deserialize)]
struct Waiting {
    waiting: Vec<Firing>,
}

impl Records {
    /// What a former server wrote down.
    pub(super) async fn read(store: &dyn Store) -> Result<(Self, Left), StoreError> {
        let (mut records, mut left) = (Self::default(), Left::default());
        let mut after = None;
        loop {
            let page = store.resources(ResourceKind::Schedule, None, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok((records, left)) };
            after = Some(last.key.clone());
            for Resource { key, id, spec, .. } in page {
                let damaged = |error| StoreError::Damaged(format!("schedule `{}` cannot be read: {error}", key.name));
                if key.name == FIRED {
                    let UpTo { up_to } = serde_json::from_value(spec).map_err(damaged)?;
                    records.ids.insert(key.workspace.clone(), id);
                    left.fired.insert(key.workspace, up_to);
                } else if let Some(place) = Place::of_record(&key) {
                    let Waiting { waiting } = serde_json::from_value(spec).map_err(damaged)?;
                    left.waiting.insert(place, waiting);
                }
            }
        }
    }

    /// When there is something to write, while nothing is being written. `is_calm` while no firing is under way.
    pub(super) fn wakes(&self, plan: &Plan, is_calm: bool) -> Option<Timestamp> {
        let is_written = plan.unsaved.is_empty() && plan.unsaved_workspaces.is_empty();
        let at = match (is_written, is_calm) {
            (true, _) if plan.is_empty() => return None,
            (true, true) => self.saved_at.plus(EVERY),
            (true, false) => self.saved_at.plus(EVERY + BUSY_FOR),
            (false, true) => self.saved_at.plus(PAUSE),
            (false, false) => self.unwritten_since?.plus(BUSY_FOR),
        };
        (!self.saving).then(|| at.max(self.not_before))
    }

    /// What is to be written now.
    pub(super) fn due(&mut self, plan: &mut Plan, now: Timestamp, is_calm: bool, ids: &dyn Ids) -> Option<Changes> {
        if !plan.unsaved.is_empty() || !plan.unsaved_workspaces.is_empty() {
            self.unwritten_since.get_or_insert(now);
        }
        self.wakes(plan, is_calm).filter(|at| *at <= now)?;
        self.unwritten_since = None;
        let up_to = plan.fired_up_to(now);
        let all = now >= self.saved_at.plus(EVERY);
        let workspaces = std::mem::take(&mut plan.unsaved_workspaces);
        let workspaces = if all { plan.workspaces() } else { workspaces };
        let slots = std::mem::take(&mut plan.unsaved);
        let mut changes = Vec::with_capacity(workspaces.len() + slots.len());
        for workspace in &workspaces {
            let id = *self.ids.entry(workspace.clone()).or_insert_with(|| ids.resource());
            let key =
                ResourceKey { kind: ResourceKind::Schedule, workspace: workspace.clone(), name: FIRED.to_owned() };
            changes.push(put(key, id, json!({"up_to": up_to}), now));
        }
        let mut recorded = Vec::with_capacity(slots.len());
        for slot in slots {
            let line = plan.line(slot);
            let key = line.place.record();
            let waits = !line.firings.is_empty();
            line.saving = true;
            if waits {
                changes.push(put(key, line.place.workflow, json!({"waiting": line.firings}), now));
            } else if line.recorded {
                changes.push(Change::Delete { key, expect: Expect::Any });
            }
            recorded.push((slot, waits));
        }
        self.saving = true;
        Some(Changes { changes, slots: recorded, workspaces })
    }

    /// A write is over.
    pub(super) fn saved(&mut self, plan: &mut Plan, now: Timestamp, saved: Saved) {
        self.saving = false;
        match saved.result {
            Ok(()) => {
                self.saved_at = now;
                saved.slots.into_iter().for_each(|(slot, recorded)| plan.saved(slot, Some(recorded)));
            }
            Err(error) => {
                tracing::warn!(%error, "how far schedules have fired could not be written; it is tried again");
                self.not_before = now.plus(AGAIN);
                saved.slots.into_iter().for_each(|(slot, _)| plan.saved(slot, None));
                plan.unsaved_workspaces.extend(saved.workspaces);
            }
        }
    }
}

impl Changes {
    pub(super) async fn save(self, store: &dyn Store) -> Saved {
        let Self { changes, slots, workspaces } = self;
        let result = store.change(changes).await.map(drop);
        Saved { result, slots, workspaces }
    }
}

fn put(key: ResourceKey, id: ResourceId, spec: Value, now: Timestamp) -> Change {
    let resource = Resource { key, id, generation: 0, spec, created_at: now, updated_at: now };
    Change::Put { resource, expect: Expect::Any }
}
