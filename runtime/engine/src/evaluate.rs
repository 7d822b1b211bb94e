//! jq as one decision sees it: shared with everybody else, in places, in time, and in what is known already.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use camshaft_model::language::expression::{Jq, JqError};
use camshaft_model::places::{Place, Places};
use camshaft_model::seams::Clock;
use camshaft_model::time::Timestamp;
use camshaft_model::{Value, limits};

/// Answers of one generation: with one more, those that were not asked for since the last are forgotten.
const REMEMBERED: usize = 16_384;

/// What each `match` said, by a digest of what it was asked. An execution keeps up to a thousand events that none of its steps
/// has taken, and looks at all of them whenever one comes.
#[derive(Default)]
pub(crate) struct Matched(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<[u64; 2], Value>,
    old: HashMap<[u64; 2], Value>,
}

impl Matched {
    fn get(&self, key: &[u64; 2]) -> Option<Value> {
        let mut generations = self.lock();
        if let Some(known) = generations.young.get(key) {
            return Some(known.clone());
        }
        let known = generations.old.remove(key)?;
        generations.put(*key, known.clone());
        Some(known)
    }

    fn put(&self, key: [u64; 2], value: Value) {
        self.lock().put(key, value);
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        // Nothing panics while holding it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn put(&mut self, key: [u64; 2], value: Value) {
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

/// Why an evaluation was put off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PutOff {
    /// As many evaluate as may at once.
    Full,
    /// The decision has taken long enough.
    Late,
}

/// jq for one decision, which is cut short when it takes long: an execution of many slow expressions must hear of commands and
/// of its own end in between. It evaluates with a place among those who may, until it is dropped.
pub(crate) struct Shared<'a> {
    pub(crate) jq: &'a dyn Jq,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) until: Timestamp,
    pub(crate) matched: &'a Matched,
    pub(crate) places: &'a Arc<Places>,
    pub(crate) turn: Mutex<Turn>,
}

/// What one decision has come to.
#[derive(Default)]
pub(crate) struct Turn {
    place: Option<Place>,
    put_off: Option<PutOff>,
    has_evaluated: bool,
}

impl Turn {
    /// A decision that has its place already, or takes one when it needs it.
    pub(crate) fn with(place: Option<Place>) -> Mutex<Self> {
        Mutex::new(Self { place, ..Self::default() })
    }
}

impl Shared<'_> {
    /// Why something of the decision was put off, if it was.
    pub(crate) fn put_off(&self) -> Option<PutOff> {
        self.turn().put_off
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        // Nothing panics while holding it.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, unless there is none.
    fn may_evaluate(&self) -> bool {
        let mut turn = self.turn();
        if turn.place.is_none() {
            match self.places.try_take() {
                Some(place) => turn.place = Some(place),
                None => turn.put_off = Some(PutOff::Full),
            }
        }
        turn.has_evaluated |= turn.put_off.is_none();
        turn.put_off.is_none()
    }
}

impl Jq for Shared<'_> {
    fn evaluate(&self, filter: &str, context: &str) -> Result<Value, JqError> {
        // A `match` says the same of the same: expressions know no time and no chance.
        let key = filter.contains("received").then(|| {
            [0u8, 1].map(|which| {
                let mut hasher = DefaultHasher::new();
                (which, filter, context).hash(&mut hasher);
                hasher.finish()
            })
        });
        if let Some(known) = key.and_then(|key| self.matched.get(&key)) {
            return Ok(known);
        }
        if !self.may_evaluate() {
            return Err(JqError::Unavailable("it is put off".to_owned()));
        }
        let value = self.jq.evaluate(filter, context)?;
        if let (Some(key), Value::Bool(_) | Value::Null | Value::Number(_)) = (key, &value) {
            self.matched.put(key, value.clone());
        }
        Ok(value)
    }

    fn is_spent(&self) -> bool {
        self.clock.now() >= self.until
    }

    fn puts_off(&self) -> bool {
        // What is known already takes no time worth mentioning; so every decision comes to know something more.
        let is_late = self.turn().has_evaluated && self.is_spent();
        if is_late {
            self.turn().put_off = Some(PutOff::Late);
        }
        is_late
    }

    fn has_put_off(&self) -> bool {
        self.put_off().is_some()
    }

    fn processor_time(&self) -> Duration {
        self.jq.processor_time()
    }
}

/// jq for one step: its expressions together are held to [`limits::STEP_EVALUATION_MAX`].
pub(crate) struct OfStep<'a> {
    jq: &'a dyn Jq,
    /// When the first of them began.
    began: OnceLock<Duration>,
}

impl<'a> OfStep<'a> {
    pub(crate) fn new(jq: &'a dyn Jq) -> Self {
        Self { jq, began: OnceLock::new() }
    }
}

impl Jq for OfStep<'_> {
    fn evaluate(&self, filter: &str, context: &str) -> Result<Value, JqError> {
        let limit = limits::STEP_EVALUATION_MAX;
        let now = self.jq.processor_time();
        if now.saturating_sub(*self.began.get_or_init(|| now)) >= limit {
            return Err(format!("the expressions of this step take longer than {limit:?} together").into());
        }
        self.jq.evaluate(filter, context)
    }

    fn is_spent(&self) -> bool {
        self.jq.is_spent()
    }

    fn puts_off(&self) -> bool {
        self.jq.puts_off()
    }

    fn has_put_off(&self) -> bool {
        self.jq.has_put_off()
    }

    fn processor_time(&self) -> Duration {
        self.jq.processor_time()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_are_asked_for_again_outlive_those_that_are_not() {
        let matched = Matched::default();
        let key = |n: usize| [n as u64, 0];
        for n in 0..3 * REMEMBERED {
            matched.put(key(n), Value::from(n));
            assert_eq!(matched.get(&key(0)), Some(Value::from(0)), "behind {n} others");
        }
        assert_eq!(matched.get(&key(1)), None);
        let Generations { young, old } = &*matched.lock();
        assert!(young.len() <= REMEMBERED && old.len() <= REMEMBERED);
    }
}
