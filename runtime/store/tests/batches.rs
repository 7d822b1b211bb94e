//! What shares a commit: many appends, each with its own answer.

mod support;

use std::pin::Pin;
use std::task::Poll;

use camshaft_model::json;
use camshaft_model::resource::{Expect, ResourceKind};
use camshaft_model::seams::{Append, Fence, Store, StoreError};
use camshaft_model::summary::Status;
use camshaft_model::time::Timestamp;
use camshaft_store::RedbStore;

use crate::support::disk::{Fault, FaultyDisk};
use crate::support::{LOG_BYTES, Run, count, count_key, delivery, delivery_key, open, put, resource_key};

type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A store whose writer is held in the commit of a first append, so that everything handed in until
/// [`FaultyDisk::release`] shares the next one.
struct Held {
    disk: FaultyDisk,
    store: RedbStore,
}

impl Held {
    fn new() -> Self {
        let disk = FaultyDisk::default();
        // A commit does nothing but append to so large a log.
        let store = RedbStore::open_with(disk.clone(), disk.log(), 8 * LOG_BYTES).unwrap();
        Self { disk, store }
    }

    /// Hands in a first append and waits until its commit is held.
    async fn hold(&self) -> Pending<'_, Result<(), StoreError>> {
        self.disk.hold();
        let first = hand_in(self.store.append(Run::new(1_000_000).at_once(self.store.fence()))).await;
        self.disk.wait_until_held();
        first
    }

    fn fence(&self) -> Fence {
        self.store.fence()
    }
}

/// Polls once: the work is in the queue then. Without tokio's budget, which would put some of many off.
async fn hand_in<'a, T: 'a>(mut work: Pending<'a, T>) -> Pending<'a, T> {
    match futures::poll!(tokio::task::unconstrained(&mut work)) {
        Poll::Pending => work,
        Poll::Ready(_) => panic!("it ended before the disk was released"),
    }
}

#[tokio::test]
async fn what_comes_while_the_disk_is_busy_shares_one_commit() {
    let held = Held::new();
    let before = held.disk.commits();
    let first = held.hold().await;
    let mut others = Vec::new();
    for number in 0..100 {
        others.push(hand_in(held.store.append(Run::new(number).at_once(held.fence()))).await);
    }
    held.disk.release();
    first.await.unwrap();
    for other in others {
        other.await.unwrap();
    }
    assert_eq!(held.disk.commits() - before, 2);
}

#[tokio::test]
async fn nobody_is_answered_before_the_commit_is_durable() {
    let held = Held::new();
    let first = held.hold().await;
    let mut refused = hand_in(held.store.append(Run::new(1_000_000).at_once(held.fence()))).await;
    assert!(futures::poll!(&mut refused).is_pending());
    assert_eq!(held.store.summary(Run::new(1_000_000).id).await.unwrap(), None, "not durable, so not to be seen");
    held.disk.release();
    first.await.unwrap();
    assert!(matches!(refused.await, Err(StoreError::Fenced(_))));
}

#[tokio::test]
async fn two_of_the_same_delivery_in_one_batch_start_one_execution() {
    let held = Held::new();
    let first = held.hold().await;
    let (one, two) = (Run::new(1), Run::new(2));
    let with = |run: &Run, at| {
        let seen = delivery("d", at, run);
        Append { delivery: Some((seen, Timestamp(0))), ..run.at_once(held.fence()) }
    };
    let accepted = hand_in(held.store.append(with(&one, 5))).await;
    let duplicate = hand_in(held.store.append(with(&two, 6))).await;
    held.disk.release();
    first.await.unwrap();
    accepted.await.unwrap();
    match duplicate.await {
        Err(StoreError::Duplicate(seen)) => assert_eq!(*seen, delivery("d", 5, &one)),
        other => panic!("{other:?}"),
    }
    assert_eq!(held.store.summary(two.id).await.unwrap(), None);
    assert!(held.store.entries(two.id, 0, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_refused_append_leaves_nothing_and_does_its_neighbours_no_harm() {
    let held = Held::new();
    let (before, good, late, old) = (Run::new(1), Run::new(2), Run::new(3), Run::new(4));
    held.store.append(before.accept(held.fence())).await.unwrap();
    let first = held.hold().await;
    let good = (good.clone(), hand_in(held.store.append(good.at_once(held.fence()))).await);
    // The second journal is at the wrong place, so the first and the delivery must not be there either.
    let mut journals = late.at_once(held.fence()).journals;
    journals.extend(before.accept(held.fence()).journals);
    let refused = Append {
        journals,
        delivery: Some((delivery("late", 1, &late), Timestamp(0))),
        counts: vec![count(1, 1, 9)],
        changes: vec![put(resource_key(ResourceKind::Letter, "default", "late"), json!(1), 1, Expect::Any)],
    };
    let refused = hand_in(held.store.append(refused)).await;
    let fenced = hand_in(held.store.append(old.at_once(Fence(held.fence().0 - 1)))).await;
    let key = resource_key(ResourceKind::Workflow, "default", "orders");
    let conflict = vec![
        put(resource_key(ResourceKind::Workflow, "default", "other"), json!(1), 1, Expect::Any),
        put(key.clone(), json!(1), 1, Expect::Generation(7)),
    ];
    let conflict = hand_in(held.store.change(conflict)).await;
    let finished = hand_in(held.store.append(before.finish(held.fence()))).await;
    held.disk.release();

    first.await.unwrap();
    good.1.await.unwrap();
    finished.await.unwrap();
    assert!(matches!(refused.await, Err(StoreError::Fenced(id)) if id == before.id));
    assert!(matches!(fenced.await, Err(StoreError::Fenced(id)) if id == old.id));
    assert!(matches!(conflict.await, Err(StoreError::Conflict { key: found, found: 0 }) if found == key));
    let store = &held.store;
    assert_eq!(store.summary(good.0.id).await.unwrap(), Some(good.0.summary(Status::Succeeded)));
    assert_eq!(store.entries(before.id, 0, 10).await.unwrap().len(), 3);
    assert_eq!(store.summary(late.id).await.unwrap(), None);
    assert_eq!(store.delivery(&delivery_key("late"), Timestamp(0)).await.unwrap(), None);
    assert_eq!(store.count(&count_key(1, 1)).await.unwrap(), 0);
    assert_eq!(store.summary(old.id).await.unwrap(), None);
    for kind in [ResourceKind::Workflow, ResourceKind::Letter] {
        assert!(store.resources(kind, None, None, 10).await.unwrap().is_empty(), "{kind:?}");
    }
}

#[tokio::test]
async fn of_many_that_race_for_a_limit_exactly_as_many_as_it_allows_get_through() {
    let held = Held::new();
    let first = held.hold().await;
    let with =
        |number| Append { counts: vec![count(1, 1, 100), count(2, 1, 3)], ..Run::new(number).at_once(held.fence()) };
    let mut racing = Vec::new();
    for number in 0..8 {
        racing.push((number, hand_in(held.store.append(with(number))).await));
    }
    held.disk.release();
    first.await.unwrap();
    let mut through = 0;
    for (number, raced) in racing {
        let is_there = held.store.summary(Run::new(number).id);
        match raced.await {
            Ok(()) => through += 1,
            Err(StoreError::LimitReached { key, limit }) => {
                assert_eq!((key, limit), (count_key(2, 1), 3));
                assert_eq!(is_there.await.unwrap(), None);
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(through, 3);
    // What was refused by one counter is counted by none.
    assert_eq!(held.store.count(&count_key(1, 1)).await.unwrap(), 3);
    assert_eq!(held.store.count(&count_key(2, 1)).await.unwrap(), 3);

    let Held { disk, store } = held;
    drop(store);
    let store = open(disk).unwrap();
    let late = Append { counts: vec![count(2, 1, 3)], ..Run::new(9).at_once(store.fence()) };
    let error = store.append(late).await.unwrap_err().to_string();
    assert!(error.contains("its limit of 3 for month/1970-02"), "{error}");
}

#[tokio::test]
async fn old_counters_are_forgotten_with_their_kind_alone() {
    let store = open(FaultyDisk::default()).unwrap();
    let counts = (0..6).map(|number| count(number, 1, 9)).collect();
    store.append(Append { counts, ..Append::default() }).await.unwrap();
    assert_eq!(store.forget_counts(&count_key(5, 1).period, 10).await.unwrap(), 2);
    let mut left = Vec::new();
    for number in 0..6 {
        left.push(store.count(&count_key(number, 1)).await.unwrap());
    }
    assert_eq!(left, [1, 0, 1, 0, 1, 1]);
}

#[tokio::test]
async fn when_the_commit_fails_a_duplicate_of_what_is_not_there_is_no_duplicate() {
    let held = Held::new();
    let first = held.hold().await;
    let with = |number| {
        let run = Run::new(number);
        Append { delivery: Some((delivery("d", 5, &run), Timestamp(0))), ..run.at_once(held.fence()) }
    };
    let one = hand_in(held.store.append(with(1))).await;
    let two = hand_in(held.store.append(with(2))).await;
    // The held sync is the next operation, and behind it the header goes into the file; what follows belongs to the second commit.
    held.disk.break_after(2, Fault::Once);
    held.disk.release();
    first.await.unwrap();
    assert!(matches!(one.await, Err(StoreError::Unavailable(_))));
    assert!(matches!(two.await, Err(StoreError::Unavailable(_))));
    held.store.append(with(3)).await.unwrap();
}

#[tokio::test]
async fn work_whose_caller_went_away_is_carried_out() {
    let held = Held::new();
    let first = held.hold().await;
    let run = Run::new(1);
    drop(hand_in(held.store.append(run.at_once(held.fence()))).await);
    held.disk.release();
    first.await.unwrap();
    let Held { disk, store } = held;
    drop(store);
    let store = open(disk).unwrap();
    assert_eq!(store.summary(run.id).await.unwrap(), Some(run.summary(Status::Succeeded)));
}
