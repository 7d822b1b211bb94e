//! A firing that is for connections: one execution for each that has the workflow enabled, each once.
//!
//! A crash in the middle leaves some started and some not. The firing is made again then, and the delivery of each connection says
//! which are there already.

use std::collections::HashMap;
use std::sync::Arc;

use camshaft_model::connection::{Connection, ConnectionRef};
use camshaft_model::ids::{ExecutionId, Name};
use camshaft_model::limits;
use camshaft_model::schedule::Overlap;
use camshaft_model::seams::StoreError;
use camshaft_model::time::Timestamp;
use futures::future::join_all;

use super::Parts;
use super::fire::{Attempt, CHUNK, Fate, cancel};

/// What goes on of a schedule: the newest execution of each connection.
type GoingOn = HashMap<ConnectionRef, ExecutionId>;

impl Attempt {
    /// Starts what this firing is to start.
    pub(super) async fn for_each(&self, integration: &Name, parts: &Parts) -> Result<Fate, StoreError> {
        let workflow = self.place.workflow;
        let mut connections = parts.directory.enabling(&self.place.workspace, integration, workflow);
        // Who enabled it later was not there when it was due.
        connections.retain(|one| one.enabled.get(&workflow).is_some_and(|since| *since <= self.firing.due));
        let going_on = match self.schedule.overlap {
            Overlap::Allow => GoingOn::new(),
            _ => self.all_going_on(parts).await?,
        };
        let mut fates = Vec::with_capacity(connections.len());
        for some in connections.chunks(limits::CONNECTIONS_AT_ONCE_MAX) {
            // Together, so that they share commits; and each to its end, since one that is begun must not be left half accepted.
            let done = join_all(some.iter().map(|one| self.for_one(one, &going_on, parts))).await;
            fates.extend(done.into_iter().collect::<Result<Vec<_>, _>>()?);
        }
        Ok(self.all(&connections, fates))
    }

    async fn for_one(&self, connection: &Connection, going_on: &GoingOn, parts: &Parts) -> Result<Fate, StoreError> {
        let mut delivery = self.place.delivery(self.firing.due, parts.clock.now());
        delivery.key.id = format!("{} {}", delivery.key.id, connection.id);
        // Also one that is older than deliveries are remembered for: it may not be forgotten yet. It comes before the question
        // of overlap, because the execution that goes on may be its own.
        if let Some(seen) = parts.store.delivery(&delivery.key, Timestamp(0)).await?
            && let Some((_, id)) = seen.executions.first()
        {
            return Ok(Fate::Started(*id));
        }
        if let Some(previous) = going_on.get(&connection.of) {
            match self.schedule.overlap {
                Overlap::CancelPrevious => cancel(parts, *previous).await?,
                // Nobody's execution holds up those of others: also what is made up for waits for none.
                Overlap::Skip | Overlap::Queue | Overlap::Allow => return Ok(Fate::Skipped(*previous)),
            }
        }
        self.start(parts, delivery, connection.value.clone()).await
    }

    /// What it comes to as a whole: to be made again where one could not be made durable, else the best that came of any.
    fn all(&self, connections: &[Arc<Connection>], mut fates: Vec<Fate>) -> Fate {
        for (connection, fate) in connections.iter().zip(&fates) {
            if let Fate::Refused(why) = fate {
                let (workflow, connection) = (&self.published.revision.workflow, &connection.of);
                tracing::warn!(%workflow, %connection, due = %self.firing.due, why, "a schedule started nothing");
            }
        }
        let rank = |fate: &Fate| match fate {
            Fate::Again(_) => 0,
            Fate::Started(_) => 1,
            Fate::Refused(_) => 2,
            Fate::Skipped(_) | Fate::Busy(_) | Fate::Nobody => 3,
        };
        fates.sort_by_key(rank);
        fates.into_iter().next().unwrap_or(Fate::Nobody)
    }

    async fn all_going_on(&self, parts: &Parts) -> Result<GoingOn, StoreError> {
        let (mut going_on, mut before) = (GoingOn::new(), None);
        loop {
            let page = self.open_before(parts, before).await?;
            for summary in page.iter().filter(|summary| self.is_ours(summary)) {
                if let Some(connection) = &summary.connection {
                    going_on.entry(connection.clone()).or_insert(summary.id);
                }
            }
            if page.len() < CHUNK {
                return Ok(going_on);
            }
            before = page.last().map(|summary| summary.id);
        }
    }
}
