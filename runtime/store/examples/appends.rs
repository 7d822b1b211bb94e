//! How many one-shot executions a second the store makes durable: `cargo run --release -p camshaft-store --example
//! appends -- [SECONDS] [FOLDER]`.
//!
//! Each appender hands in an execution that begins and ends at once, about 2.5 KB of entries, and waits until it is
//! durable. Printed: appends a second, how many shared a commit, and the writer's own share of the processor.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use camshaft_model::entry::{At, Entry, FrameId};
use camshaft_model::ids::{Digest, ExecutionId, Name, ResourceId};
use camshaft_model::invocation::{DeliveryKey, Invocation, RevisionRef, SeenDelivery, TriggerSource};
use camshaft_model::outcome::{AttemptOutcome, Ending, Exit, Outcome, Usage};
use camshaft_model::program::StepAddress;
use camshaft_model::seams::{Append, JournalAppend, Store};
use camshaft_model::summary::{Status, Summary};
use camshaft_model::time::Timestamp;
use camshaft_model::{Value, json};
use camshaft_store::RedbStore;
use uuid::Uuid;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(3.0);
    let folder =
        arguments.next().map_or_else(|| tempfile::tempdir_in(".").map(tempfile::TempDir::keep), |path| Ok(path.into()));
    let folder = folder.expect("a folder can be made here");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads start");
    for appenders in [1, 16, 64, 256] {
        for delivered in [false, true] {
            let path = folder.join(format!("{appenders}-{delivered}.redb"));
            runtime.block_on(measure(&path, appenders, delivered, Duration::from_secs_f64(seconds)));
        }
    }
    std::fs::remove_dir_all(&folder).expect("the folder can be removed");
}

async fn measure(path: &Path, appenders: usize, delivered: bool, time: Duration) {
    let store = Arc::new(RedbStore::open(path).expect("the store opens"));
    let done = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..appenders {
        let (store, done) = (store.clone(), done.clone());
        tasks.push(tokio::spawn(async move {
            let mut slowest = Duration::ZERO;
            while began.elapsed() < time {
                let append = execution(&*store, delivered);
                let handed_in = Instant::now();
                store.append(append).await.expect("the append is durable");
                slowest = slowest.max(handed_in.elapsed());
                done.fetch_add(1, Ordering::Relaxed);
            }
            slowest
        }));
    }
    let mut slowest = Duration::ZERO;
    for task in tasks {
        slowest = slowest.max(task.await.expect("no appender panics"));
    }
    let (appends, took, writer) = (done.load(Ordering::Relaxed), began.elapsed(), writer_seconds());
    drop(store);
    let file = std::fs::metadata(path).map_or(0, |file| file.len());
    println!(
        "{appenders:>4} appenders{}: {:>7.0}/s, writer {:>5.1} us each, slowest {:>6.1} ms, file {:>5.0} bytes each, memory {} MiB",
        if delivered { ", delivered" } else { "           " },
        appends as f64 / took.as_secs_f64(),
        writer * 1e6 / appends as f64,
        slowest.as_secs_f64() * 1e3,
        file as f64 / appends as f64,
        resident_mib(),
    );
}

/// An execution of one task and an exit, about 2.5 KB.
fn execution(store: &dyn Store, delivered: bool) -> Append {
    let id = ExecutionId(Uuid::now_v7());
    let name = |text| Name::new(text).expect("a name");
    let revision =
        RevisionRef { workflow_id: ResourceId::from_bytes([7; 16]), workflow: name("github-triage"), revision: 3 };
    let body: Value = json!({"action": "opened", "issue": {"title": "It does not start", "body": prose(id, 380)}});
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is past 1970");
    let now = Timestamp(now.as_micros() as u64);
    let invocation = Invocation {
        id,
        workspace: name("default"),
        revision: revision.clone(),
        environment: name("production"),
        trigger: TriggerSource::Webhook { integration: name("github") },
        event: Arc::new(
            json!({"id": id.to_string(), "type": "issues.opened", "source": "github", "http_method": "POST",
            "headers": {"user-agent": "GitHub-Hookshot/044aadd", "content-type": "application/json",
                "x-github-event": "issues", "x-github-delivery": id.to_string()}, "body": body}),
        ),
        params: Arc::new(json!({})),
        connection: Arc::default(),
        env: Arc::default(),
        labels: Default::default(),
        request_id: Some(id.to_string()),
        test: false,
        parent: None,
        repeats: None,
        time_limit: None,
    };
    let output = Arc::new(json!({"label": "bug", "priority": 2, "text": prose(id, 240)}));
    let at = At(FrameId::ROOT, StepAddress(0));
    let entries = vec![
        Arc::new(Entry::Accepted { time: now, invocation: Arc::new(invocation) }),
        Arc::new(Entry::Started { time: now }),
        Arc::new(Entry::VariablesSet {
            time: now,
            at,
            values: Arc::new(json!({"input": prose(id, 420)}).as_object().cloned().unwrap_or_default()),
        }),
        Arc::new(Entry::AttemptEnded {
            time: now,
            at,
            attempt: 1,
            outcome: AttemptOutcome::Succeeded(output.clone()),
            retry_at: None,
            usage: Usage::default(),
            log: Vec::new(),
        }),
        Arc::new(Entry::Ended {
            time: now,
            outcome: Arc::new(Outcome {
                ending: Ending::Succeeded,
                output,
                exit: Some(Exit { status: 201, headers: vec![("X-Label".to_owned(), "bug".to_owned())] }),
                failure: None,
                step: Some("answer".to_owned()),
            }),
        }),
    ];
    let summary = Summary {
        id,
        workspace: name("default"),
        revision,
        environment: name("production"),
        trigger: TriggerSource::Webhook { integration: name("github") },
        status: Status::Succeeded,
        accepted_at: now,
        started_at: Some(now),
        updated_at: now,
        ended_at: Some(now),
        failure: None,
        labels: Default::default(),
        connection: None,
        test: false,
        parent: None,
        repeats: None,
        outlook: Default::default(),
    };
    let delivery = delivered.then(|| {
        let key = DeliveryKey {
            workspace: name("default"),
            scope: "integration/github".to_owned(),
            id: Uuid::new_v4().to_string(),
        };
        (
            SeenDelivery { key, body: Digest([1; 32]), at: now, executions: vec![(name("github-triage"), id)] },
            Timestamp(0),
        )
    });
    let journals = vec![JournalAppend { id, fence: store.fence(), from: 0, entries, summary }];
    Append { journals, delivery, ..Append::default() }
}

/// Text that repeats itself about as much as people do, so that nothing gains from it that would not gain from theirs.
fn prose(id: ExecutionId, length: usize) -> String {
    const WORDS: &str = "the server does not start after upgrade because port configuration expected error in line when I \
        open settings and click save nothing happens please see attached log version linux macOS steps to reproduce \
        install package run command observe crash instead of result thanks for great project would be nice have option";
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut seed = u64::from_le_bytes(*id.as_bytes().last_chunk().expect("an id has 16 bytes")) ^ length as u64;
    let mut text = String::new();
    while text.len() < length {
        // Knuth's MMIX generator; its high bits are the good ones.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(words[(seed >> 33) as usize % words.len()]);
        text.push(' ');
    }
    text
}

/// Seconds that the writer's thread has used of a processor.
fn writer_seconds() -> f64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    for thread in threads.flatten() {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        if stat.contains("(store-writer)")
            && let Some((_, fields)) = stat.rsplit_once(')')
        {
            let ticks =
                |at| fields.split_whitespace().nth(at).and_then(|text: &str| text.parse::<f64>().ok()).unwrap_or(0.0);
            return (ticks(11) + ticks(12)) / 100.0;
        }
    }
    0.0
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}
