//! Opening a store: who may read it, who may have it open, and what is refused by name.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use camshaft_model::ids::Digest;
use camshaft_model::seams::{Fence, Prune, Store, StoreError, SummaryQuery};
use camshaft_model::summary::Status;
use camshaft_model::time::Timestamp;
use camshaft_store::RedbStore;
use redb::{Database, ReadableTable, TableDefinition, WriteTransaction};

use crate::support::disk::{FaultyDisk, Loss};
use crate::support::{LOG_BYTES, Run, measured, open, workflow_id};

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

fn refusal(path: &Path) -> String {
    match RedbStore::open(path) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => {
            let error = error.to_string();
            assert!(error.contains(&path.display().to_string()), "the path is not named: {error}");
            error
        }
    }
}

#[cfg(unix)]
#[test]
fn the_file_and_its_folder_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/camshaft.redb");
    RedbStore::open(&path).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
}

#[test]
fn a_second_server_on_the_same_file_is_refused_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("camshaft.redb");
    let first = RedbStore::open(&path).unwrap();
    let error = refusal(&path);
    assert!(error.contains("another server has it open"), "{error}");
    drop(first);
    RedbStore::open(&path).unwrap();
}

#[tokio::test]
async fn each_opening_takes_a_newer_fence_and_refuses_appends_with_an_older_one() {
    let disk = FaultyDisk::default();
    let first = open(disk.clone()).unwrap().fence();
    let store = open(disk).unwrap();
    assert_eq!(store.fence(), Fence(first.0 + 1));
    let refused = store.append(Run::new(1).at_once(first)).await;
    assert!(matches!(refused, Err(StoreError::Fenced(id)) if id == Run::new(1).id), "{refused:?}");
    store.append(Run::new(1).at_once(store.fence())).await.unwrap();
}

#[tokio::test]
async fn what_only_the_log_has_is_brought_into_the_file_and_without_the_log_the_file_is_refused() {
    let (disk, another) = (FaultyDisk::default(), FaultyDisk::default());
    let (run, store) = (Run::new(1), open(disk.clone()).unwrap());
    store.append(run.at_once(store.fence())).await.unwrap();
    open(another.clone()).unwrap();

    // The power goes, and of the file is left what it had before.
    let with = disk.after(Loss::Unsynced);
    let after = open(with).unwrap();
    assert_eq!(after.summary(run.id).await.unwrap(), Some(run.summary(Status::Succeeded)));

    let left = disk.after(Loss::Unsynced);
    left.lose_the_log();
    for log in [left.log(), another.log()] {
        let error = RedbStore::open_with(left.clone(), log, LOG_BYTES).map(drop).unwrap_err().to_string();
        assert!(error.contains("write-ahead log is not there, or is another's"), "{error}");
    }
    drop(store);
    // Closed, it needs none.
    disk.lose_the_log();
    let closed = open(disk).unwrap();
    assert_eq!(closed.summary(run.id).await.unwrap(), Some(run.summary(Status::Succeeded)));
}

#[tokio::test]
async fn a_file_with_its_log_is_a_store_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let [path, copy] = ["camshaft.redb", "copy.redb"].map(|name| folder.path().join(name));
    let log = |path: &Path| PathBuf::from(format!("{}-wal", path.display()));
    let store = RedbStore::open(&path).unwrap();
    let run = Run::new(1);
    store.append(run.at_once(store.fence())).await.unwrap();
    // Both halves of the log are filled twice, and what does not fit in one comes in between.
    for number in 0..40_u8 {
        let bytes = vec![number; if number % 16 == 7 { 5 << 20 } else { 1 << 19 }];
        store.put_blob(Digest([number; 32]), bytes).await.unwrap();
    }
    fs::copy(&path, &copy).unwrap();
    fs::copy(log(&path), log(&copy)).unwrap();
    let copy = RedbStore::open(&copy).unwrap();
    assert_eq!(copy.summary(run.id).await.unwrap(), Some(run.summary(Status::Succeeded)));
    for number in 0..40_u8 {
        let bytes = copy.blob(Digest([number; 32])).await.unwrap().unwrap();
        assert!(bytes.iter().all(|byte| *byte == number), "blob {number}");
    }
}

#[test]
fn a_newer_format_is_refused_with_both_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("camshaft.redb");
    drop(RedbStore::open(&path).unwrap());
    set_format(&path, 4);
    let error = refusal(&path);
    assert!(error.contains("format 4") && error.contains("up to 3"), "{error}");
    assert!(error.contains("start that version, or restore a backup"), "no way out: {error}");
    // It was not touched: whoever knows the format can still open it.
    let meta = Database::open(&path).unwrap().begin_write().unwrap();
    assert_eq!(meta.open_table(META).unwrap().insert("format", 3).unwrap().unwrap().value(), 4);
    meta.commit().unwrap();
    RedbStore::open(&path).unwrap();
}

#[test]
fn a_format_that_never_was_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("camshaft.redb");
    drop(RedbStore::open(&path).unwrap());
    set_format(&path, 0);
    let error = refusal(&path);
    assert!(error.contains("damaged") && error.contains("format 0"), "{error}");
}

/// Format 1 did not know when executions ended, nor how many bytes it kept.
#[tokio::test]
async fn a_database_of_the_first_format_is_brought_up_to_date() {
    let disk = FaultyDisk::default();
    let (ended, under_way) = (Run::new(1), Run::new(2));
    let size = {
        let store = open(disk.clone()).unwrap();
        store.append(ended.at_once(store.fence())).await.unwrap();
        store.append(under_way.accept(store.fence())).await.unwrap();
        store.size().await.unwrap()
    };
    let transaction = Database::builder().create_with_backend(disk.clone()).unwrap().begin_write().unwrap();
    as_second_format(&transaction);
    assert!(transaction.delete_table(TableDefinition::<[u8; 24], ()>::new("ended_at")).unwrap());
    assert!(transaction.delete_table(TableDefinition::<&[u8], u64>::new("counts")).unwrap());
    transaction.open_table(META).unwrap().remove("used").unwrap().unwrap();
    transaction.open_table(META).unwrap().insert("format", 1).unwrap();
    transaction.commit().unwrap();

    let store = open(disk.clone()).unwrap();
    assert_eq!(store.size().await.unwrap().used_bytes, size.used_bytes);
    let prune = Prune { ended_before: Timestamp(u64::MAX), limit: 10, entries: 10 };
    let pruned = store.prune(prune).await.unwrap();
    assert_eq!((pruned.executions, pruned.more), (1, false));
    assert_eq!(store.summary(ended.id).await.unwrap(), None);
    assert_eq!(store.summary(under_way.id).await.unwrap(), Some(under_way.summary(Status::Accepted)));
    drop(store);
    assert_eq!(open(disk).unwrap().fence(), Fence(3), "the third opening");
}

/// Format 2 listed open executions by workflow where the ended ones are.
#[tokio::test]
async fn a_database_of_the_second_format_is_brought_up_to_date() {
    let disk = FaultyDisk::default();
    let (ended, under_way) = (Run::new(1), Run::new(2));
    let of_workflow =
        || SummaryQuery { workflow: Some(workflow_id(under_way.workflow)), limit: 10, ..Default::default() };
    let store = open(disk.clone()).unwrap();
    store.append(ended.at_once(store.fence())).await.unwrap();
    store.append(under_way.accept(store.fence())).await.unwrap();
    let (size, listed) = (store.size().await.unwrap(), store.summaries(of_workflow()).await.unwrap());
    drop(store);
    let transaction = Database::builder().create_with_backend(disk.clone()).unwrap().begin_write().unwrap();
    assert_eq!(as_second_format(&transaction), 1, "one is open");
    transaction.open_table(META).unwrap().insert("format", 2).unwrap();
    transaction.commit().unwrap();

    let store = open(disk.clone()).unwrap();
    assert_eq!(store.size().await.unwrap().used_bytes, size.used_bytes);
    assert_eq!(store.summaries(of_workflow()).await.unwrap(), listed);
    store.append(under_way.finish(store.fence())).await.unwrap();
    let listed = store.summaries(of_workflow()).await.unwrap();
    assert_eq!(listed.iter().map(|summary| summary.id).collect::<Vec<_>>(), [under_way.id, ended.id], "each once");
    drop(store);
    assert_eq!(measured(&disk), open(disk).unwrap().size().await.unwrap().used_bytes);
}

/// Puts what lists under_way executions by workflow back to the ended ones; tells how many there were.
fn as_second_format(transaction: &WriteTransaction) -> usize {
    let under_way: TableDefinition<'_, &[u8], ()> = TableDefinition::new("open_by_workflow");
    let rows = transaction.open_table(under_way).unwrap();
    let keys: Vec<_> = rows.iter().unwrap().map(|row| row.unwrap().0.value().to_vec()).collect();
    drop(rows);
    assert!(transaction.delete_table(under_way).unwrap());
    let mut by_workflow = transaction.open_table(TableDefinition::<&[u8], ()>::new("by_workflow")).unwrap();
    for key in &keys {
        assert!(by_workflow.insert(key.as_slice(), ()).unwrap().is_none());
    }
    keys.len()
}

fn set_format(path: &Path, format: u64) {
    let transaction = Database::open(path).unwrap().begin_write().unwrap();
    transaction.open_table(META).unwrap().insert("format", format).unwrap();
    transaction.commit().unwrap();
}

#[test]
fn a_file_of_another_kind_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("camshaft.redb");
    let text = "dear diary\n".repeat(100);
    fs::write(&path, &text).unwrap();
    let error = refusal(&path);
    assert!(error.contains("no database of Camshaft"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_database_of_somebody_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.redb");
    let transaction = Database::create(&path).unwrap().begin_write().unwrap();
    transaction.open_table(TableDefinition::<u64, u64>::new("theirs")).unwrap().insert(1, 1).unwrap();
    transaction.commit().unwrap();
    let error = refusal(&path);
    assert!(error.contains("not one of Camshaft"), "{error}");
}

#[test]
fn a_file_cut_short_is_refused_as_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("camshaft.redb");
    drop(RedbStore::open(&path).unwrap());
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(4096).unwrap();
    let error = refusal(&path);
    assert!(error.contains("damaged"), "{error}");
}

#[test]
fn a_folder_in_the_place_of_the_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    refusal(folder.path());
}

#[test]
fn a_place_that_cannot_be_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let error = refusal(&folder.path().join("file/camshaft.redb"));
    assert!(error.contains("not a directory") || error.contains("Not a directory"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_refused_by_its_name() {
    // Writing to this device always says that no space is left.
    let error = refusal(Path::new("/dev/full"));
    assert!(!error.is_empty());
}
