//! What is typed about workflows and the plugins that they call.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

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
    /// Offers a workflow to another workspace. It runs there once somebody there accepts it.
    Share {
        /// The workflow.
        name: String,
        /// The workspace.
        to: String,
    },
    /// Shares a workflow with a workspace no more: nothing is started there, and what has run stays readable there.
    Unshare {
        /// The workflow.
        name: String,
        /// The workspace.
        from: String,
    },
    /// Lists the workspaces that a workflow is shared with.
    Shares {
        /// The workflow.
        name: String,
    },
    /// Lists what other workspaces offer to this one, or have lent it.
    Offers,
    /// Accepts an offered workflow, which runs here from then on; again, to catch up with what is published there.
    Accept {
        /// The id of the offer.
        share: String,
        /// Its name here, if not the same as there.
        #[arg(long = "as", value_name = "NAME")]
        name: Option<String>,
    },
    /// Turns an offer down, or gives a workflow back.
    Leave {
        /// The id of the offer.
        share: String,
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
        /// Where it is published: `production` if left out.
        #[arg(long)]
        environment: Option<String>,
        /// Wait for the answer, for so many seconds.
        #[arg(long, num_args = 0..=1, default_missing_value = "50", value_name = "SECONDS")]
        wait: Option<u32>,
    },
}

#[derive(Subcommand)]
pub(crate) enum Plugin {
    /// Makes a project of a new plugin, in a folder of its name. No server is needed.
    New {
        /// The plugin, and the folder: a-z, 0-9 and hyphens, a letter first
        name: String,
        /// What it is.
        #[arg(long)]
        kind: Kind,
        /// What it is written in.
        #[arg(long, default_value = "rust")]
        lang: Language,
        /// The folder of the SDK, `sdk/rust` of Camshaft's sources; the repository if left out.
        #[arg(long)]
        sdk: Option<PathBuf>,
    },
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

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Language {
    /// Rust, with `camshaft-sdk`.
    Rust,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    /// Does one piece of work.
    Task,
    /// Understands one vendor's webhooks.
    Adapter,
}
