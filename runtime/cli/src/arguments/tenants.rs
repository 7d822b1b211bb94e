//! What is typed about who may do what, and where: workspaces, environments, tokens, secrets.

use clap::{Subcommand, ValueEnum};

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
        /// How long an execution may take, waiting included, whatever its workflow says: 10m, 2h.
        #[arg(long)]
        execution_time: Option<String>,
    },
    /// Lists the workspaces.
    Ls,
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
