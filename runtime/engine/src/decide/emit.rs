//! `emit`: sends an event to everybody who waits for it.

use std::sync::Arc;

use camshaft_model::entry::{At, Entry};
use camshaft_model::language::expression::Scope;
use camshaft_model::language::template::{Template, weight, within_depth};
use camshaft_model::outcome::Failure;
use camshaft_model::program::{Emit, Step};
use camshaft_model::{json, limits};

use super::bounds::room_for;
use super::{Action, Moment, one_line, text_of};
use crate::perform::idempotency_key;

impl Moment<'_> {
    pub(super) fn begin_emit(&self, at: At, step: &Step, emit: &Emit, scope: &dyn Scope) -> Result<Action, Failure> {
        let text = |template: &Template| template.render(scope, self.jq).map(text_of);
        let kind = text(&emit.kind)?;
        let topic = emit.topic.as_ref().map_or_else(|| Ok(kind.clone()), text)?;
        one_line("the type of an event", &kind)?;
        one_line("the topic of an event", &topic)?;
        let data = emit.data.render(scope, self.jq)?;
        within_depth(&data, limits::DATA_DEPTH_MAX)?;
        let subject = emit.subject.as_ref().map(text).transpose()?;
        let invocation = &self.state.invocation;
        // The same id however often it is sent, so that whoever gets it twice can tell.
        let event = json!({
            "id": idempotency_key(invocation.id, &step.path, &self.state.turns(at.0)),
            "type": kind,
            "topic": topic,
            "source": format!("/workflows/{}", invocation.revision.workflow),
            "subject": subject,
            "time": self.now.to_string(),
            "data": data,
        });
        room_for(self.state, weight(&event))?;
        Ok(Action::Record(Entry::EventEmitted { time: self.now, at, event: Arc::new(event) }))
    }
}
