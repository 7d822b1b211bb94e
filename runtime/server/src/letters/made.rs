//! Which state changes entries make. Nothing here knows who is told.

use camshaft_model::entry::{Entry, Sequence};
use camshaft_model::outcome::Outcome;
use camshaft_model::seams::JournalAppend;
use camshaft_model::summary::Status;
use camshaft_model::time::Timestamp;

use super::letter::Milestone;

/// A state change of an execution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change<'a> {
    /// Which.
    pub milestone: Milestone,
    /// Position of the entry that made it.
    pub sequence: Sequence,
    /// When.
    pub at: Timestamp,
    /// How it ended, where it did.
    pub outcome: Option<&'a Outcome>,
}

/// The state changes that an append makes. `was` is where the execution stood before, asked only where it waits now.
pub fn changes(journal: &JournalAppend, was: Option<Status>) -> Vec<Change<'_>> {
    let mut made = Vec::new();
    for (sequence, entry) in (journal.from..).zip(&journal.entries) {
        let (milestone, outcome) = match &**entry {
            Entry::Accepted { .. } => (Milestone::Accepted, None),
            Entry::Queued { .. } => (Milestone::Queued, None),
            Entry::Started { .. } => (Milestone::Started, None),
            Entry::Ended { outcome, .. } => match Milestone::end(outcome.ending.into()) {
                Some(end) => (end, Some(&**outcome)),
                None => continue,
            },
            _ => continue,
        };
        made.push(Change { milestone, sequence, at: entry.time(), outcome });
    }
    if journal.summary.status == Status::Waiting
        && was != Some(Status::Waiting)
        && let Some(last) = journal.entries.last()
    {
        let sequence = journal.from + journal.entries.len() as Sequence - 1;
        made.push(Change { milestone: Milestone::Waiting, sequence, at: last.time(), outcome: None });
    }
    made
}
