//! One firing: has it started something already, may it start beside what goes on, and the dispatch.

use std::sync::Arc;
use std::time::Duration;

use camshaft_model::ids::ExecutionId;
use camshaft_model::invocation::{Reply, SeenDelivery, TriggerSource};
use camshaft_model::limits;
use camshaft_model::schedule::{Overlap, Schedule};
use camshaft_model::seams::{DispatchError, DispatchRequest, Published, Start, StoreError, SummaryQuery, TellError};
use camshaft_model::summary::{Status, Summary};
use camshaft_model::time::Timestamp;
use camshaft_model::{Value, json};

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
}

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
        // Also one that is older than deliveries are remembered for: it may not be forgotten yet. It comes before the question
        // of overlap, because the execution that goes on may be its own.
        if let Some(seen) = parts.store.delivery(&delivery.key, Timestamp(0)).await?
            && let Some((_, id)) = seen.executions.first()
        {
            return Ok(Fate::Started(*id));
        }
        if self.schedule.overlap != Overlap::Allow
            && let Some(previous) = self.going_on(parts).await?
        {
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
            Err(faults) => return Ok(Fate::Refused(faults.join("; "))),
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
        let Some(id) = self.last else { return self.newest_open(parts).await };
        let summary = parts.store.summary(id).await?;
        Ok(summary.filter(|summary| !summary.status.is_final()).map(|summary| summary.id))
    }

    /// Looks among the open executions of the workflow, as a former server left them.
    async fn newest_open(&self, parts: &Parts) -> Result<Option<ExecutionId>, StoreError> {
        let mut before = None;
        for _ in 0..limits::LOOKED_AT_MAX / CHUNK {
            let page = self.open_before(parts, before).await?;
            let ours = page.iter().find(|summary| self.is_ours(summary));
            if ours.is_some() || page.len() < CHUNK {
                return Ok(ours.map(|summary| summary.id));
            }
            before = page.last().map(|summary| summary.id);
        }
        Ok(None)
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
