//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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

#[derive(Subcommand)]
pub(crate) enum Environment {
    /// Lists the environments.
    Ls,
    /// Shows an environment: its variables, and what is published in it.
    Show {
        /// The environment.
        name: String,
    },
    /// Makes an environment, or changes some of its variables, which workflows read as `$.env.KEY`.
    Set {
        /// a-z, 0-9 and hyphens
        name: String,
        /// Variables; the value is JSON if it can be read so, else text.
        #[arg(value_name = "KEY=VALUE")]
        variables: Vec<String>,
        /// Variables that shall be no more.
        #[arg(long, value_name = "KEY")]
        unset: Vec<String>,
    },
    /// Removes an environment of one's own, with its secrets, once nothing is published in it.
    Rm {
        /// The environment.
        name: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum Trigger {
    /// Lists a workflow's triggers: where to call, and what came of it.
    Ls {
        /// The workflow.
        workflow: String,
        /// `production` if left out.
        #[arg(long)]
        environment: Option<String>,
        /// Print each as a call for a shell.
        #[arg(long)]
        curl: bool,
    },
    /// Switches a trigger on.
    Enable {
        /// The workflow.
        workflow: String,
        /// Its key, as `ls` shows it: `manual`, `webhook:github`.
        trigger: String,
    },
    /// Switches a trigger off, in every environment; what runs goes on.
    Disable {
        /// The workflow.
        workflow: String,
        /// Its key, as `ls` shows it: `manual`, `webhook:github`.
        trigger: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum Schedule {
    /// Lists the schedules of what is published: when each is due next, and what its last firing came to.
    Ls {
        /// Of this workflow.
        #[arg(long)]
        workflow: Option<String>,
        /// Published in this environment.
        #[arg(long)]
        environment: Option<String>,
    },
    /// Tells when a schedule would be due. No server is needed.
    Preview {
        /// A pattern: minute, hour, day, month, weekday.
        #[arg(required_unless_present_any = ["at", "every"])]
        cron: Option<String>,
        /// A wall time: 2026-12-24T18:00:00
        #[arg(long, conflicts_with_all = ["cron", "every"])]
        at: Option<String>,
        /// An interval: 15m
        #[arg(long, conflicts_with = "cron")]
        every: Option<String>,
        /// A zone of the IANA database, such as Europe/Berlin; UTC if left out.
        #[arg(long)]
        timezone: Option<String>,
        /// What becomes of a wall time that a change of clock leaves out: next (if left out) or skip.
        #[arg(long)]
        gap: Option<String>,
        /// What becomes of a wall time that a change of clock repeats: first (if left out) or both.
        #[arg(long)]
        fold: Option<String>,
        /// From this time on (RFC 3339); from now on if left out.
        #[arg(long)]
        after: Option<String>,
        /// How many times.
        #[arg(long, default_value_t = 5)]
        next: usize,
    },
}

#[derive(Subcommand)]
pub(crate) enum Workspace {
    /// Makes a workspace, or gives one another name for people and other limits.
    Create {
        /// a-z, 0-9 and hyphens
        name: String,
        /// For people.
        #[arg(long)]
        display_name: Option<String>,
        /// Executions that it may start in a second; 0 is no limit.
        #[arg(long)]
        per_second: Option<u32>,
        /// Executions accepted in a day (UTC).
        #[arg(long)]
        per_day: Option<u64>,
        /// Executions accepted in a month (UTC).
        #[arg(long)]
        per_month: Option<u64>,
        /// Executions under way at once.
        #[arg(long)]
        parallel: Option<u32>,
    },
    /// Lists the workspaces.
    Ls,
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

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    /// Does one piece of work.
    Task,
    /// Understands one vendor's webhooks.
    Adapter,
}

#[derive(Subcommand)]
pub(crate) enum Plugin {
    /// Uploads components.
    Push {
        /// Component files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Lists plugins.
    Ls {
        /// Only these.
        #[arg(long)]
        kind: Option<Kind>,
    },
    /// Shows a plugin: releases, schemas, imports, grant.
    Show {
        /// NAME or NAME@VERSION
        name: String,
    },
    /// Sets what a plugin may reach; replaces what it was granted before.
    Grant {
        /// The plugin.
        name: String,
        /// An origin such as `https://api.example.com`, `https://*.example.com`, or `*` for every public host.
        #[arg(long = "host")]
        hosts: Vec<String>,
        /// The hosts above may be private, loopback or link-local addresses.
        #[arg(long)]
        private_addresses: bool,
        /// A secret that it may read.
        #[arg(long = "secret")]
        secrets: Vec<String>,
    },
}

#[derive(Subcommand)]
pub(crate) enum Workflow {
    /// Puts documents; each that changed makes a revision.
    Apply {
        /// Workflow documents, YAML or JSON.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Publishes a revision.
    Publish {
        /// The workflow.
        name: String,
        /// The latest if left out.
        #[arg(long)]
        revision: Option<u32>,
        /// `production` if left out.
        #[arg(long)]
        environment: Option<String>,
    },
    /// Publishes in one environment the revision that runs in another.
    Promote {
        /// The workflow.
        name: String,
        /// The environment whose revision is meant.
        #[arg(long)]
        from: String,
        /// `production` if left out.
        #[arg(long)]
        to: Option<String>,
    },
    /// Publishes again what an environment ran before; each further call goes one further back.
    Rollback {
        /// The workflow.
        name: String,
        /// `production` if left out.
        #[arg(long)]
        environment: Option<String>,
    },
    /// Takes a workflow out of an environment.
    Unpublish {
        /// The workflow.
        name: String,
        /// `production` if left out.
        #[arg(long)]
        environment: Option<String>,
    },
    /// Lists workflows.
    Ls,
    /// Shows a workflow and its URLs.
    Show {
        /// The workflow.
        name: String,
        /// Print the latest revision's document instead.
        #[arg(long)]
        document: bool,
    },
    /// Lists a workflow's revisions.
    Revisions {
        /// The workflow.
        name: String,
    },
    /// Runs the latest revision as a test, published or not, and shows what came of it. Plugins are told that it is a dry run.
    Test {
        /// The workflow.
        name: String,
        /// `$.event` as JSON, or `@FILE`.
        #[arg(long)]
        event: Option<String>,
        /// The event and parameters that this execution had.
        #[arg(long, value_name = "EXECUTION", conflicts_with_all = ["event", "params", "param", "environment"])]
        replay: Option<String>,
        /// Parameters as a JSON object, or `@FILE`.
        #[arg(long)]
        params: Option<String>,
        /// One parameter, `KEY=VALUE`; the value is JSON if it can be read so, else text.
        #[arg(short = 'p', long = "param", value_name = "KEY=VALUE")]
        param: Vec<String>,
        /// Another revision than the latest.
        #[arg(long)]
        revision: Option<u32>,
        /// Whose secrets and workflows it uses: `production` if left out.
        #[arg(long)]
        environment: Option<String>,
        /// What plugins logged, too.
        #[arg(long)]
        logs: bool,
    },
    /// Starts a workflow.
    Trigger {
        /// The workflow.
        name: String,
        /// Parameters as a JSON object, or `@FILE`.
        #[arg(long)]
        params: Option<String>,
        /// One parameter, `KEY=VALUE`; the value is JSON if it can be read so, else text.
        #[arg(short = 'p', long = "param", value_name = "KEY=VALUE")]
        param: Vec<String>,
        /// `$.event` as JSON, or `@FILE`.
        #[arg(long)]
        event: Option<String>,
        /// Wait for the answer, for so many seconds.
        #[arg(long, num_args = 0..=1, default_missing_value = "50", value_name = "SECONDS")]
        wait: Option<u32>,
    },
}

#[derive(Subcommand)]
pub(crate) enum Integration {
    /// Puts integrations from YAML or JSON files: `{name?, adapter, config?, secrets?}`. A secret is a text, a list of texts
    /// while rotating, or `{env: NAME}`.
    Apply {
        /// One integration each; the file's name is the integration's unless it says otherwise.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Lists integrations.
    Ls,
    /// Shows an integration: URLs, what came, what was refused and why.
    Show {
        /// The integration.
        name: String,
    },
    /// Removes an integration.
    Rm {
        /// The integration.
        name: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum Secret {
    /// Sets a secret; the value is read from standard input unless given.
    Set {
        /// Letters, digits and underscores.
        name: String,
        /// The value. Others may see it in the list of processes; standard input is safer.
        #[arg(long)]
        value: Option<String>,
        /// For this environment alone; for all that have no value of their own if left out.
        #[arg(long)]
        environment: Option<String>,
    },
    /// Lists names; values never.
    Ls,
    /// Removes a secret.
    Rm {
        /// Its name.
        name: String,
        /// The environment whose own value it is.
        #[arg(long)]
        environment: Option<String>,
    },
}

#[derive(Subcommand)]
pub(crate) enum Token {
    /// Makes a token and shows it, once.
    Create {
        /// What it is for.
        #[arg(long, default_value = "made on the command line")]
        label: String,
        /// Only for this workflow.
        #[arg(long)]
        workflow: Option<String>,
        /// What it may do, several separated by commas. With a workflow: trigger, read, manage (trigger,read where it is left
        /// out); without one: operator, admin, read or events (read).
        #[arg(long = "scope", value_delimiter = ',')]
        scopes: Vec<Scope>,
        /// When it ends: 12h, 30d.
        #[arg(long)]
        expires: Option<String>,
    },
    /// Lists tokens.
    Ls {
        /// Of this workflow.
        #[arg(long)]
        workflow: Option<String>,
    },
    /// Ends a token at once.
    Revoke {
        /// Its id, as `token ls` shows it.
        id: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Scope {
    /// Everything, in every workspace.
    Operator,
    /// Everything in the workspace.
    Admin,
    /// Looking.
    Read,
    /// Sending events.
    Events,
    /// Starting a workflow, and telling its executions something.
    Trigger,
    /// Enabling and disabling a workflow's triggers.
    Manage,
}

/// Which executions: all that is said must hold.
#[derive(Args)]
pub(crate) struct Which {
    /// Of this workflow.
    #[arg(long)]
    pub(crate) workflow: Option<String>,
    /// In this status, or one of several separated by commas.
    #[arg(long)]
    pub(crate) status: Option<String>,
    /// With this label of their workflow; several times: with all of them.
    #[arg(long = "label", value_name = "KEY:VALUE")]
    pub(crate) labels: Vec<String>,
    /// Started by this: manual, webhook, request, schedule, workflow.
    #[arg(long)]
    pub(crate) trigger: Option<String>,
    /// In this environment.
    #[arg(long)]
    pub(crate) environment: Option<String>,
    /// Accepted at this time (RFC 3339) or later; or so long ago at most: 90m, 2d.
    #[arg(long)]
    pub(crate) since: Option<String>,
    /// Accepted before this time, or longer ago.
    #[arg(long)]
    pub(crate) until: Option<String>,
    /// Only tests; `--test false`: none of them.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) test: Option<bool>,
}

#[derive(Subcommand)]
pub(crate) enum Approval {
    /// Lists the approvals that wait for an answer.
    Ls {
        /// Of this workflow.
        #[arg(long)]
        workflow: Option<String>,
        /// About so many: those of one execution stay together.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
}

#[derive(Subcommand)]
pub(crate) enum Execution {
    /// Lists executions, newest first.
    Ls {
        #[command(flatten)]
        which: Which,
        /// At most so many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Shows an execution step by step.
    Show {
        /// Its id.
        id: String,
        /// What plugins logged, too.
        #[arg(long)]
        logs: bool,
        /// The raw journal instead.
        #[arg(long)]
        journal: bool,
    },
    /// Cancels an execution.
    Cancel {
        /// Its id.
        id: String,
    },
    /// Follows an execution until it ends.
    Watch {
        /// Its id.
        id: String,
    },
    /// Runs an execution again, with the event and parameters that it had; or all that a filter holds for.
    Rerun {
        /// Its id.
        #[arg(required_unless_present = "all")]
        id: Option<String>,
        /// Begins with this step of the top of the document; what the steps before it put out is kept.
        #[arg(long)]
        from: Option<String>,
        /// With another revision, or with `draft`: the latest, published or not; the new execution is then a test.
        #[arg(long)]
        revision: Option<String>,
        /// All that the filter holds for, oldest first, each once.
        #[arg(long, conflicts_with_all = ["id", "from", "revision"])]
        all: bool,
        #[command(flatten)]
        which: Which,
        /// The newest of them, at most so many.
        #[arg(long, requires = "all", default_value_t = 1_000)]
        limit: usize,
        /// Only tell how many there are.
        #[arg(long, requires = "all")]
        dry_run: bool,
        /// Do not ask before.
        #[arg(long, short = 'y', requires = "all")]
        yes: bool,
    },
    /// Answers an approval that a step asks for.
    Approve {
        /// The execution's id.
        id: String,
        /// The step, where several ask.
        #[arg(long)]
        step: Option<String>,
        /// The turns of the loops around it, outermost first: `2`, `0,3`.
        #[arg(long, value_delimiter = ',')]
        turn: Option<Vec<u32>>,
        /// Says no.
        #[arg(long)]
        reject: bool,
        /// For whoever reads it later.
        #[arg(long)]
        comment: Option<String>,
    },
    /// Sends an event to executions that wait for its topic: to all of them, or to one.
    Send {
        /// Its topic.
        topic: String,
        /// What it carries: JSON, or `@FILE`.
        #[arg(long)]
        data: Option<String>,
        /// Its id: the same one again counts once.
        #[arg(long)]
        event_id: Option<String>,
        /// To this execution alone.
        #[arg(long)]
        execution: Option<String>,
    },
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
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("arguments.rs") {
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
