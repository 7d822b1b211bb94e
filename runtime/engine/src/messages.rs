//! Telling executions something, wherever they are: driven, parked, or just on their way.

use std::sync::Arc;
use std::time::Duration;

use camshaft_model::entry::At;
use camshaft_model::ids::{ExecutionId, Name, ResourceId};
use camshaft_model::seams::{Message, TellError};
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
                // It ended meanwhile, or has more events than it can keep.
                Err(TellError::Ended(..) | TellError::Unknown(_)) => {}
                Err(TellError::Unfit(why)) => tracing::warn!(execution = %id, why, "an event was not taken"),
                Err(error) => return Err(error),
            }
        }
        Ok(reached)
    }

    /// Sends an event of a step, again and again until everybody has it.
    pub(crate) fn emit(self: Arc<Self>, workspace: Name, at: At, event: Arc<Value>) -> BoxFuture<'static, Performed> {
        Box::pin(async move {
            let topic = event["topic"].as_str().unwrap_or_default().to_owned();
            let mut pause = Duration::from_millis(50);
            while let Err(error) = self.send(&workspace, Message { topic: topic.clone(), event: event.clone() }).await {
                tracing::error!(%error, topic, "an event has not reached everybody yet; trying again");
                let clock = &self.parts.clock;
                clock.sleep_until(clock.now().plus(pause)).await;
                pause = (pause * 2).min(limits::PARK_AFTER);
            }
            Performed::Emitted { at }
        })
    }
}
