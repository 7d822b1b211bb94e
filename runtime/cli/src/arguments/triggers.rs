//! What is typed about what starts workflows: triggers, schedules, integrations.

use std::path::PathBuf;

use clap::Subcommand;

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
    /// Looks again at the latest refused deliveries: was it the clock, the URL, the body, or the secret?
    Doctor {
        /// The integration.
        name: String,
    },
    /// Tries an integration out: its adapter signs a sample as the vendor would, which then goes the way of every delivery.
    Test {
        /// The integration.
        name: String,
        /// The event's type; `camshaft plugin show ADAPTER` lists those that have a sample.
        #[arg(long)]
        event: String,
        /// A file in place of the adapter's own sample. The delivery's id in it is made anew.
        #[arg(long)]
        body: Option<PathBuf>,
        /// Where the workflows are published; `production` if left out.
        #[arg(long)]
        environment: Option<String>,
    },
    /// Removes an integration.
    Rm {
        /// The integration.
        name: String,
    },
}
