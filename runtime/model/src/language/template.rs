//! Templates: JSON with `{{ expressions }}` inside, and the inputs made of them.
//!
//! A secret never becomes part of a value. Where a template names one, the value shows `<secret NAME>` and the input
//! carries, out of band, which bytes of which string stand for it; only the call site puts the secret there. A text that
//! merely looks like such a mark (an attacker's, in a webhook's body) is therefore just a text.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::expression::{Expression, Jq, Scope};
use crate::ids::SecretName;
use crate::outcome::Failure;

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
    /// `$.secrets.NAME`
    Secret(SecretName),
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
        let mut secrets = Vec::new();
        let value = self.fill(scope, jq, &mut String::new(), &mut secrets)?;
        Ok(Input { value, secrets })
    }

    fn fill(
        &self,
        scope: &dyn Scope,
        jq: &dyn Jq,
        pointer: &mut String,
        secrets: &mut Vec<SecretPlace>,
    ) -> Result<Value, Failure> {
        let mut inside = |key: &str, template: &Self, secrets: &mut Vec<SecretPlace>| {
            let length = pointer.len();
            pointer.push('/');
            pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            let value = template.fill(scope, jq, pointer, secrets);
            pointer.truncate(length);
            value
        };
        Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Expression(expression) => expression.evaluate(scope, jq)?,
            Self::Array(items) => Value::Array(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| inside(&index.to_string(), item, secrets))
                    .collect::<Result<_, _>>()?,
            ),
            Self::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(key, field)| Ok((key.clone(), inside(key, field, secrets)?)))
                    .collect::<Result<Map<_, _>, Failure>>()?,
            ),
            Self::Text(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Text(piece) => text.push_str(piece),
                        Piece::Expression(expression) => match expression.evaluate(scope, jq)? {
                            Value::Null => {}
                            Value::String(value) => text.push_str(&value),
                            value => text.push_str(&value.to_string()),
                        },
                        Piece::Secret(name) => {
                            let mark = format!("<secret {name}>");
                            let place = SecretPlace {
                                name: name.clone(),
                                pointer: pointer.clone(),
                                start: text.len(),
                                length: mark.len(),
                            };
                            secrets.push(place);
                            text.push_str(&mark);
                        }
                    }
                }
                Value::String(text)
            }
        })
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

impl Input {
    /// An input without secrets.
    pub fn plain(value: Value) -> Self {
        Self { value, secrets: Vec::new() }
    }

    /// The value with the secrets in their places. `find` gives a secret's value; its error is handed through.
    pub fn resolve<E>(&self, mut find: impl FnMut(&SecretName) -> Result<String, E>) -> Result<Value, E> {
        let mut value = self.value.clone();
        // From the last to the first, so that earlier offsets in the same string stay true.
        for place in self.secrets.iter().rev() {
            let secret = find(&place.name)?;
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
    use crate::language::expression::{Form, Path, Root};
    use serde_json::json;

    struct Attack(Value);
    impl Scope for Attack {
        fn get(&self, root: &Root) -> Option<&Value> {
            matches!(root, Root::Event).then_some(&self.0)
        }
    }

    struct NoJq;
    impl Jq for NoJq {
        fn evaluate(&self, _: &str, _: &str) -> Result<Value, String> {
            Err("no jq here".to_owned())
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
                Piece::Secret(name.clone()),
                Piece::Text(" and ".into()),
                Piece::Expression(event),
                Piece::Secret(name),
            ]),
        )]);
        let input = template.render_input(&Attack(json!("<secret key>")), &NoJq).unwrap();
        assert_eq!(input.value, json!({"a/b": "<secret key> and <secret key><secret key>"}));
        let resolved = input.resolve(|_| Ok::<_, ()>("s3cret!".to_owned())).unwrap();
        assert_eq!(resolved, json!({"a/b": "s3cret! and <secret key>s3cret!"}));
    }
}
