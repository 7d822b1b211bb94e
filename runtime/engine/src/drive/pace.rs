//! How an execution takes turns with others: what it decides at once, where it stands in line, when it gives way.

use camshaft_model::limits;
use camshaft_model::places::Place;

use super::{Driver, Stop};
use crate::decide::{Action, decide, next_end};
use crate::evaluate::{PutOff, Shared, Turn};

impl Driver {
    /// What can be done now; and why there may be more, if there may.
    pub(super) fn decide(&self, place: Option<Place>) -> (Vec<Action>, Option<PutOff>) {
        let (parts, now) = (&self.engine.parts, self.engine.parts.clock.now());
        let jq = Shared {
            jq: &*parts.jq,
            clock: &*parts.clock,
            until: now.plus(limits::JOURNAL_LAG_MAX),
            matched: &self.engine.matched,
            places: &parts.places,
            turn: Turn::with(place),
        };
        let actions = decide(&self.published.program, &self.state, now, &jq);
        (actions, jq.put_off())
    }

    /// Waits for a place among those who may evaluate, and hears meanwhile what it is told. None where the execution or a step is
    /// at its end first.
    pub(super) async fn stand_in_line(&mut self) -> Result<Option<Place>, Stop> {
        let (places, published) = (self.engine.parts.places.clone(), self.published.clone());
        let place = places.take(&published.workspace, published.revision.workflow_id);
        tokio::pin!(place);
        loop {
            let end = next_end(&self.published.program, &self.state);
            if let Some(place) = self.wait_or(&mut place, end).await? {
                return Ok(Some(place));
            }
            let is_over = end.is_some_and(|end| self.engine.parts.clock.now() >= end);
            if is_over || self.state.cancel.is_some() {
                return Ok(None);
            }
        }
    }

    /// Much can be done without the world's help. It is written down in between, and others get their turn.
    pub(super) async fn keep_up(&mut self) -> Result<(), Stop> {
        let is_late = self.engine.parts.clock.now() >= self.pending_since.plus(limits::JOURNAL_LAG_MAX);
        if self.pending.is_empty() || !is_late && self.pending.len() < limits::JOURNAL_AHEAD_MAX {
            return Ok(());
        }
        self.give_way().await
    }

    pub(super) async fn give_way(&mut self) -> Result<(), Stop> {
        self.flush().await?;
        while self.state.outcome.is_none()
            && let Ok(command) = self.commands.try_recv()
        {
            self.obey(command).await?;
        }
        tokio::task::yield_now().await;
        Ok(())
    }
}
