//! One firing: has it started something already, may it start beside what goes on, and the dispatch.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use camshaft_model::ids::{ExecutionId, Name};
use camshaft_model::invocation::{Reply, SeenDelivery, TriggerSource};
use camshaft_model::limits;
use camshaft_model::schedule::{Overlap, Schedule};
use camshaft_model::seams::{DispatchError, DispatchRequest, Published, Start, StoreError, SummaryQuery, TellError};
use camshaft_model::summary::{Status, Summary};
use camshaft_model::time::Timestamp;
use camshaft_model::workflow::TriggerKey;
use camshaft_model::{Value, json};
use tokio::sync::OnceCell;

use super::Parts;
use super::line::{Firing, Line};
use super::place::Place;

/// Summaries that are read at once.
pub(super) const CHUNK: usize = 256;
/// Who a cancelled execution was cancelled by.
const BY: &str = "schedule";

/// A firing on its way.
pub(super) struct Attempt {
    pub(super) place: Place,
    pub(super) published: Arc<Published>,
    pub(super) schedule: Schedule,
    pub(super) firing: Firing,
    last: Option<ExecutionId>,
    before: Arc<Before>,
}

/// The executions of a workflow's schedules that went on before it was published here, the newest of each. Read once for all
/// of them: a hundred that fire together would otherwise each read what the others have just started. A schedule that has
/// started something since knows that by itself.
#[derive(Debug, Default)]
pub(super) struct Before(OnceCell<HashMap<(Name, TriggerKey), ExecutionId>>);

/// What came of it.
#[derive(Debug)]
pub(super) enum Fate {
    /// It started this execution, now or before.
    Started(ExecutionId),
    /// It starts nothing: this execution goes on.
    Skipped(ExecutionId),
    /// It waits for the end of this execution.
    Busy(ExecutionId),
    /// It cannot be started.
    Refused(String),
    /// Not now: nothing could be made durable.
    Again(String),
    /// It is for connections, and none has the workflow enabled.
    Nobody,
}

impl Attempt {
    /// The first firing in line.
    pub(super) fn of(line: &Line) -> Option<Self> {
        Some(Self {
            place: line.place.clone(),
            published: line.published.clone(),
            schedule: line.schedule.clone(),
            firing: line.firings.front()?.clone(),
            last: line.last,
            before: line.before.clone(),
        })
    }

    pub(super) async fn make(self, parts: &Parts) -> Fate {
        match self.try_to(parts).await {
            Ok(result) => result,
            Err(error) => Fate::Again(error.to_string()),
        }
    }

    async fn try_to(&self, parts: &Parts) -> Result<Fate, StoreError> {
        if let Some(integration) = &self.schedule.integration {
            return self.for_each(integration, parts).await;
        }
        let now = parts.clock.now();
        let delivery = self.place.delivery(self.firing.due, now);
        let previous = match self.schedule.overlap {
            Overlap::Allow => None,
            _ => self.going_on(parts).await?,
        };
        // The dispatch looks for the delivery too. It is looked for here where the execution that goes on may be its own, and where
        // it may be older than deliveries are remembered for and not be forgotten yet.
        let is_late = now.since(self.firing.due) >= limits::MISSED_AFTER;
        if (previous.is_some() || is_late)
            && let Some(seen) = parts.store.delivery(&delivery.key, Timestamp(0)).await?
            && let Some((_, id)) = seen.executions.first()
        {
            return Ok(Fate::Started(*id));
        }
        if let Some(previous) = previous {
            match self.schedule.overlap {
                Overlap::CancelPrevious => cancel(parts, previous).await?,
                // What is made up for comes one after the other.
                Overlap::Skip if !self.firing.missed => return Ok(Fate::Skipped(previous)),
                Overlap::Skip | Overlap::Queue | Overlap::Allow => return Ok(Fate::Busy(previous)),
            }
        }
        self.start(parts, delivery, Arc::default()).await
    }

    /// Dispatches it under a delivery, with a connection or with none.
    pub(super) async fn start(
        &self,
        parts: &Parts,
        delivery: SeenDelivery,
        connection: Arc<Value>,
    ) -> Result<Fate, StoreError> {
        let params = match self.published.workflow.bind_params(&self.schedule.params) {
            Ok(params) => params,
            Err(faults) => {
                let (why, now) = (faults.join("; "), parts.clock.now());
                parts.witness.not_started(&self.published, &self.place.trigger, now, why.clone());
                return Ok(Fate::Refused(why));
            }
        };
        let start = Start {
            published: self.published.clone(),
            trigger: self.place.source(self.firing.due),
            by: Some(self.place.trigger.clone()),
            event: Arc::new(self.event()),
            params: Arc::new(Value::Object(params)),
            connection,
            test: false,
            repeats: None,
            seed: None,
        };
        let request = DispatchRequest {
            delivery: Some(delivery),
            starts: vec![start],
            reply: Reply::Detach,
            window: Duration::ZERO,
            request_id: None,
        };
        Ok(match parts.dispatch.dispatch(request).await {
            Ok(dispatched) => match dispatched.executions.first() {
                Some((_, id)) => Fate::Started(*id),
                None => Fate::Refused("nothing was started".to_owned()),
            },
            Err(error @ (DispatchError::LimitReached(_) | DispatchError::DifferentBody { .. })) => {
                Fate::Refused(error.to_string())
            }
            Err(error @ (DispatchError::NotDurable(_) | DispatchError::Stopping)) => Fate::Again(error.to_string()),
        })
    }

    /// The execution that this schedule started last, where it goes on.
    async fn going_on(&self, parts: &Parts) -> Result<Option<ExecutionId>, StoreError> {
        let last = match self.last {
            Some(id) => Some(id),
            None => {
                let before = self.before.0.get_or_try_init(|| self.read_before(parts)).await?;
                before.get(&(self.place.environment.clone(), self.place.trigger.clone())).copied()
            }
        };
        let Some(id) = last else { return Ok(None) };
        let summary = parts.store.summary(id).await?;
        Ok(summary.filter(|summary| !summary.status.is_final()).map(|summary| summary.id))
    }

    /// Looks among the open executions of the workflow.
    async fn read_before(&self, parts: &Parts) -> Result<HashMap<(Name, TriggerKey), ExecutionId>, StoreError> {
        let (mut found, mut before) = (HashMap::new(), None);
        for _ in 0..limits::LOOKED_AT_MAX / CHUNK {
            let page = self.open_before(parts, before).await?;
            for summary in &page {
                if let TriggerSource::Schedule { key, .. } = &summary.trigger {
                    found.entry((summary.environment.clone(), key.clone())).or_insert(summary.id);
                }
            }
            if page.len() < CHUNK {
                break;
            }
            before = page.last().map(|summary| summary.id);
        }
        Ok(found)
    }

    /// A page of the workflow's open executions, newest first; the last one is shorter than [`CHUNK`].
    pub(super) async fn open_before(
        &self,
        parts: &Parts,
        before: Option<ExecutionId>,
    ) -> Result<Vec<Summary>, StoreError> {
        let query = SummaryQuery {
            workspace: Some(self.place.workspace.clone()),
            workflow: Some(self.place.workflow),
            statuses: Status::ALL.into_iter().filter(|status| !status.is_final()).collect(),
            before,
            limit: CHUNK,
        };
        parts.store.summaries(query).await
    }

    /// Whether this schedule started an execution.
    pub(super) fn is_ours(&self, summary: &Summary) -> bool {
        let by = match &summary.trigger {
            TriggerSource::Schedule { key, .. } => *key == self.place.trigger,
            _ => false,
        };
        by && summary.environment == self.place.environment
    }

    /// `$.event`
    fn event(&self) -> Value {
        let (due, zone) = (self.firing.due, &self.schedule.zone);
        json!({
            "id": due.to_string(),
            "type": "schedule",
            "source": self.place.trigger.as_str(),
            "time": due.to_string(),
            "body": {
                "due": due.to_string(),
                "local": zone.shown(due),
                "timezone": zone.name(),
                "missed": self.firing.missed,
            },
        })
    }
}

/// Durable when it returns; an execution that is over needs nothing.
pub(super) async fn cancel(parts: &Parts, previous: ExecutionId) -> Result<(), StoreError> {
    match parts.dispatch.cancel(previous, BY.to_owned()).await {
        Ok(()) | Err(TellError::Ended(..) | TellError::Unknown(_)) => Ok(()),
        Err(TellError::Store(error)) => Err(error),
        Err(error @ (TellError::Unfit(_) | TellError::NotAsked { .. })) => {
            Err(StoreError::Unavailable(format!("execution {previous} cannot be cancelled: {error}")))
        }
    }
}
