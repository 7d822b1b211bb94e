//! What an execution does when it is told something.

use camshaft_model::entry::{At, Awaited, Entry};
use camshaft_model::ids::ExecutionId;
use camshaft_model::language::template::weight;
use camshaft_model::limits;
use camshaft_model::outcome::AttemptOutcome;
use camshaft_model::seams::{Answer, Message, StoreError, TellError};
use camshaft_model::state::Stage;

use super::{Driver, Stop};
use crate::live::Command;

impl Driver {
    pub(super) async fn obey(&mut self, command: Command) -> Result<(), Stop> {
        let time = self.engine.parts.clock.now();
        match command {
            Command::Flush(answer) => {
                let flushed = self.flush().await;
                let _ = answer.send(told(&flushed));
                flushed
            }
            Command::Cancel(by, answer) => {
                self.record(Entry::CancelRequested { time, by })?;
                self.acknowledge(answer).await
            }
            Command::Receive(message, answer) => match self.fits(&message) {
                Ok(true) => {
                    let Message { topic, event } = message;
                    self.record(Entry::EventReceived { time, topic, event })?;
                    self.acknowledge(answer).await
                }
                // It came before, and may not be durable yet.
                Ok(false) => self.acknowledge(answer).await,
                Err(why) => {
                    let _ = answer.send(Err(TellError::Unfit(why)));
                    Ok(())
                }
            },
            Command::Answer(given, answer) => match self.asked(&given) {
                Ok(at) => {
                    let Answer { approved, by, comment, .. } = given;
                    self.record(Entry::ApprovalGiven { time, at, approved, by, comment })?;
                    self.acknowledge(answer).await
                }
                Err(refused) => {
                    let _ = answer.send(Err(refused));
                    Ok(())
                }
            },
            Command::ChildEnded(at, child, outcome) => self.child_ended(at, child, outcome),
            Command::LockGranted(at) => match self.state.open.get(&at).map(|open| &open.stage) {
                Some(Stage::Waiting { awaited: Awaited::Lock { .. }, .. }) => self.take_lock(at),
                // It left the line at the same moment, and has given the lock back.
                _ => Ok(()),
            },
            Command::Start if self.state.started_at.is_none() => self.record(Entry::Started { time }),
            Command::Start | Command::Wake => Ok(()),
            Command::Stop => {
                self.flush().await?;
                Err(Stop::LetGo)
            }
        }
    }

    async fn acknowledge(&mut self, answer: tokio::sync::oneshot::Sender<Result<(), TellError>>) -> Result<(), Stop> {
        let flushed = self.flush().await;
        let _ = answer.send(told(&flushed).map_err(TellError::from));
        flushed
    }

    /// Whether an event is new; why it cannot be taken.
    fn fits(&self, message: &Message) -> Result<bool, String> {
        if self.state.inbox.knows(&message.event) {
            return Ok(false);
        }
        if !self.published.program.topics().any(|topic| topic == message.topic) {
            let workflow = &self.published.revision.workflow;
            return Err(format!("no step of workflow `{workflow}` waits for topic `{}`", message.topic));
        }
        if self.state.inbox.events.len() >= limits::RECEIVED_MAX {
            return Err(format!("{} events wait to be taken already", limits::RECEIVED_MAX));
        }
        let (used, limit) = (self.state.kept_bytes + weight(&message.event), limits::EXECUTION_BYTES_MAX);
        if used > limit {
            return Err(format!("it would keep {used} bytes of outputs, variables and events; {limit} is the limit"));
        }
        Ok(true)
    }

    /// The step that asks for this answer.
    fn asked(&self, given: &Answer) -> Result<At, TellError> {
        let program = &self.published.program;
        let asking: Vec<(At, &Vec<String>)> = self
            .state
            .open
            .iter()
            .filter_map(|(at, open)| match &open.stage {
                Stage::Waiting { awaited: Awaited::Approval { of, .. }, .. } => Some((*at, of)),
                _ => None,
            })
            .filter(|(at, _)| given.step.as_ref().is_none_or(|step| program.step(at.1).path == *step))
            .filter(|(at, _)| given.iteration.as_ref().is_none_or(|turns| self.state.turns(at.0) == *turns))
            .collect();
        let (at, of) = match (asking.as_slice(), &given.step) {
            ([one], _) => *one,
            ([], Some(step)) => return Err(TellError::Unfit(format!("step `{step}` asks for no approval now"))),
            ([], None) => return Err(TellError::Unfit("no step asks for an approval now".to_owned())),
            (many, _) => {
                let steps: Vec<_> = many.iter().map(|(at, _)| self.describe(*at)).collect();
                let message = format!("{} approvals are asked for; say which: {}", steps.len(), steps.join(", "));
                return Err(TellError::Unfit(message));
            }
        };
        if of.is_empty() && !given.manages {
            // Who may start a workflow must not be the one who agrees to what it asks, unless it says so.
            return Err(TellError::NotAsked {
                by: given.by.clone(),
                of: vec!["whoever manages executions".to_owned()],
            });
        }
        if !given.is_operator && !of.is_empty() && !of.contains(&given.by) {
            return Err(TellError::NotAsked { by: given.by.clone(), of: of.clone() });
        }
        Ok(at)
    }

    fn describe(&self, at: At) -> String {
        let path = &self.published.program.step(at.1).path;
        let turns = self.state.turns(at.0);
        match turns.is_empty() {
            true => format!("`{path}`"),
            false => format!("`{path}` of turn {}", turns.iter().map(u32::to_string).collect::<Vec<_>>().join("/")),
        }
    }

    fn child_ended(&mut self, at: At, child: ExecutionId, outcome: AttemptOutcome) -> Result<(), Stop> {
        match self.state.open.get(&at).map(|open| &open.stage) {
            Some(Stage::Waiting { awaited: Awaited::Child { execution, .. }, .. }) if *execution == child => {
                // It has ended and needs no cancelling.
                self.children.remove(&at);
                self.record(Entry::ChildEnded { time: self.engine.parts.clock.now(), at, outcome })
            }
            _ => Ok(()),
        }
    }
}

fn told(flushed: &Result<(), Stop>) -> Result<(), StoreError> {
    match flushed {
        Ok(()) => Ok(()),
        Err(Stop::Store(error)) => Err(error.clone()),
        Err(Stop::LetGo | Stop::Parked) => Err(StoreError::Unavailable("the server is stopping".to_owned())),
    }
}
