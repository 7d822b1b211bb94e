//! `try`, `catch`, `finally`.

use super::super::compile::Compiler;
use super::Reading;
use crate::program::{StepKind, Try};

impl Compiler<'_> {
    pub(super) fn try_step(&mut self, reading: &Reading<'_>) -> Option<StepKind> {
        let body = self.body(reading, "try", "try");
        self.visible.begin_catch();
        let catch = self.part(reading, "catch");
        self.visible.end_catch();
        let finally = self.part(reading, "finally");
        if catch.is_none() && finally.is_none() {
            self.faults.add(reading.mark, "`try` has neither `catch` nor `finally`, and does nothing without them");
            return None;
        }
        Some(StepKind::Try(Try { body: body?, catch, finally }))
    }
}
