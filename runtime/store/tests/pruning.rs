//! Forgetting ended executions: which go, in which order, and what is left of them on disk.

mod support;

use std::time::Duration;

use camshaft_model::entry::Entry;
use camshaft_model::seams::{Append, Prune, Pruned, Store, SummaryQuery};
use camshaft_model::summary::Status;
use camshaft_model::time::Timestamp;
use camshaft_store::RedbStore;

use crate::support::disk::FaultyDisk;
use crate::support::{Run, measured, open};

fn before(time: u64) -> Prune {
    Prune { ended_before: Timestamp(time), limit: 100, entries: 10_000 }
}

/// The numbers of the executions that a list shows, of those there may be.
async fn listed(store: &RedbStore, runs: &[Run]) -> Vec<usize> {
    let page = store.summaries(SummaryQuery { limit: 100, ..SummaryQuery::default() }).await.unwrap();
    let mut numbers: Vec<_> =
        page.iter().map(|summary| runs.iter().position(|run| run.id == summary.id).unwrap()).collect();
    numbers.reverse();
    numbers
}

#[tokio::test]
async fn those_that_ended_first_go_first_and_open_ones_never() {
    let store = open(FaultyDisk::default()).unwrap();
    let mut runs: Vec<Run> = (0..6).map(Run::new).collect();
    for (run, ended) in runs.iter_mut().zip([50, 10, 40, 20, 30, 30]) {
        run.ended_at = Timestamp(ended);
    }
    for (number, run) in runs.iter().enumerate() {
        match number {
            3 => store.append(run.accept(store.fence())).await.unwrap(),
            _ => store.append(run.at_once(store.fence())).await.unwrap(),
        }
    }
    let one = Prune { limit: 1, ..before(40) };
    assert_eq!(store.prune(Prune { limit: 0, ..one }).await.unwrap(), Pruned { more: true, ..Pruned::default() });
    for (left, more) in [(vec![0, 2, 3, 4, 5], true), (vec![0, 2, 3, 5], true), (vec![0, 2, 3], false)] {
        let pruned = store.prune(one).await.unwrap();
        assert_eq!((listed(&store, &runs).await, pruned.executions, pruned.more), (left, 1, more));
    }
    // Nothing that ended at the time or later.
    assert_eq!(store.prune(one).await.unwrap(), Pruned::default());
    assert_eq!(listed(&store, &runs).await, [0, 2, 3]);
    store.prune(before(u64::MAX)).await.unwrap();
    assert_eq!(listed(&store, &runs).await, [3], "the open one");
    let claims = store.claim(None, 10, Duration::ZERO).await.unwrap();
    assert_eq!(claims.iter().map(|claim| claim.id).collect::<Vec<_>>(), [runs[3].id]);
    store.append(runs[3].finish(store.fence())).await.unwrap();
    store.prune(before(u64::MAX)).await.unwrap();
    assert_eq!(listed(&store, &runs).await, [] as [usize; 0]);
}

#[tokio::test]
async fn what_went_leaves_no_row_behind() {
    let disk = FaultyDisk::default();
    let store = open(disk.clone()).unwrap();
    let mut freed = 0;
    for number in 0..20 {
        let mut run = Run::new(number);
        run.workflow = 1 + (number % 3) as u8;
        store.append(run.accept(store.fence())).await.unwrap();
        store.append(run.finish(store.fence())).await.unwrap();
    }
    let used = store.size().await.unwrap().used_bytes;
    loop {
        let pruned = store.prune(Prune { limit: 3, ..before(u64::MAX) }).await.unwrap();
        freed += pruned.bytes;
        if !pruned.more {
            break;
        }
    }
    assert_eq!((store.size().await.unwrap().used_bytes, freed), (0, used));
    assert!(store.entries(Run::new(3).id, 0, 10).await.unwrap().is_empty());
    drop(store);
    assert_eq!(measured(&disk), 0);
}

#[tokio::test]
async fn a_long_execution_is_unseen_at_once_and_goes_in_pieces() {
    let disk = FaultyDisk::default();
    let mut store = open(disk.clone()).unwrap();
    let (long, short) = (Run::new(1), Run { ended_at: Timestamp(3), ..Run::new(2) });
    let mut from = 0;
    for _ in 0..30 {
        let entries = vec![long.started(); 10];
        let append = long.journal(store.fence(), from, entries, Status::Running);
        store.append(Append { journals: vec![append], ..Default::default() }).await.unwrap();
        from += 10;
    }
    let end = long.journal(store.fence(), from, vec![long.ended()], Status::Succeeded);
    store.append(Append { journals: vec![end], ..Default::default() }).await.unwrap();
    store.append(short.at_once(store.fence())).await.unwrap();

    let piece = Prune { entries: 100, ..before(u64::MAX) };
    let first = store.prune(piece).await.unwrap();
    assert_eq!((first.executions, first.more), (0, true));
    assert!(first.bytes > 0);
    assert_eq!(store.summary(long.id).await.unwrap(), None);
    assert_eq!(store.entries(long.id, 200, 100).await.unwrap(), [] as [Entry; 0], "half a journal is none");
    assert!(store.summary(short.id).await.unwrap().is_some());

    // A restart in the middle takes it up where it was.
    drop(store);
    store = open(disk.clone()).unwrap();
    let (mut executions, mut calls) = (0, 1);
    loop {
        let pruned = store.prune(piece).await.unwrap();
        executions += pruned.executions;
        calls += 1;
        if !pruned.more {
            break;
        }
    }
    assert_eq!((executions, calls), (2, 4), "301 entries, a hundred a call");
    drop(store);
    assert_eq!(measured(&disk), 0);
}
