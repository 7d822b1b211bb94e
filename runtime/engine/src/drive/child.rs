//! Executions that a `workflow` step starts: begun together with the entry that names them, waited for, cancelled with
//! their parent.

use std::sync::Arc;

use camshaft_model::entry::{At, Awaited, Entry};
use camshaft_model::ids::{ExecutionId, IdOrName, Name};
use camshaft_model::invocation::{Parent, TriggerSource};
use camshaft_model::limits;
use camshaft_model::outcome::{AttemptOutcome, Ending, Failure, FailureKind, Outcome, StepOutcome};
use camshaft_model::seams::{Append, Published, Start, StoreError};
use camshaft_model::state::State;
use camshaft_model::{Value, json};

use super::{Driver, Stop};
use crate::Engine;
use crate::accept::{Accepted, begin_all};
use crate::decide::failed;
use crate::live::Command;

impl Driver {
    /// Starts a child, or fails the step.
    pub(super) async fn start_child(
        &mut self,
        at: At,
        workflow: &Name,
        params: Value,
        waits: bool,
    ) -> Result<(), Stop> {
        if self.find(workflow).is_ok_and(|published| published.workflow.limits.concurrency.is_some()) {
            // Those of a former server count first.
            self.engine.complete().await;
        }
        // What it has reached so far is not to fail with the child, nor the child to take a place if that cannot be appended.
        self.flush().await?;
        let time = self.engine.parts.clock.now();
        let (child, mut append) = match self.accept_child(at, workflow, params, waits) {
            Ok(accepted) => accepted,
            Err(failure) => return self.fail_step(at, failure),
        };
        let execution = child.id();
        let entry = if waits {
            let awaited = Awaited::Child { execution, workflow: workflow.clone() };
            Entry::WaitStarted { time, at, awaited, until: None }
        } else {
            let output = Arc::new(json!({"execution": execution.to_string(), "workflow": workflow.as_str()}));
            Entry::StepEnded { time, at, outcome: StepOutcome::Succeeded(output), go_on: false }
        };
        // Both or neither: an entry that names a child which is not there, or a child that nobody knows of, would be lost. Only a
        // counter can refuse it, and a state may be large.
        let before = (!append.counts.is_empty()).then(|| self.state.clone());
        self.record(entry)?;
        append.journals.push(self.journal());
        match self.append(append).await {
            Ok(()) => {
                if waits {
                    self.children.insert(at, execution);
                }
                begin_all(&self.engine, vec![child]);
                Ok(())
            }
            Err(Stop::Store(error)) => {
                self.engine.turn_away(&child);
                if let Some(before) = before {
                    self.state = before;
                    self.pending.clear();
                }
                let what = match error {
                    StoreError::LimitReached { key, limit } => {
                        child.counted.reached(&key, limit, self.engine.parts.clock.now()).to_string()
                    }
                    error => format!("workflow `{workflow}` cannot be started: {error}"),
                };
                self.fail_step(at, Failure::new(FailureKind::Unavailable, what))
            }
            Err(stop) => {
                self.engine.turn_away(&child);
                Err(stop)
            }
        }
    }

    fn fail_step(&mut self, at: At, failure: Failure) -> Result<(), Stop> {
        let now = self.engine.parts.clock.now();
        self.record(failed(&self.published.program, &self.state, at, failure, now, &*self.engine.parts.jq))
    }

    fn accept_child(&self, at: At, workflow: &Name, params: Value, waits: bool) -> Result<(Accepted, Append), Failure> {
        let invocation = &self.state.invocation;
        let depth = invocation.depth() + 1;
        if depth > limits::CHILDREN_DEPTH_MAX {
            let limit = limits::CHILDREN_DEPTH_MAX;
            let what =
                format!("workflow `{workflow}` would be number {depth} in a line of workflows; {limit} is the limit");
            return Err(Failure::new(FailureKind::Failed, what));
        }
        let published = self.find(workflow)?;
        let Value::Object(given) = params else {
            return Err(Failure::new(
                FailureKind::InvalidInput,
                format!("`with` of workflow `{workflow}` is no object"),
            ));
        };
        let bound = published.workflow.bind_params(&given).map_err(|faults| {
            Failure::new(FailureKind::InvalidInput, format!("workflow `{workflow}`: {}", faults.join("; ")))
        })?;
        let start = Start {
            published,
            trigger: TriggerSource::Workflow { parent: self.id },
            by: None,
            event: Arc::new(Value::Null),
            params: Arc::new(Value::Object(bound)),
            connection: invocation.connection.clone(),
            test: invocation.test,
            repeats: None,
            seed: None,
        };
        let parent = Parent { execution: self.id, at, waits, depth };
        let now = self.engine.parts.clock.now();
        let child = self
            .engine
            .accept(start, &invocation.request_id, Some(parent), now)
            .map_err(|reached| Failure::new(FailureKind::Unavailable, reached.to_string()))?;
        let append = child.append(self.engine.parts.store.fence(), now);
        Ok((child, append))
    }

    fn find(&self, workflow: &Name) -> Result<Arc<Published>, Failure> {
        let environment = &self.published.environment;
        let which = IdOrName::Name(workflow.clone());
        self.engine.parts.directory.published(&self.published.workspace, &which, environment).ok_or_else(|| {
            let what = format!("workflow `{workflow}` is not published in `{environment}`");
            Failure::new(FailureKind::Failed, what)
        })
    }

    /// Children may have ended while nobody drove this execution.
    pub(super) fn ask_for_children(&self) {
        for (at, child) in self.children.clone() {
            let (engine, id) = (self.engine.clone(), self.id);
            tokio::spawn(async move {
                let outcome = match engine.ended(child).await {
                    Ok(Some((workflow, outcome))) => as_step(&workflow, &outcome),
                    // It was there in the same append as the step, and only what has ended is ever forgotten.
                    Ok(None) if matches!(engine.parts.store.summary(child).await, Ok(None)) => {
                        let why = format!("execution {child} has ended, and how is not kept any more");
                        AttemptOutcome::Failed(Failure::new(FailureKind::Lost, why))
                    }
                    _ => return,
                };
                engine.tell(id, Command::ChildEnded(at, child, outcome)).await;
            });
        }
    }

    /// Cancels the children that nobody waits for any more.
    pub(super) fn cancel_forsaken(&mut self) {
        for child in std::mem::take(&mut self.forsaken) {
            self.engine.cancel_child(child, self.id);
        }
    }
}

impl Engine {
    /// Tells the step that started an execution how it ended.
    pub(crate) fn tell_parent(self: &Arc<Self>, ended: &State) {
        if let (Some(parent), Some(outcome)) = (&ended.invocation.parent, &ended.outcome)
            && parent.waits
        {
            let outcome = as_step(&ended.invocation.revision.workflow, outcome);
            self.tell_later(parent.execution, Command::ChildEnded(parent.at, ended.invocation.id, outcome));
        }
    }

    /// Cancels a child that no step of its parent waits for any more.
    pub(crate) fn cancel_child(self: &Arc<Self>, child: ExecutionId, parent: ExecutionId) {
        let (engine, by) = (self.clone(), format!("its parent {parent}"));
        tokio::spawn(async move {
            // One that has ended needs no cancelling.
            let _ = engine.cancel(child, by).await;
        });
    }
}

/// How a child's end looks to the step that waited for it.
fn as_step(workflow: &Name, outcome: &Outcome) -> AttemptOutcome {
    match outcome.ending {
        Ending::Succeeded => AttemptOutcome::Succeeded(outcome.output.clone()),
        ending => {
            let kind = match ending {
                Ending::Cancelled => FailureKind::Cancelled,
                Ending::TimedOut => FailureKind::Timeout,
                _ => outcome.failure.as_ref().map_or(FailureKind::Failed, |failure| failure.kind),
            };
            let why = outcome.failure.as_ref().map(|failure| failure.message.as_str()).unwrap_or("it failed");
            AttemptOutcome::Failed(Failure::new(kind, format!("workflow `{workflow}`: {why}")))
        }
    }
}
