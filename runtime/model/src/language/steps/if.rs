//! `if`, `then`, `else`.

use super::super::compile::{Compiler, Place};
use super::super::faults::get;
use super::super::triggers::condition;
use super::Reading;
use crate::program::{If, StepKind};

impl Compiler<'_> {
    pub(super) fn if_step(&mut self, reading: &Reading<'_>) -> Option<StepKind> {
        let condition = condition(self, reading.kind, "`if`", Place::Step);
        let then = match get(reading.entries, "then") {
            Some(node) => {
                let path = format!("{}.then", reading.path);
                Some(self.faults_within(".then", |this| this.block(node, &path)))
            }
            None => {
                self.faults.add(reading.mark, "`if` has no `then`");
                None
            }
        };
        let otherwise = get(reading.entries, "else").map(|node| {
            let path = format!("{}.else", reading.path);
            self.faults_within(".else", |this| this.block(node, &path))
        });
        Some(StepKind::If(If { condition: condition?, then: then?, otherwise }))
    }
}
