//! jq as one decision sees it: shared with everybody else, in time and in what is known already.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use camshaft_model::Value;
use camshaft_model::language::expression::Jq;
use camshaft_model::seams::Clock;
use camshaft_model::time::Timestamp;

/// Answers that are remembered; with one more, all of them are forgotten.
const REMEMBERED: usize = 16_384;

/// What each `match` said, by a digest of what it was asked. An execution keeps up to a thousand events that none of its steps
/// has taken, and looks at all of them whenever one comes.
#[derive(Default)]
pub(crate) struct Matched(Mutex<HashMap<[u64; 2], Value>>);

impl Matched {
    fn with<T>(&self, look: impl FnOnce(&mut HashMap<[u64; 2], Value>) -> T) -> T {
        // Nothing panics while holding it.
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// jq for one decision, which is cut short when it takes long: an execution of many slow expressions must hear of commands and
/// of its own end in between.
pub(crate) struct Shared<'a> {
    pub(crate) jq: &'a dyn Jq,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) until: Timestamp,
    pub(crate) matched: &'a Matched,
}

impl Jq for Shared<'_> {
    fn evaluate(&self, filter: &str, context: &str) -> Result<Value, String> {
        // A `match` says the same of the same: expressions know no time and no chance.
        if !filter.contains(".received") {
            return self.jq.evaluate(filter, context);
        }
        let key = [0u8, 1].map(|which| {
            let mut hasher = DefaultHasher::new();
            (which, filter, context).hash(&mut hasher);
            hasher.finish()
        });
        if let Some(known) = self.matched.with(|matched| matched.get(&key).cloned()) {
            return Ok(known);
        }
        let value = self.jq.evaluate(filter, context)?;
        if matches!(value, Value::Bool(_) | Value::Null | Value::Number(_)) {
            self.matched.with(|matched| {
                if matched.len() >= REMEMBERED {
                    matched.clear();
                }
                matched.insert(key, value.clone());
            });
        }
        Ok(value)
    }

    fn is_spent(&self) -> bool {
        self.clock.now() >= self.until
    }
}
