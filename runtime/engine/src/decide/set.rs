//! `set`: writes variables.

use std::sync::Arc;

use camshaft_model::Map;
use camshaft_model::entry::{At, Entry};
use camshaft_model::language::expression::Scope;
use camshaft_model::language::template::{Template, size};
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
        let values = values
            .iter()
            .map(|(name, template)| Ok((name.clone(), template.render(scope, self.jq)?)))
            .collect::<Result<Map<_, _>, Failure>>()?;
        // They are the step's output, too.
        room_for(self.state, 2 * values.values().map(size).sum::<usize>())?;
        Ok(Action::Record(Entry::VariablesSet { time: self.now, at, values: Arc::new(values) }))
    }
}
