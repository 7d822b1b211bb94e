//! What an expression costs that never leaves Rust: `cargo run --release -p camshaft-model --example paths -- [TIMES]`.
//!
//! Printed: nanoseconds for each evaluation of a path, a comparison and a small text with a path in it, the median of
//! nine rounds. The event is a delivery of about 500 bytes.

use std::hint::black_box;
use std::time::Instant;

use camshaft_model::ids::Name;
use camshaft_model::language::expression::{Jq, JqError, Root, Scope};
use camshaft_model::language::{FindTask, TaskMissing, compile};
use camshaft_model::plugin::PluginPin;
use camshaft_model::program::StepKind;
use camshaft_model::{Value, json};
use semver::VersionReq;

const DOCUMENT: &str = r#"
name: paths
steps:
  - set: { path: "{{ $.event.body.customer.address.city }}" }
  - set: { from_a_list: "{{ $.event.body.lines[1].sku }}" }
  - set: { comparison: "{{ $.event.body.total > 100 and $.event.body.customer.country == \"GB\" }}" }
  - set: { text: "order {{ $.event.body.id }} of {{ $.event.body.customer.name }}" }
"#;

struct Event(Value);

impl Scope for Event {
    fn get(&self, root: &Root) -> Option<&Value> {
        matches!(root, Root::Event).then_some(&self.0)
    }
}

struct NoTasks;

impl FindTask for NoTasks {
    fn find(&self, _: &Name, _: &VersionReq) -> Result<PluginPin, TaskMissing> {
        Err(TaskMissing::NoSuchPlugin)
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

struct NoJq;

impl Jq for NoJq {
    fn evaluate(&self, filter: &str, _: &str) -> Result<Value, JqError> {
        Err(format!("`{filter}` is meant to be native").into())
    }
}

fn main() {
    let times: u32 = std::env::args().nth(1).map_or(200_000, |text| text.parse().expect("TIMES is a number"));
    let compiled = compile(DOCUMENT, &NoTasks).expect("the document is right");
    let event = Event(json!({"body": {
        "id": "order-000001", "total": 301.4,
        "customer": {"name": "Ada Lovelace", "country": "GB", "address": {"city": "London", "street": "St James's Square"}},
        "lines": [{"sku": "camshaft-01", "quantity": 2}, {"sku": "gasket-17", "quantity": 8}],
        "note": "x".repeat(300)
    }}));
    for step in &compiled.program.steps {
        let StepKind::Set(variables) = &step.kind else { continue };
        for (name, template) in variables {
            let mut rounds: Vec<f64> = (0..9)
                .map(|_| {
                    let begun = Instant::now();
                    for _ in 0..times {
                        black_box(black_box(template).render(&event, &NoJq).expect("it evaluates"));
                    }
                    begun.elapsed().as_secs_f64() * 1e9 / f64::from(times)
                })
                .collect();
            rounds.sort_by(f64::total_cmp);
            println!("{name:>12}: {:5.0} ns", rounds[rounds.len() / 2]);
        }
    }
}
