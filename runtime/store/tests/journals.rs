//! What an append leaves, on disk: entries, summaries, lists, open executions.

mod support;

use std::time::Duration;

use camshaft_model::ids::ExecutionId;
use camshaft_model::seams::{Store, SummaryQuery};
use camshaft_model::summary::Status;
use camshaft_model::{Value, json};
use camshaft_store::RedbStore;

use crate::support::disk::FaultyDisk;
use crate::support::{Run, name, open, workflow_id};

/// What an execution goes on with after a crash is what it had before, to the last bit.
#[tokio::test]
async fn fractions_are_read_as_the_numbers_that_were_written() {
    let disk = FaultyDisk::default();
    let mut run = Run::new(1);
    let fractions =
        (1..2_000).map(|n| Value::from(f64::from(n) / 7.0)).chain([5e-324, f64::MAX, 0.1 + 0.2].map(Value::from));
    run.event = Value::Array(fractions.collect());
    {
        let store = open(disk.clone()).unwrap();
        store.append(run.accept(store.fence())).await.unwrap();
    }
    let store = open(disk).unwrap();
    assert_eq!(store.entries(run.id, 0, 1).await.unwrap(), [(*run.accepted()).clone()]);
}

#[tokio::test]
async fn what_was_appended_is_there_after_the_next_opening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/camshaft.redb");
    let (done, open) = (Run::new(1), Run::new(2));
    {
        let store = RedbStore::open(&path).unwrap();
        store.append(done.at_once(store.fence())).await.unwrap();
        store.append(open.accept(store.fence())).await.unwrap();
    }
    let store = RedbStore::open(&path).unwrap();
    assert_eq!(store.entries(done.id, 0, 10).await.unwrap().len(), 3);
    assert_eq!(store.entries(done.id, 1, 1).await.unwrap(), [(*done.started()).clone()]);
    assert_eq!(store.summary(open.id).await.unwrap(), Some(open.summary(Status::Accepted)));
    let claims = store.claim(None, 10, Duration::ZERO).await.unwrap();
    assert_eq!(
        claims.iter().map(|claim| (claim.id, &claim.summary)).collect::<Vec<_>>(),
        [(open.id, &open.summary(Status::Accepted))],
    );

    store.append(open.finish(store.fence())).await.unwrap();
    assert!(store.claim(None, 10, Duration::ZERO).await.unwrap().is_empty());
    let page = store.summaries(SummaryQuery { statuses: vec![Status::Succeeded], limit: 10, ..Default::default() });
    assert_eq!(page.await.unwrap().iter().map(|summary| summary.id).collect::<Vec<_>>(), [open.id, done.id]);
}

#[tokio::test]
async fn pages_follow_one_another_newest_first_through_every_filter() {
    let store = open(FaultyDisk::default()).unwrap();
    let mut runs: Vec<Run> = (0..60).map(Run::new).collect();
    for (number, run) in runs.iter_mut().enumerate() {
        run.workflow = 1 + (number % 3) as u8;
        run.workspace = name(if number % 5 == 0 { "other" } else { "default" });
        match number % 4 {
            0 => store.append(run.accept(store.fence())).await.unwrap(),
            _ => store.append(run.at_once(store.fence())).await.unwrap(),
        }
    }
    let newest_first = |wanted: &dyn Fn(usize) -> bool| -> Vec<ExecutionId> {
        (0..60).rev().filter(|number| wanted(*number)).map(|number| runs[number].id).collect()
    };
    let (accepted, succeeded) = (Status::Accepted, Status::Succeeded);
    let default = || Some(name("default"));
    let cases: [(SummaryQuery, Vec<ExecutionId>); 6] = [
        (SummaryQuery::default(), newest_first(&|_| true)),
        (SummaryQuery { workspace: default(), ..Default::default() }, newest_first(&|n| n % 5 != 0)),
        (SummaryQuery { statuses: vec![accepted], ..Default::default() }, newest_first(&|n| n % 4 == 0)),
        (SummaryQuery { workflow: Some(workflow_id(2)), ..Default::default() }, newest_first(&|n| n % 3 == 1)),
        (
            SummaryQuery { workflow: Some(workflow_id(2)), statuses: vec![accepted], ..Default::default() },
            newest_first(&|n| n % 3 == 1 && n % 4 == 0),
        ),
        (
            SummaryQuery { workspace: default(), statuses: vec![succeeded, accepted, succeeded], ..Default::default() },
            newest_first(&|n| n % 5 != 0),
        ),
    ];
    for (query, expected) in cases {
        let (mut got, mut before) = (Vec::new(), None);
        loop {
            let page = store.summaries(SummaryQuery { before, limit: 7, ..query.clone() }).await.unwrap();
            assert!(page.len() <= 7);
            got.extend(page.iter().map(|summary| summary.id));
            match page.last() {
                Some(last) => before = Some(last.id),
                None => break,
            }
        }
        assert_eq!(got, expected, "{query:?}");
    }
}

#[tokio::test]
async fn a_value_as_deep_as_any_reader_allows_can_be_read_back() {
    let store = open(FaultyDisk::default()).unwrap();
    let mut run = Run::new(1);
    run.event = (0..127).fold(json!("in here"), |inner, _| Value::Array(vec![inner]));
    store.append(run.at_once(store.fence())).await.unwrap();
    assert_eq!(store.entries(run.id, 0, 1).await.unwrap(), [(*run.accepted()).clone()]);
}
