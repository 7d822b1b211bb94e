//! Figures of many executions: accepted and completed under load, waiting by the hundred thousand, kept by the million.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::contender::{TOKEN, call, prepare, serve_command, start};
use crate::load::wrk;
use crate::report::Report;
use crate::single::{Stop, answer_once, median, resident_mib};

/// Connections that bring them.
const CONNECTIONS: u32 = 64;

/// An execution that waits for a month, holding the event that started it.
const WAITS: &str = "
name: waits
triggers: [ { webhook: { integration: bench } } ]
steps:
  - wait: 31d
  - exit: {}
";

/// Executions accepted at once and completed, a second, from the first request until none is open.
pub(crate) fn throughput(camshaft: &Path, seconds: u32, report: &mut Report) -> Result<()> {
    let data = tempfile::tempdir()?;
    let (child, base) = start(serve_command(camshaft, data.path()))?;
    let _server = Stop(child);
    prepare(&base)?;
    answer_once(&base)?;
    let mut rates = (0..3).map(|_| rate(&base, seconds)).collect::<Result<Vec<_>>>()?;
    report.figure(
        "asynchronous executions accepted and completed, at 64 connections",
        median(&mut rates),
        "/s",
        "≥ 5,000",
    );
    Ok(())
}

fn rate(base: &str, seconds: u32) -> Result<f64> {
    let begun = Instant::now();
    let measured = wrk("camshaft", &url(base, "bench"), CONNECTIONS, seconds)?;
    until_none_is_open(base)?;
    Ok(measured.requests as f64 / begun.elapsed().as_secs_f64())
}

/// What waiting executions take in memory, and what they cost a start.
pub(crate) fn waiting(camshaft: &Path, count: u64, report: &mut Report) -> Result<()> {
    let data = tempfile::tempdir()?;
    let (child, base) = start(serve_command(camshaft, data.path()))?;
    let server = Stop(child);
    prepare(&base)?;
    call("PUT", &format!("{base}/api/v1/workflows/waits"), WAITS.to_owned())?;
    call("POST", &format!("{base}/api/v1/workflows/waits/publish"), "{}".to_owned())?;
    answer_once(&base)?;
    let started = bring(&base, "waits", count)?;
    report.figure("executions that wait", started as f64, "", "");
    let resident = resident_mib(server.0.id())?;
    report.figure("resident with them, behind the load that brought them", resident, "MiB", "");
    drop(server);

    // A folder without them, started alike, is what they are compared with.
    let empty = tempfile::tempdir()?;
    let (child, base) = start(serve_command(camshaft, empty.path()))?;
    let first = Stop(child);
    prepare(&base)?;
    drop(first);
    let alone = started_again(camshaft, empty.path())?;
    let with_them = started_again(camshaft, data.path())?;
    report.figure("start to first answer, none waiting", alone.0, "ms", "");
    report.figure("start to first answer, with all that wait", with_them.0, "ms", "");
    let each = (with_them.1 - alone.1) * 1024.0 / started as f64;
    report.figure("resident for each waiting execution, behind a start", each, "KiB", "≤ 1");
    Ok(())
}

/// Milliseconds to the first answer, and MiB resident once all is taken up.
fn started_again(camshaft: &Path, data: &Path) -> Result<(f64, f64)> {
    let begun = Instant::now();
    let (child, base) = start(serve_command(camshaft, data))?;
    let server = Stop(child);
    answer_once(&base)?;
    let took = begun.elapsed().as_secs_f64() * 1e3;
    while ureq::get(format!("{base}/readyz")).call().is_err() {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_secs(2));
    Ok((took, resident_mib(server.0.id())?))
}

/// What kept executions cost those that come, and those who list them.
pub(crate) fn kept(camshaft: &Path, count: u64, report: &mut Report) -> Result<()> {
    let data = tempfile::tempdir()?;
    let (child, base) = start(serve_command(camshaft, data.path()))?;
    let server = Stop(child);
    prepare(&base)?;
    answer_once(&base)?;
    let mut fresh = (0..3).map(|_| rate(&base, 5)).collect::<Result<Vec<_>>>()?;
    let started = bring(&base, "bench", count)?;
    until_none_is_open(&base)?;
    let mut full = (0..3).map(|_| rate(&base, 5)).collect::<Result<Vec<_>>>()?;
    let (fresh, full) = (median(&mut fresh), median(&mut full));
    report.figure("executions kept", started as f64, "", "");
    report.figure("asynchronous executions, store empty", fresh, "/s", "");
    report.figure("asynchronous executions, with all that are kept", full, "/s", "");
    report.figure("with them, against the empty store", full / fresh, "×", "≥ 0.9");
    for (what, query) in [
        ("a page of 50, newest first", "limit=50".to_owned()),
        ("a page of one workflow's", "limit=50&workflow=bench".to_owned()),
        ("a page of a status that none has", "limit=50&status=failed".to_owned()),
        ("a page from the middle", format!("limit=50&before={}", middle(&base, started)?)),
    ] {
        report.figure(what, page_ms(&base, &query)?, "ms", "≤ 20");
    }
    report.figure("resident behind it all", resident_mib(server.0.id())?, "MiB", "");
    Ok(())
}

/// The median of many.
fn page_ms(base: &str, query: &str) -> Result<f64> {
    let agent: ureq::Agent = ureq::Agent::new_with_defaults();
    let mut took = (0..50)
        .map(|_| {
            let begun = Instant::now();
            let url = format!("{base}/api/v1/executions?{query}");
            let mut answer = agent.get(url).header("Authorization", format!("Bearer {TOKEN}")).call()?;
            answer.body_mut().read_to_string()?;
            Ok(begun.elapsed().as_secs_f64() * 1e3)
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(median(&mut took))
}

/// An execution with about half of all behind it.
fn middle(base: &str, count: u64) -> Result<String> {
    let mut before = String::new();
    for _ in 0..(count / 2 / 200).min(500) {
        let page = call("GET", &format!("{base}/api/v1/executions?limit=200{before}"), String::new())?;
        let next = page["next"].as_str().context("there are more executions than that")?;
        before = format!("&before={next}");
    }
    Ok(before.trim_start_matches("&before=").to_owned())
}

/// Starts executions until there are so many; tells how many were started.
fn bring(base: &str, workflow: &str, count: u64) -> Result<u64> {
    let mut started = 0;
    while started < count {
        started += wrk("camshaft", &url(base, workflow), CONNECTIONS, 5)?.requests;
        eprintln!("{started} of {count} executions of `{workflow}`");
    }
    Ok(started)
}

fn until_none_is_open(base: &str) -> Result<()> {
    let url = format!("{base}/api/v1/executions?status=accepted,queued,running&limit=1");
    let patience = Instant::now();
    while !call("GET", &url, String::new())?["items"].as_array().context("a page has items")?.is_empty() {
        ensure!(patience.elapsed() < Duration::from_secs(60), "executions are still open after a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn url(base: &str, workflow: &str) -> String {
    format!("{base}/v1/webhooks/bench/workflows/{workflow}")
}
