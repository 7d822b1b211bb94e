//! Letters: subscribed URLs are told of executions' state changes, each at least once.
//!
//! ```text
//!   engine ─► announcing ─► made   which state changes, and who wants them
//!                 │
//!                 ▼  one transaction: the entries and their letters
//!               store ─► line      what waits, of each subscription by itself
//!                          │
//!                          ▼
//!                       deliver ─► sign ─► Post ─► the letter goes, or waits for its next try, or is dead
//! ```
//! Where nobody has subscribed, an append goes to the store as it came. A letter that is written is sent though the server dies in
//! between, and perhaps sent twice: its id is that of the state change.

pub mod announcing;
mod deliver;
pub mod letter;
mod line;
mod made;
mod sign;
pub mod subscription;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use camshaft_model::ids::{Name, ResourceId};
use camshaft_model::json;
use camshaft_model::resource::{Change, Expect, ResourceKind};
use camshaft_model::seams::{Append, Clock, NotPosted, Post, Store, StoreError};
use camshaft_model::summary::Status;
use camshaft_model::time::Timestamp;
use tokio::sync::Notify;

use crate::catalog::Catalog;
use crate::catalog::specs::Kept;
use letter::{LetterId, LetterSpec, Milestone};
use line::Line;
use subscription::SubscriptionSpec;

pub use sign::secret;

/// Letters that are read at once.
const PAGE: usize = 1_000;

/// What letters work with.
#[derive(Clone)]
pub struct Parts {
    /// Keeps them.
    pub store: Arc<dyn Store>,
    /// Knows the subscriptions.
    pub catalog: Arc<Catalog>,
    /// Sends them.
    pub post: Arc<dyn Post>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What became of letters, or of tries to send them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Became {
    /// The URL took it.
    Delivered,
    /// A try came to nothing.
    Failed,
    /// It is not tried any more.
    Dead,
    /// It was dead and is kept no longer.
    Forgotten,
}

impl Became {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Delivered, Self::Failed, Self::Dead, Self::Forgotten];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Forgotten => "forgotten",
        }
    }
}

/// How many letters of a subscription there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// They wait for their next try.
    pub waiting: usize,
    /// They are not tried any more.
    pub dead: usize,
}

/// A letter that an append makes.
pub struct Made {
    workspace: Name,
    subscription: ResourceId,
    id: LetterId,
    spec: LetterSpec,
}

/// The letters of every subscription.
pub struct Letters {
    parts: Parts,
    lines: Mutex<HashMap<ResourceId, Line>>,
    changed: Notify,
    counts: [AtomicU64; Became::ALL.len()],
}

impl Letters {
    /// With the letters that a former server left. Nothing is sent before [`Letters::run`].
    pub async fn load(parts: Parts) -> Result<Arc<Self>, StoreError> {
        let mut lines: HashMap<ResourceId, Line> = HashMap::new();
        let mut after = None;
        loop {
            let page = parts.store.resources(ResourceKind::Letter, None, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            for resource in &page {
                let (subscription, id, spec) = letter::read(resource)?;
                let line = lines.entry(subscription).or_insert_with(|| Line::new(resource.key.workspace.clone()));
                match spec.dead_since {
                    Some(since) => line.add_dead(id, since),
                    None => line.add(id, spec.due),
                }
            }
        }
        Ok(Arc::new(Self { parts, lines: Mutex::new(lines), changed: Notify::new(), counts: Default::default() }))
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<ResourceId, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, became: Became, count: usize) {
        self.counts[became as usize].fetch_add(count as u64, Ordering::Relaxed);
    }

    /// How many came to this since the server started.
    pub fn counted(&self, became: Became) -> u64 {
        self.counts[became as usize].load(Ordering::Relaxed)
    }

    /// How many letters of a subscription there are.
    pub fn standing(&self, subscription: ResourceId) -> Standing {
        let lines = self.lines();
        let standing = |line: &Line| Standing { waiting: line.waiting(), dead: line.dead() };
        lines.get(&subscription).map(standing).unwrap_or_default()
    }

    /// How many letters there are at all.
    pub fn standing_of_all(&self) -> Standing {
        let add = |all: Standing, line: &Line| Standing {
            waiting: all.waiting + line.waiting(),
            dead: all.dead + line.dead(),
        };
        self.lines().values().fold(Standing::default(), add)
    }

    /// Whether an append could make letters: it is of a workspace that has subscriptions.
    fn concerns(&self, append: &Append) -> bool {
        append.journals.iter().any(|journal| self.parts.catalog.is_subscribed(&journal.summary.workspace))
    }

    /// The letters that an append makes. It is not appended yet.
    async fn made(&self, append: &Append) -> Result<Vec<Made>, StoreError> {
        let Parts { store, catalog, clock, .. } = &self.parts;
        let mut made = Vec::new();
        for journal in &append.journals {
            let summary = &journal.summary;
            let mut subscriptions = catalog.subscriptions(&summary.workspace);
            subscriptions.retain(|kept| kept.spec.wants(summary));
            let asks_for_waits = subscriptions.iter().any(|kept| kept.spec.on.contains(&Milestone::Waiting));
            let was = match summary.status == Status::Waiting && asks_for_waits && journal.from > 0 {
                true => store.summary(summary.id).await?.map(|before| before.status),
                false => None,
            };
            for change in made::changes(journal, was) {
                let id = LetterId { execution: summary.id, sequence: change.sequence };
                for kept in subscriptions.iter().filter(|kept| kept.spec.on.contains(&change.milestone)) {
                    let event = letter::event(change.milestone, id, change.at, summary, change.outcome);
                    let spec = LetterSpec::new(event, clock.now());
                    made.push(Made { workspace: summary.workspace.clone(), subscription: kept.id, id, spec });
                }
            }
        }
        Ok(made)
    }

    /// Letters are durable and are to be sent.
    fn announce(&self, made: &[Made]) {
        let mut lines = self.lines();
        for Made { workspace, subscription, id, spec } in made {
            lines.entry(*subscription).or_insert_with(|| Line::new(workspace.clone())).add(*id, spec.due);
        }
        drop(lines);
        self.changed.notify_one();
    }

    /// Refuses a URL that is not sent to, as far as that shows without asking anybody.
    pub fn check(&self, url: &str) -> Result<(), NotPosted> {
        self.parts.post.check(url)
    }

    /// A subscription has changed, or is no more.
    pub fn look_again(&self) {
        self.changed.notify_one();
    }

    /// Letters of a subscription, those that wait or those that are dead, by id.
    pub async fn list(
        &self,
        workspace: &Name,
        subscription: ResourceId,
        dead: bool,
        after: Option<LetterId>,
        limit: usize,
    ) -> Result<Vec<(LetterId, LetterSpec)>, StoreError> {
        let ids = self.lines().get(&subscription).map(|line| line.ids(dead, after, limit)).unwrap_or_default();
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(resource) = self.parts.store.resource(letter::key(workspace, subscription, id)).await? {
                found.push((id, letter::read(&resource)?.2));
            }
        }
        Ok(found)
    }

    /// Sends dead letters anew, one or all of them, as if they had never been tried. Durable when it returns; tells how many.
    pub async fn redrive(
        &self,
        workspace: &Name,
        subscription: ResourceId,
        which: Option<LetterId>,
    ) -> Result<usize, StoreError> {
        let dead = match self.lines().get(&subscription) {
            None => return Ok(0),
            Some(line) => match which {
                None => line.ids(true, None, usize::MAX),
                Some(id) => Some(id).filter(|id| line.is_dead(*id)).into_iter().collect(),
            },
        };
        let mut redriven = 0;
        for piece in dead.chunks(line::PIECE) {
            let now = self.parts.clock.now();
            let (mut changes, mut ids) = (Vec::new(), Vec::new());
            for id in piece {
                let found = self.parts.store.resource(letter::key(workspace, subscription, *id)).await?;
                let Some(found) = found else { continue };
                let (_, id, spec) = letter::read(&found)?;
                let anew = LetterSpec::new(spec.event, now);
                changes.push(put(letter::resource(workspace, subscription, id, &anew, now)));
                ids.push(id);
            }
            redriven += ids.len();
            self.parts.store.change(changes).await?;
            if let Some(line) = self.lines().get_mut(&subscription) {
                ids.into_iter().for_each(|id| line.add(id, now));
            }
            self.changed.notify_one();
        }
        Ok(redriven)
    }

    /// Sends an event that tells of nothing, once and at once.
    pub async fn try_out(&self, subscription: &Kept<SubscriptionSpec>) -> Result<u16, NotPosted> {
        let workspace = &subscription.key.workspace;
        let now = self.parts.clock.now();
        let id = format!("{}-{}", subscription.id, now.as_millis());
        let data = json!({"subscription": subscription.key.name});
        let subject = &subscription.key.name;
        let event = letter::cloud_event(workspace, "subscription.tested", &id, now, subject, data);
        self.send(subscription, &id, &event).await
    }
}

fn put(resource: camshaft_model::resource::Resource) -> Change {
    Change::Put { resource, expect: Expect::Any }
}

/// When a letter is sent next that was sent for nothing so often; none where that was its last try.
fn next_try(id: LetterId, tries: u32, now: Timestamp) -> Option<Timestamp> {
    let pause = camshaft_model::limits::LETTER_PAUSES.get(tries.saturating_sub(1) as usize)?;
    // The same for the same try, and no two letters alike: a URL that is back is not asked for all of them in one moment.
    let digest = blake3::hash(format!("{id} {tries}").as_bytes());
    let share = u32::from(digest.as_bytes()[0]);
    Some(now.plus(*pause + *pause / 10 * share / 255))
}

#[cfg(test)]
mod tests;
