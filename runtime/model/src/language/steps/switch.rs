//! `switch`, `cases`, `default`.

use super::super::compile::{Compiler, Place};
use super::super::faults::get;
use super::super::triggers::condition;
use super::Reading;
use crate::program::{StepKind, Switch};

impl Compiler<'_> {
    pub(super) fn switch(&mut self, reading: &Reading<'_>) -> Option<StepKind> {
        let value = condition(self, reading.kind, "`switch`", Place::Step);
        let cases = match get(reading.entries, "cases") {
            Some(node) => self.faults.map(node, "`cases`"),
            None => {
                self.faults.add(reading.mark, "`switch` has no `cases`");
                None
            }
        };
        let mut blocks = Vec::new();
        for (key, node) in cases.unwrap_or_default() {
            // `default` is the name of the block beside the cases.
            let path = match key.text.as_str() {
                "default" => format!("{}.cases.default", reading.path),
                case => format!("{}.{case}", reading.path),
            };
            let part = format!(".cases.{}", key.text);
            blocks.push((key.text.clone(), self.faults_within(part, |this| this.block(node, &path))));
        }
        let default = self.part(reading, "default");
        Some(StepKind::Switch(Switch { value: value?, cases: blocks, default }))
    }
}
