//! A document as a tree of nodes with their places: what YAML and JSON have in common, and nothing of workflows.
//!
//! Refused: what is no YAML, several documents, anchors and aliases (a short one can stand for gigabytes), tags, a key
//! that is no text or stands twice, and nesting deeper than [`limits::DOCUMENT_DEPTH_MAX`].

use saphyr::{Scalar, ScalarStyle};
use saphyr_parser::{Event, Marker, Parser, Span};
use serde_json::{Map, Number, Value};

use super::diagnose::{Diagnostic, Mark};
use crate::limits;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) mark: Mark,
    pub(crate) content: Content,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Scalar(Text),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A scalar: the text as it is meant, and the value that it stands for.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) value: Value,
    style: ScalarStyle,
}

/// A key of a map.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) mark: Mark,
}

impl Node {
    /// What it is, for messages.
    pub(crate) fn describe(&self) -> String {
        match &self.content {
            Content::Scalar(text) if text.text.chars().count() <= 60 => format!("`{}`", text.text),
            Content::Scalar(_) => "a long text".to_owned(),
            Content::List(_) => "a list".to_owned(),
            Content::Map(_) => "a map".to_owned(),
        }
    }

    /// As JSON, without looking inside texts.
    pub(crate) fn to_value(&self) -> Value {
        match &self.content {
            Content::Scalar(text) => text.value.clone(),
            Content::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Content::Map(entries) => Value::Object(
                entries.iter().map(|(key, node)| (key.text.clone(), node.to_value())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// The place of a byte of a scalar's text. Exact where the text stands in the document as it is; where the document
    /// has escapes or folds, the place is near.
    pub(crate) fn place(&self, text: &Text, offset: usize) -> Mark {
        let before = text.text.get(..offset).unwrap_or(&text.text);
        let lines = before.matches('\n').count() as u32;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() as u32;
        match text.style {
            ScalarStyle::Plain => Mark { line: self.mark.line, column: self.mark.column + column },
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                Mark { line: self.mark.line, column: self.mark.column + 1 + column }
            }
            _ => Mark { line: self.mark.line + 1 + lines, column: column + 1 },
        }
    }
}

/// Reads one document.
pub(crate) fn read(text: &str) -> Result<Node, Diagnostic> {
    let mut builder = Builder { open: Vec::new(), root: None };
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|error| fault(mark(error.marker()), format!("this is no YAML: {}", error.info())))?;
        builder.take(event, span)?;
    }
    builder.root.ok_or_else(|| fault(Mark { line: 1, column: 1 }, "the document is empty"))
}

struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
}

/// A list or map that is not closed yet.
enum Open {
    List(Mark, Vec<Node>),
    Map(Mark, Vec<(Key, Node)>, Option<Key>),
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        let mark = mark(&span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                refuse_extras(anchor, tag.is_some(), mark)?;
                let value = match style {
                    ScalarStyle::Plain => plain(&text, mark)?,
                    _ => Value::String(text.to_string()),
                };
                let content = Content::Scalar(Text { text: text.into_owned(), value, style });
                self.put(Node { mark, content })
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_extras(anchor, tag.is_some(), mark)?;
                self.open(Open::List(mark, Vec::new()), mark)
            }
            Event::MappingStart(anchor, tag) => {
                refuse_extras(anchor, tag.is_some(), mark)?;
                self.open(Open::Map(mark, Vec::new(), None), mark)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(mark, items)) => self.put(Node { mark, content: Content::List(items) }),
                Some(Open::Map(mark, entries, _)) => self.put(Node { mark, content: Content::Map(entries) }),
                None => Ok(()),
            },
            Event::Alias(_) => Err(fault(mark, "aliases (`*name`) are not taken; write the value out")),
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(fault(mark, "a second document begins here; one file holds one workflow"))
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, open: Open, mark: Mark) -> Result<(), Diagnostic> {
        if self.open.len() >= limits::DOCUMENT_DEPTH_MAX {
            let limit = limits::DOCUMENT_DEPTH_MAX;
            return Err(fault(mark, format!("the document is nested deeper than {limit} levels")));
        }
        if let Some(Open::Map(_, _, None)) = self.open.last() {
            return Err(fault(mark, "a key is a text, found a list or map"));
        }
        self.open.push(open);
        Ok(())
    }

    fn put(&mut self, node: Node) -> Result<(), Diagnostic> {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map(_, entries, key @ None)) => {
                let Content::Scalar(text) = node.content else {
                    return Err(fault(node.mark, "a key is a text, found a list or map"));
                };
                if let Some((first, _)) = entries.iter().find(|(first, _)| first.text == text.text) {
                    let line = first.mark.line;
                    return Err(fault(
                        node.mark,
                        format!("the key `{}` stands here again; first on line {line}", text.text),
                    ));
                }
                *key = Some(Key { text: text.text, mark: node.mark });
            }
            Some(Open::Map(_, entries, key)) => {
                if let Some(key) = key.take() {
                    entries.push((key, node));
                }
            }
        }
        Ok(())
    }
}

/// What an unquoted scalar stands for (YAML 1.2 core schema).
fn plain(text: &str, mark: Mark) -> Result<Value, Diagnostic> {
    Ok(match Scalar::parse_from_cow(text.into()) {
        // A key with nothing behind it.
        Scalar::String(value) if value.is_empty() => Value::Null,
        Scalar::Null => Value::Null,
        Scalar::Boolean(value) => Value::Bool(value),
        Scalar::Integer(value) => Value::Number(value.into()),
        Scalar::FloatingPoint(value) => Number::from_f64(value.into_inner())
            .map(Value::Number)
            .ok_or_else(|| fault(mark, format!("`{text}` is no number that JSON has")))?,
        Scalar::String(value) => Value::String(value.into_owned()),
    })
}

fn refuse_extras(anchor: usize, tag: bool, mark: Mark) -> Result<(), Diagnostic> {
    if anchor != 0 {
        return Err(fault(mark, "anchors (`&name`) are not taken; write the value out"));
    }
    if tag {
        return Err(fault(mark, "tags (`!name`) are not taken"));
    }
    Ok(())
}

fn fault(mark: Mark, message: impl Into<String>) -> Diagnostic {
    Diagnostic { mark, path: String::new(), message: message.into(), suggestion: None }
}

fn mark(marker: &Marker) -> Mark {
    Mark { line: marker.line().max(1) as u32, column: marker.col() as u32 + 1 }
}
