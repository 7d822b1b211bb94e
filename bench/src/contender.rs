//! A server under load: started, prepared, checked to give the right answer, and stopped when dropped.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The workflow that is measured: one silent task, then a custom status, header and body.
pub(crate) const WORKFLOW: &str = r#"
name: bench
triggers:
  - webhook: { integration: bench }
steps:
  - id: work
    task: echo@1
    with: { order: "{{ $.event.body.id }}", lines: "{{ $.event.body.lines }}" }
  - exit:
      status: 201
      headers: { X-Order: "{{ $.steps.work.order }}" }
      body: { order: "{{ $.steps.work.order }}", lines: "{{ $.steps.work.lines }}" }
"#;

/// Token of the server under load.
pub(crate) const TOKEN: &str = "cst_bench_only_on_loopback";

/// A body of exactly 491 bytes, as in the comparison that this one continues.
pub(crate) fn body() -> String {
    let mut order = json!({
        "id": "order-000001",
        "customer": {"name": "Ada Lovelace", "email": "ada@example.com", "country": "GB"},
        "lines": [
            {"sku": "camshaft-01", "quantity": 2, "price": 129.9},
            {"sku": "gasket-17", "quantity": 8, "price": 3.25},
            {"sku": "bearing-4", "quantity": 16, "price": 7.5}
        ],
        "note": ""
    });
    let missing = 491 - order.to_string().len();
    order["note"] = Value::String("x".repeat(missing));
    order.to_string()
}

/// A server under load.
pub(crate) struct Contender {
    /// As in the report.
    pub(crate) name: &'static str,
    /// Where the load goes.
    pub(crate) url: String,
    child: Child,
    _data: Option<TempDir>,
}

impl Drop for Contender {
    fn drop(&mut self) {
        // It holds nothing that anybody needs; a failure to stop it has no consequence here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Contender {
    /// One request, with everything about the answer asserted: a fast wrong answer is no contender.
    pub(crate) fn check(&self) -> Result<()> {
        let mut answer = ureq::post(&self.url)
            .header("Content-Type", "application/json")
            .send(body())
            .with_context(|| format!("{} does not answer", self.name))?;
        let text = answer.body_mut().read_to_string()?;
        ensure!(answer.status() == 201, "{} answers {}: {text}", self.name, answer.status());
        let header = answer.headers().get("x-order").map(|value| value.as_bytes().to_vec());
        ensure!(header.as_deref() == Some(b"order-000001"), "{} sets x-order to {header:?}", self.name);
        let value: Value = serde_json::from_str(&text).with_context(|| format!("{}: {text}", self.name))?;
        ensure!(value["lines"].as_array().is_some_and(|lines| lines.len() == 3), "{} answers {text}", self.name);
        Ok(())
    }
}

/// The bare axum server, as a process of its own.
pub(crate) fn bare() -> Result<Contender> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("bare");
    let (child, url) = start(command)?;
    Ok(Contender { name: "axum, bare", url, child, _data: None })
}

/// Camshaft with the workflow published, without a limit on the rate.
pub(crate) fn camshaft(binary: &Path) -> Result<Contender> {
    let (child, base, data) = start_camshaft(binary)?;
    prepare(&base)?;
    let url = format!("{base}/v1/webhooks/bench/workflows/bench/sync");
    Ok(Contender { name: "camshaft", url, child, _data: Some(data) })
}

/// Starts Camshaft on an empty folder; answers with its base URL.
pub(crate) fn start_camshaft(binary: &Path) -> Result<(Child, String, TempDir)> {
    let data = tempfile::tempdir()?;
    let (child, base) = start(serve_command(binary, data.path()))?;
    Ok((child, base, data))
}

/// The command that serves a data folder on a free port.
pub(crate) fn serve_command(binary: &Path, data: &Path) -> Command {
    let mut command = Command::new(binary);
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .env("CAMSHAFT_ADMIN_TOKEN", TOKEN)
        .env("CAMSHAFT_LIMITS_EXECUTIONS_PER_SECOND", "0")
        .stderr(Stdio::null());
    command
}

/// Applies and publishes the measured workflow.
pub(crate) fn prepare(base: &str) -> Result<()> {
    call("PUT", &format!("{base}/api/v1/integrations/bench"), json!({"adapter": "generic"}).to_string())?;
    call("PUT", &format!("{base}/api/v1/workflows/bench"), WORKFLOW.to_owned())?;
    call("POST", &format!("{base}/api/v1/workflows/bench/publish"), "{}".to_owned())?;
    Ok(())
}

/// One call of the management API.
pub(crate) fn call(method: &str, url: &str, body: String) -> Result<Value> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(url)
        .header("Authorization", format!("Bearer {TOKEN}"))
        .header("Content-Type", "application/json")
        .body(body)?;
    let mut answer = agent.run(request).with_context(|| format!("{method} {url}"))?;
    let text = answer.body_mut().read_to_string()?;
    if !answer.status().is_success() {
        bail!("{method} {url} answers {}: {text}", answer.status());
    }
    Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// `wasmtime serve`: a fresh instance for each request.
pub(crate) fn wasmtime_serve(wasmtime: &Path, component: &Path) -> Result<Contender> {
    let mut command = Command::new(wasmtime);
    command.args(["serve", "--addr", "127.0.0.1:0", "-Scli"]).arg(component);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {}", wasmtime.display()))?;
    let stderr = child.stderr.take().context("stderr is piped")?;
    let mut lines = BufReader::new(stderr).lines();
    let mut said = String::new();
    let url = loop {
        let line = lines.next().with_context(|| format!("`wasmtime serve` ended: {said}"))??;
        if let Some(at) = line.find("http://") {
            break line[at..].trim().trim_end_matches('/').to_owned() + "/";
        }
        said.push_str(&line);
    };
    // Its later lines are read away, so that it never waits for us.
    std::thread::spawn(move || lines.for_each(drop));
    Ok(Contender { name: "wasmtime serve", url, child, _data: None })
}

/// Starts a server whose first line says where it listens.
pub(crate) fn start(mut command: Command) -> Result<(Child, String)> {
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {command:?}"))?;
    let stdout = child.stdout.take().context("stdout is piped")?;
    let mut lines = BufReader::new(stdout).lines();
    let first = lines.next().with_context(|| format!("{command:?} ended at once"))??;
    let url = first.strip_prefix("listening on ").with_context(|| format!("the first line is {first:?}"))?.to_owned();
    std::thread::spawn(move || lines.for_each(drop));
    Ok((child, url))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_body_is_491_bytes() {
        assert_eq!(super::body().len(), 491);
    }
}
