//! Which workflows an event is meant for: those with a webhook trigger for the integration whose `when` holds.

use std::sync::Arc;

use camshaft_model::Value;
use camshaft_model::event::Event;
use camshaft_model::ids::Name;
use camshaft_model::language::expression::{Expression, Jq, Root, Scope};
use camshaft_model::seams::Published;
use camshaft_model::workflow::{Trigger, TriggerKey};

/// A workflow that an event is meant for.
#[derive(Debug)]
pub(crate) struct Match {
    /// What to run.
    pub(crate) published: Arc<Published>,
    /// The status of a synchronous answer if it fails, where the trigger that held sets one.
    pub(crate) failure_status: Option<u16>,
    /// That trigger.
    pub(crate) by: TriggerKey,
}

/// Whether a workflow has a webhook trigger for the integration that is switched on, whatever its `when`.
pub(crate) fn subscribes(published: &Published, integration: &Name) -> bool {
    webhooks(published, integration).next().is_some()
}

/// The workflow, if one of its triggers for the integration holds for the event. An error in a `when` counts as not
/// holding: one workflow's mistake must not keep the delivery from the others.
pub(crate) fn matched(published: &Arc<Published>, integration: &Name, event: &Event, jq: &dyn Jq) -> Option<Match> {
    let scope = EventScope(&event.value);
    webhooks(published, integration).find_map(|(by, when, failure_status)| {
        let holds = match when {
            None => true,
            Some(when) => when.holds(&scope, jq).unwrap_or_else(|failure| {
                tracing::warn!(
                    workflow = %published.revision.workflow,
                    revision = published.revision.revision,
                    %integration,
                    event = event.id.as_deref(),
                    "a trigger's `when` failed and counts as not holding: {}",
                    failure.message
                );
                false
            }),
        };
        holds.then(|| Match { published: published.clone(), failure_status, by: by.clone() })
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
