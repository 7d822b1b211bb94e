//! Expressions: compiled once for each revision, evaluated against an execution's context.
//!
//! Plain paths, comparisons and their combinations run natively. Everything else is jq, and runs behind the [`Jq`] seam,
//! which is bounded in time, depth and memory; a native jq could not be interrupted.

use std::cmp::Ordering;
use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::diagnose::Mark;
use crate::outcome::{Failure, FailureKind};
use crate::program::{StepAddress, truthy};

/// Evaluates jq filters; pure, whatever it does inside. Implemented by the host's sandboxed expression component.
pub trait Jq: Send + Sync {
    /// The filter's first output for this context (JSON text), null if it has none; or why there is no value.
    fn evaluate(&self, filter: &str, context: &str) -> Result<Value, JqError>;
    /// Whether so much time went into evaluations that others should have their turn before more are begun.
    fn is_spent(&self) -> bool {
        false
    }
    /// Asked before each of many evaluations that may as well be made later: whether this one is put off.
    fn puts_off(&self) -> bool {
        false
    }
    /// Whether an evaluation was put off. What its caller made of that counts for nothing, and is decided again.
    fn has_put_off(&self) -> bool {
        false
    }
    /// How long the calling thread has been on the processor: what the evaluations of a step are counted by. Where it stands
    /// still, they are not.
    fn processor_time(&self) -> Duration {
        Duration::ZERO
    }
}

/// Why a filter has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JqError {
    /// It has a fault, or takes more than it may.
    #[error("{0}")]
    Failed(String),
    /// Nothing can be evaluated now; later this may.
    #[error("{0}")]
    Unavailable(String),
}

impl From<String> for JqError {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

/// What an expression can name behind `$.`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Root {
    /// `$.event`
    Event,
    /// `$.params`
    Params,
    /// `$.steps.<id>`: the output of a step, null until it has one.
    Step(String, StepAddress),
    /// `$.vars`
    Vars,
    /// `$.env`
    Env,
    /// `$.execution`
    Execution,
    /// `$.connection`
    Connection,
    /// `$.error`, in `catch`.
    Error,
    /// `$.index`, in a loop.
    Index,
    /// `$.<as>`: the item of an enclosing `for_each`, the step at this address.
    Item(String, StepAddress),
    /// `$.received`: the event that a `match` looks at.
    Received,
}

impl Root {
    /// The key behind `$.`; a step's is its id within `steps`.
    pub fn key(&self) -> &str {
        match self {
            Self::Event => "event",
            Self::Params => "params",
            Self::Step(id, _) => id,
            Self::Vars => "vars",
            Self::Env => "env",
            Self::Execution => "execution",
            Self::Connection => "connection",
            Self::Error => "error",
            Self::Index => "index",
            Self::Item(name, _) => name,
            Self::Received => "received",
        }
    }
}

/// The context of an evaluation.
pub trait Scope {
    /// What stands at a root; none reads as null.
    fn get(&self, root: &Root) -> Option<&Value>;
}

/// A compiled expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    /// The text as it stands in the document, without braces.
    pub source: String,
    /// Where it stands.
    pub mark: Mark,
    /// What it does.
    pub form: Form,
}

/// How an expression is evaluated.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    /// A constant.
    Literal(Value),
    /// A plain path.
    Path(Path),
    /// A comparison of two native forms.
    Compare(Box<Form>, Comparison, Box<Form>),
    /// Both hold.
    And(Box<Form>, Box<Form>),
    /// One holds.
    Or(Box<Form>, Box<Form>),
    /// Does not hold.
    Not(Box<Form>),
    /// Anything else.
    Jq {
        /// The filter, with `$.` rewritten for the evaluator.
        filter: String,
        /// What of the context it may look at.
        roots: Vec<Root>,
    },
}

/// `$.event.body.lines[0].total`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// Where it begins.
    pub root: Root,
    /// Where it goes.
    pub segments: Vec<Segment>,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// `.name` or `["name"]`
    Key(String),
    /// `[3]`, or `[-1]` from the end.
    Index(i64),
}

/// How two values are compared, with jq's order of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Expression {
    /// The value in this scope. Fails with kind `expression`, the text and the place; with `unavailable` where nothing can be
    /// evaluated now.
    pub fn evaluate(&self, scope: &dyn Scope, jq: &dyn Jq) -> Result<Value, Failure> {
        self.form.evaluate(scope, jq).map_err(|why| {
            let kind = match why {
                JqError::Failed(_) => FailureKind::Expression,
                JqError::Unavailable(_) => FailureKind::Unavailable,
            };
            Failure::new(
                kind,
                format!("expression `{}` at line {}, column {}: {why}", self.source, self.mark.line, self.mark.column),
            )
        })
    }

    /// Whether it holds: neither `false` nor `null`.
    pub fn holds(&self, scope: &dyn Scope, jq: &dyn Jq) -> Result<bool, Failure> {
        self.evaluate(scope, jq).map(|value| truthy(&value))
    }

    /// Whether it asks jq, which takes a place among those who evaluate.
    pub fn asks_jq(&self) -> bool {
        self.form.asks_jq()
    }
}

impl Form {
    fn asks_jq(&self) -> bool {
        match self {
            Self::Literal(_) | Self::Path(_) => false,
            Self::Compare(left, _, right) | Self::And(left, right) | Self::Or(left, right) => {
                left.asks_jq() || right.asks_jq()
            }
            Self::Not(inner) => inner.asks_jq(),
            Self::Jq { .. } => true,
        }
    }

    fn evaluate(&self, scope: &dyn Scope, jq: &dyn Jq) -> Result<Value, JqError> {
        Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Path(path) => path.find(scope)?.cloned().unwrap_or(Value::Null),
            Self::Compare(left, comparison, right) => {
                let (mut left_kept, mut right_kept) = (Value::Null, Value::Null);
                let left = left.borrow(scope, jq, &mut left_kept)?;
                let right = right.borrow(scope, jq, &mut right_kept)?;
                Value::Bool(comparison.holds(order(left, right)))
            }
            Self::And(left, right) => Value::Bool(left.truthy(scope, jq)? && right.truthy(scope, jq)?),
            Self::Or(left, right) => Value::Bool(left.truthy(scope, jq)? || right.truthy(scope, jq)?),
            Self::Not(inner) => Value::Bool(!inner.truthy(scope, jq)?),
            Self::Jq { filter, roots } => {
                let context = serde_json::to_string(&Context { roots, scope }).map_err(|error| error.to_string())?;
                jq.evaluate(filter, &context)?
            }
        })
    }

    fn truthy(&self, scope: &dyn Scope, jq: &dyn Jq) -> Result<bool, JqError> {
        let mut kept = Value::Null;
        self.borrow(scope, jq, &mut kept).map(truthy)
    }

    /// The value, without a copy where it stands in the scope or in the program.
    fn borrow<'a>(&'a self, scope: &'a dyn Scope, jq: &dyn Jq, kept: &'a mut Value) -> Result<&'a Value, JqError> {
        match self {
            Self::Literal(value) => Ok(value),
            Self::Path(path) => Ok(path.find(scope)?.unwrap_or(&Value::Null)),
            _ => {
                *kept = self.evaluate(scope, jq)?;
                Ok(kept)
            }
        }
    }
}

impl Path {
    /// What stands there; none is null. As in jq, a key of something that is no object is an error, but of null is null.
    pub fn find<'a>(&self, scope: &'a dyn Scope) -> Result<Option<&'a Value>, String> {
        let Some(mut value) = scope.get(&self.root) else {
            return Ok(None);
        };
        for segment in &self.segments {
            let next = match (segment, value) {
                (_, Value::Null) => None,
                (Segment::Key(key), Value::Object(map)) => map.get(key),
                (Segment::Index(index), Value::Array(items)) => {
                    let index = if *index < 0 { index + items.len() as i64 } else { *index };
                    usize::try_from(index).ok().and_then(|index| items.get(index))
                }
                (Segment::Key(key), other) => {
                    return Err(format!("cannot take `{key}` of {}", type_of(other)));
                }
                (Segment::Index(index), other) => {
                    return Err(format!("cannot take [{index}] of {}", type_of(other)));
                }
            };
            match next {
                Some(next) => value = next,
                None => return Ok(None),
            }
        }
        Ok(Some(value))
    }
}

/// The roots that a filter may look at, as one JSON object.
struct Context<'a> {
    roots: &'a [Root],
    scope: &'a dyn Scope,
}

impl Serialize for Context<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Steps<'a>(&'a Context<'a>);
        impl Serialize for Steps<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                for root in self.0.roots.iter().filter(|root| matches!(root, Root::Step(..))) {
                    if let Some(output) = self.0.scope.get(root) {
                        map.serialize_entry(root.key(), output)?;
                    }
                }
                map.end()
            }
        }
        let mut map = serializer.serialize_map(None)?;
        let mut steps = false;
        for root in self.roots {
            match root {
                Root::Step(..) => steps = true,
                root => map.serialize_entry(root.key(), self.scope.get(root).unwrap_or(&Value::Null))?,
            }
        }
        if steps {
            map.serialize_entry("steps", &Steps(self))?;
        }
        map.end()
    }
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// jq's order of all values: null, false, true, numbers, strings, arrays, objects (by their sorted keys, then values).
fn order(left: &Value, right: &Value) -> Ordering {
    fn rank(value: &Value) -> u8 {
        match value {
            Value::Null => 0,
            Value::Bool(false) => 1,
            Value::Bool(true) => 2,
            Value::Number(_) => 3,
            Value::String(_) => 4,
            Value::Array(_) => 5,
            Value::Object(_) => 6,
        }
    }
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Less),
        },
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => {
            a.iter().zip(b).map(|(a, b)| order(a, b)).find(|o| o.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        (Value::Object(a), Value::Object(b)) => {
            let sorted = |map: &serde_json::Map<String, Value>| {
                let mut keys: Vec<String> = map.keys().cloned().collect();
                keys.sort_unstable();
                keys
            };
            let keys = sorted(a);
            keys.cmp(&sorted(b)).then_with(|| {
                keys.iter().map(|key| order(&a[key], &b[key])).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
            })
        }
        (left, right) => rank(left).cmp(&rank(right)),
    }
}

/// jq's name of a value's type.
pub fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
