//! Which workflows with schedules have changed, and in which order, so that whoever fires them reads no more than that.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use camshaft_model::ids::{Name, ResourceId};
use tokio::sync::watch;

/// A workflow, and whose.
pub(super) type Home = (Name, ResourceId);

/// The workflows that have a schedule, or had one, by when they changed last.
pub(super) struct Changes {
    log: Mutex<Log>,
    latest: watch::Sender<u64>,
}

#[derive(Default)]
struct Log {
    by_number: BTreeMap<u64, Home>,
    numbers: HashMap<Home, u64>,
}

impl Default for Changes {
    fn default() -> Self {
        Self { log: Mutex::default(), latest: watch::Sender::new(0) }
    }
}

impl Changes {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A workflow is published anew, or not any more. `has_schedule` says whether any of what is published has one.
    pub(super) fn note(&self, home: Home, has_schedule: bool) {
        let mut log = self.log();
        if !has_schedule && !log.numbers.contains_key(&home) {
            return;
        }
        let number = *self.latest.borrow() + 1;
        if let Some(before) = log.numbers.insert(home.clone(), number) {
            log.by_number.remove(&before);
        }
        log.by_number.insert(number, home);
        self.latest.send_replace(number);
    }

    /// What has changed behind a number, and the number of the last change; waits until there is one.
    pub(super) async fn behind(&self, number: u64) -> (u64, Vec<Home>) {
        let mut latest = self.latest.subscribe();
        // The sender lives as long as this borrow.
        let _ = latest.wait_for(|latest| *latest > number).await;
        let log = self.log();
        let changed = log.by_number.range(number + 1..);
        let last = log.by_number.last_key_value().map_or(number, |(last, _)| *last);
        (last, changed.map(|(_, home)| home.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn home(number: u8) -> Home {
        (Name::new("default").unwrap(), ResourceId::from_bytes([number; 16]))
    }

    #[test]
    fn each_change_is_told_once_and_the_latest_of_a_workflow_alone() {
        let changes = Changes::default();
        assert_eq!(changes.behind(0).now_or_never(), None);
        changes.note(home(1), true);
        changes.note(home(2), true);
        changes.note(home(3), false);
        assert_eq!(changes.behind(0).now_or_never(), Some((2, vec![home(1), home(2)])));
        assert_eq!(changes.behind(2).now_or_never(), None, "a workflow that never had a schedule is nobody's business");
        changes.note(home(1), false);
        assert_eq!(changes.behind(2).now_or_never(), Some((3, vec![home(1)])));
        assert_eq!(changes.behind(0).now_or_never(), Some((3, vec![home(2), home(1)])));
    }
}
