//! Plain paths, comparisons and their combinations, read into forms that run natively. Everything else is jq.

use serde_json::Value;

use super::expression::{Comparison, Form};

/// A path whose root is not looked up yet: `event`, `steps`, …, then keys and indexes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RawPath {
    pub(crate) parts: Vec<Part>,
}

/// One part of a path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    Key(String),
    Index(i64),
}

/// Reads an expression, if it is one that runs natively. `resolve` makes a form of each path.
pub(crate) fn parse<E>(text: &str, resolve: &mut dyn FnMut(RawPath) -> Result<Form, E>) -> Result<Option<Form>, E> {
    let mut reader = Reader { rest: text, resolve };
    let Some(form) = reader.or()? else { return Ok(None) };
    reader.space();
    Ok(reader.rest.is_empty().then_some(form))
}

struct Reader<'a, 'r, E> {
    rest: &'a str,
    resolve: &'r mut dyn FnMut(RawPath) -> Result<Form, E>,
}

/// `Ok(None)`: this is not native.
type Read<E> = Result<Option<Form>, E>;

impl<E> Reader<'_, '_, E> {
    fn or(&mut self) -> Read<E> {
        let Some(mut left) = self.and()? else { return Ok(None) };
        while self.word("or") {
            let Some(right) = self.and()? else { return Ok(None) };
            left = Form::Or(Box::new(left), Box::new(right));
        }
        Ok(Some(left))
    }

    fn and(&mut self) -> Read<E> {
        let Some(mut left) = self.comparison()? else { return Ok(None) };
        while self.word("and") {
            let Some(right) = self.comparison()? else { return Ok(None) };
            left = Form::And(Box::new(left), Box::new(right));
        }
        Ok(Some(left))
    }

    fn comparison(&mut self) -> Read<E> {
        let Some(left) = self.operand()? else { return Ok(None) };
        self.space();
        const SIGNS: [(&str, Comparison); 6] = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        let Some((sign, comparison)) = SIGNS.iter().find(|(sign, _)| self.rest.starts_with(sign)) else {
            return Ok(Some(left));
        };
        self.rest = &self.rest[sign.len()..];
        let Some(right) = self.operand()? else { return Ok(None) };
        Ok(Some(Form::Compare(Box::new(left), *comparison, Box::new(right))))
    }

    fn operand(&mut self) -> Read<E> {
        self.space();
        if let Some(rest) = self.rest.strip_prefix('(') {
            self.rest = rest;
            let Some(inner) = self.or()? else { return Ok(None) };
            self.space();
            return Ok(self.rest.strip_prefix(')').map(|rest| {
                self.rest = rest;
                inner
            }));
        }
        if let Some(rest) = self.rest.strip_prefix("$.") {
            self.rest = rest;
            return match self.path() {
                Some(path) => (self.resolve)(path).map(Some),
                None => Ok(None),
            };
        }
        if self.rest.starts_with('"') {
            return Ok(self.string().map(|text| Form::Literal(Value::String(text))));
        }
        for (word, value) in [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)] {
            if self.word(word) {
                return Ok(Some(Form::Literal(value)));
            }
        }
        Ok(self.number().map(Form::Literal))
    }

    /// Behind `$.`: a name, then `.name`, `."name"`, `["name"]`, `[3]`, `[-1]`.
    fn path(&mut self) -> Option<RawPath> {
        let mut parts = vec![Part::Key(self.name()?)];
        loop {
            if let Some(rest) = self.rest.strip_prefix('.') {
                self.rest = rest;
                let key = if self.rest.starts_with('"') { self.string()? } else { self.name()? };
                parts.push(Part::Key(key));
            } else if let Some(rest) = self.rest.strip_prefix('[') {
                self.rest = rest;
                self.space();
                let part = if self.rest.starts_with('"') {
                    Part::Key(self.string()?)
                } else {
                    let end = self.rest.find(|c: char| !c.is_ascii_digit() && c != '-')?;
                    let index = self.rest[..end].parse().ok()?;
                    self.rest = &self.rest[end..];
                    Part::Index(index)
                };
                self.space();
                self.rest = self.rest.strip_prefix(']')?;
                parts.push(part);
            } else if self.rest.starts_with('?') || self.rest.starts_with("as") {
                return None;
            } else {
                return Some(RawPath { parts });
            }
        }
    }

    fn name(&mut self) -> Option<String> {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let name = &self.rest[..end];
        if name.is_empty() || name.as_bytes()[0].is_ascii_digit() {
            return None;
        }
        self.rest = &self.rest[end..];
        Some(name.to_owned())
    }

    /// A JSON string. One with an interpolation is jq's.
    fn string(&mut self) -> Option<String> {
        let mut escaped = false;
        for (at, letter) in self.rest.char_indices().skip(1) {
            match letter {
                '(' if escaped => return None,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    let text = serde_json::from_str(&self.rest[..=at]).ok()?;
                    self.rest = &self.rest[at + 1..];
                    return Some(text);
                }
                _ => {}
            }
        }
        None
    }

    fn number(&mut self) -> Option<Value> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit() && !"+-.eE".contains(c)).unwrap_or(self.rest.len());
        let value: Value = serde_json::from_str(&self.rest[..end]).ok().filter(Value::is_number)?;
        self.rest = &self.rest[end..];
        Some(value)
    }

    /// A keyword, not the beginning of a longer name.
    fn word(&mut self, word: &str) -> bool {
        self.space();
        let Some(rest) = self.rest.strip_prefix(word) else { return false };
        if rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '(' || c == ':') {
            return false;
        }
        self.rest = rest;
        true
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }
}
