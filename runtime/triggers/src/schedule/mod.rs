//! Schedules: the time starts workflows, each firing once.
//!
//! ```text
//!   Directory ─► plan   every schedule, and which of them wakes next
//!   Clock     ─► line   what is due, what was missed, what stands in line
//!             ─► fire   came before? does the one before go on? ─► Dispatch: durable, under the delivery of its due time
//!             ─► record up to when everything has started, and which firings wait
//! ```
//!
//! The delivery makes a firing start something once; the record says from where on a later server has to look. It follows the
//! firings, so that what lies between is dispatched again after a crash, and told to be there already.

mod each;
mod fire;
mod line;
mod place;
mod plan;
mod record;
mod told;

use std::sync::Arc;

use camshaft_model::ids::ExecutionId;
use camshaft_model::limits;
use camshaft_model::seams::{Clock, Directory, Dispatch, Ids, Scheduled, Store, StoreError, Witness};
use camshaft_model::time::Timestamp;
use futures::FutureExt;
use tokio::task::{JoinError, JoinSet};

pub use place::Place;
pub use told::{Became, Fired};

use fire::{Attempt, Fate};
use line::{Firing, Found};
use plan::{Left, Plan, Slot};
use record::Records;
use told::Tally;

/// What schedules work with.
#[derive(Clone)]
pub struct Parts {
    /// Knows the published schedules.
    pub directory: Arc<dyn Directory>,
    /// Starts executions.
    pub dispatch: Arc<dyn Dispatch>,
    /// Knows the deliveries seen, and keeps how far schedules have fired.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Fresh ids.
    pub ids: Arc<dyn Ids>,
    /// Is told of firings that start nothing; of those that the engine is asked for, by the engine.
    pub witness: Arc<dyn Witness>,
}

/// The schedules of a server.
pub struct Schedules {
    parts: Parts,
    tally: Tally,
}

/// Something that was under way is over.
enum Event {
    Fired(Slot, Fate),
    /// An execution that a schedule waits for has ended, or was waited for long enough.
    Unblocked(Slot),
    Saved(record::Saved),
}

/// What the loop holds.
struct Running<'a> {
    schedules: &'a Schedules,
    plan: Plan,
    records: Records,
    tasks: JoinSet<Event>,
    firings: usize,
    left: Left,
    began: Timestamp,
}

impl Schedules {
    /// Nothing fires until [`Schedules::run`].
    pub fn new(parts: Parts) -> Self {
        Self { parts, tally: Tally::default() }
    }

    /// Fires what is due, until it is dropped. The engine has recovered before, or executions of a former server are not known
    /// to go on. An error says that what a former server left cannot be read; nothing has fired then.
    pub async fn run(&self) -> Result<(), StoreError> {
        let began = self.parts.clock.now();
        let (records, left) = Records::read(&*self.parts.store).await?;
        let tasks = JoinSet::new();
        let plan = Plan::default();
        Running { schedules: self, plan, records, tasks, firings: 0, left, began }.run().await;
        Ok(())
    }

    /// The last firing of a schedule since the server started.
    pub fn last(&self, place: &Place) -> Option<Fired> {
        self.tally.of(place)
    }

    /// How many firings came to this since the server started.
    pub fn counted(&self, became: Became) -> u64 {
        self.tally.counted(became)
    }
}

impl Running<'_> {
    async fn run(&mut self) {
        let Parts { directory, clock, .. } = &self.schedules.parts;
        let mut changed = directory.scheduled(0);
        loop {
            let now = clock.now();
            self.fire(now);
            self.save(now);
            let wakes = if self.firings < limits::FIRINGS_AT_ONCE_MAX { self.plan.wakes() } else { None };
            let wakes = [wakes, self.records.wakes(&self.plan, self.firings == 0)].into_iter().flatten().min();
            let slept = clock.sleep_until(wakes.unwrap_or(Timestamp(u64::MAX)));
            tokio::select! {
                biased;
                Some(event) = self.tasks.join_next() => self.take(event),
                (behind, scheduled) = &mut changed => {
                    self.publish(scheduled).await;
                    changed = directory.scheduled(behind);
                }
                () = slept => {}
            }
        }
    }

    async fn publish(&mut self, all: Vec<Scheduled>) {
        for (at, scheduled) in all.into_iter().enumerate() {
            for place in self.plan.publish(self.schedules.parts.clock.now(), scheduled, &mut self.left) {
                self.schedules.tally.forget(&place);
            }
            if at % limits::FIRINGS_AT_ONCE_MAX == 0 {
                // Others have something to do too while very many are read.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Begins to dispatch what is due, as many at once as may be.
    fn fire(&mut self, now: Timestamp) {
        while self.firings < limits::FIRINGS_AT_ONCE_MAX {
            let Some((slot, attempt, found, expired)) = self.plan.wake(now, self.began) else { return };
            self.tell(slot, now, found, expired);
            if let Some(attempt) = attempt {
                self.firings += 1;
                self.begin(slot, attempt);
            }
        }
    }

    fn begin(&mut self, slot: Slot, attempt: Attempt) {
        let parts = self.schedules.parts.clone();
        let (published, trigger) = (attempt.published.clone(), attempt.place.trigger.clone());
        self.tasks.spawn(async move {
            let made = std::panic::AssertUnwindSafe(attempt.make(&parts)).catch_unwind().await;
            let fate = made.unwrap_or_else(|_| {
                let why = "starting it failed for a fault of ours".to_owned();
                parts.witness.not_started(&published, &trigger, parts.clock.now(), why.clone());
                Fate::Refused(why)
            });
            Event::Fired(slot, fate)
        });
    }

    fn save(&mut self, now: Timestamp) {
        let is_calm = self.firings == 0;
        if let Some(changes) = self.records.due(&mut self.plan, now, is_calm, &*self.schedules.parts.ids) {
            let store = self.schedules.parts.store.clone();
            self.tasks.spawn(async move { Event::Saved(changes.save(&*store).await) });
        }
    }

    fn take(&mut self, event: Result<Event, JoinError>) {
        let now = self.schedules.parts.clock.now();
        match event {
            Ok(Event::Fired(slot, fate)) => {
                self.firings -= 1;
                self.fired(slot, now, &fate);
            }
            Ok(Event::Unblocked(slot)) => self.plan.unblock(slot, now),
            Ok(Event::Saved(saved)) => self.records.saved(&mut self.plan, now, saved),
            // Only what waits or saves can get here, and neither panics.
            Err(error) => tracing::error!(%error, "a schedule's task was lost"),
        }
    }

    fn fired(&mut self, slot: Slot, now: Timestamp, fate: &Fate) {
        let (place, due) = {
            let line = self.plan.line(slot);
            (line.place.clone(), line.firings.front().map(|firing| firing.due))
        };
        let workflow = self.plan.line(slot).published.revision.workflow.clone();
        let (environment, trigger) = (place.environment.clone(), place.trigger.clone());
        let Some(due) = due else { return };
        let (became, execution, why) = match fate {
            Fate::Started(id) => (Became::Started, Some(*id), None),
            Fate::Skipped(id) => {
                tracing::debug!(%workflow, %environment, %trigger, %due, execution = %id, "not fired: the execution before goes on");
                (Became::Skipped, Some(*id), None)
            }
            Fate::Refused(why) => {
                tracing::warn!(%workflow, %environment, %trigger, %due, why, "a schedule started nothing");
                (Became::Refused, None, Some(why.clone()))
            }
            Fate::Nobody => (Became::NoConnection, None, None),
            Fate::Busy(id) => {
                self.wait(slot, *id);
                self.plan.fired(slot, now, fate);
                return;
            }
            Fate::Again(why) => {
                tracing::warn!(%workflow, %environment, %trigger, %due, why, "a schedule could not fire; it is tried again");
                self.plan.fired(slot, now, fate);
                return;
            }
        };
        self.schedules.tally.note(&place, Fired { due, at: now, became, execution, why });
        self.plan.fired(slot, now, fate);
    }

    /// Comes back when an execution has ended.
    fn wait(&mut self, slot: Slot, id: ExecutionId) {
        let Parts { dispatch, clock, .. } = self.schedules.parts.clone();
        self.tasks.spawn(async move {
            if !matches!(dispatch.outcome(id, limits::QUEUED_MAX).await, Ok(Some(_))) {
                // The window is over; or nobody can tell just now, and asking again at once would not help.
                clock.sleep_until(clock.now().plus(record::AGAIN)).await;
            }
            Event::Unblocked(slot)
        });
    }

    /// Tells of firings that start nothing without having been tried.
    fn tell(&mut self, slot: Slot, now: Timestamp, found: Found, expired: Vec<Firing>) {
        if found == Found::default() && expired.is_empty() {
            return;
        }
        let line = self.plan.line(slot);
        let (place, workflow, going_on) = (line.place.clone(), &line.published.revision.workflow, line.last);
        let (environment, trigger) = (&place.environment, &place.trigger);
        let tally = &self.schedules.tally;
        if let Some(left_out) = found.left_out {
            let (count, until) = (left_out.count, left_out.until);
            tracing::info!(%workflow, %environment, %trigger, at_least = count, %until, "missed firings are not made up for");
            tally.count(Became::Missed, count as u64 - 1);
            tally.note(&place, Fired { due: until, at: now, became: Became::Missed, execution: None, why: None });
        }
        for firing in found.skipped {
            tracing::debug!(%workflow, %environment, %trigger, due = %firing.due, "not fired: the execution before goes on");
            let (due, became) = (firing.due, Became::Skipped);
            tally.note(&place, Fired { due, at: now, became, execution: going_on, why: None });
        }
        for firing in expired {
            let why = "it waited too long for the execution of the one before".to_owned();
            tracing::warn!(%workflow, %environment, %trigger, due = %firing.due, why, "a schedule started nothing");
            self.schedules.parts.witness.not_started(&line.published, trigger, now, why.clone());
            let (due, became) = (firing.due, Became::Dropped);
            tally.note(&place, Fired { due, at: now, became, execution: going_on, why: Some(why) });
        }
    }
}
