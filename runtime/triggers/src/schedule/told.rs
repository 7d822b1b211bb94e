//! What is told of schedules: the last firing of each, and how many firings came to what. In memory, since the server started; what started
//! nothing is told to the witness, too.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use camshaft_model::ids::ExecutionId;
use camshaft_model::time::Timestamp;

use super::place::Place;

/// What became of a firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Became {
    /// It started an execution.
    Started,
    /// It started nothing: the execution of the one before went on.
    Skipped,
    /// It started nothing: a limit of the workflow left no room, or its parameters did not fit.
    Refused,
    /// It started nothing: it waited too long for the execution of the one before.
    Dropped,
    /// Nobody was there for it, and it was not made up for.
    Missed,
    /// It is for connections, and started nothing: none has the workflow enabled.
    NoConnection,
}

impl Became {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Started, Self::Skipped, Self::Refused, Self::Dropped, Self::Missed, Self::NoConnection];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Skipped => "skipped",
            Self::Refused => "refused",
            Self::Dropped => "dropped",
            Self::Missed => "missed",
            Self::NoConnection => "no_connection",
        }
    }
}

/// A firing that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fired {
    /// When it was due.
    pub due: Timestamp,
    /// When it was dealt with.
    pub at: Timestamp,
    /// What became of it.
    pub became: Became,
    /// What it started; or what went on, where it was skipped.
    pub execution: Option<ExecutionId>,
    /// Why it started nothing.
    pub why: Option<String>,
}

/// What all schedules have done.
#[derive(Debug, Default)]
pub(super) struct Tally {
    last: Mutex<HashMap<Place, Fired>>,
    counts: [AtomicU64; Became::ALL.len()],
}

impl Tally {
    fn last(&self) -> MutexGuard<'_, HashMap<Place, Fired>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a firing.
    pub(super) fn note(&self, place: &Place, fired: Fired) {
        self.count(fired.became, 1);
        let mut last = self.last();
        match last.get_mut(place) {
            Some(last) => *last = fired,
            None => drop(last.insert(place.clone(), fired)),
        }
    }

    /// Counts firings that nothing else is told of.
    pub(super) fn count(&self, became: Became, by: u64) {
        self.counts[became as usize].fetch_add(by, Ordering::Relaxed);
    }

    pub(super) fn forget(&self, place: &Place) {
        self.last().remove(place);
    }

    pub(super) fn of(&self, place: &Place) -> Option<Fired> {
        self.last().get(place).cloned()
    }

    pub(super) fn counted(&self, became: Became) -> u64 {
        self.counts[became as usize].load(Ordering::Relaxed)
    }
}
