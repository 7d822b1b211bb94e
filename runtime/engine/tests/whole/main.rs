//! The whole of the language against a crash behind every entry: random programs, random results, random order.
//!
//! A failure prints its seed; `CAMSHAFT_SEED=… cargo test -p camshaft-engine --test whole` runs that program alone, and
//! `CAMSHAFT_PROGRAMS=…` as many as you have time for.

// The world of the other tests, of which these need a part.
#[allow(dead_code)]
#[path = "../drive/clock.rs"]
mod clock;
#[allow(dead_code)]
#[path = "../drive/disk.rs"]
mod disk;
mod generate;
#[allow(dead_code)]
#[path = "../drive/hold.rs"]
mod hold;
mod machine;
mod served;
#[allow(dead_code)]
#[path = "../drive/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use camshaft_model::entry::{Entry, Part};
use camshaft_model::ids::{ExecutionId, Name, ResourceId};
use camshaft_model::invocation::{Invocation, RevisionRef, TriggerSource};
use camshaft_model::json;
use camshaft_model::language::{Compiled, compile};
use camshaft_model::outcome::{AttemptOutcome, FailureKind, Outcome};
use camshaft_model::state::State;
use camshaft_model::time::Timestamp;
use generate::{document, event, mix};
use machine::{Machine, timeless};
use uuid::Uuid;
use world::Shelf;

/// Programs where nobody says how many.
const PROGRAMS: u64 = 20_000;

fn compiled(text: &str) -> Result<Compiled, String> {
    compile(text, &Shelf).map_err(|faults| faults.iter().map(|fault| format!("{fault}\n")).collect())
}

fn accepted() -> Entry {
    let name = |text| Name::new(text).expect("it is a name");
    let invocation = Invocation {
        id: ExecutionId(Uuid::from_u128(1)),
        workspace: name("default"),
        revision: RevisionRef { workflow_id: ResourceId(Uuid::from_u128(7)), workflow: name("random"), revision: 1 },
        environment: name("production"),
        trigger: TriggerSource::Manual,
        event: Arc::new(event()),
        params: Arc::new(json!({})),
        connection: Arc::default(),
        env: Arc::default(),
        labels: BTreeMap::new(),
        request_id: None,
        test: false,
        parent: None,
        repeats: None,
        time_limit: None,
    };
    Entry::Accepted { time: Timestamp::from_millis(1_000_000_000), invocation: Arc::new(invocation) }
}

/// Runs one program to its end, then again from every prefix of its journal.
fn whole(seed: u64, seen: &Mutex<BTreeMap<String, u64>>) -> Result<(), String> {
    let (text, is_wild) = document(seed);
    let program = compiled(&text)?.program;
    let mut first = Machine::on(&program, seed, mix(seed), is_wild, &[accepted()])?;
    first.run()?;
    let mut again = Machine::on(&program, seed, 0, is_wild, &first.journal[..1])?;
    for entry in &first.journal[1..] {
        let text = serde_json::to_string(entry).map_err(|error| error.to_string())?;
        let read: Entry = serde_json::from_str(&text).map_err(|error| format!("{text}: {error}"))?;
        if read != *entry {
            return Err(format!("{text} is read as {read:?}"));
        }
        again.state.apply(&read).map_err(|illegal| illegal.to_string())?;
        again.check().map_err(|why| format!("after {text}: {why}"))?;
    }
    let expected = ended(&first.state)?;
    let kinds = program.steps.iter().map(|step| step.kind.word().to_owned());
    let words = first.journal.iter().map(|entry| match entry {
        Entry::Entered { part: Part::Catch(_), .. } => "catch".to_owned(),
        Entry::Entered { part: Part::Finally, .. } => "finally".to_owned(),
        entry => entry.word().to_owned(),
    });
    let ending = format!("{:?}", expected.ending);
    for what in kinds.chain(words).chain([ending]) {
        *seen.lock().unwrap().entry(what).or_default() += 1;
    }
    for kept in 1..first.journal.len() {
        let crash = |why: String| format!("after a crash behind entry {kept}: {why}");
        let mut after =
            Machine::on(&program, seed, mix(seed ^ kept as u64), is_wild, &first.journal[..kept]).map_err(crash)?;
        after.run().map_err(crash)?;
        let found = ended(&after.state).map_err(crash)?;
        if after.journal.iter().any(is_lost) {
            *seen.lock().unwrap().entry("lost".to_owned()).or_default() += 1;
        }
        if !is_wild && (found != expected || after.outputs != first.outputs) {
            let what = format!("{found:?}\n{:?}\ninstead of\n{expected:?}\n{:?}", after.outputs, first.outputs);
            return Err(crash(what));
        }
    }
    Ok(())
}

fn is_lost(entry: &Entry) -> bool {
    matches!(entry, Entry::AttemptEnded { outcome: AttemptOutcome::Failed(why), .. } if why.kind == FailureKind::Lost)
}

/// How an execution ended, but for the times in it.
fn ended(state: &State) -> Result<Outcome, String> {
    let mut outcome = Outcome::clone(state.outcome.as_deref().ok_or("it has not ended")?);
    if !state.open.is_empty() || !state.frames.is_empty() {
        return Err("something is open behind the end".to_owned());
    }
    outcome.output = Arc::new(timeless((*outcome.output).clone()));
    Ok(outcome)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, found {text}")))
}

/// Runs `check` for every seed on every processor; the first that fails is told with its seed and its document.
fn each(programs: u64, check: impl Fn(u64) -> Result<(), String> + Sync) {
    let seeds =
        number("CAMSHAFT_SEED").map_or(0..number("CAMSHAFT_PROGRAMS").unwrap_or(programs), |seed| seed..seed + 1);
    let (next, end) = (AtomicU64::new(seeds.start), seeds.end);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= end {
                return;
            }
            let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(seed)));
            if let Err(why) = checked.unwrap_or_else(|_| Err("it panicked".to_owned())) {
                next.store(end, Ordering::SeqCst);
                panic!("CAMSHAFT_SEED={seed}: {why}\n{}", document(seed).0);
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..std::thread::available_parallelism().map_or(1, usize::from)).map(|_| scope.spawn(work)).collect();
        let failed = workers.into_iter().filter_map(|worker| worker.join().err()).next();
        if let Some(panic) = failed {
            std::panic::resume_unwind(panic);
        }
    });
}

#[test]
fn after_a_crash_behind_any_entry_every_program_comes_to_its_end() {
    let seen = Mutex::new(BTreeMap::new());
    each(PROGRAMS, |seed| whole(seed, &seen));
    if number("CAMSHAFT_SEED").is_some() {
        return;
    }
    let seen = seen.into_inner().unwrap();
    for what in [
        "approval_given",
        "catch",
        "child_ended",
        "event_taken",
        "exit_reached",
        "finally",
        "lock_taken",
        "lost",
        "retry_scheduled",
    ] {
        assert!(seen.get(what).is_some_and(|times| *times > 0), "no program came to {what}: {seen:?}");
    }
}

/// Programs that are run by the whole engine where nobody says how many.
const SERVED: u64 = 2_000;

#[test]
fn after_a_crash_behind_any_append_the_engine_brings_every_program_to_its_end() {
    each(SERVED, served::served);
}
