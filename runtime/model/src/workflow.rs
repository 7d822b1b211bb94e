//! A checked workflow document: everything but its steps, which are a `Program`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::Name;
use crate::language::expression::Expression;
use crate::limits;
use crate::schedule::Schedule;

/// A workflow as its document says it.
#[derive(Debug)]
pub struct Workflow {
    /// Its name, the same in the document and in the URL.
    pub name: Name,
    /// For people.
    pub description: Option<String>,
    /// To find its executions by.
    pub labels: BTreeMap<String, String>,
    /// What it takes.
    pub params: Vec<Param>,
    /// What starts it.
    pub triggers: Vec<Trigger>,
    /// How much of everything.
    pub limits: WorkflowLimits,
}

/// A typed parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: ParamKind,
    /// Whether a caller must give it.
    pub required: bool,
    /// What it is where nobody gives it.
    pub default: Option<Value>,
    /// For people.
    pub description: Option<String>,
}

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// A string.
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// An array.
    Array,
    /// An object.
    Object,
    /// Null.
    Null,
}

impl ParamKind {
    /// Every type, in the order of the document's description.
    pub const ALL: [Self; 6] = [Self::String, Self::Number, Self::Boolean, Self::Array, Self::Object, Self::Null];

    /// The word of the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Array => "array",
            Self::Object => "object",
            Self::Null => "null",
        }
    }

    /// A value of this type, to begin with.
    pub fn example(self) -> Value {
        match self {
            Self::String => "text".into(),
            Self::Number => 1.into(),
            Self::Boolean => true.into(),
            Self::Array => Value::Array(Vec::new()),
            Self::Object => Value::Object(Map::new()),
            Self::Null => Value::Null,
        }
    }

    /// Whether a value is of this type.
    pub fn admits(self, value: &Value) -> bool {
        matches!(
            (self, value),
            (Self::String, Value::String(_))
                | (Self::Number, Value::Number(_))
                | (Self::Boolean, Value::Bool(_))
                | (Self::Array, Value::Array(_))
                | (Self::Object, Value::Object(_))
                | (Self::Null, Value::Null)
        )
    }
}

/// The key of a trigger within its workflow, as [`trigger_keys`] makes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TriggerKey(Arc<str>);

impl Default for TriggerKey {
    fn default() -> Self {
        Self("".into())
    }
}

impl TriggerKey {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for TriggerKey {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for TriggerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is wrong with a parameter.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ParamFault {
    /// It is required, and nobody gave it.
    #[error("parameter `{name}` ({}) is missing", .kind.as_str())]
    Missing {
        /// Its name.
        name: String,
        /// Its type.
        kind: ParamKind,
    },
    /// It is of another type.
    #[error("parameter `{name}` is a {}, found {found}", .kind.as_str())]
    Kind {
        /// Its name.
        name: String,
        /// Its type.
        kind: ParamKind,
        /// What was given.
        found: Value,
    },
}

/// What starts a workflow.
#[derive(Debug, Clone, PartialEq)]
pub enum Trigger {
    /// A person or program over the management API.
    Manual,
    /// A delivery to an integration.
    Webhook {
        /// The integration's name.
        integration: Name,
        /// Holds for the events that are meant; all of them where there is none.
        when: Option<Expression>,
        /// The status of a synchronous answer when the execution fails; 200 with a message where there is none.
        failure_status: Option<u16>,
    },
    /// A direct call with one of the workflow's tokens.
    Request,
    /// An event from outside (CloudEvents), or of an `emit` step.
    Event {
        /// Its type.
        kind: String,
        /// Where it happened; anywhere where there is none.
        source: Option<String>,
        /// Its topic; any where there is none.
        topic: Option<String>,
        /// Holds for the events that are meant; all of them where there is none.
        when: Option<Expression>,
    },
    /// An event of an app, for one of its users: once for each connection of that user which has the workflow enabled.
    AppEvent {
        /// Its name.
        name: String,
        /// Only with connections to this integration; with any where there is none.
        integration: Option<Name>,
        /// Holds for the events that are meant; all of them where there is none.
        when: Option<Expression>,
    },
    /// A user has finished connecting.
    Connected {
        /// The integration's name.
        integration: Name,
    },
    /// A delivery of an app's own API.
    Resource {
        /// The integration that takes it.
        integration: Name,
        /// The user whom it is about: once for each connection of theirs which has the workflow enabled. Once, with no
        /// connection, where there is none.
        user: Option<Expression>,
        /// Holds for the events that are meant; all of them where there is none.
        when: Option<Expression>,
    },
    /// The time.
    Schedule(Box<Schedule>),
}

impl Trigger {
    /// The word of the language.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Webhook { .. } => "webhook",
            Self::Request => "request",
            Self::Event { .. } => "event",
            Self::AppEvent { .. } => "app_event",
            Self::Connected { .. } => "connected",
            Self::Resource { .. } => "resource",
            Self::Schedule(_) => "schedule",
        }
    }

    /// What tells it from the workflow's other triggers, as long as no other says the same.
    fn stem(&self) -> String {
        match self {
            Self::Webhook { integration, .. } => format!("webhook:{integration}"),
            Self::Event { kind, .. } => format!("event:{kind}"),
            Self::AppEvent { name, .. } => format!("app_event:{name}"),
            Self::Connected { integration } => format!("connected:{integration}"),
            Self::Resource { integration, .. } => format!("resource:{integration}"),
            Self::Manual | Self::Request | Self::Schedule(_) => self.word().to_owned(),
        }
    }
}

/// The key of each trigger, by which it is switched on and off: `manual`, `webhook:github`, and `webhook:github#2` for the
/// second one of these. It stays the same while others come and go.
pub fn trigger_keys(triggers: &[Trigger]) -> Vec<TriggerKey> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let keys = triggers.iter().map(|trigger| {
        let stem = trigger.stem();
        let count = seen.entry(stem.clone()).or_default();
        *count += 1;
        TriggerKey(if *count == 1 { stem.into() } else { format!("{stem}#{count}").into() })
    });
    keys.collect()
}

/// How much of everything a workflow may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowLimits {
    /// How long an execution may take.
    pub timeout: Duration,
    /// Executions that run at once; waiting ones count.
    pub concurrency: Option<u32>,
    /// What becomes of one more.
    pub when_full: WhenFull,
    /// Executions accepted in a day (UTC).
    pub per_day: Option<u64>,
    /// Executions accepted in a month (UTC).
    pub per_month: Option<u64>,
}

/// What becomes of an execution beyond its workflow's concurrency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// It stands in line, for at most [`limits::QUEUED_MAX`].
    #[default]
    Queue,
    /// Its caller is told so (429), and it is not accepted.
    Reject,
}

impl Default for WorkflowLimits {
    fn default() -> Self {
        Self {
            timeout: limits::EXECUTION_TIMEOUT,
            concurrency: None,
            when_full: WhenFull::default(),
            per_day: None,
            per_month: None,
        }
    }
}

impl Workflow {
    /// The parameters of an execution: those given, checked, with defaults filled in. Undeclared ones are dropped.
    /// Errors with every fault at once.
    pub fn bind_params(&self, given: &Map<String, Value>) -> Result<Map<String, Value>, Vec<String>> {
        self.bind(given, ParamKind::admits).map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    /// The same, where somebody else says which values a type admits.
    pub fn bind(
        &self,
        given: &Map<String, Value>,
        admits: impl Fn(ParamKind, &Value) -> bool,
    ) -> Result<Map<String, Value>, Vec<ParamFault>> {
        let mut faults = Vec::new();
        let mut bound = Map::new();
        for param in &self.params {
            let (name, kind) = (&param.name, param.kind);
            match given.get(name).or(param.default.as_ref()) {
                Some(value) if admits(kind, value) => {
                    bound.insert(name.clone(), value.clone());
                }
                Some(value) => {
                    faults.push(ParamFault::Kind { name: name.clone(), kind, found: value.clone() });
                }
                None if param.required => faults.push(ParamFault::Missing { name: name.clone(), kind }),
                None => {}
            }
        }
        if faults.is_empty() { Ok(bound) } else { Err(faults) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_key_names_one_trigger_and_stays_while_others_of_other_kinds_come() {
        let github =
            || Trigger::Webhook { integration: Name::new("github").unwrap(), when: None, failure_status: None };
        let keys = |triggers: &[Trigger]| trigger_keys(triggers).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(keys(&[github(), Trigger::Manual, github()]), ["webhook:github", "manual", "webhook:github#2"]);
        assert_eq!(keys(&[Trigger::Request, github()]), ["request", "webhook:github"]);
    }

    #[test]
    fn parameters_are_checked_all_at_once_and_defaults_fill_in() {
        let param = |name: &str, kind, required, default| Param {
            name: name.into(),
            kind,
            required,
            default,
            description: None,
        };
        let workflow = Workflow {
            name: Name::new("w").unwrap(),
            description: None,
            labels: BTreeMap::new(),
            params: vec![
                param("name", ParamKind::String, true, None),
                param("count", ParamKind::Number, true, Some(json!(33))),
                param("tags", ParamKind::Array, false, None),
            ],
            triggers: vec![],
            limits: WorkflowLimits::default(),
        };
        let given = |value: Value| value.as_object().unwrap().clone();
        assert_eq!(
            Value::Object(workflow.bind_params(&given(json!({"name": "x", "other": 1}))).unwrap()),
            json!({"name": "x", "count": 33})
        );
        let faults = workflow.bind_params(&given(json!({"tags": "a", "count": "b"}))).unwrap_err();
        assert_eq!(faults.len(), 3, "{faults:?}");
    }
}
