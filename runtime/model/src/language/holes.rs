//! Templates: finds the `{{ … }}` in texts, wherever they stand in a value.

use serde_json::{Map, Value};

use super::compile::{Compiler, Place, Read};
use super::document::{Content, Node, Text};
use super::template::{Piece, Template};

/// Whether secrets may stand in a template.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrets {
    /// In a task's `with`.
    Allowed,
    /// Everywhere else.
    Refused,
}

impl Compiler<'_> {
    /// Reads a value with holes. None where there was a fault.
    pub(crate) fn template(&mut self, node: &Node, secrets: Secrets) -> Option<Template> {
        match &node.content {
            Content::Scalar(text) if text.value.is_string() => self.text_template(node, text, secrets),
            Content::Scalar(text) => Some(Template::Literal(text.value.clone())),
            Content::List(items) => {
                let read =
                    |(index, item)| self.faults_within(format!("[{index}]"), |this| this.template(item, secrets));
                let items: Vec<_> = items.iter().enumerate().map(read).collect();
                Some(fold_list(items.into_iter().collect::<Option<_>>()?))
            }
            Content::Map(entries) => {
                let mut fields = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    let field = self.faults_within(format!(".{}", key.text), |this| this.template(value, secrets));
                    fields.push((key.text.clone(), field));
                }
                let fields = fields.into_iter().map(|(key, field)| Some((key, field?))).collect::<Option<_>>()?;
                Some(fold_map(fields))
            }
        }
    }

    fn text_template(&mut self, node: &Node, text: &Text, secrets: Secrets) -> Option<Template> {
        let mut pieces = Vec::new();
        let mut rest = 0;
        let mut faults = false;
        while let Some(open) = text.text[rest..].find("{{").map(|at| rest + at) {
            if open > rest {
                pieces.push(Piece::Text(text.text[rest..open].to_owned()));
            }
            let Some(close) = end_of_hole(&text.text, open + 2) else {
                self.faults.add(node.place(text, open), "`{{` is not closed by `}}`");
                return None;
            };
            let source = &text.text[open + 2..close];
            match self.expression(source, &|at| node.place(text, open + 2 + at), Place::Step) {
                Some(Read::Expression(expression)) => pieces.push(Piece::Expression(expression)),
                Some(Read::Secret(of, name)) if secrets == Secrets::Allowed => pieces.push(Piece::Secret(of, name)),
                Some(Read::Secret(_, name)) => {
                    let mark = node.place(text, open);
                    self.faults.add(mark, format!("the secret `{name}` can only be handed to a task, in its `with`"));
                    faults = true;
                }
                None => faults = true,
            }
            rest = close + 2;
        }
        if faults {
            return None;
        }
        if rest < text.text.len() {
            pieces.push(Piece::Text(text.text[rest..].to_owned()));
        }
        Some(match pieces.len() {
            0 => Template::Literal(text.value.clone()),
            1 => match pieces.pop() {
                Some(Piece::Text(text)) => Template::Literal(Value::String(text)),
                Some(Piece::Expression(expression)) => Template::Expression(expression),
                Some(secret) => Template::Text(vec![secret]),
                None => Template::Literal(Value::Null),
            },
            _ => Template::Text(pieces),
        })
    }
}

/// The offset of the `}}` that closes a hole: not one in a string, nor the end of a jq object.
fn end_of_hole(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut string, mut escaped) = (from, 0usize, false, false);
    while at < bytes.len() {
        match bytes[at] {
            _ if escaped => escaped = false,
            b'\\' if string => escaped = true,
            b'"' => string = !string,
            _ if string => {}
            b'{' => depth += 1,
            b'}' if depth > 0 => depth -= 1,
            b'}' if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

fn fold_list(items: Vec<Template>) -> Template {
    if items.iter().all(|item| matches!(item, Template::Literal(_))) {
        return Template::Literal(Value::Array(items.into_iter().filter_map(literal).collect()));
    }
    Template::Array(items)
}

fn fold_map(fields: Vec<(String, Template)>) -> Template {
    if fields.iter().all(|(_, field)| matches!(field, Template::Literal(_))) {
        let fields = fields.into_iter().filter_map(|(key, field)| Some((key, literal(field)?)));
        return Template::Literal(Value::Object(fields.collect::<Map<_, _>>()));
    }
    Template::Object(fields)
}

fn literal(template: Template) -> Option<Value> {
    match template {
        Template::Literal(value) => Some(value),
        _ => None,
    }
}
