//! What is typed about the users of an app, their connections, and the keys that their tokens are signed with.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum User {
    /// Lists users.
    Ls,
    /// Shows a user.
    Show {
        /// As the app names them.
        user: String,
    },
    /// Makes a user, or changes what the app says of them.
    Set {
        /// As the app names them.
        user: String,
        /// What workflows read as `$.connection.metadata`: JSON, or `@FILE`.
        #[arg(long)]
        metadata: Option<String>,
    },
    /// Sends an event of the app for a user: it starts the workflows that the user has enabled.
    Send {
        /// As the app names them.
        user: String,
        /// The event's name, as `app_event` triggers ask for it.
        event: String,
        /// `$.event.body`: JSON, or `@FILE`.
        #[arg(long)]
        payload: Option<String>,
        /// `production` where it is left out.
        #[arg(long)]
        environment: Option<String>,
    },
    /// Removes a user with every connection and credential.
    Rm {
        /// As the app names them.
        user: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum Connection {
    /// Lists connections.
    Ls {
        /// Of this user.
        #[arg(long)]
        user: Option<String>,
        /// To this integration.
        #[arg(long)]
        integration: Option<String>,
    },
    /// Shows a connection; credentials by name alone.
    Show {
        /// As the app names them.
        user: String,
        /// The integration.
        integration: String,
    },
    /// Connects a user, or changes their connection.
    Set {
        /// As the app names them.
        user: String,
        /// The integration.
        integration: String,
        /// What workflows read as `$.connection.settings`: JSON, or `@FILE`.
        #[arg(long)]
        settings: Option<String>,
        /// A file with a JSON object of credentials, null to remove one; `-` is standard input.
        #[arg(long, value_name = "FILE")]
        credentials: Option<PathBuf>,
        /// It is not set up yet: no workflow runs with it.
        #[arg(long)]
        incomplete: bool,
    },
    /// Enables a workflow for a user.
    Enable {
        /// As the app names them.
        user: String,
        /// The integration.
        integration: String,
        /// Name or id.
        workflow: String,
    },
    /// Disables a workflow for a user.
    Disable {
        /// As the app names them.
        user: String,
        /// The integration.
        integration: String,
        /// Name or id.
        workflow: String,
    },
    /// Disconnects a user; the credentials are gone.
    Rm {
        /// As the app names them.
        user: String,
        /// The integration.
        integration: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum SigningKey {
    /// Adds a public key; those that are there stay valid.
    Add {
        /// What to call it: a-z, 0-9 and hyphens.
        label: String,
        /// The public key in PEM.
        file: PathBuf,
    },
    /// Lists keys.
    Ls,
    /// Removes a key: tokens that it has signed are refused at once.
    Rm {
        /// Its label.
        label: String,
    },
}
