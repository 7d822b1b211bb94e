//! `lock`, `do`.

use super::super::compile::Compiler;
use super::super::document::Node;
use super::super::faults::get;
use super::super::holes::Secrets;
use super::super::scalars::{key, waiting_time};
use super::super::template::Template;
use super::{Reading, flatten};
use crate::program::{Lock, StepKind};

impl Compiler<'_> {
    pub(super) fn lock(&mut self, reading: &Reading<'_>) -> Option<StepKind> {
        let options = self.faults_within(".lock", |this| {
            let entries = this.faults.map(reading.kind, "`lock`")?;
            this.faults.keys(entries, "`lock`", &["key", "timeout"]);
            let key = match get(entries, "key") {
                Some(node) => this.key_template(node, "`key`"),
                None => {
                    this.faults.add(reading.kind.mark, "`lock` has no `key`");
                    None
                }
            };
            let timeout = get(entries, "timeout").map(|node| waiting_time(&mut this.faults, node, "`timeout`"));
            Some((key?, flatten(timeout)?))
        });
        let body = self.body(reading, "lock", "do");
        let (key, timeout) = options?;
        Some(StepKind::Lock(Lock { key, timeout, body: body? }))
    }

    /// A text with holes; one without is held to the rule of keys and topics.
    pub(super) fn key_template(&mut self, node: &Node, what: &str) -> Option<Template> {
        let text = self.faults.text(node, what)?;
        match self.template(node, Secrets::Refused)? {
            Template::Literal(_) => {
                key(&mut self.faults, node.mark, what, &text.text).then(|| Template::Literal(text.text.clone().into()))
            }
            template => Some(template),
        }
    }
}
