//! `emit`: the event that is sent.

use serde_json::Value;

use super::super::compile::Compiler;
use super::super::faults::get;
use super::super::holes::Secrets;
use super::super::template::Template;
use super::{Reading, flatten};
use crate::program::{Emit, StepKind};

impl Compiler<'_> {
    pub(super) fn emit(&mut self, reading: &Reading<'_>) -> Option<StepKind> {
        self.faults_within(".emit", |this| {
            let entries = this.faults.map(reading.kind, "`emit`")?;
            this.faults.keys(entries, "`emit`", &["type", "topic", "subject", "data"]);
            // The type is the topic as well where that is left out.
            let kind = match get(entries, "type") {
                Some(node) => this.key_template(node, "`type`"),
                None => {
                    this.faults.add(reading.kind.mark, "`emit` has no `type`, such as `com.acme.order.taken`");
                    None
                }
            };
            let topic = get(entries, "topic").map(|node| this.key_template(node, "`topic`"));
            let subject = get(entries, "subject").map(|node| {
                this.faults.text(node, "`subject`")?;
                this.template(node, Secrets::Refused)
            });
            let data = get(entries, "data").map_or(Some(Template::Literal(Value::Null)), |node| {
                this.faults_within(".data", |this| this.template(node, Secrets::Refused))
            });
            Some(StepKind::Emit(Emit { kind: kind?, topic: flatten(topic)?, subject: flatten(subject)?, data: data? }))
        })
    }
}
