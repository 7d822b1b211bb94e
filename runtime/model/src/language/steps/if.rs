//! `if`, `then`, `else`.

use super::super::compile::{Compiler, Place};
use super::super::triggers::condition;
use super::Reading;
use crate::program::{If, StepKind};

impl Compiler<'_> {
    pub(super) fn if_step(&mut self, reading: &Reading<'_>) -> Option<StepKind> {
        let condition = condition(self, reading.kind, "`if`", Place::Step);
        let then = self.body(reading, "if", "then");
        let otherwise = self.part(reading, "else");
        Some(StepKind::If(If { condition: condition?, then: then?, otherwise }))
    }
}
