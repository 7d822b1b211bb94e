//! The disk fails at every operation in turn: what was acknowledged stays, what was refused is never seen.

mod support;

use std::sync::Arc;

use camshaft_model::ids::Digest;
use camshaft_model::json;
use camshaft_model::resource::{Change, Expect, ResourceKind};
use camshaft_model::seams::{Append, Fence, Prune, Store, StoreError};
use camshaft_model::summary::Status;
use camshaft_model::time::{Period, Timestamp};
use camshaft_store::{MemoryStore, RedbStore};

use crate::support::disk::{Fault, FaultyDisk, Loss};
use crate::support::picture::{Known, difference, picture};
use crate::support::{Run, count, count_key, delivery, delivery_key, name, open, put, resource_key};

/// What the script does, one after another.
#[derive(Debug, Clone)]
enum Operation {
    Append(Append),
    Change(Vec<Change>),
    PutBlob(Digest, Vec<u8>),
    Forget(Timestamp),
    ForgetCounts(Period),
    Prune(Prune),
}

async fn carry_out(store: &dyn Store, operation: Operation) -> Result<(), StoreError> {
    match operation {
        Operation::Append(append) => store.append(append).await,
        Operation::Change(changes) => store.change(changes).await.map(drop),
        Operation::PutBlob(digest, bytes) => store.put_blob(digest, bytes).await,
        Operation::Forget(before) => store.forget_deliveries(before, 10).await.map(drop),
        Operation::Prune(prune) => store.prune(prune).await.map(drop),
        Operation::ForgetCounts(before) => store.forget_counts(&before, 10).await.map(drop),
    }
}

/// Deliveries that start several executions, their ends, resources, a blob that makes the file grow.
fn script(fence: Fence) -> (Vec<Operation>, Known) {
    let mut operations = Vec::new();
    let mut known = Known::default();
    let key = resource_key(ResourceKind::Workflow, "default", "orders");
    for number in 0..3 {
        let runs: Vec<Run> = (0..3).map(|at| Run::new(number * 3 + at)).collect();
        known.executions.extend(runs.iter().map(|run| run.id));
        let mut accept = Append::default();
        accept.journals.extend(runs.iter().flat_map(|run| run.accept(fence).journals));
        accept.delivery = Some((delivery(&number.to_string(), number, &runs[0]), Timestamp(0)));
        accept.counts = vec![count(number, 1, 9), count(0, 2, 9)];
        known.deliveries.push(delivery_key(&number.to_string()));
        known.counts.extend([count_key(number, 1), count_key(number, 2)]);
        operations.push(Operation::Append(accept));
        operations.push(Operation::Append(runs[0].finish(fence)));
        operations.push(Operation::Change(vec![put(key.clone(), json!({"revision": number}), number, Expect::Any)]));
    }
    let digest = Digest([3; 32]);
    known.blobs.push(digest);
    operations.push(Operation::PutBlob(digest, vec![3; 1 << 20]));
    operations.push(Operation::Forget(Timestamp(2)));
    operations.push(Operation::ForgetCounts(count_key(2, 1).period));
    operations.push(Operation::Prune(Prune { ended_before: Timestamp(3), limit: 2, entries: 100 }));
    let last = Run { workspace: name("other"), ..Run::new(99) };
    known.executions.push(last.id);
    operations.push(Operation::Append(last.at_once(fence)));
    (operations, known)
}

/// How many operations the disk sees while nothing fails, the last closing not counted.
async fn operations_of_the_script() -> usize {
    let disk = FaultyDisk::default();
    let store = open(disk.clone()).unwrap();
    for operation in script(store.fence()).0 {
        carry_out(&store, operation).await.unwrap();
    }
    disk.operations()
}

/// Runs the script on a disk that fails at one operation. The reference sees only what was acknowledged. Returns the store
/// (none where it could not be opened), the reference, and what was refused first.
async fn run(disk: &FaultyDisk) -> (Option<RedbStore>, MemoryStore, Option<Operation>) {
    let reference = MemoryStore::new();
    let store = match open(disk.clone()) {
        Ok(store) => store,
        Err(error) => {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
            return (None, reference, None);
        }
    };
    let mut refused = None;
    for operation in script(store.fence()).0 {
        match carry_out(&store, operation.clone()).await {
            Ok(()) => carry_out(&reference, operation).await.unwrap(),
            Err(StoreError::Unavailable(_)) => drop(refused.get_or_insert(operation)),
            // The end of an execution whose acceptance was refused.
            Err(StoreError::Fenced(_)) if refused.is_some() => {}
            Err(error) => panic!("{error}"),
        }
    }
    (Some(store), reference, refused)
}

#[tokio::test]
async fn an_operation_that_fails_once_costs_one_batch_and_the_store_goes_on() {
    let known = script(Fence(1)).1;
    let operations = operations_of_the_script().await;
    let mut refusals = 0;
    for fault in [Fault::Once, Fault::HalfOnce] {
        for at in 0..operations {
            let disk = FaultyDisk::failing(at, fault);
            let (store, reference, refused) = run(&disk).await;
            let expected = picture(&reference, &known).await;
            if let Some(store) = store {
                until_healthy(&store).await;
                let got = picture(&store, &known).await;
                assert!(got == expected, "{fault:?} at {at}, alive: {}", difference(&got, &expected));
                refusals += usize::from(refused.is_some());
            }
            for loss in [Loss::Nothing, Loss::Unsynced, Loss::Some(at as u64 * 0x9e37_79b9)] {
                let store = open(disk.after(loss)).unwrap();
                let got = picture(&store, &known).await;
                assert!(got == expected, "{fault:?} at {at}, {loss:?}: {}", difference(&got, &expected));
            }
        }
    }
    assert!(refusals > operations, "{refusals} of 2 x {operations} faults were seen by a caller");
}

#[tokio::test]
async fn when_the_disk_stays_broken_nothing_acknowledged_is_lost_and_nothing_is_half_there() {
    let known = script(Fence(1)).1;
    let operations = operations_of_the_script().await;
    for at in 0..operations {
        let disk = FaultyDisk::failing(at, Fault::Lasting);
        let (store, reference, refused) = run(&disk).await;
        if let Some(store) = &store {
            // What the log has is durable, whatever comes behind it.
            assert!(!store.healthy() || refused.is_none(), "at {at}");
            let late = carry_out(store, Operation::Append(Run::new(500).at_once(store.fence()))).await;
            assert!(matches!(late, Err(StoreError::Unavailable(_))), "at {at}: {late:?}");
        }
        drop(store);
        let without = picture(&reference, &known).await;
        if let Some(refused) = refused {
            carry_out(&reference, refused).await.unwrap();
        }
        let with = picture(&reference, &known).await;
        for loss in [Loss::Nothing, Loss::Unsynced, Loss::Some(at as u64 * 0x9e37_79b9)] {
            let store = open(disk.after(loss)).unwrap();
            let got = picture(&store, &known).await;
            // The one batch whose commit was under way may be there, but only whole.
            assert!(got == without || got == with, "at {at}, {loss:?}: {}", difference(&got, &without));
            if loss == Loss::Unsynced {
                assert!(got == without, "at {at}: what was never synced is there: {}", difference(&got, &without));
            }
        }
    }
}

#[tokio::test]
async fn when_the_disk_comes_back_the_store_goes_on_without_what_it_refused() {
    let known = script(Fence(1)).1;
    // Each operation of one commit in turn; a commit has far fewer than forty.
    for at in 0..40 {
        let disk = FaultyDisk::default();
        let store = open(disk.clone()).unwrap();
        let reference = MemoryStore::new();
        let (first, second, third) = (Run::new(0), Run::new(1), Run::new(2));
        store.append(first.at_once(store.fence())).await.unwrap();
        reference.append(first.at_once(reference.fence())).await.unwrap();

        disk.break_after(at, Fault::Lasting);
        let refused = store.append(second.at_once(store.fence())).await;
        if refused.is_ok() {
            assert!(at > 5, "a commit takes more than {at} operations");
            return;
        }
        assert!(!store.healthy());
        let refused = store.append(second.at_once(store.fence())).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "at {at}: {refused:?}");

        disk.heal();
        store.append(third.at_once(store.fence())).await.unwrap();
        reference.append(third.at_once(reference.fence())).await.unwrap();
        assert!(store.healthy());
        let (got, expected) = (picture(&store, &known).await, picture(&reference, &known).await);
        assert!(got == expected, "at {at}: {}", difference(&got, &expected));
        drop(store);
        let store = open(disk).unwrap();
        let got = picture(&store, &known).await;
        assert!(got == expected, "at {at}, reopened: {}", difference(&got, &expected));
    }
    panic!("the append never got through");
}

#[tokio::test]
async fn looking_at_the_health_brings_a_store_back_that_nobody_appends_to() {
    let disk = FaultyDisk::default();
    let store = open(disk.clone()).unwrap();
    disk.break_now(Fault::Lasting);
    let run = Run::new(0);
    store.append(run.at_once(store.fence())).await.unwrap_err();
    assert!(store.summary(run.id).await.is_err(), "there is nothing to read from");
    disk.heal();
    assert!(!store.healthy());
    until_healthy(&store).await;
    assert_eq!(store.summary(run.id).await.unwrap(), None);
    store.append(run.at_once(store.fence())).await.unwrap();
    assert_eq!(store.summary(run.id).await.unwrap(), Some(run.summary(Status::Succeeded)));
}

/// A full disk can be opened and read: only a commit shows that it has room again.
#[tokio::test]
async fn a_store_on_a_full_disk_is_not_well_until_something_is_committed() {
    let disk = FaultyDisk::default();
    let store = open(disk.clone()).unwrap();
    let run = Run::new(0);
    store.append(run.at_once(store.fence())).await.unwrap();
    disk.break_now(Fault::Full);
    for _ in 0..3 {
        // Each look has the writer try the disk; what is handed in afterwards is answered afterwards.
        store.put_blob(Digest([1; 32]), vec![1; 1 << 20]).await.unwrap_err();
        assert!(!store.healthy());
    }
    // Answered behind the last look, and behind the opening that follows it.
    store.put_blob(Digest([1; 32]), vec![1; 1 << 20]).await.unwrap_err();
    assert_eq!(store.summary(run.id).await.unwrap(), Some(run.summary(Status::Succeeded)), "reading goes on");
    disk.heal();
    until_healthy(&store).await;
    disk.break_now(Fault::Full);
    // More than the room that the file may have gained by now.
    store.put_blob(Digest([2; 32]), vec![1; 32 << 20]).await.unwrap_err();
    disk.heal();
    store.put_blob(Digest([1; 32]), vec![1; 1 << 20]).await.unwrap();
    assert!(store.healthy(), "a commit of any kind will do");
}

/// The store is opened again after each commit that fails, and nobody who reads notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reading_goes_on_beside_writers_whose_commits_fail() {
    let disk = FaultyDisk::default();
    let store = Arc::new(open(disk.clone()).unwrap());
    let run = Run::new(0);
    store.append(run.at_once(store.fence())).await.unwrap();
    disk.break_now(Fault::Full);
    let writers: Vec<_> = (0..4)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    store.put_blob(Digest([n; 32]), vec![n; 1 << 20]).await.unwrap_err();
                }
            })
        })
        .collect();
    let mut reads = 0;
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        assert_eq!(store.summary(run.id).await.unwrap(), Some(run.summary(Status::Succeeded)), "after {reads} reads");
        reads += 1;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(reads > 0);
}

async fn until_healthy(store: &RedbStore) {
    while !store.healthy() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_read_that_fails_ends_with_an_error_and_the_next_ones_are_well() {
    let disk = FaultyDisk::default();
    let store = open(disk.clone()).unwrap();
    let (run, digest) = (Run::new(0), Digest([1; 32]));
    store.append(run.at_once(store.fence())).await.unwrap();
    // More than the store keeps in memory, so that it has to be read.
    store.put_blob(digest, vec![1; 17 << 20]).await.unwrap();
    disk.break_next_read();
    let error = store.blob(digest).await.map(|_| "read").unwrap_err();
    assert!(error.to_string().contains("broken on purpose"), "{error}");
    // The writer opens the database again; that takes as long as it takes.
    while store.blob(digest).await.is_err() {}
    assert_eq!(store.summary(run.id).await.unwrap(), Some(run.summary(Status::Succeeded)));
    store.append(Run::new(1).at_once(store.fence())).await.unwrap();
}
