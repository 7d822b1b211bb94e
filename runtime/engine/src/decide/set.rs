//! `set`: writes variables.

use std::sync::Arc;

use camshaft_model::Map;
use camshaft_model::entry::{At, Entry};
use camshaft_model::language::expression::Scope;
use camshaft_model::language::template::{Template, weight};
use camshaft_model::outcome::Failure;

use super::bounds::room_for;
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
        Ok(Action::Record(Entry::VariablesSet { time: self.now, at, values: Arc::new(rendered) }))
    }
}
