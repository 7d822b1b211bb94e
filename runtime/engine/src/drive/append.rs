//! Makes durable what an execution has reached, with its summary, and then lets out what waited for that.

use std::time::Duration;

use camshaft_model::entry::Sequence;
use camshaft_model::seams::{Append, JournalAppend, StoreError};
use camshaft_model::summary::{Outlook, Summary};

use super::{Driver, First, Stop};
use crate::decide::next_due;
use crate::live::Appended;

impl Driver {
    /// The execution as lists show it, with what a server must know that does not drive it.
    fn summary(&self) -> Summary {
        let mut summary = self.state.summary();
        if self.state.outcome.is_none() {
            summary.outlook = Outlook {
                due: match self.is_idle && self.children.is_empty() {
                    true => next_due(&self.published.program, &self.state),
                    false => Some(self.state.updated_at),
                },
                topics: self.published.program.topics().map(str::to_owned).collect(),
                locks: if self.locks.is_empty() { Vec::new() } else { self.state.locks() },
                asked: self.state.asked(&self.published.program),
                gated: self.published.workflow.limits.concurrency.is_some(),
            };
        }
        summary
    }

    pub(super) fn journal(&self) -> JournalAppend {
        JournalAppend {
            id: self.id,
            fence: self.fence,
            from: self.state.next_sequence - self.pending.len() as Sequence,
            entries: self.pending.clone(),
            summary: self.summary(),
        }
    }

    /// Returns once everything recorded so far is durable.
    ///
    /// An execution that has nothing durable yet is given up when the store refuses: nobody was told of it. A later
    /// refusal is waited out, since the execution was acknowledged.
    pub(super) async fn flush(&mut self) -> Result<(), Stop> {
        while !self.pending.is_empty() {
            let First { delivery, counts } = &self.first;
            let (delivery, counts) = (delivery.clone(), counts.clone());
            let append = Append { journals: vec![self.journal()], delivery, counts, ..Append::default() };
            self.append(append).await?;
        }
        Ok(())
    }

    /// Appends what ends with everything that is pending. A refusal that says what is wrong with it comes back as
    /// [`Stop::Store`]; for an execution that was acknowledged, anything else is waited out.
    pub(super) async fn append(&mut self, append: Append) -> Result<(), Stop> {
        let is_new = self.state.next_sequence == self.pending.len() as Sequence;
        let mut pause = Duration::from_millis(50);
        loop {
            match self.engine.parts.store.append(append.clone()).await {
                Ok(()) => {
                    self.appended();
                    return Ok(());
                }
                Err(error) if is_new => return Err(Stop::Store(error)),
                Err(error @ StoreError::LimitReached { .. }) => return Err(Stop::Store(error)),
                Err(StoreError::Fenced(_)) => return Err(Stop::LetGo),
                Err(error) => {
                    tracing::error!(execution = %self.id, %error, "entries are not durable yet; trying again");
                    if self.engine.is_stopping() {
                        return Err(Stop::LetGo);
                    }
                    let clock = &self.engine.parts.clock;
                    clock.sleep_until(clock.now().plus(pause)).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
        }
    }

    /// What was pending is durable.
    fn appended(&mut self) {
        self.pending.clear();
        self.first = First::default();
        for (at, key) in std::mem::take(&mut self.returned) {
            self.engine.give_back(&self.published.workspace, &key, (self.id, at));
        }
        self.cancel_forsaken();
        // Nobody may be listening.
        let _ = self.engine.live.appended.send(Appended { execution: self.id, next: self.state.next_sequence });
    }
}
