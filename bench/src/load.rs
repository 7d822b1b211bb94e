//! The load: wrk, with the same script for every contender.

use std::fmt::Write;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::contender::body;

/// What wrk saw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// Requests that were answered.
    pub(crate) requests: u64,
    /// Requests a second.
    pub(crate) rate: f64,
    /// Half of the answers were faster, milliseconds.
    pub(crate) p50_ms: f64,
    /// All but one in a hundred were faster, milliseconds.
    pub(crate) p99_ms: f64,
}

/// Says what to install where wrk is missing.
pub(crate) fn check_wrk() -> Result<()> {
    match Command::new("wrk").arg("-v").output() {
        Ok(_) => Ok(()),
        Err(_) => bail!("`wrk` makes the load and is not here; `apt-get install wrk` brings it"),
    }
}

/// What is sent beside the body.
#[derive(Default)]
pub(crate) struct Load<'a> {
    /// With every request.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    /// A header with a value of its own for each request, and what these values begin with.
    pub(crate) numbered: Option<(&'a str, u32)>,
    /// How many connections.
    pub(crate) connections: u32,
    /// For how long.
    pub(crate) seconds: u32,
}

/// One measurement: the same body, posted as fast as it is answered.
pub(crate) fn wrk(name: &str, url: &str, connections: u32, seconds: u32) -> Result<Measured> {
    wrk_with(name, url, &Load { connections, seconds, ..Load::default() })
}

/// The same, with more than a body.
pub(crate) fn wrk_with(name: &str, url: &str, load: &Load) -> Result<Measured> {
    let Load { headers, numbered, connections, seconds } = load;
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("post.lua");
    // The summary in microseconds and plain numbers, so that nobody parses "1.23ms". Errors of any kind are told too.
    let mut text = format!(
        "wrk.method = 'POST'\nwrk.body = [==[{}]==]\nwrk.headers['Content-Type'] = 'application/json'\n\
         done = function(summary, latency)\n\
         local e = summary.errors\n\
         io.write(string.format('RESULT %d %d %d %f %f\\n', summary.requests, summary.duration,\n\
         e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99)))\nend\n",
        body()
    );
    for (header, value) in *headers {
        let _ = writeln!(text, "wrk.headers['{header}'] = '{value}'");
    }
    if let Some((header, prefix)) = numbered {
        let _ = writeln!(
            text,
            "local number = 0\nrequest = function()\nnumber = number + 1\nwrk.headers['{header}'] = '{prefix}-' .. number\n\
             return wrk.format()\nend"
        );
    }
    std::fs::write(&script, text)?;
    let output = Command::new("wrk")
        .args(["--threads", "1", "--connections", &connections.to_string(), "--duration", &format!("{seconds}s")])
        .arg("--script")
        .arg(&script)
        .arg(url)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line =
        text.lines().find_map(|line| line.strip_prefix("RESULT ")).with_context(|| format!("wrk said: {text}"))?;
    let numbers: Vec<f64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let [requests, duration_us, errors, p50_us, p99_us] = numbers[..] else { bail!("wrk said: {line}") };
    ensure!(errors == 0.0, "{name} gave {errors} errors with {connections} connections");
    Ok(Measured {
        requests: requests as u64,
        rate: requests / duration_us * 1e6,
        p50_ms: p50_us / 1e3,
        p99_ms: p99_us / 1e3,
    })
}
