//! The real binary as a process: started on a folder, asked over HTTP, killed without warning.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

/// The admin token of every server in these tests.
pub const TOKEN: &str = "cst_test_admin_token_for_loopback_only";

/// The built `camshaft`, beside the test's own binary.
pub fn binary() -> PathBuf {
    let mut path = std::env::current_exe().expect("a test knows its own path");
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    let binary = path.join("camshaft");
    assert!(
        binary.exists(),
        "{} is missing: run `cargo build` first, or all at once: `cargo xtask test`",
        binary.display()
    );
    binary
}

/// The workspace's root folder.
pub fn workspace() -> PathBuf {
    // Asked when the test runs: what was compiled in may be another clone with the same target folder.
    let tests = std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    Path::new(&tests).parent().expect("tests/ is in the workspace").to_owned()
}

/// A server process.
pub struct Server {
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub url: String,
    data: Arc<TempDir>,
    environment: Vec<(String, String)>,
    /// Written by the server itself: what it has told is there, and nobody has to read it in time.
    log: File,
}

/// What a request was answered with.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// One HTTP request; every status is an answer, only a broken connection is an error.
pub fn send(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer, ureq::Error> {
    let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None);
    let agent: ureq::Agent = config.allow_non_standard_methods(true).build().into();
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut answer = match body {
        [] => agent.run(request.body(()).expect("a test makes good requests"))?,
        body => agent.run(request.body(body).expect("a test makes good requests"))?,
    };
    let headers = answer
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(64 << 20).read_to_vec()?;
    Ok(Answer { status, headers, body })
}

impl Server {
    /// A server on an empty folder.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A server on an empty folder, with more environment variables.
    pub fn start_with(environment: &[(&str, &str)]) -> Self {
        Self::start_on(Arc::new(tempfile::tempdir().expect("a folder can be made")), environment)
    }

    /// A server on a folder.
    pub fn start_on(data: Arc<TempDir>, environment: &[(&str, &str)]) -> Self {
        let log = tempfile::tempfile().expect("a file can be made");
        let stderr = log.try_clone().expect("a file can be shared");
        Self::start_logging_to(stderr.into(), log, data, environment)
    }

    /// A server on an empty folder whose log nobody reads: every write to it fails.
    pub fn start_unheard(environment: &[(&str, &str)]) -> Self {
        let (reader, writer) = std::io::pipe().expect("a pipe can be made");
        drop(reader);
        let data = Arc::new(tempfile::tempdir().expect("a folder can be made"));
        let log = tempfile::tempfile().expect("a file can be made");
        Self::start_logging_to(writer.into(), log, data, environment)
    }

    fn start_logging_to(stderr: Stdio, log: File, data: Arc<TempDir>, environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(binary());
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data.path())
            .env("CAMSHAFT_ADMIN_TOKEN", TOKEN)
            .env("CAMSHAFT_LIMITS_EXECUTIONS_PER_SECOND", "0")
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(stderr);
        let mut child = command.spawn().expect("the binary starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut first = String::new();
        stdout.read_line(&mut first).expect("stdout is text");
        let Some(url) = first.trim().strip_prefix("listening on ").map(str::to_owned) else {
            let _ = child.wait();
            panic!("the first line is {first:?}; the log: {}", text(&log));
        };
        std::thread::spawn(move || for_each_line(stdout));
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { child, url, data, environment, log }
    }

    /// `kill -9`, then a new server on the same folder.
    pub fn crash_and_restart(mut self) -> Self {
        self.child.kill().expect("the process can be killed");
        self.child.wait().expect("the process is ours");
        let (data, environment) = (self.data.clone(), std::mem::take(&mut self.environment));
        drop(self);
        Self::start_on(data, &borrowed(&environment))
    }

    /// Stops it as an operator does, then a new server on the same folder.
    pub fn stop_and_restart(mut self) -> Self {
        let (data, environment) = (self.data.clone(), std::mem::take(&mut self.environment));
        let status = self.terminate();
        assert!(status.success(), "it stops with {status}");
        Self::start_on(data, &borrowed(&environment))
    }

    /// Sends a signal and waits for the end.
    pub fn terminate(mut self) -> std::process::ExitStatus {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill is there");
        assert!(sent.success());
        self.child.wait().expect("the process is ours")
    }

    /// Calls the management API; a JSON body.
    pub fn api(&self, method: &str, path: &str, body: &str) -> Answer {
        self.api_as(TOKEN, method, path, body.as_bytes())
    }

    /// Calls the management API with another token.
    pub fn api_as(&self, token: &str, method: &str, path: &str, body: &[u8]) -> Answer {
        let authorization = format!("Bearer {token}");
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
        self.send(method, path, &headers, body)
    }

    /// Calls the management API and demands success.
    pub fn ok(&self, method: &str, path: &str, body: &str) -> Value {
        let answer = self.api(method, path, body);
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.text());
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    /// Any request.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        send(method, &format!("{}{path}", self.url), headers, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}; the log: {}", self.log()))
    }

    /// Applies and publishes a workflow.
    pub fn publish(&self, name: &str, document: &str) {
        self.ok("PUT", &format!("/api/v1/workflows/{name}"), document);
        self.ok("POST", &format!("/api/v1/workflows/{name}/publish"), "{}");
    }

    /// An execution once it has ended.
    pub fn ended(&self, id: &str) -> Value {
        for _ in 0..1_000_000 {
            let execution = self.ok("GET", &format!("/api/v1/executions/{id}"), "");
            if !execution["ended_at"].is_null() {
                return execution;
            }
            std::thread::yield_now();
        }
        panic!("execution {id} does not end; the log: {}", self.log());
    }

    /// Runs the command line against this server.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        Command::new(binary())
            .args(arguments)
            .current_dir(workspace())
            .env("CAMSHAFT_URL", &self.url)
            .env("CAMSHAFT_TOKEN", TOKEN)
            .env("NO_COLOR", "1")
            .output()
            .expect("the binary starts")
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        text(&self.log)
    }

    /// Where it keeps everything.
    pub fn data(&self) -> &Path {
        self.data.path()
    }
}

fn borrowed(environment: &[(String, String)]) -> Vec<(&str, &str)> {
    environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// All of a file, whose position is the server's.
fn text(file: &File) -> String {
    let mut bytes = vec![0; file.metadata().expect("the file is open").len() as usize];
    file.read_exact_at(&mut bytes, 0).expect("the file can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn for_each_line(mut reader: impl BufRead) {
    let mut line = String::new();
    while let Ok(1..) = reader.read_line(&mut line) {
        line.clear();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone where the test ended it itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
