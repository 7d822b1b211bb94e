//! Golden journals: what the engine writes down for each kind of step and each kind of failure, as text that people review.
//!
//! A case is a folder here: `workflow.yaml` is what is started, further documents are workflows that it may start, `case.json`
//! says what comes from outside, and `journal.txt` is what the engine writes. A new case is a new folder, never new code:
//!
//! ```text
//! { "about":  "one sentence",
//!   "body":   what $.event.body is,
//!   "starts": how many executions (1 where it is left out),
//!   "calls":  { step: [how its first attempt ends, its second, …] }      the last one counts for all further ones;
//!             a call ends with {"gives": value} or {"fails": {"kind", "message"}}, or not before a crash: "hangs";
//!             in the turns of a loop with {"gives_each": [value of the first turn, of the second, …]}.
//!             a step that is not named gives what it is given
//!   "then":   [what happens, one after the other, each once nothing moves any more] }
//!             {"pass": "10s"}   {"send": {"topic", "id", "data"}}   {"answer": {"approved", "by", "comment"}}
//!             {"cancel": "who"}   "crash"
//! ```
//!
//! `CAMSHAFT_UPDATE=1 cargo test -p camshaft-engine --test cases` writes the journals anew, for you to review.

// The world of the other tests, of which these need a part.
#[allow(dead_code)]
#[path = "../drive/clock.rs"]
mod clock;
#[allow(dead_code)]
#[path = "../drive/disk.rs"]
mod disk;
mod documented;
#[allow(dead_code)]
#[path = "../drive/hold.rs"]
mod hold;
mod journal;
#[allow(dead_code)]
#[path = "../drive/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use camshaft_model::ids::ExecutionId;
use camshaft_model::outcome::{Failure, FailureKind};
use camshaft_model::seams::{Answer, Dispatch, Published, TaskCall};
use camshaft_model::state::State;
use camshaft_model::{Value, json};
use futures::FutureExt;
use futures::future::BoxFuture;
use world::{FakePlugins, SharedClock, World, document};

const WORKFLOW: &str = "workflow.yaml";
const CASE: &str = "case.json";
const JOURNAL: &str = "journal.txt";

/// Words of the language, each of which some case has to run.
const KINDS: [&str; 14] = [
    "task", "if", "switch", "set", "exit", "for_each", "repeat", "parallel", "try", "wait", "approval", "lock",
    "workflow", "emit",
];

/// Entries that no case writes: an execution is seeded by a rerun, which the server begins.
const ENTRIES_ELSEWHERE: [&str; 1] = ["seeded"];

/// What a case brought about.
struct Ran {
    text: String,
    kinds: BTreeSet<String>,
    words: BTreeSet<String>,
}

fn folder() -> PathBuf {
    // Asked when the test runs: what was compiled in may be another clone with the same target folder.
    let engine = std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    Path::new(&engine).join("tests/cases")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().expect("a name is text")).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// How a call ends, as `case.json` says.
fn ending(case: &Value, crashed: bool, call: &TaskCall) -> BoxFuture<'static, Result<Value, Failure>> {
    let endings = case["calls"][call.step.as_str()].as_array();
    let said = endings.and_then(|endings| endings.get(call.attempt as usize - 1).or(endings.last()));
    let done = match said {
        None => Ok(call.input.value.clone()),
        Some(Value::String(word)) if word == "hangs" && crashed => Ok(call.input.value.clone()),
        Some(Value::String(word)) if word == "hangs" => return futures::future::pending().boxed(),
        Some(said) => match (said.get("gives"), said.get("fails")) {
            (Some(value), None) => Ok(value.clone()),
            (None, None) => Ok(said["gives_each"][call.iteration.last().copied().unwrap_or(0) as usize].clone()),
            (None, Some(failure)) => Err(serde_json::from_value(failure.clone()).unwrap()),
            _ => panic!("a call gives, fails or hangs: {said}"),
        },
    };
    futures::future::ready(done).boxed()
}

fn serve(case: &Arc<Value>, workflows: &[Arc<Published>], before: Option<&World>) -> World {
    let mut plugins = FakePlugins::default();
    for plugin in ["silent", "observable", "http-request", "template", "echo", "classify"] {
        let (case, crashed) = (case.clone(), before.is_some());
        plugins.behaviours.insert(plugin, Box::new(move |call| ending(&case, crashed, call)));
    }
    let (disk, clock, first_id) = match before {
        Some(before) => (before.disk.cut(before.disk.appends()), before.clock.clone(), 100),
        None => {
            let clock = SharedClock::default();
            clock.advance_to_start();
            (Arc::default(), clock, 1)
        }
    };
    World::begin(disk, plugins, Arc::default(), workflows.to_vec(), clock, first_id)
}

async fn run(folder: &Path) -> Ran {
    let mut files = names(folder);
    assert!(files.remove(WORKFLOW) && files.remove(CASE), "a case has `{WORKFLOW}` and `{CASE}`");
    files.remove(JOURNAL);
    let (others, strangers): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.ends_with(".yaml"));
    assert!(strangers.is_empty(), "nothing reads {strangers:?}");
    let documents = std::iter::once(WORKFLOW.to_owned()).chain(others);
    let workflows: Vec<_> =
        documents.enumerate().map(|(number, file)| document(number as u128 + 7, &read(&folder.join(file)))).collect();
    let case: Arc<Value> = Arc::new(serde_json::from_str(&read(&folder.join(CASE))).unwrap());
    let known = ["about", "body", "starts", "calls", "then"];
    let unknown: Vec<_> = case.as_object().unwrap().keys().filter(|key| !known.contains(&key.as_str())).collect();
    assert!(
        unknown.is_empty() && case["about"].is_string(),
        "a case says what it is about, and nothing like {unknown:?}"
    );

    let mut world = serve(&case, &workflows, None);
    world.engine.recover().await.unwrap();
    let mut started = Vec::new();
    for _ in 0..case["starts"].as_u64().unwrap_or(1) {
        started.push(world.start(case["body"].clone()).await);
    }
    world.rest().await;
    for happening in case["then"].as_array().into_iter().flatten() {
        if happening == "crash" {
            world = serve(&case, &workflows, Some(&world));
            world.engine.recover().await.unwrap();
        } else {
            happen(&world, started[0], happening).await;
        }
        world.rest().await;
    }

    let mut ran = Ran { text: String::new(), kinds: BTreeSet::new(), words: BTreeSet::new() };
    ran.text.push_str(&format!("{}\n", case["about"].as_str().unwrap()));
    for (number, (id, summary)) in world.disk.summaries().into_iter().enumerate() {
        let entries = world.disk.journal(id);
        let state = State::fold(&entries).expect("no entry is illegal").expect("there is a first one");
        assert!(state.outcome.is_some(), "{id} has not ended: {:?}", world.disk.words(id));
        let published = workflows.iter().find(|known| known.revision == summary.revision).unwrap();
        ran.kinds.extend(published.program.steps.iter().map(|step| step.kind.word().to_owned()));
        ran.words.extend(entries.iter().map(|entry| entry.word().to_owned()));
        ran.text.push_str(&journal::text(number + 1, published, &entries));
    }
    ran
}

async fn happen(world: &World, id: ExecutionId, happening: &Value) {
    let (what, how) = happening.as_object().and_then(|one| one.iter().next()).expect("a happening has a name");
    let text = |value: &Value| value.as_str().expect("it is a text").to_owned();
    match what.as_str() {
        "pass" => world.pass(humantime::parse_duration(&text(how)).unwrap()).await,
        "send" => drop(world.send(&text(&how["topic"]), &text(&how["id"]), how["data"].clone()).await),
        "answer" => {
            let answer = Answer {
                step: None,
                iteration: None,
                approved: how["approved"].as_bool().unwrap(),
                by: text(&how["by"]),
                is_operator: false,
                manages: true,
                comment: how["comment"].as_str().map(str::to_owned),
            };
            world.dispatcher.answer(id, answer).await.unwrap();
        }
        "cancel" => world.dispatcher.cancel(id, text(how)).await.unwrap(),
        other => panic!("nobody knows how to `{other}`"),
    }
}

/// Runs one case and holds what it wrote against its journal. What is wrong is the error.
fn check(folder: &Path, update: bool) -> Result<Ran, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(run(folder))));
    let ran = ran.map_err(|_| "it panicked, see above".to_owned())?;
    let golden = folder.join(JOURNAL);
    if update {
        fs::write(&golden, &ran.text).map_err(|error| error.to_string())?;
        return Ok(ran);
    }
    let expected = fs::read_to_string(&golden).map_err(|error| format!("{JOURNAL}: {error}"))?;
    match journal::difference(&expected, &ran.text) {
        None => Ok(ran),
        Some(difference) => Err(difference),
    }
}

#[test]
fn every_case_writes_the_journal_that_was_reviewed() {
    let update = std::env::var_os("CAMSHAFT_UPDATE").is_some_and(|value| value == "1");
    let root = folder();
    let cases: Vec<_> = names(&root).into_iter().filter(|name| !name.ends_with(".rs")).collect();
    let (mut faults, mut seen) = (Vec::new(), BTreeMap::<String, String>::new());
    let mut note = |what: String, case: &str| {
        seen.entry(what).or_insert_with(|| case.to_owned());
    };
    for case in &cases {
        assert!(root.join(case).is_dir(), "`{case}` is neither a case nor code");
        match check(&root.join(case), update) {
            Err(why) => faults.push(format!("case `{case}`: {why}")),
            Ok(ran) => {
                ran.kinds.iter().for_each(|kind| note(format!("step {kind}"), case));
                ran.words.iter().for_each(|word| note(format!("entry {word}"), case));
                for kind in FailureKind::ALL.iter().filter(|kind| ran.text.contains(&format!("\"kind\":\"{kind}\""))) {
                    note(format!("failure {kind}"), case);
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} of {} cases are otherwise:\n\n{}", faults.len(), cases.len(), faults.join("\n\n"));
    let wanted = KINDS.iter().map(|kind| format!("step {kind}"));
    let wanted = wanted.chain(FailureKind::ALL.iter().map(|kind| format!("failure {kind}")));
    let wanted = wanted.chain(journal::WORDS.iter().map(|word| format!("entry {word}")));
    let missing: Vec<_> = wanted.filter(|what| !seen.contains_key(what)).collect();
    let elsewhere: Vec<_> = ENTRIES_ELSEWHERE.iter().map(|word| format!("entry {word}")).collect();
    assert_eq!(missing, elsewhere, "no case comes to these");
}

#[test]
fn a_journal_that_is_otherwise_is_found_and_shown() {
    let root = folder();
    let mut case: Value = serde_json::from_str(&read(&root.join("task").join(CASE))).unwrap();
    case["body"] = json!("another one");
    let copy = std::env::temp_dir().join(format!("camshaft-case-{}", std::process::id()));
    fs::create_dir_all(&copy).unwrap();
    for file in [WORKFLOW, JOURNAL] {
        fs::copy(root.join("task").join(file), copy.join(file)).unwrap();
    }
    fs::write(copy.join(CASE), case.to_string()).unwrap();
    let said = check(&copy, false);
    fs::write(copy.join("stranger.txt"), "").unwrap();
    let stranger = check(&copy, false);
    fs::remove_dir_all(&copy).unwrap();
    let said = said.err().expect("it is otherwise");
    assert!(said.contains("- ") && said.contains("+ ") && said.contains("another one"), "{said}");
    assert!(stranger.is_err(), "a file that nothing reads is told");
}
