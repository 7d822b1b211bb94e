//! Letters over time and over crashes: a clock that a test moves, an outside that answers what a test says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use camshaft_model::entry::Entry;
use camshaft_model::ids::ExecutionId;
use camshaft_model::limits::{LETTER_PAUSES, LETTERS_DEAD_KEPT};
use camshaft_model::outcome::Ending;
use camshaft_model::resource::ResourceKey;
use camshaft_model::seams::{JournalAppend, Posting};
use camshaft_model::summary::Summary;
use camshaft_store::MemoryStore;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::task::JoinHandle;

use super::announcing::Announcing;
use super::*;
use crate::catalog::quotas::InstanceLimits;
use crate::catalog::specs;
use crate::tokens::Tokens;
use crate::vault::Vault;

/// A clock that a test moves.
#[derive(Default)]
struct HandClock {
    now: AtomicU64,
    sleepers: Mutex<BTreeSet<Timestamp>>,
    moved: Notify,
}

struct Hand(Arc<HandClock>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.now.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, due: Timestamp) -> BoxFuture<'static, ()> {
        let clock = self.0.clone();
        clock.sleepers.lock().unwrap().insert(due);
        async move {
            loop {
                let moved = clock.moved.notified();
                if clock.now.load(Ordering::SeqCst) >= due.0 {
                    return;
                }
                moved.await;
            }
        }
        .boxed()
    }
}

/// An outside that notes when each letter came. What it says to a URL is its status; 0 is no answer, ever.
#[derive(Default)]
struct Outside {
    clock: Arc<HandClock>,
    answers: Mutex<BTreeMap<String, u16>>,
    came: Mutex<Vec<(String, Timestamp, String)>>,
    calls: AtomicUsize,
}

impl Post for Outside {
    fn check(&self, _: &str) -> Result<(), NotPosted> {
        Ok(())
    }

    fn post(&self, posting: Posting) -> BoxFuture<'_, Result<u16, NotPosted>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let id = posting.headers.iter().find(|(name, _)| *name == "webhook-id").unwrap().1.clone();
        let now = Timestamp(self.clock.now.load(Ordering::SeqCst));
        let answer = self.answers.lock().unwrap().get(&posting.url).copied().unwrap_or(200);
        self.came.lock().unwrap().push((posting.url, now, id));
        if answer == 0 { std::future::pending().boxed() } else { std::future::ready(Ok(answer)).boxed() }
    }
}

/// A server; dropped, it has crashed.
struct World {
    store: MemoryStore,
    outside: Arc<Outside>,
    catalog: Arc<Catalog>,
    letters: Arc<Letters>,
    task: JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

impl World {
    async fn new() -> Self {
        let outside = Arc::new(Outside::default());
        outside.clock.now.store(1_000_000_000, Ordering::SeqCst);
        Self::over(MemoryStore::new(), outside).await
    }

    async fn over(store: MemoryStore, outside: Arc<Outside>) -> Self {
        let vault = Arc::new(Vault::from_key(&[7; 32]));
        let tokens = Tokens::new(Some("an operator's token"), &name("default"));
        let limits = InstanceLimits::default();
        let catalog = Catalog::load(Arc::new(store.clone()), vault, tokens, limits).await.unwrap();
        let clock = Arc::new(Hand(outside.clock.clone()));
        let parts = Parts { store: Arc::new(store.clone()), catalog: catalog.clone(), post: outside.clone(), clock };
        let letters = Letters::load(parts).await.unwrap();
        let task = tokio::spawn(letters.clone().run());
        let world = Self { store, outside, catalog, letters, task };
        world.rest().await;
        world
    }

    async fn crash(self) -> Self {
        self.task.abort();
        self.rest().await;
        self.outside.clock.sleepers.lock().unwrap().clear();
        Self::over(self.store.restarted(), self.outside.clone()).await
    }

    /// Until nobody does anything any more.
    async fn rest(&self) {
        loop {
            let before = self.outside.calls.load(Ordering::SeqCst);
            for _ in 0..64 {
                tokio::task::yield_now().await;
            }
            if self.outside.calls.load(Ordering::SeqCst) == before {
                return;
            }
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.outside.clock.now.load(Ordering::SeqCst))
    }

    /// Lets the time go on, and everybody wake on the way.
    async fn pass(&self, duration: Duration) {
        let end = self.now().plus(duration);
        while self.now() < end {
            self.rest().await;
            let now = self.now();
            let next = self.outside.clock.sleepers.lock().unwrap().iter().find(|due| **due > now).copied();
            self.outside.clock.now.store(next.unwrap_or(end).min(end).0, Ordering::SeqCst);
            self.outside.clock.moved.notify_waiters();
        }
        self.rest().await;
    }

    async fn subscribe(&self, subscription: &str, on: &[Milestone]) -> ResourceId {
        let id = ResourceId::from_bytes([subscription.len() as u8; 16]);
        let place = subscription::place(&name("default"), subscription);
        let spec = SubscriptionSpec {
            url: format!("https://{subscription}.example"),
            on: on.iter().copied().collect(),
            workflows: BTreeSet::new(),
            environments: BTreeSet::new(),
            labels: BTreeMap::new(),
            tests: false,
            enabled: true,
            switched_off: None,
            secret: self.catalog.vault().seal(&place, &secret().unwrap()).unwrap(),
            former_secret: None,
        };
        let key = specs::key(ResourceKind::Subscription, &name("default"), subscription);
        self.catalog.change(vec![put(specs::resource(key, id, &spec, self.now()))]).await.unwrap();
        id
    }

    fn answer(&self, subscription: &str, status: u16) {
        self.outside.answers.lock().unwrap().insert(format!("https://{subscription}.example"), status);
    }

    /// An execution that begins and ends in one append.
    async fn execution(&self, number: u64) -> LetterId {
        let entries = vec![Entry::Started { time: self.now() }, ended(self.now())];
        self.append(number, 0, entries, Status::Succeeded).await;
        LetterId { execution: execution_id(number), sequence: 1 }
    }

    async fn append(&self, number: u64, from: u64, entries: Vec<Entry>, status: Status) {
        let store = Announcing::new(Arc::new(self.store.clone()), self.letters.clone());
        let entries = entries.into_iter().map(Arc::new).collect();
        let journal = JournalAppend {
            id: execution_id(number),
            fence: store.fence(),
            from,
            entries,
            summary: summary(number, status),
        };
        store.append(Append { journals: vec![journal], ..Append::default() }).await.unwrap();
        self.rest().await;
    }

    /// When something came to a URL, since the world began.
    fn came(&self, subscription: &str) -> Vec<Duration> {
        let url = format!("https://{subscription}.example");
        let came = self.outside.came.lock().unwrap();
        came.iter().filter(|(to, ..)| *to == url).map(|(_, at, _)| at.since(Timestamp(1_000_000_000))).collect()
    }

    async fn kept(&self) -> Vec<ResourceKey> {
        let kept = self.store.resources(ResourceKind::Letter, None, None, 1_000).await.unwrap();
        kept.into_iter().map(|resource| resource.key).collect()
    }
}

fn execution_id(number: u64) -> ExecutionId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    ExecutionId::from_bytes(bytes)
}

fn ended(time: Timestamp) -> Entry {
    let outcome = camshaft_model::outcome::Outcome {
        ending: Ending::Succeeded,
        output: Arc::new(json!({"pin": 4711})),
        exit: None,
        failure: None,
        step: None,
    };
    Entry::Ended { time, outcome: Arc::new(outcome) }
}

fn summary(number: u64, status: Status) -> Summary {
    let id = execution_id(number);
    let summary = json!({
        "id": id, "workspace": "default", "environment": "production", "status": status,
        "revision": {"workflow_id": id, "workflow": "orders", "revision": 1}, "trigger": {"kind": "manual"},
        "accepted_at": 1, "updated_at": 1, "ended_at": status.is_final().then_some(1),
    });
    serde_json::from_value(summary).unwrap()
}

const SUCCEEDED: &[Milestone] = &[Milestone::Succeeded];

#[tokio::test]
async fn a_letter_is_tried_again_later_and_later_for_a_day_and_is_dead_then() {
    let world = World::new().await;
    let id = world.subscribe("ops", SUCCEEDED).await;
    world.answer("ops", 500);
    let letter = world.execution(1).await;
    world.pass(Duration::from_secs(40 * 60 * 60)).await;
    let came = world.came("ops");
    assert_eq!(came.len(), LETTER_PAUSES.len() + 1);
    assert_eq!(came[0], Duration::ZERO);
    for (at, pause) in LETTER_PAUSES.iter().enumerate() {
        let waited = came[at + 1] - came[at];
        assert!(waited >= *pause && waited <= *pause + *pause / 10, "try {at}: {waited:?}");
    }
    let standing = world.letters.standing(id);
    assert_eq!(standing, Standing { waiting: 0, dead: 1 });
    let dead = world.letters.list(&name("default"), id, true, None, 10).await.unwrap();
    let (told, spec) = &dead[0];
    assert_eq!((*told, spec.tries, spec.why.as_deref()), (letter, 8, Some("answered 500")));
    assert!(!spec.event.to_string().contains("4711"), "what it put out is not told");

    // By hand, as if it had never been tried.
    world.answer("ops", 204);
    assert_eq!(world.letters.redrive(&name("default"), id, Some(letter)).await.unwrap(), 1);
    world.rest().await;
    assert_eq!((world.came("ops").len(), world.letters.standing(id)), (9, Standing::default()));
    assert!(world.kept().await.is_empty());
    let ids: BTreeSet<_> = world.outside.came.lock().unwrap().iter().map(|(.., id)| id.clone()).collect();
    assert_eq!(ids, BTreeSet::from([letter.to_string()]), "every try has the same id");
}

#[tokio::test]
async fn a_url_that_never_answers_holds_up_nobody_else() {
    let world = World::new().await;
    let slow = world.subscribe("slow", SUCCEEDED).await;
    world.subscribe("quick", SUCCEEDED).await;
    world.answer("slow", 0);
    for number in 0..20 {
        world.execution(number).await;
    }
    assert_eq!(world.came("quick").len(), 20);
    assert_eq!(world.came("slow").len(), camshaft_model::limits::LETTERS_AT_ONCE_MAX);
    assert_eq!(world.letters.standing(slow).waiting, 20);
}

#[tokio::test]
async fn a_crash_loses_no_letter_and_forgets_no_try() {
    let world = World::new().await;
    let id = world.subscribe("ops", SUCCEEDED).await;
    let other = world.subscribe("other", SUCCEEDED).await;
    world.answer("ops", 503);
    world.execution(1).await;
    world.pass(Duration::from_secs(10)).await;
    assert_eq!((world.came("ops").len(), world.came("other").len()), (2, 1));
    // In the middle of a sending that was answered, and nobody heard.
    world.answer("ops", 0);
    world.pass(Duration::from_secs(400)).await;
    assert_eq!(world.came("ops").len(), 3);
    let world = world.crash().await;
    assert_eq!(world.came("ops").len(), 4, "what was under way is sent again");
    assert_eq!(world.letters.standing(id).waiting, 1);
    world.answer("ops", 503);
    let world = world.crash().await;
    assert_eq!(world.came("ops").len(), 5);
    let waits = world.letters.list(&name("default"), id, false, None, 10).await.unwrap();
    assert_eq!(waits[0].1.tries, 3, "two before the crash, and one after it");
    assert_eq!(world.came("other").len(), 1, "what was taken is not sent again");
    assert_eq!(world.letters.standing(other), Standing::default());
}

#[tokio::test]
async fn what_is_dead_is_kept_for_a_week_and_what_is_nobodys_goes_at_once() {
    let world = World::new().await;
    let id = world.subscribe("ops", SUCCEEDED).await;
    world.answer("ops", 410);
    world.execution(1).await;
    assert_eq!(world.letters.standing(id).dead, 1);
    let subscription = world.catalog.subscription(&name("default"), &name("ops")).unwrap();
    assert!(!subscription.spec.enabled);
    world.pass(LETTERS_DEAD_KEPT - Duration::from_secs(1)).await;
    assert_eq!(world.kept().await.len(), 1);
    world.pass(Duration::from_secs(1)).await;
    assert!(world.kept().await.is_empty());
    assert_eq!(world.letters.counted(Became::Forgotten), 1);

    world.subscribe("other", SUCCEEDED).await;
    world.answer("other", 500);
    for number in 2..5 {
        world.execution(number).await;
    }
    assert_eq!(world.kept().await.len(), 3);
    let key = specs::key(ResourceKind::Subscription, &name("default"), "other");
    world.catalog.change(vec![Change::Delete { key, expect: Expect::Any }]).await.unwrap();
    world.letters.look_again();
    world.rest().await;
    assert!(world.kept().await.is_empty());
    assert_eq!(world.letters.standing_of_all(), Standing::default());
}

#[tokio::test]
async fn waiting_is_told_once_however_many_entries_come_meanwhile() {
    let world = World::new().await;
    world.subscribe("ops", &[Milestone::Started, Milestone::Waiting, Milestone::Succeeded]).await;
    let started = || Entry::Started { time: world.now() };
    let received = || Entry::EventReceived { time: world.now(), topic: "t".into(), event: Arc::new(json!({})) };
    world.append(1, 0, vec![started(), received()], Status::Waiting).await;
    world.append(1, 2, vec![received()], Status::Waiting).await;
    world.append(1, 3, vec![received()], Status::Running).await;
    world.append(1, 4, vec![received()], Status::Waiting).await;
    world.append(1, 5, vec![received(), ended(world.now())], Status::Succeeded).await;
    let sequences: Vec<_> =
        world.outside.came.lock().unwrap().iter().map(|(.., id)| id.rsplit('-').next().unwrap().to_owned()).collect();
    assert_eq!(sequences, ["0", "1", "4", "6"]);
}

#[tokio::test]
async fn an_append_without_subscribers_goes_as_it_came() {
    let world = World::new().await;
    world.execution(1).await;
    assert!(world.kept().await.is_empty());
    assert!(world.letters.lines().is_empty());
}
