//! What became of each trigger: how often it started its workflow, and when it could not. In memory only, since the server
//! started; the executions themselves are in the store.
//!
//! A [`Dispatch`] around the engine's own: whatever starts workflows is counted in one place.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use camshaft_model::ids::{ExecutionId, Name, ResourceId};
use camshaft_model::outcome::Outcome;
use camshaft_model::seams::{
    Answer, Clock, Dispatch, DispatchError, DispatchRequest, Dispatched, Message, Published, StoreError, TellError,
};
use camshaft_model::time::Timestamp;
use camshaft_model::workflow::TriggerKey;
use futures::FutureExt;
use futures::future::BoxFuture;

/// How many failures of a trigger are remembered.
const FAILURES_KEPT: usize = 20;

/// A trigger of a published workflow.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    workflow: ResourceId,
    environment: Name,
    trigger: TriggerKey,
}

impl Place {
    fn of(published: &Published, trigger: &TriggerKey) -> Self {
        let (workflow, environment) = (published.revision.workflow_id, published.environment.clone());
        Self { workflow, environment, trigger: trigger.clone() }
    }
}

/// A time when a trigger should have started its workflow and could not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotStarted {
    /// When.
    pub time: Timestamp,
    /// Why.
    pub why: String,
}

/// What a trigger has done since the server started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Firing {
    /// How many executions it started.
    pub started: u64,
    /// The latest of them, and when.
    pub last: Option<(Timestamp, ExecutionId)>,
    /// How often it could start none.
    pub failed: u64,
    /// The latest of these, newest first.
    pub failures: VecDeque<NotStarted>,
}

/// What every trigger has done since the server started.
#[derive(Default)]
pub struct Firings {
    triggers: RwLock<HashMap<Place, Arc<Mutex<Firing>>>>,
}

impl Firings {
    /// What a trigger has done.
    pub fn of(&self, workflow: ResourceId, environment: &Name, trigger: &TriggerKey) -> Firing {
        let place = Place { workflow, environment: environment.clone(), trigger: trigger.clone() };
        let triggers = self.triggers.read().unwrap_or_else(PoisonError::into_inner);
        triggers.get(&place).map(|firing| lock(firing).clone()).unwrap_or_default()
    }

    fn change(&self, place: Place, change: impl FnOnce(&mut Firing)) {
        let known = self.triggers.read().unwrap_or_else(PoisonError::into_inner).get(&place).cloned();
        let firing = known.unwrap_or_else(|| {
            self.triggers.write().unwrap_or_else(PoisonError::into_inner).entry(place).or_default().clone()
        });
        change(&mut lock(&firing));
    }

    fn started(&self, place: Place, now: Timestamp, execution: ExecutionId) {
        self.change(place, |firing| {
            firing.started += 1;
            firing.last = Some((now, execution));
        });
    }

    fn failed(&self, place: Place, now: Timestamp, why: String) {
        self.change(place, |firing| {
            firing.failed += 1;
            firing.failures.truncate(FAILURES_KEPT - 1);
            firing.failures.push_front(NotStarted { time: now, why });
        });
    }
}

fn lock(firing: &Mutex<Firing>) -> MutexGuard<'_, Firing> {
    firing.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The engine's dispatch, counted.
pub struct Counted {
    inner: Arc<dyn Dispatch>,
    firings: Arc<Firings>,
    clock: Arc<dyn Clock>,
}

impl Counted {
    /// Counts what goes through it.
    pub fn new(inner: Arc<dyn Dispatch>, firings: Arc<Firings>, clock: Arc<dyn Clock>) -> Self {
        Self { inner, firings, clock }
    }

    fn count(&self, starts: Vec<(Name, Option<Place>)>, result: &Result<Dispatched, DispatchError>) {
        let now = self.clock.now();
        match result {
            Ok(dispatched) if dispatched.replayed => {}
            Ok(dispatched) => {
                let mut executions = dispatched.executions.iter();
                for (workflow, place) in starts {
                    let refused = dispatched.refused.iter().find(|refused| refused.workflow == workflow);
                    let execution = if refused.is_none() { executions.next() } else { None };
                    match (place, refused, execution) {
                        (Some(place), None, Some((_, execution))) => self.firings.started(place, now, *execution),
                        (Some(place), Some(refused), _) => self.firings.failed(place, now, refused.to_string()),
                        _ => {}
                    }
                }
            }
            Err(error) => {
                for place in starts.into_iter().filter_map(|(_, place)| place) {
                    self.firings.failed(place, now, error.to_string());
                }
            }
        }
    }
}

impl Dispatch for Counted {
    fn dispatch(&self, request: DispatchRequest) -> BoxFuture<'_, Result<Dispatched, DispatchError>> {
        let start = |start: &camshaft_model::seams::Start| {
            let place = start.by.as_ref().map(|trigger| Place::of(&start.published, trigger));
            (start.published.revision.workflow.clone(), place)
        };
        let starts: Vec<_> = request.starts.iter().map(start).collect();
        async move {
            let result = self.inner.dispatch(request).await;
            self.count(starts, &result);
            result
        }
        .boxed()
    }

    fn outcome(&self, id: ExecutionId, window: Duration) -> BoxFuture<'_, Result<Option<Arc<Outcome>>, StoreError>> {
        self.inner.outcome(id, window)
    }

    fn cancel(&self, id: ExecutionId, by: String) -> BoxFuture<'_, Result<(), TellError>> {
        self.inner.cancel(id, by)
    }

    fn send<'a>(&'a self, workspace: &'a Name, message: Message) -> BoxFuture<'a, Result<Vec<ExecutionId>, TellError>> {
        self.inner.send(workspace, message)
    }

    fn send_to(&self, id: ExecutionId, message: Message) -> BoxFuture<'_, Result<(), TellError>> {
        self.inner.send_to(id, message)
    }

    fn answer(&self, id: ExecutionId, answer: Answer) -> BoxFuture<'_, Result<(), TellError>> {
        self.inner.answer(id, answer)
    }
}
