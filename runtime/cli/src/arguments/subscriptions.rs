//! What is typed about subscriptions.

use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(crate) enum Subscription {
    /// Makes a subscription, or changes it as a whole. One that is made shows the secret that signs what it is sent, once.
    Add(Subscribed),
    /// Lists the subscriptions.
    Ls,
    /// Shows a subscription, and the newest of its letters that are dead.
    Show {
        /// The subscription.
        name: String,
    },
    /// Removes a subscription, and its letters with it.
    Rm {
        /// The subscription.
        name: String,
    },
    /// Sends an event that tells of nothing, and tells what came of it.
    Test {
        /// The subscription.
        name: String,
    },
    /// Makes another secret and shows it, once. The one before signs beside it for 24 hours.
    Rotate {
        /// The subscription.
        name: String,
    },
    /// Lists letters that are dead, or that wait for their next try.
    Letters {
        /// The subscription.
        name: String,
        /// Those that wait.
        #[arg(long)]
        waiting: bool,
    },
    /// Sends dead letters anew: all of them, or one.
    Redrive {
        /// The subscription.
        name: String,
        /// The letter's id.
        letter: Option<String>,
    },
}

#[derive(Args)]
pub(crate) struct Subscribed {
    /// a-z, 0-9 and hyphens
    pub(crate) name: String,
    /// Where CloudEvents are sent.
    #[arg(value_name = "URL")]
    pub(crate) to: String,
    /// Which state changes, several separated by commas: accepted, queued, started, waiting, succeeded, failed, cancelled,
    /// timed_out, dropped. The last five where it is left out.
    #[arg(long, value_delimiter = ',')]
    pub(crate) on: Vec<String>,
    /// Only of this workflow; may be given several times.
    #[arg(long = "workflow")]
    pub(crate) workflows: Vec<String>,
    /// Only in this environment; may be given several times.
    #[arg(long = "environment")]
    pub(crate) environments: Vec<String>,
    /// Only of workflows with this label; may be given several times.
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub(crate) labels: Vec<String>,
    /// Test executions count too.
    #[arg(long)]
    pub(crate) tests: bool,
    /// Switch it off: nothing is made and nothing is sent. `add` without it switches it on again.
    #[arg(long)]
    pub(crate) disabled: bool,
}
