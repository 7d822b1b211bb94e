//! What a list shows of an execution; derived from its state, kept beside its journal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::connection::ConnectionRef;
use crate::entry::At;
use crate::ids::{ExecutionId, Name};
use crate::invocation::{RevisionRef, TriggerSource};
use crate::outcome::Ending;
use crate::time::Timestamp;

/// Where an execution stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Durable, not yet running.
    Accepted,
    /// Held by a limit.
    Queued,
    /// Running.
    Running,
    /// Waiting for a time or an event.
    Waiting,
    /// Ended well.
    Succeeded,
    /// Ended by a failure.
    Failed,
    /// Ended by a person.
    Cancelled,
    /// Ended by its limit of time.
    TimedOut,
    /// Ended unstarted.
    Dropped,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 9] = [
        Self::Accepted,
        Self::Queued,
        Self::Running,
        Self::Waiting,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::TimedOut,
        Self::Dropped,
    ];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
            Self::Dropped => "dropped",
        }
    }

    /// Whether nothing follows.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::TimedOut | Self::Dropped)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Ending> for Status {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Succeeded => Self::Succeeded,
            Ending::Failed => Self::Failed,
            Ending::Cancelled => Self::Cancelled,
            Ending::TimedOut => Self::TimedOut,
            Ending::Dropped => Self::Dropped,
        }
    }
}

/// What a list shows of an execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Its id.
    pub id: ExecutionId,
    /// Its workspace.
    pub workspace: Name,
    /// What ran.
    pub revision: RevisionRef,
    /// Where.
    pub environment: Name,
    /// What started it.
    pub trigger: TriggerSource,
    /// Where it stands.
    pub status: Status,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When it began to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When its latest entry was written.
    pub updated_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why it failed: kind and message, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Labels of its workflow.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The connection that it runs with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionRef>,
    /// True for test executions.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
    /// The execution whose step started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ExecutionId>,
    /// The execution that it repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<ExecutionId>,
    /// What a server must know of it while it does not drive it; empty once it has ended.
    #[serde(default, skip_serializing_if = "Outlook::is_empty")]
    pub outlook: Outlook,
}

/// What an open execution waits for and holds, so that nobody has to read its journal to know.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// When it goes on though nothing happens. The time of its latest entry where it may have something to do at once, or
    /// waits for what may happen while no server runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// Topics that its steps wait for, now or later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// Locks that it holds or stands in line for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<LockClaim>,
    /// What persons are asked for: the first [`crate::limits::ASKED_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<Asked>,
    /// Whether it counts for its workflow's concurrency.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gated: bool,
}

impl Outlook {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A person's answer that a step waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Path of the step.
    pub step: String,
    /// Turns of the loops around it, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub iteration: Vec<u32>,
    /// The question, shortened.
    pub ask: String,
    /// Labels of the tokens that may answer; empty is any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub of: Vec<String>,
    /// Since when it is asked.
    pub since: Timestamp,
    /// Until when at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A lock that a step holds or stands in line for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LockClaim {
    /// What is locked.
    pub key: String,
    /// The step.
    pub at: At,
    /// Since when it stands in line.
    pub since: Timestamp,
    /// Whether it has the lock.
    pub held: bool,
}
