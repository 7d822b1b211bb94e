//! Telling executions something, wherever they are: driven, parked, or just on their way.

use std::sync::Arc;
use std::time::Duration;

use camshaft_model::entry::At;
use camshaft_model::ids::{Digest, ExecutionId, Name, ResourceId};
use camshaft_model::invocation::{DeliveryKey, Invocation, Reply, SeenDelivery, TriggerSource};
use camshaft_model::matching::{self, Evaluator};
use camshaft_model::outcome::Failure;
use camshaft_model::seams::{DispatchError, DispatchRequest, Message, StoreError, TellError};
use camshaft_model::workflow::TriggerKey;
use camshaft_model::{Value, limits};
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};

use crate::Engine;
use crate::live::{Command, Told};
use crate::locks::Claimant;
use crate::perform::Performed;

/// Executions that are told of one event at once.
const AT_ONCE: usize = 64;

impl Engine {
    /// Hands a command over, and wakes the execution for it. False where it is not open here.
    pub(crate) async fn tell(self: &Arc<Self>, id: ExecutionId, mut command: Command) -> bool {
        loop {
            match self.live.tell(id, command) {
                Told::Yes => return true,
                Told::Unknown => return false,
                Told::Again(back) => {
                    command = back;
                    tokio::task::yield_now().await;
                }
                Told::Wake(parked) => {
                    let engine = self.clone();
                    tokio::spawn(async move { engine.wake(id, parked).await });
                    return true;
                }
            }
        }
    }

    /// The same, when nobody has time to wait for it.
    pub(crate) fn tell_later(self: &Arc<Self>, id: ExecutionId, command: Command) {
        let engine = self.clone();
        tokio::spawn(async move { engine.tell(id, command).await });
    }

    /// A lock is given back, or a place in its line.
    pub(crate) fn give_back(self: &Arc<Self>, workspace: &Name, key: &str, claimant: Claimant) {
        if let Some((id, at)) = self.locks.leave(workspace, key, claimant) {
            self.tell_later(id, Command::LockGranted(at));
        }
    }

    /// An execution counts no more for its workflow's concurrency.
    pub(crate) fn leave_gate(self: &Arc<Self>, workflow: ResourceId, id: ExecutionId) {
        for next in self.gates.leave(workflow, id) {
            self.tell_later(next, Command::Start);
        }
    }

    /// Hands an event to everybody who listens to its topic. Durable with each when this returns.
    pub(crate) async fn send(
        self: &Arc<Self>,
        workspace: &Name,
        message: Message,
    ) -> Result<Vec<ExecutionId>, TellError> {
        self.complete().await;
        let listening = self.live.listening(workspace, &message.topic);
        let told = stream::iter(listening).map(|id| {
            let message = message.clone();
            async move { (id, self.ask(id, |answer| Command::Receive(message, answer)).await) }
        });
        let told: Vec<_> = told.buffered(AT_ONCE).collect().await;
        let mut reached = Vec::new();
        for (id, told) in told {
            match told {
                Ok(()) => reached.push(id),
                // It ended meanwhile, or never was: it ran ahead of the disk, which then would not have it.
                Err(TellError::Ended(..) | TellError::Unknown(_)) => {}
                Err(TellError::Store(StoreError::LimitReached { .. } | StoreError::Duplicate(_))) => {}
                Err(TellError::Unfit(why)) => tracing::warn!(execution = %id, why, "an event was not taken"),
                Err(error) => return Err(error),
            }
        }
        Ok(reached)
    }

    /// Sends an event of a step, again and again until everybody has it: the executions that wait for it, and the workflows
    /// that it starts.
    pub(crate) fn emit(
        self: Arc<Self>,
        by: Arc<Invocation>,
        at: At,
        event: Arc<Value>,
    ) -> BoxFuture<'static, Performed> {
        Box::pin(async move {
            let topic = event["topic"].as_str().unwrap_or_default().to_owned();
            let mut pause = Duration::from_millis(50);
            loop {
                let message = Message { topic: topic.clone(), event: event.clone() };
                let sent = self.send(&by.workspace, message).await.map_err(|error| error.to_string());
                let begun = match sent {
                    Ok(_) => self.start_concerned(&by, &event).await,
                    Err(error) => Err(error),
                };
                let Err(error) = begun else { break };
                tracing::error!(error, topic, "an event has not reached everybody yet; trying again");
                let clock = &self.parts.clock;
                clock.sleep_until(clock.now().plus(pause)).await;
                pause = (pause * 2).min(limits::PARK_AFTER);
            }
            Performed::Emitted { at }
        })
    }

    /// Starts the workflows with a trigger for an event of a step, once however often it is tried. A test starts none.
    async fn start_concerned(self: &Arc<Self>, by: &Invocation, event: &Arc<Value>) -> Result<(), String> {
        let text = |key: &str| event[key].as_str().unwrap_or_default();
        let (event_type, source) = (text("type"), text("source"));
        let concerned = self.parts.directory.concerned(&by.workspace, event_type, &by.environment);
        if concerned.is_empty() || by.test {
            return Ok(());
        }
        let depth = by.depth() + 1;
        if depth > limits::CHILDREN_DEPTH_MAX {
            tracing::warn!(execution = %by.id, event_type, depth, "events start each other in a ring; this one starts nothing");
            return Ok(());
        }
        let mut starts = Vec::new();
        for published in &concerned {
            let faulty = |trigger: &TriggerKey, failure: &Failure| {
                let (workflow, why) = (&published.revision.workflow, &failure.message);
                tracing::warn!(%workflow, event_type, "a trigger's `when` failed and counts as not holding: {why}");
                let (witness, now) = (&self.parts.witness, self.parts.clock.now());
                witness.not_started(published, trigger, now, format!("its `when` failed: {why}"));
            };
            let evaluator = Evaluator { jq: &*self.parts.jq, places: &self.parts.places, faulty: &faulty };
            let matched = matching::matched_event(published, event, evaluator).await;
            let matched = matched.map_err(|failure| failure.message)?;
            let trigger = TriggerSource::Event { event_type: event_type.to_owned(), source: source.to_owned(), depth };
            starts.extend(matched.and_then(|matched| matched.start(trigger, event).ok()));
        }
        if starts.is_empty() {
            return Ok(());
        }
        let key = DeliveryKey::of_event(&by.workspace, &by.environment, source, text("id"));
        let delivery = SeenDelivery { key, body: Digest([0; 32]), at: self.parts.clock.now(), executions: Vec::new() };
        let (reply, window, request_id) = (Reply::Detach, Duration::ZERO, by.request_id.clone());
        let request = DispatchRequest { delivery: Some(delivery), starts, reply, window, request_id };
        match self.clone().dispatch_all(request).await {
            // Whose limit it was is told where triggers are looked at.
            Err(DispatchError::LimitReached(_)) | Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}
