//! The language from outside: what a document compiles to, what is said of a bad one, and that expressions agree with jq.

mod connections;
mod diagnostics;
mod documents;
mod expressions;
mod limits;
mod random;
mod schedules;
mod steps;
mod visible;

use camshaft_model::Value;
use camshaft_model::ids::{Digest, Name};
use camshaft_model::language::diagnose::Diagnostic;
use camshaft_model::language::template::Template;
use camshaft_model::language::{Compiled, FindTask, TaskMissing, compile};
use camshaft_model::plugin::PluginPin;
use camshaft_model::program::{Step, StepAddress, StepKind};
use semver::{Version, VersionReq};

/// Some tasks and an adapter.
struct Shelf;

impl FindTask for Shelf {
    fn find(&self, name: &Name, range: &VersionReq) -> Result<PluginPin, TaskMissing> {
        let versions = match name.as_str() {
            "echo" | "classify" | "template" => vec![Version::new(1, 0, 0)],
            "http-request" => vec![Version::new(1, 0, 0), Version::new(1, 4, 2), Version::new(2, 0, 0)],
            "github" => return Err(TaskMissing::NotATask),
            _ => return Err(TaskMissing::NoSuchPlugin),
        };
        let found = versions.iter().filter(|version| range.matches(version)).max().cloned();
        let version = found.ok_or(TaskMissing::NoSuchVersion(versions))?;
        Ok(PluginPin {
            name: name.clone(),
            version,
            digest: Digest([1; 32]),
            observable: name.as_str() == "http-request",
        })
    }
    fn names(&self) -> Vec<String> {
        ["echo", "classify", "http-request"].map(str::to_owned).into()
    }
}

fn good(text: &str) -> Compiled {
    compile(text, &Shelf).unwrap_or_else(|faults| panic!("{}", show(&faults)))
}

fn show(faults: &[Diagnostic]) -> String {
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

/// The step at this index in the order of the document.
fn step(compiled: &Compiled, index: usize) -> &Step {
    compiled.program.step(StepAddress(index as u32))
}

const TRIAGE: &str = r#"
name: github-triage
triggers:
  - webhook: { integration: github, when: '$.event.type != "push"' }
steps:
  - id: classify
    task: classify@1
    with:
      kind: '{{ if $.event.body.issue then "issue" else "pull_request" end }}'
      title: "{{ $.event.body.issue.title // $.event.body.pull_request.title }}"
      token: "Bearer {{ $.secrets.api_key }}"
  - if: $.steps.classify.category == "bug"
    then: [ { set: { queue: bugs } } ]
    else: [ { set: { queue: rest } } ]
  - exit: { status: 201, headers: { X-Triage: "{{ $.steps.classify.category }}" }, body: { queue: "{{ $.vars.queue }}" } }
"#;

#[test]
fn a_document_becomes_a_flat_program_with_pins() {
    let compiled = good(TRIAGE);
    assert_eq!(compiled.workflow.name.as_str(), "github-triage");
    let paths: Vec<_> = compiled.program.steps.iter().map(|step| (step.path.as_str(), step.kind.word())).collect();
    assert_eq!(paths, [("classify", "task"), ("1", "if"), ("1.then.0", "set"), ("1.else.0", "set"), ("2", "exit")]);
    assert_eq!(compiled.program.blocks.iter().map(Vec::len).collect::<Vec<_>>(), [3, 1, 1]);
    assert_eq!(compiled.pins.keys().collect::<Vec<_>>(), ["classify@1"]);
    assert_eq!(compiled.secrets[0].as_str(), "api_key");
}

#[test]
fn json_is_taken_as_yaml_is() {
    let compiled = good(r#"{"name": "j", "steps": [{"set": {"a": [1, 2.5, "x", null, true]}}]}"#);
    assert_eq!(compiled.program.steps.len(), 1);
}

#[test]
fn a_key_with_nothing_behind_it_is_null() {
    let compiled = good("name: a\ntriggers:\n  - manual:\nsteps:\n  - set: { x: , y: '' }\n  - exit:\n");
    let StepKind::Set(values) = &step(&compiled, 0).kind else { panic!("it is a set") };
    assert_eq!(values[0].1, Template::Literal(Value::Null));
    assert_eq!(values[1].1, Template::Literal("".into()));
}

/// Every kind of step, and every key.
const WHOLE: &str = r#"
name: whole
limits: { timeout: 5m, concurrency: 10, when_full: reject, per_day: 1000, per_month: 20000 }
steps:
  - id: lines
    for_each: $.event.body.lines
    as: line
    concurrency: 8
    do:
      - { id: price, task: echo@1, with: { sku: "{{ $.line.sku }}", at: "{{ $.index }}" }, repeat: never }
    collect: $.steps.price.total
  - id: polling
    repeat: [ { id: poll, task: echo } ]
    until: $.steps.poll.done or $.index > 5
    every: 10s
    at_most: 60
    retry: { attempts: 2, on: [rejected, timeout] }
  - id: both
    parallel:
      stock: [ { id: stock, set: { stock: 1 } } ]
      tax: [ { id: tax, set: { tax: 2 } } ]
    join: any
  - try: [ { id: risky, task: echo, timeout: 3s } ]
    catch: [ { set: { why: "{{ $.error.kind }}: {{ $.error.message }}" } } ]
    finally: [ { set: { stock: "{{ $.steps.stock.stock }}" } } ]
    timeout: 1m
  - wait: 5m
  - wait: "{{ $.vars.stock }}"
  - wait: { until: "2026-12-24T18:00:00+01:00" }
  - id: paid
    wait: { event: { topic: paid, match: '$.received.data.id == $.event.body.id' }, timeout: 2d }
  - approval: { ask: "Ship {{ $.event.body.id }}?", of: [ops], timeout: 2d }
    on_error: continue
  - lock: { key: "order-{{ $.event.body.id }}", timeout: 1m }
    do: [ { id: inside, set: { held: true } } ]
  - { id: invoice, workflow: send-invoice, with: { order: "{{ $.event.body.id }}" }, wait: false }
  - emit: { type: com.acme.order.taken, topic: "order-{{ $.event.body.id }}", subject: "{{ $.event.body.id }}", data: { lines: "{{ $.steps.lines }}" } }
"#;
