//! Copies of a store: consistent while it is written to, whole or refused, and a store again.

mod support;

use std::path::Path;

use camshaft_model::ids::Digest;
use camshaft_model::json;
use camshaft_model::resource::{Expect, ResourceKind};
use camshaft_model::seams::{Append, Prune, Store, StoreError};
use camshaft_model::summary::Status;
use camshaft_model::time::Timestamp;
use camshaft_store::{MemoryStore, RedbStore};
use futures::StreamExt;

use crate::support::disk::FaultyDisk;
use crate::support::picture::{Known, difference, picture};
use crate::support::{Run, count, count_key, delivery, delivery_key, open, put, resource_key};

async fn taken(store: &RedbStore) -> Result<Vec<u8>, StoreError> {
    let mut pieces = store.snapshot().await?;
    let mut copy = Vec::new();
    while let Some(piece) = pieces.next().await {
        copy.extend_from_slice(&piece?);
    }
    Ok(copy)
}

/// One of everything that a store keeps.
async fn fill(store: &dyn Store) -> Known {
    let (run, open) = (Run::new(1), Run::new(2));
    let append = Append {
        delivery: Some((delivery("d", 5, &run), Timestamp(0))),
        counts: vec![count(1, 1, 9)],
        ..run.at_once(store.fence())
    };
    store.append(append).await.unwrap();
    store.append(open.accept(store.fence())).await.unwrap();
    let key = resource_key(ResourceKind::Workflow, "default", "orders");
    store.change(vec![put(key, json!({"revision": 1}), 1, Expect::Any)]).await.unwrap();
    // Larger than any piece.
    store.put_blob(Digest([3; 32]), vec![3; 3 << 20]).await.unwrap();
    Known {
        executions: vec![run.id, open.id],
        deliveries: vec![delivery_key("d")],
        blobs: vec![Digest([3; 32])],
        counts: vec![count_key(1, 1)],
    }
}

#[tokio::test]
async fn a_copy_is_a_store_with_everything_in_it() {
    let store = open(FaultyDisk::default()).unwrap();
    let known = fill(&store).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("camshaft.redb");
    assert_eq!(RedbStore::restore(&path, &*taken(&store).await.unwrap()).unwrap(), 2);

    let restored = RedbStore::open(&path).unwrap();
    let (got, expected) = (picture(&restored, &known).await, picture(&store, &known).await);
    assert!(got == expected, "{}", difference(&got, &expected));
    assert_eq!(restored.size().await.unwrap().used_bytes, store.size().await.unwrap().used_bytes);
    assert!(restored.fence() > store.fence(), "what the other server still does is refused here");
    restored.append(Run::new(2).finish(restored.fence())).await.unwrap();
    let all = Prune { ended_before: Timestamp(u64::MAX), limit: 10, entries: 100 };
    assert_eq!(restored.prune(all).await.unwrap().executions, 2);
}

#[tokio::test]
async fn what_comes_after_the_call_is_not_in_the_copy() {
    let store = open(FaultyDisk::default()).unwrap();
    let (before, after) = (Run::new(1), Run::new(2));
    store.append(before.at_once(store.fence())).await.unwrap();
    // More than is read ahead, so that the reading still goes on.
    store.put_blob(Digest([3; 32]), vec![3; 8 << 20]).await.unwrap();
    let mut pieces = store.snapshot().await.unwrap();
    let first = pieces.next().await.unwrap().unwrap();
    store.append(after.at_once(store.fence())).await.unwrap();
    let all = Prune { ended_before: Timestamp(u64::MAX), limit: 10, entries: 100 };
    assert_eq!(store.prune(all).await.unwrap().executions, 2);
    let mut copy = first.to_vec();
    while let Some(piece) = pieces.next().await {
        copy.extend_from_slice(&piece.unwrap());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("camshaft.redb");
    RedbStore::restore(&path, &*copy).unwrap();
    let restored = RedbStore::open(&path).unwrap();
    assert_eq!(restored.summary(before.id).await.unwrap(), Some(before.summary(Status::Succeeded)));
    assert_eq!(restored.entries(before.id, 0, 10).await.unwrap().len(), 3);
    assert_eq!(restored.summary(after.id).await.unwrap(), None);
}

#[tokio::test]
async fn a_copy_that_breaks_off_anywhere_is_refused() {
    let store = open(FaultyDisk::default()).unwrap();
    store.append(Run::new(1).at_once(store.fence())).await.unwrap();
    let copy = taken(&store).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let refused = |copy: &[u8]| -> String {
        let path = folder.path().join("camshaft.redb");
        let error = RedbStore::restore(&path, copy).unwrap_err().to_string();
        let _ = std::fs::remove_file(&path);
        error
    };
    for length in (0..copy.len()).step_by(29).chain(copy.len() - 30..copy.len()) {
        let error = refused(&copy[..length]);
        assert!(error.contains("breaks off"), "{length} of {}: {error}", copy.len());
    }
    let mut newer = copy.clone();
    newer[7] = 4;
    let error = refused(&newer);
    assert!(error.contains("format 4") && error.contains("up to 3") && error.contains("newer"), "{error}");
    let mut strange = copy.clone();
    let at = copy.windows(8).position(|bytes| bytes == b"journals").unwrap();
    strange[at] = b'J';
    assert!(refused(&strange).contains("`Journals`"));
    // A key of another width would be taken apart wrongly.
    let mut wide = copy.clone();
    wide[at + 8 + 4] += 1;
    assert!(refused(&wide).contains("a key of 25 bytes"));
}

/// What a version of the first format would have written: without the tables that came later, and open executions listed by
/// workflow where the ended ones are.
fn as_first_format(copy: &[u8]) -> Vec<u8> {
    let (mut old, mut at) = ([&1_u64.to_be_bytes(), &copy[8..16]].concat(), 16);
    let length = |at: usize| u32::from_be_bytes(copy[at..at + 4].try_into().unwrap()) as usize;
    while copy[at] == 1 {
        let begin = at;
        let name = at + 2..at + 2 + usize::from(copy[at + 1]);
        at = name.end;
        while copy[at] == 2 {
            at += 9 + length(at + 1) + length(at + 5);
        }
        match &copy[name.clone()] {
            b"ended_at" | b"counts" => {}
            b"open_by_workflow" => old.extend([&[1, 11], &b"by_workflow"[..], &copy[name.end..at]].concat()),
            _ => old.extend_from_slice(&copy[begin..at]),
        }
    }
    old.push(0);
    old
}

#[tokio::test]
async fn a_copy_of_an_older_format_is_brought_up_to_date_and_one_that_never_was_is_refused() {
    let store = open(FaultyDisk::default()).unwrap();
    let (ended, open) = (Run::new(1), Run::new(2));
    store.append(ended.at_once(store.fence())).await.unwrap();
    store.append(open.accept(store.fence())).await.unwrap();
    let copy = as_first_format(&taken(&store).await.unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("camshaft.redb");
    assert_eq!(RedbStore::restore(&path, &*copy).unwrap(), 2);
    let restored = RedbStore::open(&path).unwrap();
    assert_eq!(restored.size().await.unwrap().used_bytes, store.size().await.unwrap().used_bytes);
    let prune = Prune { ended_before: Timestamp(u64::MAX), limit: 10, entries: 10 };
    assert_eq!(restored.prune(prune).await.unwrap().executions, 1, "the end of the first is known now");
    assert_eq!(restored.summary(open.id).await.unwrap(), Some(open.summary(Status::Accepted)));
    let newer = taken(&restored).await.unwrap();
    assert_eq!(newer[..8], 3_u64.to_be_bytes(), "what is copied now is of our format");

    let mut never = copy.clone();
    never[7] = 0;
    let error = RedbStore::restore(&folder.path().join("other.redb"), &*never).unwrap_err().to_string();
    assert!(error.contains("format 0") && error.contains("damaged"), "{error}");
}

#[tokio::test]
async fn nothing_is_put_over_what_is_there() {
    let store = open(FaultyDisk::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("camshaft.redb");
    std::fs::write(&path, "dear diary").unwrap();
    let error = RedbStore::restore(&path, &*taken(&store).await.unwrap()).unwrap_err().to_string();
    assert!(error.contains("is there already") && error.contains(&path.display().to_string()), "{error}");
    assert_eq!(std::fs::read_to_string(Path::new(&path)).unwrap(), "dear diary");
    assert!(MemoryStore::new().snapshot().await.is_err());
}

#[tokio::test]
async fn a_copy_that_nobody_takes_holds_nobody_up() {
    let store = open(FaultyDisk::default()).unwrap();
    store.put_blob(Digest([3; 32]), vec![3; 8 << 20]).await.unwrap();
    let kept = store.snapshot().await.unwrap();
    let dropped = store.snapshot().await.unwrap();
    drop(dropped);
    store.append(Run::new(1).at_once(store.fence())).await.unwrap();
    // The store ends though the copy is still open.
    drop(store);
    drop(kept);
}
