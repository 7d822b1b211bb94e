//! What is typed about executions.

use clap::{Args, Subcommand};

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
