//! A hundred kills: the real binary under load, ended with SIGKILL a hundred times at points that a seed chooses. At the end
//! the books are balanced: what was acknowledged, what has ended, what was done outside, and how often.
//!
//! `CAMSHAFT_SEED=… cargo test -p camshaft-tests --test suite kills` chooses the same points again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use crate::support::recorder::Recorder;
use crate::support::server::{Server, send};

const KILLS: u64 = 100;
const CALLERS: u64 = 3;
/// What each execution does outside: one call, one for each of its lines, one behind its waits.
const EFFECTS: usize = 5;

/// Silent steps, calls that the outside sees and that are refused at first, a loop whose turns run beside each other, waits, a
/// variable, and an end that says what the steps put out.
fn workflow(recorder: &Recorder) -> String {
    let url = &recorder.url;
    let call = |id: &str, body: &str| {
        format!(
            "{{ id: {id}, task: http-request@1, with: {{ method: POST, url: \"{url}/{id}\", body: {body} }}, retry: {{ attempts: 20, first: 1ms, factor: 1 }} }}"
        )
    };
    format!(
        r#"
name: kills
triggers: [ {{ webhook: {{ integration: load }} }} ]
steps:
  - {{ id: before, task: echo@1, with: {{ n: "{{{{ $.event.body.n }}}}" }} }}
  - {first}
  - wait: 1ms
  - id: lines
    for_each: $.event.body.lines
    as: line
    concurrency: 2
    do:
      - {{ id: silent, task: echo@1, with: "{{{{ $.line }}}}" }}
      - {line}
      - wait: 1ms
    collect: $.steps.silent
  - try: [ {{ task: fail@1, with: {{ message: on purpose }} }} ]
    catch: [ {{ set: {{ caught: "{{{{ $.error.kind }}}}" }} }} ]
  - {last}
  - exit: {{ status: 200, body: {{ n: "{{{{ $.steps.before.n }}}}", lines: "{{{{ $.steps.lines }}}}", caught: "{{{{ $.vars.caught }}}}" }} }}
"#,
        first = call("first", "\"{{ $.steps.before }}\""),
        line = call("line", "\"{{ $.line }}\""),
        last = call("last", "\"{{ $.steps.lines }}\""),
    )
}

/// Every third key is refused once before it is taken.
fn refuse(key: &str) -> u32 {
    u32::from(key.bytes().map(u32::from).sum::<u32>().is_multiple_of(3))
}

/// splitmix64: what a seed says, one number after the other.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

/// Sends deliveries until the server is gone. Every second one waits for its answer, the others are told the id at once. Gives
/// what was acknowledged: by its number, and by its id where that was told.
fn caller(url: String, first: u64, count: Arc<AtomicU64>) -> Vec<(u64, Option<String>)> {
    let mut acknowledged = Vec::new();
    for number in first.. {
        let waits = number % 2 == 0;
        let body = format!(r#"{{"n": {number}, "lines": [{number}, "a", "b"]}}"#);
        let url = format!("{url}/v1/webhooks/load/workflows/kills{}", if waits { "/sync" } else { "" });
        match send("POST", &url, &[("Content-Type", "application/json")], body.as_bytes()) {
            Ok(answer) if answer.status == 200 && waits => {
                assert_eq!(answer.json()["n"], number, "{}", answer.text());
                acknowledged.push((number, None));
            }
            Ok(answer) if answer.status == 200 => {
                acknowledged.push((number, Some(answer.json()["execution_id"].as_str().expect("an id").to_owned())));
            }
            // It is starting, or stopping.
            Ok(answer) => {
                assert_eq!(answer.status, 503, "{}", answer.text());
                continue;
            }
            Err(_) => return acknowledged,
        }
        count.fetch_add(1, Ordering::SeqCst);
    }
    unreachable!("numbers do not end")
}

/// Every execution that there is.
fn all(server: &Server) -> BTreeSet<String> {
    let (mut found, mut before) = (BTreeSet::new(), String::new());
    loop {
        let page = server.ok("GET", &format!("/api/v1/executions?limit=200{before}"), "");
        for item in page["items"].as_array().expect("a page has items") {
            found.insert(item["id"].as_str().expect("an id").to_owned());
        }
        match page["next"].as_str() {
            Some(next) => before = format!("&before={next}"),
            None => return found,
        }
    }
}

#[test]
fn after_a_hundred_kills_what_was_acknowledged_has_ended_and_each_effect_was_made_once() {
    let seed = std::env::var("CAMSHAFT_SEED").map_or(20_261_121, |seed| seed.parse().expect("a seed is a number"));
    println!("CAMSHAFT_SEED={seed}");
    let mut chance = Chance(seed);
    let recorder = Recorder::refusing(refuse);
    let mut server = Server::start();
    server.ok("PUT", "/api/v1/integrations/load", r#"{"adapter": "generic"}"#);
    let grant = format!(r#"{{"hosts": ["{}"], "private_addresses": true}}"#, recorder.url);
    server.ok("PUT", "/api/v1/plugins/http-request/grant", &grant);
    server.publish("kills", &workflow(&recorder));

    let mut acknowledged = BTreeMap::new();
    for kill in 0..KILLS {
        // The moment is counted in acknowledgements or in calls that the outside has seen: it does not hang on the speed of the
        // machine. What else the server is doing then is different each time.
        let by_calls = chance.below(2) == 0;
        let enough = 1 + chance.below(if by_calls { 30 } else { 8 });
        let count = Arc::new(AtomicU64::new(0));
        let callers: Vec<_> = (0..CALLERS)
            .map(|number| {
                let (count, url) = (count.clone(), server.url.clone());
                std::thread::spawn(move || caller(url, (kill * CALLERS + number) * 1_000_000, count))
            })
            .collect();
        let before = recorder.count();
        let reached = || if by_calls { recorder.count() - before } else { count.load(Ordering::SeqCst) };
        while reached() < enough {
            assert!(
                !callers.iter().all(|caller| caller.is_finished()),
                "nobody calls any more; the log: {}",
                server.log()
            );
            std::thread::yield_now();
        }
        server = server.crash_and_restart();
        for caller in callers {
            acknowledged.extend(caller.join().expect("callers do not panic"));
        }
    }

    let executions = all(&server);
    let mut numbers = BTreeMap::new();
    for id in &executions {
        let execution = server.ended(id);
        assert_eq!(execution["status"], "succeeded", "{execution:#}");
        let body = &execution["output"]["body"];
        let number = body["n"].as_u64().expect("it says its number");
        assert_eq!(*body, json!({"n": number, "lines": [number, "a", "b"], "caught": "failed"}));
        assert_eq!(numbers.insert(number, id.as_str()), None, "number {number} was sent once and ran twice");
    }
    for (number, told) in &acknowledged {
        let ran = numbers.get(number).unwrap_or_else(|| panic!("number {number} was acknowledged and is gone"));
        assert!(told.as_ref().is_none_or(|told| told == ran), "number {number} ran as {ran}, and was told as {told:?}");
    }
    // Each effect was made once, and each belongs to an execution; whatever was called, and however often.
    let (calls, effects) = (recorder.calls(), recorder.effects());
    assert_eq!(calls.len(), effects.len(), "a call was never taken");
    let mut made = BTreeMap::<&str, usize>::new();
    for key in effects.keys() {
        let id = key.split('/').next().expect("a key begins with the execution");
        assert!(executions.contains(id), "an effect of an execution that never was: {key}");
        *made.entry(id).or_default() += 1;
    }
    for id in &executions {
        let keys: Vec<_> = effects.keys().filter(|key| key.starts_with(id.as_str())).collect();
        assert_eq!(made.get(id.as_str()), Some(&EFFECTS), "{id} was seen outside with the keys {keys:?}");
    }
    assert_eq!(effects.len(), executions.len() * EFFECTS);
    let refused: u64 = calls.keys().map(|key| u64::from(refuse(key))).sum();
    let again = recorder.count() - refused - effects.len() as u64;
    println!(
        "{KILLS} kills: {} acknowledged of {} executions, all ended; {} effects, each once, by {} calls: {refused} refused, {again} made again",
        acknowledged.len(),
        executions.len(),
        effects.len(),
        recorder.count(),
    );
}
