//! The commands; one group a file.

mod approval;
mod backup;
mod connection;
mod deploy;
mod environment;
mod execution;
mod integration;
mod plugin;
mod rerun;
mod schedule;
mod secret;
mod serve;
mod share;
mod signing_key;
mod subscription;
mod test;
mod token;
mod trigger;
mod user;
mod workflow;
mod workspace;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::CommandFactory;
use serde_json::Value;

use crate::arguments::{Cli, Command, Schema};
use crate::client::Client;

pub(crate) use workflow::BadDocument;

/// A client, and whether programs read what is printed.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) json: bool,
}

impl Session {
    /// Prints the server's JSON, or what people read.
    pub(crate) fn print(&self, value: &Value, people: impl FnOnce(&Value) -> String) -> Result<()> {
        if self.json { say(&serde_json::to_string_pretty(value)?) } else { say(&people(value)) }
    }
}

/// Carries out what was typed.
pub(crate) fn run(cli: Cli) -> Result<ExitCode> {
    let session = Session { client: Client::new(&cli.url, cli.token, cli.workspace), json: cli.json };
    match cli.command {
        Command::Serve(options) => serve::serve(options)?,
        Command::Config => say(camshaft_server::Config::printed_default().trim_end())?,
        Command::Backup { file } => backup::backup(&session, &file)?,
        Command::Restore { file, data } => backup::restore(&session, &file, &data)?,
        Command::Deploy { folder, no_publish } => deploy::deploy(&session, &folder, !no_publish)?,
        Command::Plugin(command) => plugin::run(&session, command)?,
        Command::Workflow(command) => return workflow::run(&session, command),
        Command::Environment(command) => environment::run(&session, command)?,
        Command::Schedule(command) => schedule::run(&session, command)?,
        Command::Trigger(command) => trigger::run(&session, command)?,
        Command::Integration(command) => integration::run(&session, command)?,
        Command::Subscription(command) => subscription::run(&session, command)?,
        Command::User(command) => user::run(&session, command)?,
        Command::Connection(command) => connection::run(&session, command)?,
        Command::SigningKey(command) => signing_key::run(&session, command)?,
        Command::Secret(command) => secret::run(&session, command)?,
        Command::Token(command) => token::run(&session, command)?,
        Command::Approval(command) => approval::run(&session, command)?,
        Command::Execution(command) => return execution::run(&session, command),
        Command::Workspace(command) => workspace::run(&session, command)?,
        Command::Schema(Schema::Workflow) => say(&serde_json::to_string_pretty(&camshaft_server::workflow_schema())?)?,
        Command::Completions { shell } => {
            // What writes to stdout itself panics where nobody reads it to the end.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "camshaft", &mut script);
            say(String::from_utf8_lossy(&script).trim_end())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints. Whoever stops reading (`| head`) has seen enough.
pub(crate) fn say(text: &str) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// A file's text, named in the error.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A YAML or JSON file as JSON.
pub(crate) fn read_yaml(path: &Path) -> Result<Value> {
    serde_norway::from_str(&read_text(path)?).with_context(|| format!("{} is no YAML", path.display()))
}

/// JSON as it is, or the content of `@FILE`.
pub(crate) fn read_json(argument: &str, what: &str) -> Result<Value> {
    let text = match argument.strip_prefix('@') {
        Some(path) => read_text(Path::new(path))?,
        None => argument.to_owned(),
    };
    serde_json::from_str(&text).with_context(|| format!("{what} is no JSON"))
}

/// A file's name without its ending.
pub(crate) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
