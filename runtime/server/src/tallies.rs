//! What became of each trigger: how often it started its workflow, and when it could not. Counted in memory, written down every few
//! seconds and at the end, and taken up by the next start. The executions themselves are in the store.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use camshaft_model::ids::{ExecutionId, Name, ResourceId};
use camshaft_model::json;
use camshaft_model::resource::{Change, Expect, Resource, ResourceKey, ResourceKind};
use camshaft_model::seams::{Clock, Published, Store, StoreError, Witness};
use camshaft_model::time::Timestamp;
use camshaft_model::workflow::TriggerKey;
use serde::{Deserialize, Serialize};

/// How many failures of a trigger are remembered.
const FAILURES_KEPT: usize = 20;
/// Bytes of why a trigger could not start its workflow that are kept.
const WHY_BYTES: usize = 500;
/// How often they are written down.
const EVERY: Duration = Duration::from_secs(5);
/// Resources that are read together.
const READ: usize = 256;
/// Workflows that are written together.
const WRITTEN: usize = 16;
/// Triggers of one workflow that are kept, in all its environments: those that did something last. A revision has fewer; a trigger
/// that is renamed leaves its tally behind.
const PLACES_MAX: usize = 1_000;

/// A workflow, by its workspace and its id.
type Home = (Name, ResourceId);

/// A trigger of a published workflow.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    home: Home,
    environment: Name,
    trigger: TriggerKey,
}

/// A time when a trigger should have started its workflow and could not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotStarted {
    /// When.
    pub time: Timestamp,
    /// Why.
    pub why: String,
}

/// What a trigger has done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many executions it started.
    pub started: u64,
    /// The latest of them, and when.
    pub last: Option<(Timestamp, ExecutionId)>,
    /// How often it could start none.
    pub failed: u64,
    /// The latest of these, newest first.
    pub failures: VecDeque<NotStarted>,
}

impl Tally {
    /// When it started something last, or could not.
    fn changed_at(&self) -> Option<Timestamp> {
        let failed = self.failures.front().map(|failure| failure.time);
        self.last.map(|(time, _)| time).max(failed)
    }
}

/// A trigger's tally, as it is written down with those of its workflow.
#[derive(Serialize, Deserialize)]
struct Written {
    environment: Name,
    trigger: TriggerKey,
    #[serde(flatten)]
    tally: Tally,
}

/// What every trigger has done.
pub struct Tallies {
    triggers: RwLock<HashMap<Place, Arc<Mutex<Tally>>>>,
    /// Workflows of which something is not written down.
    unwritten: Mutex<BTreeSet<Home>>,
    clock: Arc<dyn Clock>,
}

impl Tallies {
    /// As a former server wrote them down.
    pub async fn load(store: &dyn Store, clock: Arc<dyn Clock>) -> Result<Arc<Self>, StoreError> {
        let (mut triggers, mut after) = (HashMap::new(), None);
        loop {
            let page = store.resources(ResourceKind::Tally, None, after, READ).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            for Resource { key, id, mut spec, .. } in page {
                // No reason not to serve.
                let written: Vec<Written> = serde_json::from_value(spec["triggers"].take()).unwrap_or_else(|error| {
                    tracing::error!(workflow = %id, %error, "what its triggers have done cannot be read; they begin anew");
                    Vec::new()
                });
                for Written { environment, trigger, tally } in written {
                    let place = Place { home: (key.workspace.clone(), id), environment, trigger };
                    triggers.insert(place, Arc::new(Mutex::new(tally)));
                }
            }
        }
        Ok(Arc::new(Self { triggers: RwLock::new(triggers), unwritten: Mutex::default(), clock }))
    }

    /// What a trigger has done.
    pub fn of(&self, workspace: &Name, workflow: ResourceId, environment: &Name, trigger: &TriggerKey) -> Tally {
        let home = (workspace.clone(), workflow);
        let place = Place { home, environment: environment.clone(), trigger: trigger.clone() };
        let triggers = self.triggers.read().unwrap_or_else(PoisonError::into_inner);
        triggers.get(&place).map(|tally| lock(tally).clone()).unwrap_or_default()
    }

    /// Writes them down every few seconds, until it is dropped.
    pub async fn run(&self, store: &dyn Store) {
        loop {
            self.clock.sleep_until(self.clock.now().plus(EVERY)).await;
            self.write(store).await;
        }
    }

    /// Writes down what is not; what cannot be written now is the next time.
    pub async fn write(&self, store: &dyn Store) {
        loop {
            let mut taken = self.take();
            if taken.homes.is_empty() {
                return;
            }
            if let Err(error) = store.change(self.changes(&taken.homes)).await {
                tracing::warn!(%error, "what triggers have done could not be written down; it is tried again");
                return;
            }
            taken.homes.clear();
        }
    }

    fn take(&self) -> Taken<'_> {
        let mut unwritten = lock(&self.unwritten);
        Taken { of: self, homes: std::iter::from_fn(|| unwritten.pop_first()).take(WRITTEN).collect() }
    }

    fn changes(&self, homes: &BTreeSet<Home>) -> Vec<Change> {
        let mut written: HashMap<&Home, Vec<Written>> = homes.iter().map(|home| (home, Vec::new())).collect();
        for (place, tally) in self.triggers.read().unwrap_or_else(PoisonError::into_inner).iter() {
            if let Some(of_workflow) = written.get_mut(&place.home) {
                let (environment, trigger) = (place.environment.clone(), place.trigger.clone());
                of_workflow.push(Written { environment, trigger, tally: lock(tally).clone() });
            }
        }
        let now = self.clock.now();
        let put = |(home, mut triggers): (&Home, Vec<Written>)| {
            triggers.sort_by_key(|written| std::cmp::Reverse(written.tally.changed_at()));
            let forgotten = triggers.split_off(triggers.len().min(PLACES_MAX));
            self.forget(home, forgotten);
            let (workspace, workflow) = home.clone();
            let key = ResourceKey { kind: ResourceKind::Tally, workspace, name: workflow.to_string() };
            let spec = json!({ "triggers": triggers });
            let resource = Resource { key, id: workflow, generation: 0, spec, created_at: now, updated_at: now };
            Change::Put { resource, expect: Expect::Any }
        };
        written.into_iter().map(put).collect()
    }

    fn forget(&self, home: &Home, written: Vec<Written>) {
        let mut triggers = self.triggers.write().unwrap_or_else(PoisonError::into_inner);
        for Written { environment, trigger, .. } in written {
            triggers.remove(&Place { home: home.clone(), environment, trigger });
        }
    }

    fn change(&self, published: &Published, trigger: &TriggerKey, change: impl FnOnce(&mut Tally)) {
        let home = (published.workspace.clone(), published.revision.workflow_id);
        let place = Place { home, environment: published.environment.clone(), trigger: trigger.clone() };
        let known = self.triggers.read().unwrap_or_else(PoisonError::into_inner).get(&place).cloned();
        let tally = known.unwrap_or_else(|| {
            let mut triggers = self.triggers.write().unwrap_or_else(PoisonError::into_inner);
            triggers.entry(place.clone()).or_default().clone()
        });
        change(&mut lock(&tally));
        lock(&self.unwritten).insert(place.home);
    }
}

/// Workflows that are being written; where that comes to nothing, they are not written.
struct Taken<'a> {
    of: &'a Tallies,
    homes: BTreeSet<Home>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        lock(&self.of.unwritten).append(&mut self.homes);
    }
}

impl Witness for Tallies {
    fn started(&self, published: &Published, trigger: &TriggerKey, at: Timestamp, execution: ExecutionId) {
        self.change(published, trigger, |tally| {
            tally.started += 1;
            // Who waited for the end tells of its start late.
            tally.last = tally.last.max(Some((at, execution)));
        });
    }

    fn not_started(&self, published: &Published, trigger: &TriggerKey, time: Timestamp, mut why: String) {
        why.truncate(why.floor_char_boundary(WHY_BYTES));
        self.change(published, trigger, |tally| {
            tally.failed += 1;
            tally.failures.truncate(FAILURES_KEPT - 1);
            tally.failures.push_front(NotStarted { time, why });
        });
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while holding it.
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use camshaft_store::MemoryStore;

    use super::*;
    use crate::time::SystemClock;

    fn place(workflow: u8, trigger: usize) -> Place {
        let home = (Name::new("default").unwrap(), ResourceId::from_bytes([workflow; 16]));
        let trigger = serde_json::from_value(json!(format!("webhook:shop#{trigger}"))).unwrap();
        Place { home, environment: Name::new("production").unwrap(), trigger }
    }

    async fn loaded(store: &MemoryStore) -> Arc<Tallies> {
        Tallies::load(store, Arc::new(SystemClock)).await.unwrap()
    }

    impl Tallies {
        fn set(&self, place: Place, started: u64) {
            let last = Some((Timestamp(started), ExecutionId(uuid::Uuid::from_u128(started.into()))));
            let tally = Tally { started, last, ..Tally::default() };
            lock(&self.unwritten).insert(place.home.clone());
            self.triggers.write().unwrap().insert(place, Arc::new(Mutex::new(tally)));
        }

        fn started(&self, place: &Place) -> u64 {
            self.of(&place.home.0, place.home.1, &place.environment, &place.trigger).started
        }
    }

    #[tokio::test]
    async fn what_is_given_up_is_written_by_the_next() {
        let store = MemoryStore::new();
        let tallies = loaded(&store).await;
        for workflow in 0..40 {
            tallies.set(place(workflow, 1), 7);
        }
        let homes = std::mem::take(&mut *lock(&tallies.unwritten));
        drop(Taken { of: &tallies, homes });
        tallies.write(&store).await;
        let again = loaded(&store).await;
        assert!((0..40).all(|workflow| again.started(&place(workflow, 1)) == 7), "several pages of them");
        assert!(lock(&tallies.unwritten).is_empty());
    }

    #[tokio::test]
    async fn of_one_workflow_those_that_did_something_last_are_kept() {
        let store = MemoryStore::new();
        let tallies = loaded(&store).await;
        for trigger in 1..=PLACES_MAX + 1 {
            tallies.set(place(1, trigger), trigger as u64);
        }
        tallies.write(&store).await;
        for tallies in [tallies, loaded(&store).await] {
            assert_eq!([1, 2, PLACES_MAX + 1].map(|trigger| tallies.started(&place(1, trigger))), [0, 2, 1_001]);
        }
    }
}
