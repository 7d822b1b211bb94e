//! `exit`: what is literal is checked here, the rest when it is known.

use serde_json::Value;

use super::super::compile::Compiler;
use super::super::document::{Content, Node};
use super::super::holes::Secrets;
use super::super::template::Template;
use super::Reading;
use crate::outcome::Exit;
use crate::program::{ExitStep, StepKind};

impl Compiler<'_> {
    pub(super) fn exit(&mut self, reading: &Reading<'_>) -> Option<StepKind> {
        if reading.kind.to_value().is_null() {
            return Some(StepKind::Exit(ExitStep { outputs: Vec::new(), failed: false }));
        }
        let entries = self.faults.map(reading.kind, "`exit`")?;
        let (mut outputs, mut failed) = (Vec::with_capacity(entries.len()), false);
        let before = self.faults.found.len();
        for (key, node) in entries {
            if key.text == "run" {
                match node.to_value().as_str() {
                    Some("failed") => failed = true,
                    Some("succeeded") => {}
                    _ => self.faults.word(node.mark, "`run`", &node.to_value().to_string(), &["failed", "succeeded"]),
                }
                continue;
            }
            let part = format!(".exit.{}", key.text);
            let template = self.faults_within(part, |this| {
                let template = this.template(node, Secrets::Refused)?;
                match key.text.as_str() {
                    "status" => this.literal_status(node, &template),
                    "headers" => this.literal_headers(node, &template),
                    _ => {}
                }
                Some(template)
            });
            if let Some(template) = template {
                outputs.push((key.text.clone(), template));
            }
        }
        (self.faults.found.len() == before).then_some(StepKind::Exit(ExitStep { outputs, failed }))
    }

    fn literal_status(&mut self, node: &Node, template: &Template) {
        if let Template::Literal(value) = template
            && let Err(why) = Exit::check_status(value)
        {
            self.faults.add(node.mark, why);
        }
    }

    fn literal_headers(&mut self, node: &Node, template: &Template) {
        let fields: Vec<(String, Option<Value>)> = match template {
            Template::Literal(Value::Object(fields)) => {
                fields.iter().map(|(k, v)| (k.clone(), Some(v.clone()))).collect()
            }
            Template::Object(fields) => fields
                .iter()
                .map(|(key, field)| match field {
                    Template::Literal(value) => (key.clone(), Some(value.clone())),
                    _ => (key.clone(), None),
                })
                .collect(),
            Template::Expression(_) => return,
            _ => {
                self.faults
                    .add(node.mark, format!("`headers` is a map of names and values, found {}", node.describe()));
                return;
            }
        };
        for (name, value) in fields {
            let values = match value {
                Some(Value::Array(values)) => values,
                // The value is known later; the name is checked with one that is surely good.
                value => vec![value.unwrap_or_else(|| Value::String(String::new()))],
            };
            for value in values {
                if let Err(why) = Exit::check_header(&name, &value) {
                    let mark = match &node.content {
                        Content::Map(entries) => {
                            entries.iter().find(|(key, _)| key.text == name).map_or(node.mark, |(key, _)| key.mark)
                        }
                        _ => node.mark,
                    };
                    self.faults.add(mark, why);
                }
            }
        }
    }
}
