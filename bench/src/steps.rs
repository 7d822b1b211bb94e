//! Workflows of many steps: forty light ones, ten long ones, the long ones as a loop inside one call, and forty that call an
//! HTTP server on the loopback.
//!
//! The shape is the one that Windmill publishes: a task that computes a Fibonacci number, 10 for a light step and 33 for a
//! long one, one step after the other. Each step is a call of a WebAssembly component, and the journal is durable before the
//! caller is answered.

use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::contender::{TOKEN, bare, call, start_camshaft};
use crate::report::Report;
use crate::single::{Stop, median};

/// Runs of which the median counts.
const RUNS: usize = 15;

/// A workflow of this many steps, each computing a number so often.
fn document(name: &str, steps: usize, n: u32, times: u32) -> String {
    let mut text = format!("name: {name}\ntriggers: [ {{ manual: {{}} }}, {{ request: {{}} }} ]\nsteps:\n");
    for index in 0..steps {
        let _ = writeln!(text, "  - {{ id: s{index}, task: fibonacci@1, with: {{ n: {n}, times: {times} }} }}");
    }
    let _ = writeln!(text, "  - exit: {{ body: \"{{{{ $.steps.s{}.value }}}}\" }}", steps - 1);
    text
}

/// Measures each, on one server.
pub(crate) fn measure(camshaft: &Path, fibonacci: &Path, report: &mut Report) -> Result<()> {
    let (child, base, _data) = start_camshaft(camshaft)?;
    let _server = Stop(child);
    let component = std::fs::read(fibonacci).with_context(|| format!("cannot read {}", fibonacci.display()))?;
    ureq::post(format!("{base}/api/v1/plugins")).header("Authorization", format!("Bearer {TOKEN}")).send(&component)?;
    let shapes =
        [("light-forty", 40, 10, 1, 55), ("long-ten", 10, 33, 1, 3_524_578), ("one-call", 1, 33, 10, 3_524_578)];
    let mut took = Vec::new();
    for (name, steps, n, times, expected) in shapes {
        call("PUT", &format!("{base}/api/v1/workflows/{name}"), document(name, steps, n, times))?;
        call("POST", &format!("{base}/api/v1/workflows/{name}/publish"), "{}".to_owned())?;
        run(&base, name, expected)?;
        let mut runs = (0..RUNS).map(|_| run(&base, name, expected)).collect::<Result<Vec<_>>>()?;
        took.push(median(&mut runs));
    }
    let observable = observable(&base)?;
    let [light, long, one_call] = took[..] else { unreachable!("three shapes were measured") };
    report.figure("40 light steps in a row, durable", light, "ms", "≤ 3");
    report.figure("10 long steps in a row, durable", long, "ms", "");
    report.figure("the same ten as a loop inside one call", one_call, "ms", "");
    report.figure("10 long steps, against that loop", long / one_call, "×", "≤ 1.1");
    report.figure("40 observable steps in a row, each", observable, "ms", "≤ 2");
    Ok(())
}

/// Milliseconds of each of forty steps that ask a server on the loopback: everything before each is durable first.
fn observable(base: &str) -> Result<f64> {
    let asked = bare()?;
    let grant = json!({"hosts": [asked.url], "private_addresses": true});
    call("PUT", &format!("{base}/api/v1/plugins/http-request/grant"), grant.to_string())?;
    let mut text = String::from("name: observable\ntriggers: [ { manual: {} } ]\nsteps:\n");
    for index in 0..40 {
        let _ =
            writeln!(text, "  - {{ id: s{index}, task: http-request@1, with: {{ url: \"{}/number\" }} }}", asked.url);
    }
    text.push_str("  - exit: { body: \"{{ $.steps.s39.body }}\" }\n");
    call("PUT", &format!("{base}/api/v1/workflows/observable"), text)?;
    call("POST", &format!("{base}/api/v1/workflows/observable/publish"), "{}".to_owned())?;
    run(base, "observable", 55)?;
    let mut runs = (0..RUNS).map(|_| run(base, "observable", 55)).collect::<Result<Vec<_>>>()?;
    Ok(median(&mut runs) / 40.0)
}

/// Milliseconds from the request to the answer.
fn run(base: &str, name: &str, expected: u64) -> Result<f64> {
    let begun = Instant::now();
    let mut answer = ureq::post(format!("{base}/api/v1/workflows/{name}/trigger"))
        .header("Authorization", format!("Bearer {TOKEN}"))
        .header("Prefer", "wait=50")
        .send_json(json!({}))?;
    let text = answer.body_mut().read_to_string()?;
    let took = begun.elapsed().as_secs_f64() * 1e3;
    let value: Value = serde_json::from_str(&text).with_context(|| format!("`{name}` answers {text}"))?;
    ensure!(value == json!(expected), "`{name}` answers {text}");
    Ok(took)
}
