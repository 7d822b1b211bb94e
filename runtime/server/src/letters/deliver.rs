//! Sending what is due, and writing down what came of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use camshaft_model::Value;
use camshaft_model::ids::{Name, ResourceId};
use camshaft_model::resource::{Change, Expect, ResourceKey, ResourceKind};
use camshaft_model::seams::{NotPosted, Posting};
use camshaft_model::time::Timestamp;
use tokio::task::JoinSet;

use super::letter::{self, LetterId, LetterSpec};
use super::line::Line;
use super::subscription::{self, SubscriptionSpec};
use super::{Became, Letters, PAGE, Parts, next_try, put, sign};
use crate::catalog::specs::{self, Kept};

/// When the store takes no writes, it is asked again after this.
const AGAIN: Duration = Duration::from_secs(1);
/// A receiver that does not want a subscription's letters any more.
const GONE: u16 = 410;

/// Something that was under way is over.
struct Over {
    subscription: ResourceId,
    /// Whether a letter was sent, and whether that failed.
    sent: Option<bool>,
    letters: Vec<(LetterId, Fate)>,
}

/// What became of a letter.
enum Fate {
    /// It is no more.
    Gone,
    /// It is tried again.
    Waits(Timestamp),
    Dead(Timestamp),
}

impl Letters {
    /// Sends what is due, until it is dropped.
    pub async fn run(self: Arc<Self>) {
        let mut tasks = JoinSet::new();
        loop {
            let now = self.parts.clock.now();
            let wakes = self.begin(now, &mut tasks);
            let slept = self.parts.clock.sleep_until(wakes.unwrap_or(Timestamp(u64::MAX)));
            tokio::select! {
                biased;
                Some(over) = tasks.join_next() => match over {
                    Ok(over) => self.take(over),
                    Err(error) => tracing::error!(%error, "the sending of a letter was lost; the next start sends it"),
                },
                () = self.changed.notified() => {}
                () = slept => {}
            }
        }
    }

    /// Begins what there is to do now; tells when there is more.
    fn begin(self: &Arc<Self>, now: Timestamp, tasks: &mut JoinSet<Over>) -> Option<Timestamp> {
        let catalog = &self.parts.catalog;
        let mut lines = self.lines();
        lines.retain(|id, line| {
            let subscription = catalog.subscription_of(&line.workspace, *id);
            line.paused = !subscription.as_ref().is_some_and(|kept| kept.spec.enabled);
            if subscription.is_none() && line.rests() {
                // Nobody subscribes any more: what is left of it goes.
                let (letters, workspace, id) = (self.clone(), line.workspace.clone(), *id);
                tasks.spawn(async move { letters.forget_all(&workspace, id).await });
                return false;
            }
            while let Some(letter) = line.take_due(now) {
                let (letters, workspace, id) = (self.clone(), line.workspace.clone(), *id);
                tasks.spawn(async move { letters.deliver(workspace, id, letter).await });
            }
            let (overflow, forgotten) = (line.take_overflow(), line.take_forgotten(now));
            if !overflow.is_empty() {
                let (letters, workspace, id) = (self.clone(), line.workspace.clone(), *id);
                tasks.spawn(async move { letters.bury(&workspace, id, overflow).await });
            }
            if !forgotten.is_empty() {
                let (letters, workspace, id) = (self.clone(), line.workspace.clone(), *id);
                tasks.spawn(async move { letters.forget(&workspace, id, forgotten).await });
            }
            true
        });
        lines.values().filter_map(Line::wakes).min()
    }

    fn take(&self, over: Over) {
        let mut lines = self.lines();
        let Some(line) = lines.get_mut(&over.subscription) else { return };
        if let Some(failed) = over.sent {
            line.sent(failed);
        }
        for (id, fate) in over.letters {
            match fate {
                Fate::Gone => line.remove(id),
                Fate::Waits(due) => line.put_back(id, due),
                Fate::Dead(since) => line.add_dead(id, since),
            }
        }
    }

    /// Sends one letter and writes down what came of it.
    async fn deliver(&self, workspace: Name, subscription: ResourceId, id: LetterId) -> Over {
        let Parts { store, catalog, clock, .. } = &self.parts;
        let over = |sent, fate| Over { subscription, sent: Some(sent), letters: vec![(id, fate)] };
        let found = store.resource(letter::key(&workspace, subscription, id)).await;
        let kept = catalog.subscription_of(&workspace, subscription);
        let (spec, kept) = match (found.and_then(|found| found.as_ref().map(letter::read).transpose()), kept) {
            (Ok(Some((_, _, spec))), Some(kept)) => (spec, kept),
            // Its subscription, and it with that, was removed meanwhile.
            (Ok(_), _) => return over(false, Fate::Gone),
            (Err(error), _) => {
                tracing::warn!(letter = %id, %error, "a letter cannot be read; it is tried again");
                return over(true, Fate::Waits(clock.now().plus(AGAIN)));
            }
        };
        let answered = self.send(&kept, &id.to_string(), &spec.event).await;
        let is_gone = answered == Ok(GONE);
        let why = match answered {
            Ok(200..=299) => {
                self.write(vec![delete(letter::key(&workspace, subscription, id))]).await;
                self.count(Became::Delivered, 1);
                return over(false, Fate::Gone);
            }
            Ok(GONE) => {
                self.switch_off(&kept, "its URL answered 410: nobody is there any more").await;
                "answered 410".to_owned()
            }
            Ok(status) => format!("answered {status}"),
            Err(NotPosted(why)) => why,
        };
        self.count(Became::Failed, 1);
        let tries = spec.tries + 1;
        let now = clock.now();
        let due = if is_gone { None } else { next_try(id, tries, now) };
        let dead_since = if due.is_none() { Some(now) } else { None };
        let failed = LetterSpec { tries, due: due.unwrap_or(now), why: Some(why), dead_since, event: spec.event };
        self.write(vec![put(letter::resource(&workspace, subscription, id, &failed, now))]).await;
        match due {
            Some(due) => over(true, Fate::Waits(due)),
            None => {
                self.count(Became::Dead, 1);
                let (subscription, why) = (&kept.key.name, &failed.why);
                tracing::warn!(%workspace, subscription, letter = %id, why, "a letter is dead");
                over(true, Fate::Dead(now))
            }
        }
    }

    /// Signs and sends an event once.
    pub(super) async fn send(&self, to: &Kept<SubscriptionSpec>, id: &str, event: &Value) -> Result<u16, NotPosted> {
        let Parts { catalog, post, clock, .. } = &self.parts;
        let unsigned = |error: &dyn std::fmt::Display| NotPosted(format!("it cannot be signed: {error}"));
        let body = Bytes::from(event.to_string());
        let now = clock.now();
        let place = subscription::place(&to.key.workspace, &to.key.name);
        let secrets = to.spec.secrets(catalog.vault(), &place, now).map_err(|error| unsigned(&error))?;
        let sent_s = now.as_millis() / 1000;
        let signature = sign::signature(&secrets, id, sent_s, &body).map_err(|error| unsigned(&error))?;
        let headers = vec![
            ("content-type", "application/cloudevents+json; charset=utf-8".to_owned()),
            ("user-agent", concat!("camshaft/", env!("CARGO_PKG_VERSION")).to_owned()),
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", sent_s.to_string()),
            ("webhook-signature", signature),
        ];
        post.post(Posting { url: to.spec.url.clone(), headers, body }).await
    }

    /// Switches a subscription off that its receiver does not want.
    async fn switch_off(&self, kept: &Kept<SubscriptionSpec>, why: &str) {
        let Parts { catalog, clock, .. } = &self.parts;
        let (workspace, name) = (&kept.key.workspace, &kept.key.name);
        tracing::warn!(%workspace, subscription = name, why, "a subscription is switched off");
        loop {
            let editing = catalog.edit().await;
            let Some(now) = catalog.subscription_of(workspace, kept.id).filter(|now| now.spec.enabled) else { return };
            // Somebody may have given it another URL meanwhile.
            if now.spec.url != kept.spec.url {
                return;
            }
            let spec = SubscriptionSpec { enabled: false, switched_off: Some(why.to_owned()), ..now.spec.clone() };
            let resource = specs::resource(now.key.clone(), now.id, &spec, clock.now());
            let expect = Expect::Generation(now.generation);
            match catalog.change(vec![Change::Put { resource, expect }]).await {
                Ok(_) => return,
                Err(error) => tracing::warn!(%error, "a subscription cannot be switched off; trying again"),
            }
            drop(editing);
            clock.sleep_until(clock.now().plus(AGAIN)).await;
        }
    }

    /// The oldest of a line that is too long are dead.
    async fn bury(&self, workspace: &Name, subscription: ResourceId, ids: Vec<LetterId>) -> Over {
        let Parts { store, clock, .. } = &self.parts;
        let now = clock.now();
        let mut changes = Vec::with_capacity(ids.len());
        let mut letters = Vec::with_capacity(ids.len());
        for id in ids {
            let found = store.resource(letter::key(workspace, subscription, id)).await;
            match found.and_then(|found| found.as_ref().map(letter::read).transpose()) {
                Ok(Some((_, _, spec))) => {
                    let why = Some("too many letters of this subscription waited".to_owned());
                    let dead = LetterSpec { why, dead_since: Some(now), ..spec };
                    changes.push(put(letter::resource(workspace, subscription, id, &dead, now)));
                    letters.push((id, Fate::Dead(now)));
                }
                Ok(None) => letters.push((id, Fate::Gone)),
                Err(_) => letters.push((id, Fate::Waits(now))),
            }
        }
        tracing::warn!(%workspace, %subscription, letters = changes.len(), "too many letters wait; the oldest are dead");
        self.count(Became::Dead, changes.len());
        self.write(changes).await;
        Over { subscription, sent: None, letters }
    }

    /// Dead letters go for good.
    async fn forget(&self, workspace: &Name, subscription: ResourceId, ids: Vec<LetterId>) -> Over {
        self.count(Became::Forgotten, ids.len());
        self.write(ids.into_iter().map(|id| delete(letter::key(workspace, subscription, id))).collect()).await;
        Over { subscription, sent: None, letters: Vec::new() }
    }

    /// Every letter of a subscription that is no more.
    async fn forget_all(&self, workspace: &Name, subscription: ResourceId) -> Over {
        let Parts { store, clock, .. } = &self.parts;
        let prefix = letter::prefix(subscription);
        let before = specs::key(ResourceKind::Letter, workspace, &prefix);
        loop {
            let page = store.resources(ResourceKind::Letter, Some(workspace.clone()), Some(before.clone()), PAGE).await;
            let keys = match page {
                Ok(page) => page.into_iter().map(|resource| resource.key).filter(|key| key.name.starts_with(&prefix)),
                Err(error) => {
                    tracing::warn!(%error, "letters of a subscription that is no more cannot be read; trying again");
                    clock.sleep_until(clock.now().plus(AGAIN)).await;
                    continue;
                }
            };
            let changes: Vec<_> = keys.map(delete).collect();
            if changes.is_empty() {
                return Over { subscription, sent: None, letters: Vec::new() };
            }
            self.write(changes).await;
        }
    }

    /// Writes until the store takes it: what was sent must not be forgotten to have been.
    async fn write(&self, changes: Vec<Change>) {
        let Parts { store, clock, .. } = &self.parts;
        while let Err(error) = store.change(changes.clone()).await {
            tracing::warn!(%error, "what became of letters could not be written; trying again");
            clock.sleep_until(clock.now().plus(AGAIN)).await;
        }
    }
}

fn delete(key: ResourceKey) -> Change {
    Change::Delete { key, expect: Expect::Any }
}
