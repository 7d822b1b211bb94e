//! Templates: JSON with `{{ expressions }}` inside, and the inputs made of them.
//!
//! A secret never becomes part of a value. Where a template names one, the value shows `<secret NAME>` and the input
//! carries, out of band, which bytes of which string stand for it; only the call site puts the secret there. A text that
//! merely looks like such a mark (an attacker's, in a webhook's body) is therefore just a text.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::expression::{Expression, Jq, Scope};
use crate::ids::SecretName;
use crate::limits;
use crate::outcome::{Failure, FailureKind};

/// A value with holes.
#[derive(Debug, Clone, PartialEq)]
pub enum Template {
    /// No holes.
    Literal(Value),
    /// Exactly one `{{ … }}`: its value keeps its type.
    Expression(Expression),
    /// Text with holes: values are put in as text.
    Text(Vec<Piece>),
    /// A list.
    Array(Vec<Template>),
    /// An object, in the order of the document.
    Object(Vec<(String, Template)>),
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// As it stands.
    Text(String),
    /// Strings as they are, null as nothing, everything else as JSON.
    Expression(Expression),
    /// `$.secrets.NAME`, `$.connection.credentials.NAME`
    Secret(SecretOf, SecretName),
}

/// Whose a secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretOf {
    /// The workspace's: `$.secrets.NAME`.
    #[default]
    Workspace,
    /// The connection's that the execution runs with: `$.connection.credentials.NAME`.
    Connection,
}

impl SecretOf {
    /// The word of its mark.
    fn word(self) -> &'static str {
        match self {
            Self::Workspace => "secret",
            Self::Connection => "credential",
        }
    }

    /// What stands where a secret belongs.
    pub fn mark(self, name: &SecretName) -> String {
        format!("<{} {name}>", self.word())
    }

    fn is_workspace(&self) -> bool {
        *self == Self::Workspace
    }
}

/// What a task is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// The value, with `<secret NAME>` where a secret belongs.
    pub value: Value,
    /// Where the secrets belong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretPlace>,
}

/// Which bytes of which string of an input stand for a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretPlace {
    /// Whose the secret is.
    #[serde(default, skip_serializing_if = "SecretOf::is_workspace")]
    pub of: SecretOf,
    /// The secret.
    pub name: SecretName,
    /// The string, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// First byte of the mark in that string.
    pub start: usize,
    /// Bytes of the mark.
    pub length: usize,
}

impl Template {
    /// The value in this scope. A secret shows as its mark and nothing else.
    pub fn render(&self, scope: &dyn Scope, jq: &dyn Jq) -> Result<Value, Failure> {
        self.render_input(scope, jq).map(|input| input.value)
    }

    /// The value in this scope, with the places of its secrets.
    pub fn render_input(&self, scope: &dyn Scope, jq: &dyn Jq) -> Result<Input, Failure> {
        let mut filling = Filling { scope, jq, pointer: String::new(), secrets: Vec::new(), bytes: 0 };
        let value = filling.fill(self)?;
        within_depth(&value, limits::VALUE_DEPTH_MAX)?;
        Ok(Input { value, secrets: filling.secrets })
    }

    /// Every expression inside.
    pub fn expressions(&self) -> Vec<&Expression> {
        match self {
            Self::Literal(_) => Vec::new(),
            Self::Expression(expression) => vec![expression],
            Self::Text(pieces) => pieces
                .iter()
                .filter_map(|piece| match piece {
                    Piece::Expression(expression) => Some(expression),
                    _ => None,
                })
                .collect(),
            Self::Array(items) => items.iter().flat_map(Self::expressions).collect(),
            Self::Object(fields) => fields.iter().flat_map(|(_, field)| field.expressions()).collect(),
        }
    }
}

/// One rendering.
struct Filling<'a> {
    scope: &'a dyn Scope,
    jq: &'a dyn Jq,
    /// Where the value stands that is being filled.
    pointer: String,
    secrets: Vec<SecretPlace>,
    /// Bytes of what expressions have put in, roughly as JSON.
    bytes: usize,
}

impl Filling<'_> {
    fn fill(&mut self, template: &Template) -> Result<Value, Failure> {
        Ok(match template {
            Template::Literal(value) => value.clone(),
            Template::Expression(expression) => self.evaluate(expression)?,
            Template::Array(items) => Value::Array(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.inside(&index.to_string(), item))
                    .collect::<Result<_, _>>()?,
            ),
            Template::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(key, field)| Ok((key.clone(), self.inside(key, field)?)))
                    .collect::<Result<Map<_, _>, Failure>>()?,
            ),
            Template::Text(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    self.piece(piece, &mut text)?;
                }
                Value::String(text)
            }
        })
    }

    fn inside(&mut self, key: &str, template: &Template) -> Result<Value, Failure> {
        let length = self.pointer.len();
        self.pointer.push('/');
        self.pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
        let value = self.fill(template);
        self.pointer.truncate(length);
        value
    }

    fn piece(&mut self, piece: &Piece, text: &mut String) -> Result<(), Failure> {
        match piece {
            Piece::Text(piece) => text.push_str(piece),
            Piece::Expression(expression) => match self.evaluate(expression)? {
                Value::Null => {}
                Value::String(value) => text.push_str(&value),
                value => text.push_str(&value.to_string()),
            },
            Piece::Secret(of, name) => {
                let (mark, pointer) = (of.mark(name), self.pointer.clone());
                let (of, name, start, length) = (*of, name.clone(), text.len(), mark.len());
                self.secrets.push(SecretPlace { of, name, pointer, start, length });
                text.push_str(&mark);
            }
        }
        Ok(())
    }

    /// The value of an expression. What comes together is bounded, so that no row of steps that each double a value can
    /// fill the memory.
    fn evaluate(&mut self, expression: &Expression) -> Result<Value, Failure> {
        let value = expression.evaluate(self.scope, self.jq)?;
        self.bytes = self.bytes.saturating_add(size(&value));
        if self.bytes > limits::OUTPUT_BYTES_MAX {
            let (limit, line) = (limits::OUTPUT_BYTES_MAX, expression.mark.line);
            let message =
                format!("expression `{}` at line {line}: the value grows past {limit} bytes", expression.source);
            return Err(Failure::new(FailureKind::Expression, message));
        }
        Ok(value)
    }
}

/// How deep arrays and objects are nested: 0 for a scalar.
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Checked wherever a step makes a value, so that no loop makes one that is too deep to be read back.
pub fn within_depth(value: &Value, limit: usize) -> Result<(), Failure> {
    let depth = depth(value);
    if depth <= limit {
        return Ok(());
    }
    let message = format!("the value is nested {depth} levels deep; {limit} is the limit");
    Err(Failure::new(FailureKind::Expression, message))
}

/// Bytes of a value as JSON, roughly: without what is escaped.
pub fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|item| size(item) + 1).sum::<usize>(),
        Value::Object(fields) => 2 + fields.iter().map(|(key, field)| key.len() + 4 + size(field)).sum::<usize>(),
    }
}

/// Bytes of memory that a value takes, roughly. Small objects take some sixty times their text.
pub fn weight(value: &Value) -> usize {
    size_of::<Value>() + behind(value)
}

/// What it takes beside its own place.
fn behind(value: &Value) -> usize {
    /// A field of an object: its hash, its key and its value.
    const FIELD: usize = size_of::<(usize, String, Value)>();
    /// An object with fields has room for three, and an index of them.
    const FIELDS_MIN: usize = 3;
    const INDEX: usize = 64;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(fields) if fields.is_empty() => 0,
        Value::Object(fields) => {
            let inside: usize = fields.iter().map(|(key, field)| key.len() + behind(field)).sum();
            INDEX + fields.len().max(FIELDS_MIN) * FIELD + inside
        }
    }
}

impl Input {
    /// An input without secrets.
    pub fn plain(value: Value) -> Self {
        Self { value, secrets: Vec::new() }
    }

    /// The value with the secrets in their places. `find` gives a secret's value; its error is handed through.
    pub fn resolve<E>(&self, mut find: impl FnMut(SecretOf, &SecretName) -> Result<String, E>) -> Result<Value, E> {
        let mut value = self.value.clone();
        // From the last to the first, so that earlier offsets in the same string stay true.
        for place in self.secrets.iter().rev() {
            let secret = find(place.of, &place.name)?;
            if let Some(Value::String(text)) = value.pointer_mut(&place.pointer) {
                let end = place.start + place.length;
                if text.is_char_boundary(place.start) && text.is_char_boundary(end) {
                    text.replace_range(place.start..end, &secret);
                }
            }
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::expression::{Form, JqError, Path, Root};
    use serde_json::json;

    struct Attack(Value);
    impl Scope for Attack {
        fn get(&self, root: &Root) -> Option<&Value> {
            matches!(root, Root::Event).then_some(&self.0)
        }
    }

    struct NoJq;
    impl Jq for NoJq {
        fn evaluate(&self, _: &str, _: &str) -> Result<Value, JqError> {
            Err(JqError::Failed("no jq here".to_owned()))
        }
    }

    #[test]
    fn a_text_that_looks_like_a_secret_stays_a_text() {
        let event = Expression {
            source: "$.event".into(),
            mark: Default::default(),
            form: Form::Path(Path { root: Root::Event, segments: vec![] }),
        };
        let name = SecretName::new("key").unwrap();
        let template = Template::Object(vec![(
            "a/b".into(),
            Template::Text(vec![
                Piece::Secret(SecretOf::Workspace, name.clone()),
                Piece::Text(" and ".into()),
                Piece::Expression(event),
                Piece::Secret(SecretOf::Connection, name),
            ]),
        )]);
        let input = template.render_input(&Attack(json!("<secret key>")), &NoJq).unwrap();
        assert_eq!(input.value, json!({"a/b": "<secret key> and <secret key><credential key>"}));
        let resolved = input.resolve(|of, _| Ok::<_, ()>(format!("{of:?}!"))).unwrap();
        assert_eq!(resolved, json!({"a/b": "Workspace! and <secret key>Connection!"}));
    }

    #[test]
    fn what_expressions_put_together_is_bounded_at_the_limit_and_one_past_it() {
        let event = || Expression {
            source: "$.event".into(),
            mark: Default::default(),
            form: Form::Path(Path { root: Root::Event, segments: vec![] }),
        };
        let half = "x".repeat(crate::limits::OUTPUT_BYTES_MAX / 2 - 2);
        let twice = Template::Text(vec![Piece::Expression(event()), Piece::Expression(event())]);
        assert!(twice.render(&Attack(json!(half)), &NoJq).is_ok());
        let failure = twice.render(&Attack(json!(format!("{half}y"))), &NoJq).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Expression);
    }

    #[test]
    fn small_objects_weigh_many_times_their_text() {
        let place = size_of::<Value>();
        assert_eq!(weight(&json!(null)), place);
        assert_eq!(weight(&json!([1, "ab"])), 3 * place + 2);
        let many = Value::Array(vec![json!({"a": 0}); 1000]);
        assert!(weight(&many) > 40 * many.to_string().len(), "{}", weight(&many));
        assert_eq!(weight(&json!({})), place);
    }
}
