//! `wait`: for a time or an event; and how every wait goes on or ends.

use std::sync::Arc;
use std::time::Duration;

use camshaft_model::entry::{At, Awaited, Entry};
use camshaft_model::language::expression::{Expression, Scope};
use camshaft_model::outcome::{Failure, FailureKind, StepOutcome};
use camshaft_model::program::{StepKind, Wait};
use camshaft_model::time::Timestamp;
use camshaft_model::{Value, limits};

use super::{Action, Moment};

impl Moment<'_> {
    pub(super) fn begin_wait(&self, at: At, wait: &Wait, scope: &dyn Scope) -> Result<Action, Failure> {
        let until = match wait {
            Wait::For(template) => self.now.plus(duration(&template.render(scope, self.jq)?)?),
            Wait::Until(template) => time(&template.render(scope, self.jq)?)?,
            Wait::Event { topic, matches, timeout } => {
                if let Some(taken) = self.take_event(at, topic, matches.as_ref())? {
                    return Ok(taken);
                }
                let until = timeout.map(|timeout| self.now.plus(timeout));
                return Ok(self.wait_for(at, Awaited::Event { topic: topic.clone() }, until));
            }
        };
        if until > self.now.plus(limits::WAIT_MAX) {
            let message = format!("the wait is until {until}, which is more than {:?} away", limits::WAIT_MAX);
            return Err(Failure::new(FailureKind::Failed, message));
        }
        Ok(match until <= self.now {
            true => self.step_ended(at, StepOutcome::Succeeded(Arc::new(Value::Null))),
            false => self.wait_for(at, Awaited::Time, Some(until)),
        })
    }

    /// What becomes of a step that waits: its event is there, its time is over, or nothing.
    pub(super) fn go_on_waiting(
        &self,
        at: At,
        kind: &StepKind,
        awaited: &Awaited,
        until: Option<Timestamp>,
    ) -> Option<Action> {
        if let (Awaited::Event { topic }, StepKind::Wait(Wait::Event { matches, .. })) = (awaited, kind) {
            match self.take_event(at, topic, matches.as_ref()) {
                Ok(None) => {}
                Ok(taken) => return taken,
                Err(failure) => return Some(self.fail(at, failure)),
            }
        }
        until.filter(|until| self.now >= *until)?;
        let in_vain = |what: String| Some(self.fail(at, Failure::new(FailureKind::Timeout, what)));
        match awaited {
            Awaited::Time => Some(self.step_ended(at, StepOutcome::Succeeded(Arc::new(Value::Null)))),
            Awaited::Event { topic } => in_vain(format!("no event of topic `{topic}` came in time")),
            Awaited::Approval { .. } => in_vain("nobody has answered in time".to_owned()),
            Awaited::Lock { key } => in_vain(format!("the lock `{key}` was not free in time")),
            Awaited::Child { workflow, .. } => in_vain(format!("workflow `{workflow}` has not ended in time")),
        }
    }

    /// The oldest event of the topic that is meant and that no step has taken.
    fn take_event(&self, at: At, topic: &str, matches: Option<&Expression>) -> Result<Option<Action>, Failure> {
        for received in self.state.inbox.events.iter().filter(|received| received.topic == topic) {
            if self.jq.puts_off() {
                return Ok(None);
            }
            let is_meant = match matches {
                Some(matches) => matches.holds(&self.state.scope_with(at.0, &received.event), self.jq)?,
                None => true,
            };
            if is_meant {
                let event = received.sequence;
                return Ok(Some(Action::Record(Entry::EventTaken { time: self.now, at, event })));
            }
        }
        Ok(None)
    }
}

/// `5m`, or a number of seconds.
fn duration(value: &Value) -> Result<Duration, Failure> {
    let found = match value {
        Value::Number(seconds) => {
            seconds.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok())
        }
        Value::String(text) => humantime::parse_duration(text.trim()).ok(),
        _ => None,
    };
    found.ok_or_else(|| {
        let message =
            format!("`wait` is {value}, which is no duration; write 500ms, 30s, 1h30m, 2d or a number of seconds");
        Failure::new(FailureKind::Failed, message)
    })
}

fn time(value: &Value) -> Result<Timestamp, Failure> {
    value.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
        let message =
            format!("`wait: until` is {value}, which is no time from 1970 to 9999; write 2026-12-24T18:00:00Z");
        Failure::new(FailureKind::Failed, message)
    })
}
