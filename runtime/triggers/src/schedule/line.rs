//! One schedule in memory: up to when it has fired, which of its firings wait, and what is due. Pure.

use std::collections::VecDeque;
use std::sync::Arc;

use camshaft_model::ids::ExecutionId;
use camshaft_model::limits;
use camshaft_model::schedule::{Missed, Overlap, Schedule};
use camshaft_model::seams::Published;
use camshaft_model::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::fire::Before;
use super::place::Place;

/// A firing that is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Firing {
    /// When it was due.
    pub(super) due: Timestamp,
    /// Since when it stands in line.
    pub(super) since: Timestamp,
    /// Whether nobody was there when it was due.
    pub(super) missed: bool,
}

/// What a schedule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing, until it is due.
    Idle,
    /// Its first firing is being dispatched.
    Firing,
    /// Its first firing is to be dispatched again: the store took no writes.
    Again,
    /// Its first firing waits for an execution to end.
    Waiting,
}

/// What was found due.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Whether missed firings were found of which some, or all, are not made up for.
    pub(super) left_out: Option<LeftOut>,
    /// Firings that start nothing because one that is older waits for its turn.
    pub(super) skipped: Vec<Firing>,
}

/// Missed firings that are not made up for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// How many; at least this many where there were more than can be made up for.
    pub(super) count: usize,
    /// When the last of them was due.
    pub(super) until: Timestamp,
}

/// A schedule.
pub(super) struct Line {
    pub(super) place: Place,
    pub(super) published: Arc<Published>,
    pub(super) schedule: Schedule,
    pub(super) stage: Stage,
    /// The execution that it started last; none where only a former server knew.
    pub(super) last: Option<ExecutionId>,
    /// Where that is looked up.
    pub(super) before: Arc<Before>,
    /// Firings that are due, oldest first.
    pub(super) firings: VecDeque<Firing>,
    /// Whether it is written down that firings wait.
    pub(super) recorded: bool,
    /// Whether that is being written.
    pub(super) saving: bool,
    /// Everything that was due up to here is over, or stands in line.
    done: Timestamp,
    /// When it is due next, and when it starts then.
    next: Option<(Timestamp, Timestamp)>,
}

impl Line {
    /// A schedule that has fired everything up to a time.
    pub(super) fn new(place: Place, published: Arc<Published>, schedule: Schedule, done: Timestamp) -> Self {
        let mut line = Self {
            place,
            published,
            schedule,
            stage: Stage::Idle,
            last: None,
            before: Arc::default(),
            firings: VecDeque::new(),
            recorded: false,
            saving: false,
            done,
            next: None,
        };
        line.look_ahead();
        line
    }

    /// A schedule of which everything that was to start up to `fired` has, by a former server. One whose jitter lay across
    /// that time has not.
    pub(super) fn resumed(
        place: Place,
        published: Arc<Published>,
        schedule: Schedule,
        (since, fired): (Timestamp, Timestamp),
    ) -> Self {
        let mut done = fired.max(since);
        if !schedule.jitter.is_zero()
            && let [due] = schedule.last_between(since, fired, 1)[..]
            && schedule.starts_at(&place.scope(), due) > fired
        {
            done = Timestamp(due.0 - 1);
        }
        Self::new(place, published, schedule, done)
    }

    /// The same schedule in another revision; `since` is when that was published. What was due while it was gone was not
    /// missed.
    pub(super) fn republish(
        &mut self,
        published: Arc<Published>,
        schedule: Schedule,
        since: Timestamp,
        was_gone: bool,
    ) {
        let fires_alike = Schedule { params: schedule.params.clone(), ..self.schedule.clone() } == schedule;
        self.published = published;
        self.schedule = schedule;
        if was_gone || !fires_alike {
            self.done = self.done.max(since);
            self.look_ahead();
        }
    }

    /// When there is something to do, while nothing is under way for it.
    pub(super) fn wakes(&self, now: Timestamp) -> Option<Timestamp> {
        match self.stage {
            Stage::Idle if !self.firings.is_empty() => Some(now),
            Stage::Idle | Stage::Waiting => self.next.map(|(_, starts)| starts),
            Stage::Firing | Stage::Again => None,
        }
    }

    /// Puts what is due into its line. What was due up to `began`, when the server was not there yet, was missed, as was what
    /// is very late.
    pub(super) fn look(&mut self, now: Timestamp, began: Timestamp) -> Found {
        let mut found = Found::default();
        let late = u64::try_from(limits::MISSED_AFTER.as_micros()).unwrap_or(u64::MAX);
        let missed_until = began.max(Timestamp(now.0.saturating_sub(late))).min(now);
        if self.next.is_some_and(|(_, starts)| starts <= missed_until) {
            found.left_out = self.make_up(missed_until, now);
            self.look_ahead();
        }
        if let Some((due, starts)) = self.next
            && starts <= now
        {
            let firing = Firing { due, since: now, missed: false };
            self.done = due;
            match self.schedule.overlap {
                // Whoever is late makes room: the newest is what matters.
                Overlap::Queue if self.stage == Stage::Waiting => {
                    let (waiting, replaced) = self.firings.drain(..).partition(|firing| firing.missed);
                    self.firings = waiting;
                    found.skipped.extend::<VecDeque<_>>(replaced);
                    self.firings.push_back(firing);
                }
                Overlap::Skip if self.stage == Stage::Waiting => found.skipped.push(firing),
                _ => self.firings.push_back(firing),
            }
            self.look_ahead();
        }
        found
    }

    /// Missed firings stand in line as the schedule says.
    fn make_up(&mut self, until: Timestamp, now: Timestamp) -> Option<LeftOut> {
        let most = match self.schedule.missed {
            Missed::Latest => 1,
            Missed::All(most) => most as usize,
            Missed::Skip => 0,
        };
        // One more than may be made up for, to know whether there are more; and one that its jitter carries behind the time.
        let mut missed = self.schedule.last_between(self.done, until, most + 2);
        let scope = self.place.scope();
        missed.retain(|due| self.schedule.starts_at(&scope, *due) <= until);
        self.done = *missed.last()?;
        let over = missed.len().saturating_sub(most);
        let left_out = (over > 0).then(|| LeftOut { count: over, until: missed[over - 1] });
        self.firings.extend(missed[over..].iter().map(|due| Firing { due: *due, since: now, missed: true }));
        left_out
    }

    /// Takes out what has stood in line for too long; never the one that is being dispatched.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<Firing> {
        let is_over = |firing: &Firing| now.since(firing.since) >= limits::QUEUED_MAX;
        let (over, rest) = self.firings.drain(..).partition::<VecDeque<_>, _>(is_over);
        self.firings = rest;
        over.into()
    }

    fn look_ahead(&mut self) {
        let due = self.schedule.next_after(self.done);
        self.next = due.map(|due| (due, self.schedule.starts_at(&self.place.scope(), due)));
    }
}
