//! What can be typed.

mod connections;
mod executions;
mod subscriptions;
mod tenants;
mod triggers;
mod workflows;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use connections::{Connection, SigningKey, User};
pub(crate) use executions::{Approval, Execution, Which};
pub(crate) use subscriptions::{Subscribed, Subscription};
pub(crate) use tenants::{Environment, Secret, Token, Workspace};
pub(crate) use triggers::{Integration, Schedule, Trigger};
pub(crate) use workflows::{Kind, Language, Plugin, Workflow};

/// Workflows whose tasks and webhook adapters are WebAssembly plugins.
#[derive(Parser)]
#[command(name = "camshaft", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Where the server is.
    #[arg(long, global = true, env = "CAMSHAFT_URL", default_value = "http://127.0.0.1:7400")]
    pub(crate) url: String,
    /// A token; left out, it is read from `camshaft-data/admin-token`, if the server is on this machine.
    #[arg(long, global = true, env = "CAMSHAFT_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// The workspace; for operators, whose tokens reach every one. Left out, it is the token's own.
    #[arg(long, global = true, env = "CAMSHAFT_WORKSPACE")]
    pub(crate) workspace: Option<String>,
    /// Print the server's JSON, for programs.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Runs the server.
    Serve(Serve),
    /// Prints the configuration with its defaults.
    Config,
    /// Copies everything that a running server keeps into a new file, keys included: the file is as secret as they are.
    Backup {
        /// A file that there is not yet; only its owner may read it.
        file: PathBuf,
    },
    /// Makes a data folder of a backup. No server is needed; start one on the folder afterwards.
    Restore {
        /// What `camshaft backup` wrote.
        file: PathBuf,
        /// The data folder: new, or empty.
        #[arg(long)]
        data: PathBuf,
    },
    /// Puts a folder of plugins, grants, integrations and workflows in, and publishes.
    Deploy {
        /// Holds `plugins/*.wasm`, `grants.yaml`, `integrations/*.yaml`, `workflows/*.yaml`; each may be missing.
        folder: PathBuf,
        /// Leave the workflows unpublished.
        #[arg(long)]
        no_publish: bool,
    },
    /// Plugins: components that are tasks or adapters.
    #[command(subcommand)]
    Plugin(Plugin),
    /// Workflows and their revisions.
    #[command(subcommand)]
    Workflow(Workflow),
    /// Triggers: what starts a workflow, and the switch of each.
    #[command(subcommand)]
    Trigger(Trigger),
    /// Schedules: when workflows are started by the time.
    #[command(subcommand)]
    Schedule(Schedule),
    /// Environments: where revisions are published, with their variables.
    #[command(subcommand)]
    Environment(Environment),
    /// Integrations: adapters with configuration and secrets.
    #[command(subcommand)]
    Integration(Integration),
    /// Subscriptions: URLs that are told when executions change.
    #[command(subcommand)]
    Subscription(Subscription),
    /// Users of your app, and its events for them.
    #[command(subcommand)]
    User(User),
    /// Connections: a user and an integration, with settings, credentials and enabled workflows.
    #[command(subcommand)]
    Connection(Connection),
    /// Keys that your app signs the tokens of its users with: their public halves.
    #[command(subcommand)]
    SigningKey(SigningKey),
    /// Secrets of tasks; values go in and never come out.
    #[command(subcommand)]
    Secret(Secret),
    /// Tokens for people and programs.
    #[command(subcommand)]
    Token(Token),
    /// Executions: what ran.
    #[command(subcommand)]
    Execution(Execution),
    /// Approvals: who waits for an answer; `execution approve` gives it.
    #[command(subcommand)]
    Approval(Approval),
    /// JSON Schemas, for editors.
    #[command(subcommand)]
    Schema(Schema),
    /// Workspaces: tenants of an instance, made by its operators.
    #[command(subcommand)]
    Workspace(Workspace),
    /// Completions for a shell: `camshaft completions bash > …`.
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
}

#[derive(Args)]
pub(crate) struct Serve {
    /// Folder for everything that is kept.
    #[arg(long)]
    pub(crate) data: Option<PathBuf>,
    /// Address and port; port 0 takes any free one.
    #[arg(long)]
    pub(crate) listen: Option<String>,
    /// A TOML file; `camshaft config` prints one with every key.
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum Schema {
    /// Of the workflow document.
    Workflow,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_hang_together() {
        Cli::command().debug_assert();
    }

    /// Commands that the server and this program tell people to type, read out of the sources: what stands in braces there
    /// is a name here.
    fn suggested(source: &str) -> Vec<String> {
        let code: String = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let begins = |opening: &str| -> Vec<String> {
            let closing = if opening.starts_with('`') { '`' } else { '"' };
            let texts = code.split(opening).skip(1).filter_map(|rest| rest.split(closing).next());
            texts.map(|text| format!("camshaft {text}")).collect()
        };
        let mut found = begins("`camshaft ");
        found.extend(begins("format!(\"camshaft "));
        found
    }

    #[test]
    fn every_command_that_is_suggested_can_be_typed() {
        let mut count = 0;
        // Asked when the test runs: what was compiled in may be another clone with the same target folder.
        let own = std::path::PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap());
        let mut folders = vec![own.parent().unwrap().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.ends_with("arguments") {
                    folders.push(path);
                } else if path.extension().is_some_and(|ending| ending == "rs") {
                    for command in suggested(&std::fs::read_to_string(&path).unwrap()) {
                        let typed = command.replace("{flags}", "--host https://api.example.com");
                        let typed = typed.split_whitespace().map(|word| word.replace(['{', '}'], ""));
                        let parsed = Cli::try_parse_from(typed).map(drop);
                        assert!(parsed.is_ok(), "{}: `{command}`: {}", path.display(), parsed.unwrap_err());
                        count += 1;
                    }
                }
            }
        }
        assert!(count >= 6, "{count} commands were found");
    }

    #[test]
    fn waiting_has_a_default() {
        let wait = |arguments: &[&str]| match Cli::try_parse_from(arguments).unwrap().command {
            Command::Workflow(Workflow::Trigger { wait, .. }) => wait,
            _ => unreachable!("it is a trigger"),
        };
        assert_eq!(wait(&["camshaft", "workflow", "trigger", "a"]), None);
        assert_eq!(wait(&["camshaft", "workflow", "trigger", "a", "--wait"]), Some(50));
        assert_eq!(wait(&["camshaft", "workflow", "trigger", "a", "--wait", "3"]), Some(3));
    }
}
