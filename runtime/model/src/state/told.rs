//! What a state tells those who do not fold journals.

use serde_json::{Value, json};

use super::{Open, Stage, State};
use crate::connection::ConnectionRef;
use crate::entry::{At, Awaited};
use crate::ids::ExecutionId;
use crate::limits;
use crate::program::Program;
use crate::summary::{Asked, LockClaim, Outlook, Status, Summary};
use crate::time::Timestamp;

impl State {
    pub(super) fn describe_execution(&self, started_at: Timestamp) -> Value {
        let invocation = &self.invocation;
        json!({
            "id": invocation.id.to_string(),
            "workflow": invocation.revision.workflow.as_str(),
            "revision": invocation.revision.revision,
            "environment": invocation.environment.as_str(),
            "workspace": invocation.workspace.as_str(),
            "trigger": invocation.trigger.word(),
            "started_at": started_at.to_string(),
            "test": invocation.test,
        })
    }

    /// Where it stands.
    pub fn status(&self) -> Status {
        match &self.outcome {
            Some(outcome) => outcome.ending.into(),
            None if self.started_at.is_none() && self.queued_at.is_some() => Status::Queued,
            None if self.started_at.is_none() => Status::Accepted,
            None => {
                let works = |open: &Open| matches!(open.stage, Stage::Attempting { .. } | Stage::Emitting { .. });
                let waits = self.open.values().any(|open| open.stage.waits());
                if waits && !self.open.values().any(works) { Status::Waiting } else { Status::Running }
            }
        }
    }

    /// When something is due though nothing happens.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.open.values().filter_map(|open| open.stage.due()).min()
    }

    /// What a list shows.
    pub fn summary(&self) -> Summary {
        let invocation = &self.invocation;
        Summary {
            id: invocation.id,
            workspace: invocation.workspace.clone(),
            revision: invocation.revision.clone(),
            environment: invocation.environment.clone(),
            trigger: invocation.trigger.clone(),
            status: self.status(),
            accepted_at: self.accepted_at,
            started_at: self.started_at,
            updated_at: self.updated_at,
            ended_at: self.outcome.as_ref().map(|_| self.updated_at),
            failure: self
                .outcome
                .as_ref()
                .and_then(|outcome| outcome.failure.as_ref())
                .map(|failure| shortened(&failure.to_string())),
            labels: invocation.labels.clone(),
            connection: ConnectionRef::of(&invocation.connection),
            test: invocation.test,
            parent: invocation.parent.as_ref().map(|parent| parent.execution),
            repeats: invocation.repeats,
            outlook: Outlook::default(),
        }
    }

    /// What its steps ask persons for, as lists show it.
    pub fn asked(&self, program: &Program) -> Vec<Asked> {
        let asked = |(at, open): (&At, &Open)| match &open.stage {
            Stage::Waiting { awaited: Awaited::Approval { ask, of }, until } => Some(Asked {
                step: program.step(at.1).path.clone(),
                iteration: self.turns(at.0),
                ask: shortened(ask),
                of: of.clone(),
                since: open.since,
                until: *until,
            }),
            _ => None,
        };
        self.open.iter().filter_map(asked).take(limits::ASKED_MAX).collect()
    }

    /// Executions that its steps wait for.
    pub fn children(&self) -> impl Iterator<Item = (At, ExecutionId)> {
        self.open.iter().filter_map(|(at, open)| match &open.stage {
            Stage::Waiting { awaited: Awaited::Child { execution, .. }, .. } => Some((*at, *execution)),
            _ => None,
        })
    }

    /// Locks that its steps hold or stand in line for.
    pub fn locks(&self) -> Vec<LockClaim> {
        let claim = |(at, open): (&At, &Open)| {
            let (key, held) = match &open.stage {
                Stage::Waiting { awaited: Awaited::Lock { key }, .. } => (key, false),
                Stage::Locked { key, .. } => (key, true),
                _ => return None,
            };
            Some(LockClaim { key: key.clone(), at: *at, since: open.since, held })
        };
        self.open.iter().filter_map(claim).collect()
    }
}

/// A text as a summary carries it.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(limits::SUMMARY_TEXT_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
