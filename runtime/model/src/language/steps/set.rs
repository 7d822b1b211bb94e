//! `set`.

use super::super::compile::Compiler;
use super::super::holes::Secrets;
use super::Reading;
use crate::program::StepKind;

impl Compiler<'_> {
    pub(super) fn set(&mut self, reading: &Reading<'_>) -> Option<StepKind> {
        let entries = self.faults.map(reading.kind, "`set`")?;
        if entries.is_empty() {
            self.faults.add(reading.kind.mark, "`set` sets nothing");
        }
        let mut values = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            let part = format!(".set.{}", key.text);
            values.push((key.text.clone(), self.faults_within(part, |this| this.template(node, Secrets::Refused))));
        }
        let values = values.into_iter().map(|(key, value)| Some((key, value?))).collect::<Option<_>>()?;
        Some(StepKind::Set(values))
    }
}
