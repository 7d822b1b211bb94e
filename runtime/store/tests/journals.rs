//! What an append leaves, on disk: entries, summaries, lists, open executions.

mod support;

use std::time::Duration;

use camshaft_model::seams::{Store, SummaryQuery};
use camshaft_model::summary::Status;
use camshaft_store::RedbStore;

use crate::support::Run;

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
    assert_eq!(claims.iter().map(|claim| claim.id).collect::<Vec<_>>(), [open.id]);

    store.append(open.finish(store.fence())).await.unwrap();
    assert!(store.claim(None, 10, Duration::ZERO).await.unwrap().is_empty());
    let page = store.summaries(SummaryQuery { statuses: vec![Status::Succeeded], limit: 10, ..Default::default() });
    assert_eq!(page.await.unwrap().iter().map(|summary| summary.id).collect::<Vec<_>>(), [open.id, done.id]);
}
