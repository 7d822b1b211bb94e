//! Which workflows an event is meant for: those with a trigger for it whose `when` holds.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::ids::Name;
use crate::invocation::TriggerSource;
use crate::language::expression::{Expression, Jq, Root, Scope};
use crate::outcome::Failure;
use crate::seams::{Published, Start};
use crate::workflow::{Trigger, TriggerKey};

/// A workflow that an event is meant for.
#[derive(Debug)]
pub struct Match {
    /// What to run.
    pub published: Arc<Published>,
    /// The status of a synchronous answer if it fails, where the trigger that held sets one.
    pub failure_status: Option<u16>,
    /// That trigger.
    pub by: TriggerKey,
}

impl Match {
    /// What starts it. Nobody gives parameters with an event, so they are the workflow's defaults. Errors with every fault of
    /// these at once.
    pub fn start(&self, trigger: TriggerSource, event: &Arc<Value>) -> Result<Start, Vec<String>> {
        let workflow = &self.published.workflow;
        let params = if workflow.params.is_empty() { Map::new() } else { workflow.bind_params(&Map::new())? };
        Ok(Start {
            published: self.published.clone(),
            trigger,
            by: Some(self.by.clone()),
            event: event.clone(),
            params: Arc::new(Value::Object(params)),
            test: false,
            repeats: None,
            seed: None,
        })
    }
}

/// Whether a workflow has a webhook trigger for the integration that is switched on, whatever its `when`.
pub fn subscribes(published: &Published, integration: &Name) -> bool {
    webhooks(published, integration).next().is_some()
}

/// The workflow, if one of its triggers for the integration holds for the event. An error in a `when` counts as not
/// holding: one workflow's mistake must not keep the delivery from the others.
pub fn matched(
    published: &Arc<Published>,
    integration: &Name,
    event: &Value,
    jq: &dyn Jq,
    faulty: &dyn Fn(&Failure),
) -> Option<Match> {
    let found = webhooks(published, integration).find(|(_, when, _)| holds(*when, event, jq, faulty));
    found.map(|(by, _, failure_status)| Match { published: published.clone(), failure_status, by: by.clone() })
}

/// The workflow, if one of its triggers for events of this type holds for the event, as [`matched`] says. `event` is what
/// workflows see of it: its `type`, `source` and `topic` are what triggers ask for.
pub fn matched_event(
    published: &Arc<Published>,
    event: &Value,
    jq: &dyn Jq,
    faulty: &dyn Fn(&Failure),
) -> Option<Match> {
    let text = |key: &str| event[key].as_str();
    let meant = published.triggers().find(|(_, trigger)| match trigger {
        Trigger::Event { kind, source, topic, when } => {
            text("type") == Some(kind)
                && source.as_deref().is_none_or(|source| text("source") == Some(source))
                && topic.as_deref().is_none_or(|topic| text("topic") == Some(topic))
                && holds(when.as_ref(), event, jq, faulty)
        }
        _ => false,
    });
    meant.map(|(by, _)| Match { published: published.clone(), failure_status: None, by: by.clone() })
}

/// An error in a `when` counts as not holding: one workflow's mistake must not keep an event from the others.
fn holds(when: Option<&Expression>, event: &Value, jq: &dyn Jq, faulty: &dyn Fn(&Failure)) -> bool {
    let Some(when) = when else { return true };
    when.holds(&EventScope(event), jq).unwrap_or_else(|failure| {
        faulty(&failure);
        false
    })
}

fn webhooks<'a>(
    published: &'a Published,
    integration: &'a Name,
) -> impl Iterator<Item = (&'a TriggerKey, Option<&'a Expression>, Option<u16>)> {
    published.triggers().filter_map(move |(key, trigger)| match trigger {
        Trigger::Webhook { integration: of, when, failure_status } if of == integration => {
            Some((key, when.as_ref(), *failure_status))
        }
        _ => None,
    })
}

/// What a `when` can look at: the event. There is no execution yet, so `$.execution` is null.
struct EventScope<'a>(&'a Value);

impl Scope for EventScope<'_> {
    fn get(&self, root: &Root) -> Option<&Value> {
        matches!(root, Root::Event).then_some(self.0)
    }
}
