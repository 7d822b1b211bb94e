//! What a delivery starts: its events grouped by what makes each a repetition, room for them, and the dispatch.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use camshaft_model::Value;
use camshaft_model::event::Event;
use camshaft_model::ids::{ExecutionId, Name};
use camshaft_model::invocation::{Reply, RevisionRef, SeenDelivery, TriggerSource};
use camshaft_model::matching::{self, Evaluator, Match};
use camshaft_model::outcome::{Failure, Outcome};
use camshaft_model::seams::{DispatchRequest, Dispatched, Integration, Published, Start};
use camshaft_model::workflow::TriggerKey;
use futures::future::join_all;

use super::Parts;
use super::receive::{Asked, Receiver, Target};
use super::refused::Refused;
use super::throttle::Room;
use crate::dedupe::seen_before;

/// Events of a delivery that share an identity, and what they start.
#[derive(Default)]
pub(super) struct Group {
    delivery: Option<SeenDelivery>,
    starts: Vec<Start>,
}

/// What came of a delivery.
#[derive(Default)]
pub(super) struct Started {
    pub(super) executions: Vec<(Name, ExecutionId)>,
    /// Nothing was started now: all of it came before.
    pub(super) replayed: bool,
    /// For a caller that waits, unless its window was over first.
    pub(super) outcome: Option<Arc<Outcome>>,
    /// What is left of the workspace's second, where it is limited and something was started.
    pub(super) room: Option<Room>,
}

impl Parts {
    /// A `when` that fails holds for nothing, and whoever wrote it should know.
    pub fn tell_faulty(&self, published: &Published, by: &TriggerKey, event: Option<&str>, failure: &Failure) {
        let (RevisionRef { workflow_id, workflow, revision }, why) = (&published.revision, &failure.message);
        let now = self.clock.now();
        if let Some(held_back) = self.deliveries.lately.is_due(("when", workflow_id, revision, by), now) {
            let trigger = by.as_str();
            tracing::warn!(%workflow, revision, trigger, event, held_back, "a trigger's `when` failed and counts as not holding: {why}");
        }
        self.witness.not_started(published, by, now, format!("its `when` failed: {why}"));
    }

    /// What an event starts, or none where its workflow needs parameters that no event has; whoever wrote that should know too.
    pub fn bind(&self, matched: &Match, source: TriggerSource, event: &Arc<Value>) -> Result<Start, String> {
        matched.start(source, event).map_err(|faults| {
            let (RevisionRef { workflow_id, workflow, revision }, why) =
                (&matched.published.revision, faults.join("; "));
            let (by, now) = (&matched.by, self.clock.now());
            if let Some(held_back) = self.deliveries.lately.is_due(("params", workflow_id, revision, by), now) {
                tracing::warn!(%workflow, trigger = %by, held_back, "not started by an event: {why}");
            }
            self.witness.not_started(&matched.published, by, now, why.clone());
            why
        })
    }
}

impl Receiver {
    /// What each event starts, by the identity that makes a repetition. Also the status for the first start's failure.
    ///
    /// Events of one delivery may have ids of their own, and a vendor that sends again may pack them differently; so each
    /// id is a group, accepted at once or not at all. Events without an id share the caller's key, or go without.
    pub(super) async fn groups(
        &self,
        asked: &Asked,
        integration: &Integration,
        events: &[Event],
        subscribers: &[Arc<Published>],
        identity: impl Fn(Option<&str>) -> Option<SeenDelivery>,
    ) -> Result<(Vec<Group>, Option<u16>), Refused> {
        let mut groups: Vec<Group> = Vec::with_capacity(1);
        let mut by_id: HashMap<Option<&str>, usize> = HashMap::with_capacity(1);
        let mut failure_status = None;
        let mut is_first = true;
        for event in events {
            let id = event.id.as_deref();
            let group = *by_id.entry(id).or_insert_with(|| {
                groups.push(Group { delivery: identity(id), starts: Vec::new() });
                groups.len() - 1
            });
            for subscriber in subscribers {
                let faulty = |by: &TriggerKey, failure: &Failure| {
                    self.parts.tell_faulty(subscriber, by, event.id.as_deref(), failure);
                };
                let evaluator = Evaluator { jq: &*self.parts.jq, places: &self.parts.places, faulty: &faulty };
                let directory = &*self.parts.directory;
                let matched =
                    matching::matched(subscriber, &integration.name, &event.value, directory, evaluator).await;
                for (matched, source) in matched.map_err(Refused::Busy)? {
                    if std::mem::take(&mut is_first) {
                        failure_status = matched.failure_status;
                    }
                    match self.parts.bind(&matched, source, &event.value) {
                        Ok(start) => groups[group].starts.push(start),
                        // It must not keep the delivery from the others.
                        Err(_) if asked.target == Target::All => {}
                        Err(why) => {
                            let workflow = &matched.published.workflow.name;
                            let why = format!("workflow `{workflow}` cannot be started by a webhook: {why}");
                            return Err(Refused::Malformed(why));
                        }
                    }
                }
            }
        }
        // Those without an identity last: if anything before them fails, the delivery is sent again, and only they would
        // start twice.
        groups.sort_by_key(|group| group.delivery.is_none());
        Ok((groups, failure_status))
    }

    /// Starts what did not come before. With a window the caller waits for the first execution's outcome.
    pub(super) async fn start(
        &self,
        workspace: &Name,
        groups: Vec<Group>,
        window: Option<Duration>,
        request_id: Option<&str>,
    ) -> Result<Started, Refused> {
        let mut started = Started { replayed: true, ..Started::default() };
        let mut fresh = Vec::with_capacity(groups.len());
        for group in groups {
            let seen = match &group.delivery {
                Some(delivery) => seen_before(&*self.parts.store, delivery).await?,
                None => None,
            };
            match (seen, group.delivery) {
                (Some(seen), Some(delivery)) if seen.body != delivery.body => {
                    return Err(Refused::DifferentBody(delivery.key.id));
                }
                (Some(seen), _) => started.executions.extend(seen.executions),
                // What started nothing is not remembered: who publishes the workflow and sends the delivery again, as
                // vendors let people do, wants it to start.
                (None, _) if group.starts.is_empty() => {}
                (None, delivery) => fresh.push(Group { delivery, ..group }),
            }
        }
        let count = fresh.iter().map(|group| group.starts.len()).sum();
        started.room = self.throttle(workspace, count, &fresh)?;

        // Waiting is for one start alone. Of several the caller gets the first one's outcome, and none is lost.
        let alone = started.executions.is_empty() && count == 1;
        let wait = window.filter(|_| alone);
        let requests = fresh.into_iter().map(|group| DispatchRequest {
            delivery: group.delivery,
            starts: group.starts,
            reply: if wait.is_some() { Reply::Wait } else { Reply::Detach },
            window: wait.unwrap_or_default(),
            request_id: request_id.map(str::to_owned),
        });
        let (identified, anonymous): (Vec<_>, Vec<_>) = requests.partition(|request| request.delivery.is_some());
        for requests in [identified, anonymous] {
            // Together, so that they share a commit.
            for dispatched in join_all(requests.into_iter().map(|request| self.dispatch(request))).await {
                let dispatched = dispatched?;
                started.replayed &= dispatched.replayed;
                started.executions.extend(dispatched.executions);
                started.outcome = started.outcome.or(dispatched.outcome);
            }
        }
        started.replayed &= !started.executions.is_empty();
        if let (Some(window), false, Some((_, first))) = (window, alone, started.executions.first()) {
            started.outcome = self.parts.dispatch.outcome(*first, window).await?;
        }
        Ok(started)
    }

    async fn dispatch(&self, request: DispatchRequest) -> Result<Dispatched, Refused> {
        // A caller that hangs up drops this future. What it started must not be left half accepted, so it goes on by
        // itself.
        let dispatch = self.parts.dispatch.clone();
        match tokio::spawn(async move { dispatch.dispatch(request).await }).await {
            Ok(dispatched) => Ok(dispatched?),
            Err(error) => Err(Refused::Internal(format!("starting executions: {error}"))),
        }
    }

    fn throttle(&self, workspace: &Name, executions: usize, groups: &[Group]) -> Result<Option<Room>, Refused> {
        self.parts.throttle.take(workspace, executions).map_err(|room| {
            let refused = Refused::TooMany { workspace: workspace.clone(), room };
            let (witness, now, why) = (&self.parts.witness, self.parts.clock.now(), refused.to_string());
            groups.iter().for_each(|group| witness.turned_away(&group.starts, now, &why));
            refused
        })
    }
}
