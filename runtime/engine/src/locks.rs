//! Locks of workflows: who holds each, and who stands in line. First come, first served.
//!
//! The table is memory only. What it says follows from the journals: each claim is an entry of its execution, and a start
//! puts them all back before any is granted anew.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use camshaft_model::entry::At;
use camshaft_model::ids::{ExecutionId, Name};
use camshaft_model::summary::LockClaim;
use camshaft_model::time::Timestamp;

/// A step of an execution.
pub(crate) type Claimant = (ExecutionId, At);

#[derive(Default)]
pub(crate) struct Locks(Mutex<Table>);

#[derive(Default)]
struct Table {
    /// Who is in front holds it.
    lines: HashMap<(Name, String), VecDeque<InLine>>,
    /// Whether every claim of a former server is in its line.
    is_complete: bool,
}

#[derive(PartialEq)]
struct InLine {
    claimant: Claimant,
    since: Timestamp,
    /// Whether it was told that the lock is its own.
    told: bool,
}

impl Locks {
    /// Stands in line. True where the lock is the claimant's at once.
    pub(crate) fn ask(&self, workspace: &Name, key: &str, claimant: Claimant, since: Timestamp) -> bool {
        let mut table = self.lock();
        let is_complete = table.is_complete;
        let line = table.lines.entry((workspace.clone(), key.to_owned())).or_default();
        if !line.iter().any(|other| other.claimant == claimant) {
            line.push_back(InLine { claimant, since, told: false });
        }
        match line.front_mut() {
            Some(front) if is_complete && front.claimant == claimant => {
                front.told = true;
                true
            }
            _ => false,
        }
    }

    /// Gives the lock back, or leaves the line. Answers with whose it is now, if that one does not know yet.
    pub(crate) fn leave(&self, workspace: &Name, key: &str, claimant: Claimant) -> Option<Claimant> {
        let mut table = self.lock();
        let place = (workspace.clone(), key.to_owned());
        let is_complete = table.is_complete;
        let line = table.lines.get_mut(&place)?;
        line.retain(|other| other.claimant != claimant);
        match line.front_mut() {
            Some(front) if is_complete && !front.told => {
                front.told = true;
                Some(front.claimant)
            }
            Some(_) => None,
            None => {
                table.lines.remove(&place);
                None
            }
        }
    }

    /// Puts a claim of a former server back. One that holds the lock goes to the front.
    pub(crate) fn restore(&self, workspace: &Name, id: ExecutionId, claim: &LockClaim) {
        let mut table = self.lock();
        let line = table.lines.entry((workspace.clone(), claim.key.clone())).or_default();
        let restored = InLine { claimant: (id, claim.at), since: claim.since, told: claim.held };
        if line.iter().any(|other| other.claimant == restored.claimant) {
            return;
        }
        let earlier = |other: &InLine| (!other.told, other.since, other.claimant);
        let index = line.partition_point(|other| earlier(other) < earlier(&restored));
        line.insert(index, restored);
    }

    /// Every claim is back: answers with those whose turn it is and who do not know.
    pub(crate) fn complete(&self) -> Vec<Claimant> {
        let mut table = self.lock();
        table.is_complete = true;
        let fronts = table.lines.values_mut().filter_map(VecDeque::front_mut).filter(|front| !front.told);
        fronts
            .map(|front| {
                front.told = true;
                front.claimant
            })
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Table> {
        // Nothing panics while holding it; a poisoned table is still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use camshaft_model::entry::FrameId;
    use camshaft_model::program::StepAddress;

    fn who(n: u32) -> Claimant {
        (ExecutionId(uuid::Uuid::from_u128(n.into())), At(FrameId::ROOT, StepAddress(n)))
    }

    fn here() -> Name {
        Name::new("here").unwrap()
    }

    #[test]
    fn a_lock_is_one_s_own_and_goes_to_the_next_in_line() {
        let locks = Locks::default();
        assert_eq!(locks.complete(), []);
        assert!(locks.ask(&here(), "k", who(1), Timestamp(1)));
        assert!(!locks.ask(&here(), "k", who(2), Timestamp(2)));
        assert!(!locks.ask(&here(), "k", who(3), Timestamp(3)));
        assert!(locks.ask(&here(), "other", who(9), Timestamp(3)), "another lock is another line");
        assert_eq!(locks.leave(&here(), "k", who(2)), None, "it stood in line and did not hold it");
        assert_eq!(locks.leave(&here(), "k", who(1)), Some(who(3)));
        assert_eq!(locks.leave(&here(), "k", who(3)), None);
        assert!(locks.ask(&here(), "k", who(1), Timestamp(4)));
    }

    #[test]
    fn nothing_is_granted_before_every_claim_of_a_former_server_is_back() {
        let locks = Locks::default();
        assert!(!locks.ask(&here(), "k", who(5), Timestamp(50)), "new, and the line is not complete");
        let claim = |n: u32, since, held| LockClaim { key: "k".into(), at: who(n).1, since: Timestamp(since), held };
        locks.restore(&here(), who(2).0, &claim(2, 20, false));
        locks.restore(&here(), who(3).0, &claim(3, 30, true));
        locks.restore(&here(), who(1).0, &claim(1, 10, false));
        assert_eq!(locks.complete(), [], "the holder knows");
        assert_eq!(locks.leave(&here(), "k", who(3)), Some(who(1)));
        assert_eq!(locks.leave(&here(), "k", who(1)), Some(who(2)));
        assert_eq!(locks.leave(&here(), "k", who(2)), Some(who(5)));
    }
}
