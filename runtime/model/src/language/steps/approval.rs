//! `approval`: what is asked, of whom, and for how long.

use super::super::compile::Compiler;
use super::super::document::Node;
use super::super::faults::get;
use super::super::holes::Secrets;
use super::super::scalars::waiting_time;
use super::{Reading, flatten};
use crate::program::{Approval, StepKind};

impl Compiler<'_> {
    pub(super) fn approval(&mut self, reading: &Reading<'_>) -> Option<StepKind> {
        self.faults_within(".approval", |this| {
            let entries = this.faults.map(reading.kind, "`approval`")?;
            this.faults.keys(entries, "`approval`", &["ask", "of", "timeout"]);
            let ask = match get(entries, "ask") {
                Some(node) => {
                    this.faults.text(node, "`ask`").is_some().then(|| this.template(node, Secrets::Refused)).flatten()
                }
                None => {
                    this.faults.add(reading.kind.mark, "`approval` has no `ask`: the question to a person");
                    None
                }
            };
            let of = get(entries, "of").map_or(Some(Vec::new()), |node| this.of(node));
            let timeout = get(entries, "timeout").map(|node| waiting_time(&mut this.faults, node, "`timeout`"));
            Some(StepKind::Approval(Approval { ask: ask?, of: of?, timeout: flatten(timeout)? }))
        })
    }

    /// Labels of the tokens that may answer.
    fn of(&mut self, node: &Node) -> Option<Vec<String>> {
        let items = self.faults.list(node, "`of`")?;
        let mut labels = Some(Vec::with_capacity(items.len()));
        for item in items {
            match self.faults.text(item, "the label of a token") {
                Some(label) if !label.text.is_empty() => {
                    if let Some(labels) = &mut labels {
                        labels.push(label.text.clone());
                    }
                }
                Some(_) => {
                    self.faults.add(item.mark, "the label of a token is empty");
                    labels = None;
                }
                None => labels = None,
            }
        }
        labels
    }
}
