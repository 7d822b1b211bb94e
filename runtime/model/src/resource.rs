//! Resources: everything that people and programs put in, from workflows to tokens, in one shape.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{Name, ResourceId};
use crate::time::Timestamp;

/// What a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// A workflow: its latest revision and what is published where.
    Workflow,
    /// One immutable revision; key `WORKFLOW-ID/NUMBER`, the number padded to ten digits.
    Revision,
    /// A release of a plugin; key `NAME@VERSION`.
    Plugin,
    /// What a plugin may do; key is its name.
    Grant,
    /// An integration.
    Integration,
    /// A bearer token, stored as its digest.
    Token,
    /// A secret, stored encrypted; key `NAME`, or `NAME@ENVIRONMENT` for one environment's own value.
    Secret,
    /// An environment of a workspace, with its variables.
    Environment,
    /// A workspace; its key's name is its own.
    Workspace,
    /// A rerun of many executions; key is its id, and `ID/executions` for which ones.
    Rerun,
    /// How far schedules have fired: key `fired` says up to when, `WORKFLOW-ID/ENVIRONMENT/TRIGGER` which firings wait.
    Schedule,
    /// A URL that is told when executions change.
    Subscription,
    /// What a subscription's URL has not been told yet; key `SUBSCRIPTION-ID/EXECUTION-ID/SEQUENCE`, the sequence padded to
    /// twenty digits.
    Letter,
    /// A workflow that is offered to another workspace, or lent; key `WORKFLOW-ID/WORKSPACE`.
    Share,
    /// A user of an app; its key's name is the user's id.
    User,
    /// A user's connection to an integration; key `ID-OF-THE-USER'S-RESOURCE/INTEGRATION`.
    Connection,
    /// A public key that tokens of users are verified with; key is its label.
    SigningKey,
    /// What the triggers of a workflow have done; key is the workflow's id.
    Tally,
}

impl ResourceKind {
    /// Every kind.
    pub const ALL: [Self; 18] = [
        Self::Workflow,
        Self::Revision,
        Self::Plugin,
        Self::Grant,
        Self::Integration,
        Self::Token,
        Self::Secret,
        Self::Environment,
        Self::Workspace,
        Self::Rerun,
        Self::Schedule,
        Self::Subscription,
        Self::Letter,
        Self::Share,
        Self::User,
        Self::Connection,
        Self::SigningKey,
        Self::Tally,
    ];

    /// The word, as in keys and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Workflow => "workflow",
            Self::Revision => "revision",
            Self::Plugin => "plugin",
            Self::Grant => "grant",
            Self::Integration => "integration",
            Self::Token => "token",
            Self::Secret => "secret",
            Self::Environment => "environment",
            Self::Workspace => "workspace",
            Self::Rerun => "rerun",
            Self::Schedule => "schedule",
            Self::Subscription => "subscription",
            Self::Letter => "letter",
            Self::Share => "share",
            Self::User => "user",
            Self::Connection => "connection",
            Self::SigningKey => "signing key",
            Self::Tally => "tally",
        }
    }
}

/// A resource's identity: unique within the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceKey {
    /// What it is.
    pub kind: ResourceKind,
    /// Whose it is.
    pub workspace: Name,
    /// Its name, or the key that its kind prescribes. At most 255 bytes, without NUL.
    pub name: String,
}

/// One resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Its identity.
    pub key: ResourceKey,
    /// Its id, which a rename would not change.
    pub id: ResourceId,
    /// 1 when it is made, one more at each change.
    pub generation: u64,
    /// What it is, in the shape of its kind.
    pub spec: Value,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// One change; several make one transaction.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Makes or replaces a resource.
    Put {
        /// The resource as it shall be; its `generation` is set by the store, and `created_at` is kept from the old one.
        resource: Resource,
        /// What must be there now.
        expect: Expect,
    },
    /// Removes a resource.
    Delete {
        /// Which.
        key: ResourceKey,
        /// What must be there now.
        expect: Expect,
    },
}

/// What must be there for a change to take place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Anything or nothing.
    Any,
    /// Nothing.
    Absent,
    /// This generation.
    Generation(u64),
}
