//! A letter: what one subscription is told of one state change, as a CloudEvent, and how far the telling is.

use std::fmt;
use std::str::FromStr;

use camshaft_model::entry::Sequence;
use camshaft_model::ids::{ExecutionId, Malformed, Name, ResourceId};
use camshaft_model::limits::SUMMARY_TEXT_MAX;
use camshaft_model::outcome::Outcome;
use camshaft_model::resource::{Resource, ResourceKey, ResourceKind};
use camshaft_model::seams::StoreError;
use camshaft_model::summary::{Status, Summary};
use camshaft_model::time::Timestamp;
use camshaft_model::{Value, json};
use serde::{Deserialize, Serialize};

use crate::catalog::specs::{self, Kept};

/// A state change of an execution that is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Milestone {
    /// It exists.
    Accepted,
    /// It stands in line for its workflow's concurrency.
    Queued,
    /// It runs.
    Started,
    /// It has nothing to do but to wait.
    Waiting,
    /// It ended well.
    Succeeded,
    /// It ended by a failure.
    Failed,
    /// Somebody ended it.
    Cancelled,
    /// It ended by its limit of time.
    TimedOut,
    /// It ended unstarted.
    Dropped,
}

impl Milestone {
    /// The ends: what is told of where a subscription does not say.
    pub const ENDS: [Self; 5] = [Self::Succeeded, Self::Failed, Self::Cancelled, Self::TimedOut, Self::Dropped];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            other => other.status().as_str(),
        }
    }

    /// Where the execution stands then.
    pub fn status(self) -> Status {
        match self {
            Self::Accepted => Status::Accepted,
            Self::Queued => Status::Queued,
            Self::Started => Status::Running,
            Self::Waiting => Status::Waiting,
            Self::Succeeded => Status::Succeeded,
            Self::Failed => Status::Failed,
            Self::Cancelled => Status::Cancelled,
            Self::TimedOut => Status::TimedOut,
            Self::Dropped => Status::Dropped,
        }
    }

    /// The end that a status is.
    pub fn end(status: Status) -> Option<Self> {
        Self::ENDS.into_iter().find(|end| end.status() == status)
    }
}

/// Which state change: the execution and the position of the entry that made it. The same for every try and after every crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId {
    /// The execution.
    pub execution: ExecutionId,
    /// The entry.
    pub sequence: Sequence,
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.execution, self.sequence)
    }
}

impl FromStr for LetterId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (execution, sequence) = text.rsplit_once('-').unwrap_or((text, ""));
        let malformed = |_| Malformed {
            what: "letter id",
            value: text.chars().take(80).collect(),
            rule: "it is the id of an execution, a hyphen and a number",
        };
        let sequence = sequence.parse().map_err(|_| malformed(()))?;
        Ok(Self { execution: execution.parse().map_err(|_: Malformed| malformed(()))?, sequence })
    }
}

/// A letter as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LetterSpec {
    /// The CloudEvent, as it is sent.
    pub event: Value,
    /// How often it was sent for nothing.
    #[serde(default)]
    pub tries: u32,
    /// When it is sent next.
    pub due: Timestamp,
    /// What the latest try came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Since when it is not tried any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_since: Option<Timestamp>,
}

impl LetterSpec {
    /// One that nobody has tried to send.
    pub fn new(event: Value, now: Timestamp) -> Self {
        Self { event, tries: 0, due: now, why: None, dead_since: None }
    }
}

/// What keys of a subscription's letters begin with.
pub fn prefix(subscription: ResourceId) -> String {
    format!("{subscription}/")
}

/// The key of a letter.
pub fn key(workspace: &Name, subscription: ResourceId, id: LetterId) -> ResourceKey {
    let LetterId { execution, sequence } = id;
    specs::key(ResourceKind::Letter, workspace, format!("{}{execution}/{sequence:020}", prefix(subscription)))
}

/// A letter as it is written.
pub fn resource(
    workspace: &Name,
    subscription: ResourceId,
    id: LetterId,
    spec: &LetterSpec,
    now: Timestamp,
) -> Resource {
    specs::resource(key(workspace, subscription, id), subscription, spec, now)
}

/// A letter as it was written: whose, which, and how it stands.
pub fn read(resource: &Resource) -> Result<(ResourceId, LetterId, LetterSpec), StoreError> {
    let kept: Kept<LetterSpec> = Kept::read(resource)?;
    let id = kept.key.name.split('/').skip(1).collect::<Vec<_>>();
    let id = match id.as_slice() {
        [execution, sequence] => execution.parse().ok().zip(sequence.parse().ok()),
        _ => None,
    };
    let (execution, sequence) =
        id.ok_or_else(|| StoreError::Damaged(format!("letter `{}` has no key of a letter", kept.key.name)))?;
    Ok((kept.id, LetterId { execution, sequence }, kept.spec))
}

/// The CloudEvent that tells of a state change. What the execution put out is not in it: it may be large, and not meant for
/// whoever is told; its id finds it.
pub fn event(milestone: Milestone, id: LetterId, at: Timestamp, of: &Summary, outcome: Option<&Outcome>) -> Value {
    let mut data = json!({
        "execution_id": of.id,
        "workflow": of.revision.workflow,
        "workflow_id": of.revision.workflow_id,
        "revision": of.revision.revision,
        "workspace": of.workspace,
        "environment": of.environment,
        "trigger": of.trigger.word(),
        "status": milestone.status(),
        "accepted_at": of.accepted_at.to_string(),
    });
    let mut add = |field: &str, value: Option<Value>| {
        if let Some(value) = value {
            data[field] = value;
        }
    };
    add("started_at", of.started_at.filter(|started| *started <= at).map(|started| json!(started.to_string())));
    add("ended_at", outcome.map(|_| json!(at.to_string())));
    let failure = outcome.and_then(|outcome| outcome.failure.as_ref());
    add("failure", failure.map(|failure| json!({"kind": failure.kind, "message": shortened(&failure.message)})));
    let failed_step = outcome.filter(|outcome| outcome.failure.is_some()).and_then(|outcome| outcome.step.as_ref());
    add("failed_step", failed_step.map(|step| json!(step)));
    add("labels", (!of.labels.is_empty()).then(|| json!(of.labels)));
    add("test", of.test.then_some(Value::Bool(true)));
    add("parent", of.parent.map(|parent| json!(parent)));
    add("repeats", of.repeats.map(|repeats| json!(repeats)));
    cloud_event(
        &of.workspace,
        &format!("execution.{}", milestone.as_str()),
        &id.to_string(),
        at,
        &of.id.to_string(),
        data,
    )
}

/// A CloudEvent of ours (CloudEvents 1.0.2, JSON format).
pub fn cloud_event(workspace: &Name, kind: &str, id: &str, at: Timestamp, subject: &str, data: Value) -> Value {
    json!({
        "specversion": "1.0",
        "id": id,
        "source": format!("/workspaces/{workspace}"),
        "type": format!("dev.camshaft.{kind}"),
        "subject": subject,
        "time": at.to_string(),
        "datacontenttype": "application/json",
        "data": data,
    })
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SUMMARY_TEXT_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written_and_nothing_else_is() {
        let text = "01890000-0000-7000-8000-000000000001-12";
        let id: LetterId = text.parse().unwrap();
        assert_eq!((id.to_string().as_str(), id.sequence), (text, 12));
        for wrong in ["", "-", "01890000-0000-7000-8000-000000000001", "01890000-0000-7000-8000-000000000001-x"] {
            let error = wrong.parse::<LetterId>().unwrap_err().to_string();
            assert!(error.contains(&format!("letter id `{wrong}`")), "{error}");
        }
    }
}
