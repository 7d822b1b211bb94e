//! Documents that people see: what the pages of the documentation show compiles, and the schema admits it.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use camshaft_model::Value;
use camshaft_model::language::{compile, schema};
use jsonschema::Validator;

use super::{Shelf, TRIAGE, WHOLE, show};

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| jsonschema::validator_for(&schema()).unwrap());

/// Holds a document that is meant to be good against the compiler and the schema.
pub fn admit(document: &str) {
    if let Err(faults) = compile(document, &Shelf) {
        panic!("{document}\n{}", show(&faults));
    }
    let value: Value = serde_norway::from_str(document).unwrap();
    let faults: Vec<_> =
        SCHEMA.iter_errors(&value).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "{document}\n{}", faults.join("\n"));
}

/// Whether the schema takes a document.
pub fn is_admitted(document: &str) -> bool {
    SCHEMA.is_valid(&serde_norway::from_str(document).unwrap())
}

/// The blocks of a page that are fenced as YAML.
fn blocks(page: &str) -> Vec<String> {
    let fenced = page.split("```yaml\n").skip(1);
    fenced.map(|rest| rest.split("\n```").next().unwrap_or_default().to_owned() + "\n").collect()
}

#[test]
fn whole_documents_of_the_pages_compile() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut pages = vec![root.join("README.md")];
    pages.extend(fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    for page in pages.iter().filter(|page| page.extension().is_some_and(|ending| ending == "md")) {
        let blocks = blocks(&fs::read_to_string(page).unwrap());
        blocks.iter().filter(|block| block.starts_with("name:")).for_each(|block| admit(block));
    }
}

#[test]
fn the_language_is_taught_with_whole_documents_of_every_kind_of_step() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/language.md")).unwrap();
    let documents: Vec<_> = blocks(&page).into_iter().filter(|block| block.starts_with("name:")).collect();
    let programs = documents.iter().map(|document| compile(document, &Shelf).unwrap().program);
    let shown: Vec<_> = programs.flat_map(|program| program.steps).map(|step| step.kind.word()).collect();
    for kind in KINDS {
        assert!(shown.contains(&kind), "no document shows `{kind}`");
    }
}

/// Kinds of steps.
pub const KINDS: [&str; 14] = [
    "task", "if", "switch", "for_each", "repeat", "parallel", "try", "wait", "approval", "lock", "set", "workflow",
    "emit", "exit",
];

#[test]
fn the_schema_names_every_step_kind() {
    let text = schema().to_string();
    for kind in KINDS {
        assert!(text.contains(&format!("\"required\":[\"{kind}\"")), "{kind}");
    }
}

#[test]
fn the_schema_admits_what_compiles() {
    admit(TRIAGE);
    admit(WHOLE);
    for step in [
        "wait: 0.5",
        "wait: { until: '{{ $.event.body.due }}' }",
        "{ workflow: b, with: '{{ $.event.body }}' }",
        "{ lock: { key: 7 }, do: [] }",
        "{ repeat: [], at_most: 100000 }",
        "{ try: [], finally: [], retry: { attempts: 3, on: [rejected] } }",
        "{ emit: { type: a, data: [1] } }",
        "exit:",
    ] {
        admit(&format!("name: a\nsteps:\n  - {step}\n"));
    }
}

/// What the schema refuses, the compiler refuses too; this is where both can tell.
#[test]
fn the_schema_refuses_what_does_not_compile() {
    for step in [
        "{ set: {a: 1}, wait: 5m }",
        "{ set: {a: 1}, repeat: never }",
        "{ task: echo, repeat: [] }",
        "{ repeat: [] }",
        "{ repeat: never }",
        "{ repeat: [], at_most: 100001 }",
        "{ for_each: $.event.a }",
        "{ for_each: $.event.a, as: a-b, do: [] }",
        "{ for_each: $.event.a, concurrency: 101, do: [] }",
        "{ parallel: {} }",
        "{ parallel: { a-b: [] } }",
        "{ parallel: { a: [] }, join: some }",
        "{ try: [] }",
        "{ wait: true }",
        "{ wait: 0 }",
        "{ wait: 31622401 }",
        "{ wait: { until: '2026-12-24T18:00:00Z', timeout: 5m } }",
        "{ wait: { event: {} } }",
        "{ approval: { of: [ops] } }",
        "{ lock: { key: a } }",
        "{ lock: { key: '' }, do: [] }",
        "{ workflow: A_b }",
        "{ workflow: b, wait: 5m }",
        "{ emit: { topic: a } }",
        "{ set: {a: 1}, retry: { attempts: 101 } }",
    ] {
        let document = format!("name: a\nsteps:\n  - {step}\n");
        assert!(compile(&document, &Shelf).is_err(), "{step} compiles");
        let value: Value = serde_norway::from_str(&document).unwrap();
        assert!(!SCHEMA.is_valid(&value), "the schema admits {step}");
    }
    for limits in
        ["{ concurrency: 0 }", "{ concurrency: 1000001 }", "{ when_full: wait }", "{ per_day: 0 }", "{ per_week: 1 }"]
    {
        let document = format!("name: a\nlimits: {limits}\nsteps: []\n");
        assert!(compile(&document, &Shelf).is_err(), "{limits} compiles");
        let value: Value = serde_norway::from_str(&document).unwrap();
        assert!(!SCHEMA.is_valid(&value), "the schema admits {limits}");
    }
}
