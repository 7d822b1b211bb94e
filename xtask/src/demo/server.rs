//! The demonstration's server: the real binary on a temporary folder, with a token of its own, gone when this is dropped.

use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::BuildHasher;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use super::github::{Answer, Delivery};
use crate::process::Process;
use crate::workspace::Workspace;

/// How long the server may take to end what it is doing once it was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// A running server.
pub struct Server {
    child: Child,
    binary: PathBuf,
    folder: TempDir,
    /// `http://127.0.0.1:PORT`
    pub url: String,
    /// The admin token.
    pub token: String,
}

impl Server {
    /// Starts the binary and waits for its first line.
    pub fn start(binary: &Path, environment: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("camshaft-demo-").tempdir().context("cannot make a folder")?;
        let token = token();
        let log = File::create(log_file(&folder)).context("cannot make the log's file")?;
        let mut child = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.path().join("data"))
            .env("CAMSHAFT_ADMIN_TOKEN", &token)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let mut lines = BufReader::new(child.stdout.take().context("the server has no standard output")?);
        let mut server = Self { child, binary: binary.to_owned(), folder, url: String::new(), token };
        let mut first = String::new();
        lines.read_line(&mut first).context("cannot read what the server says")?;
        match first.trim().strip_prefix("listening on ") {
            Some(url) => url.clone_into(&mut server.url),
            None => {
                bail!("the server said `{}` instead of where it listens; its log:\n{}", first.trim(), server.log_end())
            }
        }
        // A full pipe would stop the server.
        thread::spawn(move || io::copy(&mut lines, &mut io::sink()));
        Ok(server)
    }

    /// Where the server keeps everything.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The binary, which is also the client.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// The file of the server's log.
    pub fn log(&self) -> PathBuf {
        log_file(&self.folder)
    }

    /// The last lines of the server's log.
    pub fn log_end(&self) -> String {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Runs the command line against the server, and gives what it prints.
    pub fn camshaft(&self, workspace: &Workspace, arguments: &[&str]) -> Result<String> {
        Process::new(&self.binary, &workspace.root)
            .args(arguments)
            .env("CAMSHAFT_URL", &self.url)
            .env("CAMSHAFT_TOKEN", &self.token)
            .read()
    }

    /// Sends a webhook.
    pub fn deliver(&self, path: &str, delivery: &Delivery) -> Result<Answer> {
        let request = agent()
            .post(format!("{}{path}", self.url))
            .header("Content-Type", "application/json")
            .header("User-Agent", "GitHub-Hookshot/044aadd")
            .header("X-GitHub-Event", delivery.event)
            .header("X-GitHub-Delivery", &delivery.id)
            .header("X-Hub-Signature-256", &delivery.signature);
        let mut response = request.send(&delivery.body[..]).with_context(|| format!("POST {path}"))?;
        let text = |value: &ureq::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        Ok(Answer { status: response.status().as_u16(), headers, body: response.body_mut().read_to_string()? })
    }

    /// Asks the management API.
    pub fn api(&self, path: &str) -> Result<Value> {
        let request =
            agent().get(format!("{}{path}", self.url)).header("Authorization", format!("Bearer {}", self.token));
        let mut response = request.call().with_context(|| format!("GET {path}"))?;
        let body = response.body_mut().read_to_string()?;
        if response.status() != 200 {
            bail!("GET {path} was answered with {}: {body}", response.status());
        }
        serde_json::from_str(&body).with_context(|| format!("the answer of GET {path} is no JSON: {body}"))
    }

    /// Puts something in over the management API.
    pub fn put(&self, path: &str, body: &str) -> Result<()> {
        let request =
            agent().put(format!("{}{path}", self.url)).header("Authorization", format!("Bearer {}", self.token));
        let mut response = request.send(body).with_context(|| format!("PUT {path}"))?;
        if !response.status().is_success() {
            bail!("PUT {path} was answered with {}: {}", response.status(), response.body_mut().read_to_string()?);
        }
        Ok(())
    }

    /// Lets people play until somebody presses Ctrl-C or the server ends by itself.
    pub fn serve_until(&mut self, interrupted: &Receiver<()>) -> Result<()> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                // Ctrl-C reaches the server too, and it may be quicker.
                return match interrupted.recv_timeout(Duration::from_millis(200)) {
                    Ok(()) => Ok(()),
                    Err(_) => bail!("the server ended by itself ({status}); its log ends with:\n{}", self.log_end()),
                };
            }
            match interrupted.recv_timeout(Duration::from_millis(200)) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        println!("\nstopping");
        let told = Instant::now();
        while self.child.try_wait()?.is_none() && told.elapsed() < GRACE {
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// Every status is an answer; the machine's proxies know nothing of loopback.
fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None).build().into()
}

fn log_file(folder: &TempDir) -> PathBuf {
    folder.path().join("server.log")
}

/// Enough chance for a server that lives for minutes on loopback.
fn token() -> String {
    let chance = || RandomState::new().hash_one(0);
    format!("cst_demo_{:016x}{:016x}", chance(), chance())
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing to save: the folder goes with it. It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
