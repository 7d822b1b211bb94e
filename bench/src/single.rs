//! Figures of Camshaft alone: start, idle memory, and a burst of asynchronous executions.

use std::path::Path;
use std::process::Child;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::contender::{TOKEN, body, prepare, serve_command, start};
use crate::report::Report;

/// Executions of the burst.
const BURST: usize = 2_000;
/// Connections that bring it.
const CONNECTIONS: usize = 32;

/// Measures all of them on one data folder.
pub(crate) fn measure(camshaft: &Path, report: &mut Report) -> Result<()> {
    let data = tempfile::tempdir()?;
    // The first start fills the compile cache; it is no part of the figures.
    let (child, base) = start(serve_command(camshaft, data.path()))?;
    let first = Stop(child);
    prepare(&base)?;
    answer_once(&base)?;
    drop(first);

    let mut starts = Vec::new();
    let mut idle = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        let (child, base) = start(serve_command(camshaft, data.path()))?;
        let server = Stop(child);
        answer_once(&base)?;
        starts.push(begun.elapsed().as_secs_f64() * 1e3);
        std::thread::sleep(Duration::from_millis(500));
        idle.push(resident_mib(server.0.id())?);
    }
    report.figure("process start to first workflow answer, warm compile cache", median(&mut starts), "ms", "≤ 60");
    report.figure("idle server after one answer, resident", median(&mut idle), "MiB", "≤ 40");

    let (child, base) = start(serve_command(camshaft, data.path()))?;
    let server = Stop(child);
    let mut bursts = Vec::new();
    for _ in 0..5 {
        bursts.push(burst(&base)?);
    }
    report.figure(
        &format!("{BURST} asynchronous executions accepted and completed"),
        median(&mut bursts),
        "s",
        "≤ 0.4",
    );
    report.figure("resident after five bursts", resident_mib(server.0.id())?, "MiB", "");
    Ok(())
}

pub(crate) fn answer_once(base: &str) -> Result<()> {
    let url = format!("{base}/v1/webhooks/bench/workflows/bench/sync");
    let answer = ureq::post(&url).header("Content-Type", "application/json").send(body())?;
    ensure!(answer.status() == 201, "the first answer is {}", answer.status());
    Ok(())
}

/// Seconds from the first request until every execution has ended.
fn burst(base: &str) -> Result<f64> {
    let url = format!("{base}/v1/webhooks/bench/workflows/bench");
    let body = body();
    let newest = Mutex::new(Vec::with_capacity(BURST));
    let begun = Instant::now();
    std::thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..CONNECTIONS)
            .map(|worker| {
                let (url, body, newest) = (&url, &body, &newest);
                scope.spawn(move || -> Result<()> {
                    let agent: ureq::Agent = ureq::Agent::new_with_defaults();
                    let share = BURST / CONNECTIONS + usize::from(worker < BURST % CONNECTIONS);
                    for _ in 0..share {
                        let mut answer = agent.post(url).header("Content-Type", "application/json").send(body)?;
                        let accepted: serde_json::Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
                        let id = accepted["execution_id"].as_str().context("an accepted execution has an id")?;
                        newest.lock().map_err(|_| anyhow::anyhow!("another worker failed"))?.push(id.to_owned());
                    }
                    Ok(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))?)
    })?;
    // They end in no promised order, so each is asked for until it has.
    for id in newest.into_inner().map_err(|_| anyhow::anyhow!("a worker failed"))?.iter().rev().take(CONNECTIONS) {
        until_ended(base, id)?;
    }
    let open = open_executions(base)?;
    ensure!(open == 0, "{open} executions are still open");
    Ok(begun.elapsed().as_secs_f64())
}

fn until_ended(base: &str, id: &str) -> Result<()> {
    loop {
        let url = format!("{base}/public/v1alpha/executions/{id}");
        let mut answer = ureq::get(&url).header("Authorization", format!("Bearer {TOKEN}")).call()?;
        let execution: serde_json::Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
        match execution["status"].as_str() {
            Some("SUCCESS") => return Ok(()),
            Some("RUNNING" | "QUEUED") => {}
            other => anyhow::bail!("execution {id} is {other:?}"),
        }
    }
}

fn open_executions(base: &str) -> Result<usize> {
    let mut open = 0;
    for status in ["accepted", "running", "failed"] {
        let url = format!("{base}/api/v1/executions?status={status}&limit=200");
        let page = crate::contender::call("GET", &url, String::new())?;
        open += page["items"].as_array().map_or(0, Vec::len);
    }
    Ok(open)
}

pub(crate) fn resident_mib(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? / 1024.0)
}

/// How long a process has been on a processor.
pub(crate) fn processor_seconds(pid: u32) -> Result<f64> {
    /// Of a second, as Linux counts for programs.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("a process has a name")?;
    // Fields 14 and 15 of proc(5): in user mode and in the kernel.
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.collect::<Result<Vec<_>, _>>()?.iter().sum::<f64>() / TICKS)
}

/// The middle one.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A server that is stopped when this is dropped.
pub(crate) struct Stop(pub(crate) Child);

impl Drop for Stop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
