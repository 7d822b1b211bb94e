//! Which workflows an event is meant for: those with a trigger for it whose `when` holds.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::connection::Connection;
use crate::ids::{Name, UserId};
use crate::invocation::TriggerSource;
use crate::language::expression::{Expression, Jq, Root, Scope};
use crate::outcome::{Failure, FailureKind};
use crate::places::{Place, Places};
use crate::seams::{Directory, Published, Start};
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
    /// `$.connection`, null where the workflow runs with none.
    pub connection: Arc<Value>,
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
            connection: self.connection.clone(),
            test: false,
            repeats: None,
            seed: None,
        })
    }
}

/// Whether a workflow has a `webhook` or `resource` trigger for the integration that is switched on, whatever its `when`.
pub fn subscribes(published: &Published, integration: &Name) -> bool {
    deliveries(published, integration).next().is_some()
}

/// What looks at a `when`.
#[derive(Clone, Copy)]
pub struct Evaluator<'a> {
    /// Evaluates what is more than paths and comparisons.
    pub jq: &'a dyn Jq,
    /// Where those who evaluate take turns.
    pub places: &'a Arc<Places>,
    /// Hears of a `when` that failed, and whose it is.
    pub faulty: &'a (dyn Fn(&TriggerKey, &Failure) + Sync),
}

impl Evaluator<'_> {
    /// A place among those who evaluate, where an expression needs one.
    async fn place(&self, published: &Published, expression: &Expression) -> Option<Place> {
        match expression.asks_jq() {
            true => Some(self.places.take(&published.workspace, published.revision.workflow_id).await),
            false => None,
        }
    }
}

/// What a delivery to an integration starts of a workflow: once, by the first of its triggers that holds for the event. Where
/// that names the user whom the event is about, once for each connection of theirs that has the workflow enabled. A `when`
/// that fails counts as not holding: one workflow's mistake must not keep the delivery from the others. Errors, with kind
/// `unavailable`, where nothing can be evaluated now.
pub async fn matched(
    published: &Arc<Published>,
    integration: &Name,
    event: &Value,
    directory: &dyn Directory,
    evaluator: Evaluator<'_>,
) -> Result<Vec<(Match, TriggerSource)>, Failure> {
    let alone = |by| with(published, by, &Arc::default());
    for (by, trigger) in deliveries(published, integration) {
        let (Trigger::Webhook { when, .. } | Trigger::Resource { when, .. }) = trigger else { continue };
        if !holds(published, (by, when.as_ref()), event, evaluator).await? {
            continue;
        }
        let integration = integration.clone();
        match trigger {
            Trigger::Webhook { failure_status, .. } => {
                let one = Match { failure_status: *failure_status, ..alone(by) };
                return Ok(vec![(one, TriggerSource::Webhook { integration })]);
            }
            Trigger::Resource { user: Some(user), .. } => {
                let Some(user) = named(published, (by, user), event, evaluator).await? else { continue };
                let connections = directory.connections(&published.workspace, &user);
                let enabling = connections.iter().filter(|one| one.enables(published.revision.workflow_id));
                let source = TriggerSource::Resource { integration };
                return Ok(enabling.map(|one| (with(published, by, &one.value), source.clone())).collect());
            }
            _ => return Ok(vec![(alone(by), TriggerSource::Resource { integration })]),
        }
    }
    Ok(Vec::new())
}

/// The user that an expression names; none where it names nobody, or fails.
async fn named(
    published: &Published,
    (by, user): (&TriggerKey, &Expression),
    event: &Value,
    evaluator: Evaluator<'_>,
) -> Result<Option<UserId>, Failure> {
    let Evaluator { jq, faulty, .. } = evaluator;
    let _place = evaluator.place(published, user).await;
    let text = match user.evaluate(&EventScope(event), jq) {
        Err(failure) if failure.kind == FailureKind::Unavailable => return Err(failure),
        Err(failure) => {
            faulty(by, &failure);
            return Ok(None);
        }
        Ok(Value::Number(number)) => number.to_string(),
        Ok(Value::String(text)) => text,
        Ok(_) => return Ok(None),
    };
    Ok(UserId::new(&text).ok())
}

/// What an app's event starts of a workflow with one of its user's connections, by the first of its triggers that holds, as
/// [`matched`] says.
pub async fn matched_app_event(
    published: &Arc<Published>,
    connection: &Connection,
    event: &Value,
    evaluator: Evaluator<'_>,
) -> Result<Option<Match>, Failure> {
    for (by, trigger) in published.triggers() {
        let Trigger::AppEvent { name, integration, when } = trigger else { continue };
        if event["type"].as_str() == Some(name)
            && integration.as_ref().is_none_or(|integration| *integration == connection.of.integration)
            && holds(published, (by, when.as_ref()), event, evaluator).await?
        {
            return Ok(Some(with(published, by, &connection.value)));
        }
    }
    Ok(None)
}

/// What a user who has connected starts of a workflow.
pub fn matched_connected(published: &Arc<Published>, connection: &Connection) -> Option<Match> {
    let mut triggers = published.triggers();
    let meant = triggers.find(|(_, trigger)| match trigger {
        Trigger::Connected { integration } => *integration == connection.of.integration,
        _ => false,
    });
    meant.map(|(by, _)| with(published, by, &connection.value))
}

fn with(published: &Arc<Published>, by: &TriggerKey, connection: &Arc<Value>) -> Match {
    Match { published: published.clone(), failure_status: None, by: by.clone(), connection: connection.clone() }
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
            && holds(published, (by, when.as_ref()), event, evaluator).await?
        {
            return Ok(Some(with(published, by, &Arc::default())));
        }
    }
    Ok(None)
}

async fn holds(
    published: &Published,
    (by, when): (&TriggerKey, Option<&Expression>),
    event: &Value,
    evaluator: Evaluator<'_>,
) -> Result<bool, Failure> {
    let Some(when) = when else { return Ok(true) };
    let Evaluator { jq, faulty, .. } = evaluator;
    let _place = evaluator.place(published, when).await;
    match when.holds(&EventScope(event), jq) {
        Err(failure) if failure.kind == FailureKind::Unavailable => Err(failure),
        Err(failure) => {
            faulty(by, &failure);
            Ok(false)
        }
        holds => holds,
    }
}

/// The triggers for deliveries to an integration, in the order of the document.
fn deliveries<'a>(
    published: &'a Published,
    integration: &'a Name,
) -> impl Iterator<Item = (&'a TriggerKey, &'a Trigger)> {
    published.triggers().filter(move |(_, trigger)| match trigger {
        Trigger::Webhook { integration: of, .. } | Trigger::Resource { integration: of, .. } => of == integration,
        _ => false,
    })
}

/// What a `when` can look at: the event. There is no execution yet, so `$.execution` is null.
struct EventScope<'a>(&'a Value);

impl Scope for EventScope<'_> {
    fn get(&self, root: &Root) -> Option<&Value> {
        matches!(root, Root::Event).then_some(self.0)
    }
}
