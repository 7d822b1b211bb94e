//! Running other programs: a command that can be shown so that a person can copy it, and whose output is kept until it is
//! known whether somebody wants it. What is printed meanwhile is [`crate::progress`]'s.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A command that has not run yet.
#[derive(Clone)]
pub struct Process {
    program: OsString,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    without: Vec<OsString>,
    folder: PathBuf,
}

/// How a command ended, and what it said.
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// Standard output and standard error, interleaved as they came.
    pub output: String,
}

impl Process {
    /// Any program.
    pub fn new(program: impl AsRef<OsStr>, folder: &Path) -> Self {
        let program = program.as_ref().to_owned();
        Self { program, arguments: Vec::new(), variables: Vec::new(), without: Vec::new(), folder: folder.to_owned() }
    }

    /// The cargo that called xtask.
    pub fn cargo(folder: &Path) -> Self {
        let mut process = Self::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), folder);
        // What `cargo run` tells xtask about itself would make build scripts that watch these variables run again.
        process.without = env::vars_os()
            .map(|(name, _)| name)
            .filter(|name| {
                let name = name.to_string_lossy();
                ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"]
                    .iter()
                    .any(|start| name.starts_with(start))
            })
            .collect();
        process
    }

    /// With one more argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// With more arguments.
    pub fn args<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, arguments: I) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// With an environment variable; the last value of a name counts.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.variables.retain(|(given, _)| given != name.as_ref());
        self.variables.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Without an environment variable that xtask itself may have.
    pub fn without_env(mut self, name: impl AsRef<OsStr>) -> Self {
        self.without.push(name.as_ref().to_owned());
        self
    }

    /// The command, for those who need more than this type offers.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.folder).stdin(Stdio::null());
        for name in &self.without {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it, keeps what it says, and calls `heard` with each line, and with none when it has been quiet for `quiet`.
    pub fn listen(&self, quiet: Duration, mut heard: impl FnMut(Option<&str>)) -> Result<Ended> {
        let (reader, writer) = io::pipe()?;
        let mut command = self.command();
        if io::stderr().is_terminal() {
            command.env("CARGO_TERM_COLOR", "always");
        }
        command.stdout(writer.try_clone()?).stderr(writer);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", self.name()))?;
        drop(command); // its copies of the pipe's end would keep the reader waiting for ever
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
            }
        });
        let mut output = String::new();
        loop {
            match lines.recv_timeout(quiet) {
                Ok(line) => {
                    heard(Some(&line));
                    output.push_str(&line);
                    output.push('\n');
                }
                Err(RecvTimeoutError::Timeout) => heard(None),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(Ended { status: child.wait()?, output })
    }

    /// Runs it silently and gives its standard output; a failure carries what it said.
    pub fn read(&self) -> Result<String> {
        let output = self.command().output().with_context(|| format!("cannot start {}", self.name()))?;
        if !output.status.success() {
            bail!("`{self}` failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Whether it runs and ends well within `limit`; a program that is not there does not.
    pub fn succeeds(&self, limit: Duration) -> bool {
        let Ok(mut child) = self.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn() else { return false };
        let start = Instant::now();
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) if start.elapsed() < limit => thread::sleep(Duration::from_millis(20)),
                _ => {
                    // It has outlived its time, or cannot be asked: either way nothing is left of it.
                    let _ = child.kill();
                    let _ = child.wait();
                    return false;
                }
            }
        }
    }

    /// Runs it with the terminal as its own.
    pub fn show(&self) -> Result<ExitStatus> {
        self.command().status().with_context(|| format!("cannot start {}", self.name()))
    }

    fn name(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }
}

/// The command as a person would type it in a shell, in any folder.
impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cd {} &&", quoted(self.folder.as_os_str()))?;
        for (name, value) in &self.variables {
            write!(f, " {}={}", name.to_string_lossy(), quoted(value))?;
        }
        // The path of rustup's own cargo says nothing to a person.
        match Path::new(&self.program).file_name() {
            Some(name) if name == "cargo" => f.write_str(" cargo")?,
            _ => write!(f, " {}", quoted(&self.program))?,
        }
        self.arguments.iter().try_for_each(|argument| write!(f, " {}", quoted(argument)))
    }
}

fn quoted(text: &OsStr) -> String {
    let text = text.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@+%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_a_shell_takes_it() {
        let process = Process::new("/opt/toolchain/bin/cargo", Path::new("/a b"))
            .env("X", "old")
            .env("X", "it's")
            .args(["test", "--", "a*"]);
        assert_eq!(process.to_string(), r"cd '/a b' && X='it'\''s' cargo test -- 'a*'");
    }

    #[test]
    fn both_outputs_are_kept_in_order_with_the_status() {
        let shell = Process::new("sh", Path::new("/")).args(["-c", "echo one; echo two >&2; printf three; exit 4"]);
        let mut heard = Vec::new();
        let ended = shell.listen(Duration::MAX, |line| heard.extend(line.map(str::to_owned))).unwrap();
        assert_eq!(ended.output, "one\ntwo\nthree\n");
        assert_eq!(heard, ["one", "two", "three"]);
        assert_eq!(ended.status.code(), Some(4));
    }

    #[test]
    fn a_failure_carries_what_the_program_said() {
        let error =
            Process::new("sh", Path::new("/")).args(["-c", "echo no such thing >&2; exit 1"]).read().unwrap_err();
        assert!(error.to_string().contains("no such thing"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_does_not_succeed() {
        assert!(!Process::new("/nowhere/at/all", Path::new("/")).succeeds(Duration::MAX));
        assert!(!Process::new("false", Path::new("/")).succeeds(Duration::MAX));
        assert!(Process::new("true", Path::new("/")).succeeds(Duration::MAX));
    }
}
