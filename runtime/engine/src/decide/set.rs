//! `set`: writes variables.

use std::sync::Arc;

use camshaft_model::entry::{At, Entry};
use camshaft_model::language::expression::Scope;
use camshaft_model::language::template::{Template, weight};
use camshaft_model::outcome::Failure;
use camshaft_model::{Map, Value};

use super::bounds::{room_for, within_bounds};
use super::{Action, Moment};

impl Moment<'_> {
    pub(super) fn begin_set(
        &self,
        at: At,
        values: &[(String, Template)],
        scope: &dyn Scope,
    ) -> Result<Action, Failure> {
        let (mut rendered, mut bytes) = (Map::with_capacity(values.len()), 0);
        for (name, template) in values {
            let value = template.render(scope, self.jq)?;
            // They are the step's output, too. Each finds room before the next is made.
            bytes += 2 * weight(&value);
            room_for(self.state, bytes)?;
            rendered.insert(name.clone(), value);
        }
        let output = Value::Object(rendered);
        within_bounds(&output)?;
        let Value::Object(rendered) = output else { unreachable!("it was made an object") };
        Ok(Action::Record(Entry::VariablesSet { time: self.now, at, values: Arc::new(rendered) }))
    }
}
