//! What pruning costs those who append meanwhile, and what of the file it gives back: `cargo run --release -p camshaft-store
//! --example pruning -- [EXECUTIONS] [FOLDER]`.
//!
//! A store is filled with executions of about 1.5 KB; then sixteen appenders go on for some seconds, first alone, then while
//! the old executions are pruned as the server prunes them; then nobody appends, and all but a tenth is pruned. Printed: the
//! appends, how long the slowest hundredth took, and the size of the file at each step.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use camshaft_model::entry::{At, Entry, FrameId};
use camshaft_model::ids::ExecutionId;
use camshaft_model::json;
use camshaft_model::program::StepAddress;
use camshaft_model::seams::{Append, JournalAppend, Prune, Store};
use camshaft_model::time::Timestamp;
use camshaft_store::RedbStore;
use futures::StreamExt;
use uuid::Uuid;

const APPENDERS: usize = 16;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let executions = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(200_000);
    let folder =
        arguments.next().map_or_else(|| tempfile::tempdir_in(".").map(tempfile::TempDir::keep), |path| Ok(path.into()));
    let folder = folder.expect("a folder can be made here");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads start");
    runtime.block_on(measure(&folder, executions));
    std::fs::remove_dir_all(&folder).expect("the folder can be removed");
}

async fn measure(folder: &Path, executions: usize) {
    let path = folder.join("store.redb");
    let store = Arc::new(RedbStore::open(&path).expect("the store opens"));
    let mut left = executions;
    while left > 0 {
        let appends = (0..left.min(256)).map(|_| store.append(execution(&*store)));
        left -= appends.len();
        futures::future::join_all(appends).await.into_iter().for_each(|done| done.expect("it is durable"));
    }
    show("filled", &store, &path).await;
    append_for(&store, "alone", &AtomicBool::new(true), Duration::from_secs(5)).await;

    let end = Timestamp(u64::MAX);
    let pruning = AtomicBool::new(true);
    let prune = async {
        let began = Instant::now();
        let (mut gone, mut slowest) = (0, Duration::ZERO);
        while gone < executions * 9 / 10 {
            let handed_in = Instant::now();
            let pruned = store.prune(Prune { ended_before: end, limit: 64, entries: 2_000 }).await.expect("it prunes");
            slowest = slowest.max(handed_in.elapsed());
            gone += pruned.executions;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        pruning.store(false, Ordering::Release);
        println!(
            "pruned {gone} in {:.1} s, the slowest transaction {:.1} ms",
            began.elapsed().as_secs_f64(),
            slowest.as_secs_f64() * 1e3
        );
    };
    tokio::join!(prune, append_for(&store, "while pruning", &pruning, Duration::from_secs(3600)));
    show("pruned", &store, &path).await;

    let goal = store.size().await.expect("it has a size").used_bytes / 10;
    while store.size().await.expect("it has a size").used_bytes > goal {
        store.prune(Prune { ended_before: end, limit: 64, entries: 2_000 }).await.expect("it prunes");
    }
    show("pruned to a tenth, nobody appends", &store, &path).await;

    let began = Instant::now();
    let copy = folder.join("copy");
    let mut pieces = store.snapshot().await.expect("there is a copy");
    let mut file = std::fs::File::create(&copy).expect("a file can be made");
    while let Some(piece) = pieces.next().await {
        std::io::Write::write_all(&mut file, &piece.expect("it is read")).expect("it is written");
    }
    println!(
        "copied in {:.1} s, {} MiB",
        began.elapsed().as_secs_f64(),
        std::fs::metadata(&copy).map_or(0, |file| file.len()) >> 20
    );
    drop(pieces);
    drop(Arc::into_inner(store).expect("nobody has it any more"));
    println!("closed: {}", on_disk(&path));
    let began = Instant::now();
    let restored = folder.join("restored.redb");
    let source = std::io::BufReader::with_capacity(1 << 20, std::fs::File::open(&copy).expect("it is there"));
    RedbStore::restore(&restored, source).expect("it becomes a store");
    println!("restored in {:.1} s: {}", began.elapsed().as_secs_f64(), on_disk(&restored));
}

async fn show(what: &str, store: &RedbStore, path: &Path) {
    let size = store.size().await.expect("it has a size");
    println!("{what}: {} MiB kept, {}", size.used_bytes >> 20, on_disk(path));
}

fn on_disk(path: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    let file = std::fs::metadata(path).expect("the file is there");
    format!("file {} MiB, of which {} MiB on the disk", file.len() >> 20, (file.blocks() * 512) >> 20)
}

/// Appends while `going`, for at most `time`.
async fn append_for(store: &Arc<RedbStore>, what: &str, going: &AtomicBool, time: Duration) {
    let began = Instant::now();
    let all = (0..APPENDERS).map(|_| async {
        let mut took = Vec::new();
        while going.load(Ordering::Acquire) && began.elapsed() < time {
            let append = execution(&**store);
            let handed_in = Instant::now();
            store.append(append).await.expect("it is durable");
            took.push(handed_in.elapsed());
        }
        took
    });
    let all = futures::future::join_all(all);
    let mut took: Vec<Duration> = all.await.into_iter().flatten().collect();
    took.sort();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{what}: {:.0} appends/s, median {:.1} ms, 99 % within {:.1} ms, slowest {:.1} ms",
        took.len() as f64 / began.elapsed().as_secs_f64(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

/// An execution that begins and ends at once, about 1.5 KB with its summary and its places in the indexes.
fn execution(store: &dyn Store) -> Append {
    let id = ExecutionId(Uuid::now_v7());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is past 1970");
    let now = Timestamp(now.as_micros() as u64);
    // Digits of random numbers: they shrink to about half, as what people send does.
    let text: String = (0..50).map(|_| Uuid::new_v4().as_simple().to_string()).collect();
    let values = Arc::new(json!({"text": text}).as_object().cloned().unwrap_or_default());
    let at = At(FrameId::ROOT, StepAddress(0));
    let entries = vec![Arc::new(Entry::Started { time: now }), Arc::new(Entry::VariablesSet { time: now, at, values })];
    let summary = json!({
        "id": id, "workspace": "default", "environment": "production", "status": "succeeded",
        "revision": {"workflow_id": Uuid::nil(), "workflow": "github-triage", "revision": 3},
        "trigger": {"kind": "webhook", "integration": "github"},
        "accepted_at": now, "started_at": now, "updated_at": now, "ended_at": now,
    });
    let summary = serde_json::from_value(summary).expect("it is a summary");
    let journals = vec![JournalAppend { id, fence: store.fence(), from: 0, entries, summary }];
    Append { journals, ..Append::default() }
}
