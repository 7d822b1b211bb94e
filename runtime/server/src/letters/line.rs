//! The line of one subscription: which of its letters wait, which are under way, which are dead. In memory, and pure.

use std::collections::{BTreeMap, BTreeSet};

use camshaft_model::ids::Name;
use camshaft_model::limits::{LETTERS_AT_ONCE_MAX, LETTERS_DEAD_KEPT, LETTERS_DEAD_MAX, LETTERS_WAITING_MAX};
use camshaft_model::time::Timestamp;

use super::letter::LetterId;

/// Letters of one line that are written of at once.
pub const PIECE: usize = 500;

/// One subscription's letters.
#[derive(Debug)]
pub struct Line {
    /// Whose it is.
    pub workspace: Name,
    /// Nothing is sent while the subscription is switched off.
    pub paused: bool,
    /// When each that waits is due; none while it is under way.
    waiting: BTreeMap<LetterId, Option<Timestamp>>,
    due: BTreeSet<(Timestamp, LetterId)>,
    dead: BTreeMap<LetterId, Timestamp>,
    sending: usize,
    /// Whether the latest try failed.
    failing: bool,
}

impl Line {
    /// An empty one.
    pub fn new(workspace: Name) -> Self {
        let (waiting, due, dead) = Default::default();
        Self { workspace, paused: false, waiting, due, dead, sending: 0, failing: false }
    }

    /// A letter waits until a time. One that waits or is under way already stays as it is.
    pub fn add(&mut self, id: LetterId, due: Timestamp) {
        self.dead.remove(&id);
        self.waiting.entry(id).or_insert_with(|| {
            self.due.insert((due, id));
            Some(due)
        });
    }

    /// A letter is dead since a time.
    pub fn add_dead(&mut self, id: LetterId, since: Timestamp) {
        self.remove(id);
        self.dead.insert(id, since);
    }

    /// A letter is no more.
    pub fn remove(&mut self, id: LetterId) {
        if let Some(Some(due)) = self.waiting.remove(&id) {
            self.due.remove(&(due, id));
        }
        self.dead.remove(&id);
    }

    /// Begins to send one that is due. While a URL fails it is asked one letter at a time.
    pub fn take_due(&mut self, now: Timestamp) -> Option<LetterId> {
        let (_, id) = *self.next().filter(|(due, _)| *due <= now)?;
        self.hold(id);
        self.sending += 1;
        Some(id)
    }

    /// What is sent next, while another one may be.
    fn next(&self) -> Option<&(Timestamp, LetterId)> {
        let at_once = if self.failing { 1 } else { LETTERS_AT_ONCE_MAX };
        if self.paused || self.sending >= at_once { None } else { self.due.first() }
    }

    /// The sending of one is over; whoever says so says what became of the letter as well.
    pub fn sent(&mut self, failed: bool) {
        self.sending -= 1;
        self.failing = failed;
    }

    /// One that was under way waits again.
    pub fn put_back(&mut self, id: LetterId, due: Timestamp) {
        if let Some(held @ None) = self.waiting.get_mut(&id) {
            *held = Some(due);
            self.due.insert((due, id));
        }
    }

    fn hold(&mut self, id: LetterId) {
        if let Some(due) = self.waiting.insert(id, None).flatten() {
            self.due.remove(&(due, id));
        }
    }

    /// The oldest beyond the bound that are not being sent; they are under way from now on.
    pub fn take_overflow(&mut self) -> Vec<LetterId> {
        let over = self.waiting.len().saturating_sub(LETTERS_WAITING_MAX).min(PIECE);
        let oldest = self.waiting.iter().filter(|(_, due)| due.is_some()).map(|(id, _)| *id);
        let oldest: Vec<_> = oldest.take(over).collect();
        oldest.iter().for_each(|id| self.hold(*id));
        oldest
    }

    /// The dead that are too old or too many, oldest first; they are no more.
    pub fn take_forgotten(&mut self, now: Timestamp) -> Vec<LetterId> {
        let over = self.dead.len().saturating_sub(LETTERS_DEAD_MAX);
        let is_old = |since: Timestamp| now.since(since) >= LETTERS_DEAD_KEPT;
        let forgotten = self.dead.iter().enumerate().filter(|(at, (_, since))| *at < over || is_old(**since));
        let forgotten: Vec<_> = forgotten.map(|(_, (id, _))| *id).take(PIECE).collect();
        self.dead.retain(|id, _| !forgotten.contains(id));
        forgotten
    }

    /// When there is something to do though nothing happens.
    pub fn wakes(&self) -> Option<Timestamp> {
        let oldest = self.dead.values().min().map(|since| since.plus(LETTERS_DEAD_KEPT));
        let next = self.next().map(|(due, _)| *due);
        [oldest, next].into_iter().flatten().min()
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many are dead.
    pub fn dead(&self) -> usize {
        self.dead.len()
    }

    /// Whether nothing of it is under way.
    pub fn rests(&self) -> bool {
        self.waiting.values().all(Option::is_some)
    }

    /// Ids of those that wait or are dead, behind one of them.
    pub fn ids(&self, dead: bool, after: Option<LetterId>, limit: usize) -> Vec<LetterId> {
        let behind = |id: &&LetterId| after.is_none_or(|after| **id > after);
        match dead {
            true => self.dead.keys().filter(behind).take(limit).copied().collect(),
            false => self.waiting.keys().filter(behind).take(limit).copied().collect(),
        }
    }

    /// Whether a letter is dead.
    pub fn is_dead(&self, id: LetterId) -> bool {
        self.dead.contains_key(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use camshaft_model::ids::ExecutionId;

    fn id(number: u64) -> LetterId {
        LetterId { execution: ExecutionId::from_bytes([1; 16]), sequence: number }
    }

    fn line() -> Line {
        Line::new(Name::new("default").unwrap())
    }

    #[test]
    fn a_few_are_sent_at_once_and_one_at_a_time_while_the_url_fails() {
        let (mut line, now) = (line(), Timestamp(10));
        (0..10).for_each(|number| line.add(id(number), Timestamp(number)));
        line.add(id(11), Timestamp(11));
        let mut taken: Vec<_> = std::iter::from_fn(|| line.take_due(now)).collect();
        assert_eq!(taken, [id(0), id(1), id(2), id(3)]);
        assert_eq!(line.wakes(), None, "nothing may be sent before one of them is over");
        for id in taken.drain(..) {
            line.sent(true);
            line.put_back(id, Timestamp(20));
        }
        assert_eq!((line.take_due(now), line.take_due(now)), (Some(id(4)), None));
        line.sent(false);
        line.remove(id(4));
        assert_eq!(std::iter::from_fn(|| line.take_due(now)).count(), LETTERS_AT_ONCE_MAX);
        line.paused = true;
        line.sent(false);
        assert_eq!((line.take_due(now), line.wakes()), (None, None));
    }

    #[test]
    fn beyond_the_bound_the_oldest_go_first_and_none_that_is_being_sent() {
        let mut line = line();
        let full = LETTERS_WAITING_MAX as u64;
        (0..full).for_each(|number| line.add(id(number), Timestamp(1)));
        assert!(line.take_overflow().is_empty(), "at the limit nothing goes");
        assert_eq!(line.take_due(Timestamp(1)), Some(id(0)));
        line.add(id(full), Timestamp(1));
        assert_eq!(line.take_overflow(), [id(1)]);
        line.add_dead(id(1), Timestamp(1));
        assert!(line.take_overflow().is_empty());

        (2..full + 1).for_each(|number| line.add_dead(id(number), Timestamp(1)));
        assert_eq!(line.dead(), LETTERS_DEAD_MAX);
        assert!(line.take_forgotten(Timestamp(1)).is_empty());
        line.add_dead(id(full + 1), Timestamp(2));
        assert_eq!(line.take_forgotten(Timestamp(2)), [id(1)]);
        let old = Timestamp(1).plus(LETTERS_DEAD_KEPT);
        assert_eq!(line.take_forgotten(Timestamp(old.0 - 1)), []);
        assert_eq!(line.take_forgotten(old).len(), PIECE);
    }

    #[test]
    fn what_is_told_twice_is_one_letter() {
        let mut line = line();
        line.add(id(1), Timestamp(5));
        line.add(id(1), Timestamp(3));
        assert_eq!((line.take_due(Timestamp(4)), line.take_due(Timestamp(5))), (None, Some(id(1))));
        line.add(id(1), Timestamp(5));
        assert_eq!(line.take_due(Timestamp(9)), None, "it is under way");
    }
}
