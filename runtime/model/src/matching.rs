//! Which workflows an event is meant for: those with a trigger for it whose `when` holds.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::ids::Name;
use crate::invocation::TriggerSource;
use crate::language::expression::{Expression, Jq, Root, Scope};
use crate::outcome::{Failure, FailureKind};
use crate::places::Places;
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

/// What looks at a `when`.
#[derive(Clone, Copy)]
pub struct Evaluator<'a> {
    /// Evaluates what is more than paths and comparisons.
    pub jq: &'a dyn Jq,
    /// Where those who evaluate take turns.
    pub places: &'a Arc<Places>,
    /// Hears of a `when` that failed.
    pub faulty: &'a (dyn Fn(&Failure) + Sync),
}

/// The workflow, if one of its triggers for the integration holds for the event. A `when` that fails counts as not holding:
/// one workflow's mistake must not keep the delivery from the others. Errors, with kind `unavailable`, where nothing can be
/// evaluated now.
pub async fn matched(
    published: &Arc<Published>,
    integration: &Name,
    event: &Value,
    evaluator: Evaluator<'_>,
) -> Result<Option<Match>, Failure> {
    for (by, when, failure_status) in webhooks(published, integration) {
        if holds(published, when, event, evaluator).await? {
            return Ok(Some(Match { published: published.clone(), failure_status, by: by.clone() }));
        }
    }
    Ok(None)
}

/// The workflow, if one of its triggers for events of this type holds for the event, as [`matched`] says. `event` is what
/// workflows see of it: its `type`, `source` and `topic` are what triggers ask for.
pub async fn matched_event(
    published: &Arc<Published>,
    event: &Value,
    evaluator: Evaluator<'_>,
) -> Result<Option<Match>, Failure> {
    let is = |key: &str, wanted: Option<&str>| wanted.is_none_or(|wanted| event[key].as_str() == Some(wanted));
    for (by, trigger) in published.triggers() {
        let Trigger::Event { kind, source, topic, when } = trigger else { continue };
        if is("type", Some(kind))
            && is("source", source.as_deref())
            && is("topic", topic.as_deref())
            && holds(published, when.as_ref(), event, evaluator).await?
        {
            return Ok(Some(Match { published: published.clone(), failure_status: None, by: by.clone() }));
        }
    }
    Ok(None)
}

async fn holds(
    published: &Published,
    when: Option<&Expression>,
    event: &Value,
    evaluator: Evaluator<'_>,
) -> Result<bool, Failure> {
    let Some(when) = when else { return Ok(true) };
    let Evaluator { jq, places, faulty } = evaluator;
    let _place = match when.asks_jq() {
        true => Some(places.take(&published.workspace, published.revision.workflow_id).await),
        false => None,
    };
    match when.holds(&EventScope(event), jq) {
        Err(failure) if failure.kind == FailureKind::Unavailable => Err(failure),
        Err(failure) => {
            faulty(&failure);
            Ok(false)
        }
        holds => holds,
    }
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
