//! The same programs, run by the whole engine on a disk that is cut behind every append.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use camshaft_model::entry::{Awaited, Entry};
use camshaft_model::ids::ExecutionId;
use camshaft_model::json;
use camshaft_model::outcome::StepOutcome;
use camshaft_model::seams::{Answer, Append, Clock, Dispatch, Published, TaskCall};
use camshaft_model::state::{Stage, State};
use camshaft_model::time::Timestamp;
use futures::FutureExt;

use crate::disk::Disk;
use crate::ended;
use crate::generate::{document, event};
use crate::machine::{Machine, answer, events, hour, result};
use crate::world::{self, FakePlugins, SharedClock, World, message};

/// What `workflow` steps start.
const CHILD: &str = "
name: child
params: { id: string, fails: boolean }
steps:
  - if: $.params.fails
    then: [ { id: ko, task: observable, with: '{{ $.params.id }}' } ]
    else: [ { id: ok, task: observable, with: '{{ $.params.id }}' } ]
";

/// When every execution of these tests is accepted.
const BEGIN: Timestamp = Timestamp(1_000_000_000_000);

type Faults = Arc<Mutex<Vec<String>>>;

/// Runs one program to its end, then again on every disk that a crash may have left.
pub fn served(seed: u64) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let (text, is_wild) = document(seed);
        let workflows = vec![world::document(7, &text), world::document(8, CHILD)];
        let (whole, faults) = serve(seed, Arc::default(), &workflows, 1);
        whole.engine.recover().await.map_err(|error| error.to_string())?;
        let id = whole.start(event()["body"].clone()).await;
        finish(&whole, seed, id).await?;
        let check = |world: &World| {
            in_order(&world.disk.log())?;
            faults.lock().unwrap().pop().map_or(Ok(()), Err)?;
            Machine::on(&workflows[0].program, seed, 0, is_wild, &world.disk.journal(id))
        };
        let first = check(&whole)?;
        let expected = ended(&first.state)?;
        for kept in 1..whole.disk.appends() {
            let crash = |why: String| format!("after a crash behind append {kept}: {why}");
            let (after, faults) = serve(seed, whole.disk.cut(kept), &workflows, 100_000);
            after.engine.recover().await.map_err(|error| error.to_string())?;
            finish(&after, seed, id).await.map_err(crash)?;
            faults.lock().unwrap().pop().map_or(Ok(()), Err).map_err(crash)?;
            let again = check(&after).map_err(crash)?;
            let found = ended(&again.state).map_err(crash)?;
            if !is_wild && (found != expected || again.outputs != first.outputs) {
                let what = format!("{found:?}\n{:?}\ninstead of\n{expected:?}\n{:?}", again.outputs, first.outputs);
                return Err(crash(what));
            }
        }
        Ok(())
    })
}

/// A server on a disk, at the time of the latest entry. Its plugins tell when they were called too early.
fn serve(seed: u64, disk: Arc<Disk>, workflows: &[Arc<Published>], first_id: u64) -> (World, Faults) {
    let (clock, faults) = (SharedClock::default(), Faults::default());
    clock.advance_to_start();
    if let Some(latest) = disk.summaries().values().map(|summary| summary.updated_at).max() {
        clock.0.advance(latest.since(BEGIN));
    }
    let mut plugins = FakePlugins::default();
    for name in ["silent", "observable"] {
        let (disk, clock, faults) = (disk.clone(), clock.clone(), faults.clone());
        let behaviour = move |call: &TaskCall| {
            if call.plugin.observable && !is_durable(&disk, call) {
                faults.lock().unwrap().push(format!("`{}` was called before its attempt was durable", call.step));
            }
            let hour = hour(BEGIN, clock.now());
            let done = result(seed, &call.step, &call.iteration, call.attempt, hour, &call.input.value);
            async move {
                tokio::task::yield_now().await;
                done
            }
            .boxed()
        };
        plugins.behaviours.insert(name, Box::new(behaviour));
    }
    (World::begin(disk, plugins, Arc::default(), workflows.to_vec(), clock, first_id), faults)
}

fn is_durable(disk: &Disk, call: &TaskCall) -> bool {
    let Ok(Some(state)) = State::fold(&disk.journal(call.execution)) else { return false };
    state.open.iter().any(|(at, open)| {
        matches!(&open.stage, Stage::Attempting { input } if *input == call.input)
            && open.attempt == call.attempt
            && state.turns(at.0) == call.iteration
    })
}

/// Sends the events, answers what is asked, and lets time pass where nothing else happens, until the execution has ended.
async fn finish(world: &World, seed: u64, id: ExecutionId) -> Result<(), String> {
    let received: Vec<String> = world
        .disk
        .journal(id)
        .into_iter()
        .filter_map(|entry| match entry {
            Entry::EventReceived { event, .. } => event["id"].as_str().map(str::to_owned),
            _ => None,
        })
        .collect();
    let listens = world.published.program.topics().any(|topic| topic == "out");
    // What was acknowledged is not sent again: it is the engine's to remember.
    for event in events().into_iter().filter(|_| listens) {
        let event_id = event["id"].as_str().unwrap_or_default();
        if !received.iter().any(|known| known == event_id) {
            let sent = message("out", event_id, event["data"].clone());
            // It may have ended already.
            let _ = world.dispatcher.send_to(id, sent).await;
        }
    }
    for _ in 0..1_000 {
        for _ in 0..150 {
            tokio::task::yield_now().await;
        }
        if world.has_ended(id) {
            return Ok(());
        }
        if !answer_all(world, seed, id).await? {
            let due = world.clock.0.next().ok_or("nothing is due")?;
            world.clock.0.advance(due.since(world.clock.now()));
        }
    }
    Err(format!("it does not end: {:?}", world.disk.words(id)))
}

async fn answer_all(world: &World, seed: u64, id: ExecutionId) -> Result<bool, String> {
    let state = State::fold(&world.disk.journal(id)).map_err(|illegal| illegal.to_string())?.ok_or("it is there")?;
    let mut answered = false;
    for (at, open) in &state.open {
        let Stage::Waiting { awaited: Awaited::Approval { .. }, .. } = open.stage else { continue };
        let (path, turns) = (world.published.program.step(at.1).path.clone(), state.turns(at.0));
        if let Some(approved) = answer(seed, &path, &turns) {
            let (step, iteration, by) = (Some(path), Some(turns), "ops".to_owned());
            let answer = Answer { step, iteration, approved, by, is_operator: false, manages: true, comment: None };
            // Another answer may have ended what asked for this one.
            answered |= world.dispatcher.answer(id, answer).await.is_ok();
        }
    }
    Ok(answered)
}

/// Nothing is told before what led to it: an event is received behind its emission, and a child begins with its parent's word.
fn in_order(log: &[Append]) -> Result<(), String> {
    let mut emitted = BTreeSet::new();
    for append in log {
        let entries = || append.journals.iter().flat_map(|journal| &journal.entries);
        for entry in entries() {
            match &**entry {
                Entry::EventReceived { event, .. }
                    if event["source"] != json!("/test") && !emitted.contains(&event["id"].to_string()) =>
                {
                    return Err(format!("{event} was received before it was emitted"));
                }
                Entry::Accepted { invocation, .. } if invocation.parent.is_some() => {
                    let names = |entry: &Entry| match entry {
                        Entry::WaitStarted { awaited: Awaited::Child { execution, .. }, .. } => {
                            *execution == invocation.id
                        }
                        Entry::StepEnded { outcome: StepOutcome::Succeeded(output), .. } => {
                            output["execution"] == json!(invocation.id.to_string())
                        }
                        _ => false,
                    };
                    if !entries().any(|entry| names(entry)) {
                        return Err(format!("child {} was begun, and its parent does not know", invocation.id));
                    }
                }
                _ => {}
            }
        }
        for entry in entries() {
            if let Entry::EventEmitted { event, .. } = &**entry {
                emitted.insert(event["id"].to_string());
            }
        }
    }
    Ok(())
}
