//! `wait`: for a while, until a time, or for an event.

use serde_json::Value;

use super::super::compile::{Compiler, Place};
use super::super::document::{Content, Node};
use super::super::faults::get;
use super::super::holes::Secrets;
use super::super::scalars::{key, waiting_time};
use super::super::template::Template;
use super::super::triggers::condition;
use super::{Reading, flatten};
use crate::limits;
use crate::program::{StepKind, Wait};
use crate::time::Timestamp;

impl Compiler<'_> {
    pub(super) fn wait(&mut self, reading: &Reading<'_>) -> Option<StepKind> {
        let node = reading.kind;
        let wait = self.faults_within(".wait", |this| match &node.content {
            Content::Scalar(_) => this.wait_for(node),
            Content::Map(entries) => match (get(entries, "until"), get(entries, "event")) {
                (Some(until), None) => {
                    this.faults.keys(entries, "a `wait` until a time", &["until"]);
                    this.wait_until(until)
                }
                (None, Some(event)) => {
                    this.faults.keys(entries, "a `wait` for an event", &["event", "timeout"]);
                    this.wait_event(event, get(entries, "timeout"))
                }
                _ => {
                    this.faults.add(node.mark, "`wait` is a duration, `{ until: … }` or `{ event: …, timeout: … }`");
                    None
                }
            },
            Content::List(_) => {
                this.faults
                    .add(node.mark, "`wait` is a duration, `{ until: … }` or `{ event: …, timeout: … }`, found a list");
                None
            }
        });
        wait.map(StepKind::Wait)
    }

    fn wait_for(&mut self, node: &Node) -> Option<Wait> {
        match self.template(node, Secrets::Refused)? {
            Template::Literal(Value::String(text)) if text.trim_start().starts_with("$.") => {
                let message = format!("`wait` is `{text}`, which is no duration; an expression stands in braces");
                self.faults.suggest(node.mark, message, Some(format!("{{{{ {} }}}}", text.trim())));
                None
            }
            Template::Literal(Value::Number(seconds)) => {
                let (found, most) = (seconds.as_f64().unwrap_or_default(), limits::WAIT_MAX.as_secs());
                if found > 0.0 && found <= most as f64 {
                    return Some(Wait::For(Template::Literal(Value::Number(seconds))));
                }
                self.faults
                    .add(node.mark, format!("`wait` is {seconds} seconds; it is more than 0 and at most {most}"));
                None
            }
            literal @ Template::Literal(_) => {
                waiting_time(&mut self.faults, node, "`wait`").map(|_| Wait::For(literal))
            }
            template => Some(Wait::For(template)),
        }
    }

    fn wait_until(&mut self, node: &Node) -> Option<Wait> {
        let text = self.faults.text(node, "`until`")?;
        let template = self.template(node, Secrets::Refused)?;
        if let (Template::Literal(_), Err(why)) = (&template, text.text.parse::<Timestamp>()) {
            self.faults.add(node.mark, format!("`until`: {why}; write 2026-12-24T18:00:00+01:00"));
            return None;
        }
        Some(Wait::Until(template))
    }

    fn wait_event(&mut self, node: &Node, timeout: Option<&Node>) -> Option<Wait> {
        let entries = self.faults.map(node, "`event`");
        let timeout = timeout.map(|node| waiting_time(&mut self.faults, node, "`timeout`"));
        let entries = entries?;
        self.faults.keys(entries, "`event`", &["topic", "match"]);
        let topic = match get(entries, "topic") {
            Some(node) => self.literal_topic(node),
            None => {
                self.faults.add(node.mark, "`event` has no `topic`");
                None
            }
        };
        let matches = get(entries, "match").map(|node| condition(self, node, "`match`", Place::Match));
        Some(Wait::Event { topic: topic?, matches: flatten(matches)?, timeout: flatten(timeout)? })
    }

    fn literal_topic(&mut self, node: &Node) -> Option<String> {
        let text = &self.faults.text(node, "`topic`")?.text;
        if text.contains("{{") {
            self.faults
                .add(node.mark, "the `topic` of a wait has no expressions; `match` tells events of one topic apart");
            return None;
        }
        key(&mut self.faults, node.mark, "`topic`", text).then(|| text.clone())
    }
}
