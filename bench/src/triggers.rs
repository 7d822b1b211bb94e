//! Figures of triggers: one delivery for a hundred workflows, what limits, tokens and dedupe cost the webhook path, and schedules
//! by the hundred thousand.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::contender::{WORKFLOW, body, call, prepare, serve_command, start, start_camshaft};
use crate::load::{Load, wrk_with};
use crate::report::Report;
use crate::single::{Stop, median, processor_seconds, resident_mib};

/// Workflows that one delivery is for.
const FAN: usize = 100;
/// Schedules of one workflow, as many as it may have.
const OF_ONE: usize = 100;
/// Schedules that fall in the same second.
const AT_ONCE: usize = 1_000;

/// Milliseconds of a delivery that starts a hundred workflows, until all are durable and its sender is answered.
pub(crate) fn fan_out(camshaft: &Path, report: &mut Report) -> Result<()> {
    let (child, base, _data) = start_camshaft(camshaft)?;
    let _server = Stop(child);
    prepare(&base)?;
    call("PUT", &format!("{base}/api/v1/integrations/fan"), json!({"adapter": "generic"}).to_string())?;
    for number in 0..FAN {
        let text = WORKFLOW
            .replace("name: bench", &format!("name: fan-{number}"))
            .replace("integration: bench", "integration: fan");
        publish(&base, &format!("fan-{number}"), text)?;
    }
    let url = format!("{base}/v1/webhooks/fan");
    let agent = ureq::Agent::new_with_defaults();
    let deliver = || {
        let begun = Instant::now();
        let text =
            agent.post(&url).header("Content-Type", "application/json").send(body())?.body_mut().read_to_string()?;
        let took = begun.elapsed().as_secs_f64() * 1e3;
        let answer: Value = serde_json::from_str(&text)?;
        let started = answer["executions"].as_array().map_or(0, Vec::len);
        ensure!(started == FAN, "a delivery started {started} workflows: {text}");
        // The next is delivered to a server that has nothing else to do.
        std::thread::sleep(Duration::from_millis(100));
        Ok(took)
    };
    deliver()?;
    let mut took = (0..30).map(|_| deliver()).collect::<Result<Vec<_>>>()?;
    report.figure("a delivery for 100 workflows, until all are durable", median(&mut took), "ms", "≤ 5");
    Ok(())
}

/// The synchronous path with every limit, a token and a key of its own for each delivery, against the same path without.
pub(crate) fn path(camshaft: &Path, seconds: u32, report: &mut Report) -> Result<()> {
    let (child, plain, _plain_data) = start_camshaft(camshaft)?;
    let _plain = Stop(child);
    prepare(&plain)?;

    let data = tempfile::tempdir()?;
    let mut command = serve_command(camshaft, data.path());
    for limit in ["EXECUTIONS_PER_SECOND", "EXECUTIONS_PER_DAY", "EXECUTIONS_PER_MONTH", "PARALLEL_EXECUTIONS"] {
        command.env(format!("CAMSHAFT_LIMITS_{limit}"), "100000000");
    }
    let (child, guarded) = start(command)?;
    let _guarded = Stop(child);
    let integration = json!({
        "adapter": "generic",
        "config": {"auth": {"header": "X-Token"}},
        "secrets": {"header_value": "only-on-loopback"},
    });
    call("PUT", &format!("{guarded}/api/v1/integrations/bench"), integration.to_string())?;
    let limits = "limits: { per_day: 100000000, per_month: 100000000, concurrency: 1000000 }\n";
    publish(&guarded, "bench", format!("{}{limits}", WORKFLOW.trim_start()))?;

    // Both are sent the same bytes; only one of them makes something of the number.
    let token = [("X-Token", "only-on-loopback")];
    let mut rates = [Vec::new(), Vec::new()];
    for round in 0..3 {
        for (rate, (base, numbered)) in
            rates.iter_mut().zip([(&plain, "X-Delivery-Number"), (&guarded, "Idempotency-Key")])
        {
            let url = format!("{base}/v1/webhooks/bench/workflows/bench/sync");
            let load = Load { headers: &token, numbered: Some((numbered, round)), connections: 64, seconds };
            rate.push(wrk_with("camshaft", &url, &load)?.rate);
        }
    }
    let [plain, guarded] = rates.map(|mut rates| median(&mut rates));
    report.figure("synchronous at 64 connections, without limits", plain, "/s", "");
    report.figure("the same with limits, a token and a key for each delivery", guarded, "/s", "");
    report.figure("with them, against without", guarded / plain, "×", "≥ 0.9");
    Ok(())
}

/// Schedules that wait, and a thousand that fall in the same second.
pub(crate) fn schedules(camshaft: &Path, count: usize, report: &mut Report) -> Result<()> {
    let (child, base, _data) = start_camshaft(camshaft)?;
    let server = Stop(child);
    prepare(&base)?;
    for number in 0..count.div_ceil(OF_ONE) {
        let cron = |index: usize| {
            let place = number * OF_ONE + index;
            format!("schedule: {{ cron: \"{} {} {} 1 *\" }}", place % 60, place / 60 % 24, place / 1440 % 28 + 1)
        };
        publish(&base, &format!("later-{number}"), scheduled(&format!("later-{number}"), cron))?;
        if number % 100 == 99 {
            eprintln!("{} of {count} schedules", (number + 1) * OF_ONE);
        }
    }
    report.figure("schedules that wait", (count.div_ceil(OF_ONE) * OF_ONE) as f64, "", "");
    std::thread::sleep(Duration::from_secs(5));
    let (before, begun) = (processor_seconds(server.0.id())?, Instant::now());
    std::thread::sleep(Duration::from_secs(20));
    let busy = (processor_seconds(server.0.id())? - before) / begun.elapsed().as_secs_f64();
    report.figure("of one processor, while they wait", busy * 100.0, "%", "≤ 1");
    report.figure("resident with them", resident_mib(server.0.id())?, "MiB", "");

    let due = SystemTime::now() + Duration::from_secs(20);
    let due_s = due.duration_since(UNIX_EPOCH)?.as_secs();
    let at = |_| format!("schedule: {{ at: \"{}\", timezone: UTC }}", wall_time(due_s));
    for number in 0..AT_ONCE / OF_ONE {
        publish(&base, &format!("now-{number}"), scheduled(&format!("now-{number}"), at))?;
    }
    ensure!(SystemTime::now() < UNIX_EPOCH + Duration::from_secs(due_s), "publishing took longer than 20 s");
    while SystemTime::now() < UNIX_EPOCH + Duration::from_secs(due_s + 10) {
        std::thread::sleep(Duration::from_secs(1));
    }
    let mut late = Vec::new();
    for number in 0..AT_ONCE / OF_ONE {
        let page = call("GET", &format!("{base}/api/v1/executions?workflow=now-{number}&limit=200"), String::new())?;
        for item in page["items"].as_array().context("a page has items")? {
            let accepted = item["accepted_at"].as_str().context("an execution says when it was accepted")?;
            late.push(milliseconds(accepted)? - due_s as f64 * 1e3);
        }
    }
    ensure!(late.len() == AT_ONCE, "{} of {AT_ONCE} schedules fired", late.len());
    late.sort_by(f64::total_cmp);
    report.figure("1,000 in the same second, the median accepted behind its time", late[late.len() / 2], "ms", "");
    report.figure("1,000 in the same second, the last accepted behind its time", late[late.len() - 1], "ms", "≤ 100");
    Ok(())
}

/// A workflow of as many schedules as one may have.
fn scheduled(name: &str, schedule: impl Fn(usize) -> String) -> String {
    let triggers: Vec<_> = (0..OF_ONE).map(|index| format!("  - {}\n", schedule(index))).collect();
    format!("name: {name}\ntriggers:\n{}steps: [ {{ exit: {{}} }} ]\n", triggers.concat())
}

fn publish(base: &str, name: &str, document: String) -> Result<()> {
    call("PUT", &format!("{base}/api/v1/workflows/{name}"), document)?;
    call("POST", &format!("{base}/api/v1/workflows/{name}/publish"), "{}".to_owned())?;
    Ok(())
}

/// `2026-12-24T18:00:00` of a second since 1970, in UTC.
fn wall_time(seconds: u64) -> String {
    let time = jiff::Timestamp::from_second(seconds as i64).expect("the clock is in this millennium");
    time.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

fn milliseconds(time: &str) -> Result<f64> {
    let time: jiff::Timestamp = time.parse().with_context(|| format!("`{time}` is no time"))?;
    Ok(time.as_microsecond() as f64 / 1e3)
}
