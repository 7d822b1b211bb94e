//! `repeat`, `until`, `every`, `at_most`.

use super::super::compile::{Compiler, Place};
use super::super::faults::get;
use super::super::scalars::{count, waiting_time};
use super::super::triggers::condition;
use super::super::visible::Loop;
use super::{Reading, flatten};
use crate::limits;
use crate::program::{Repeat, StepKind};

impl Compiler<'_> {
    pub(super) fn repeat(&mut self, reading: &Reading<'_>) -> Option<StepKind> {
        let mark = self.visible.mark();
        self.visible.begin_loop(Loop {
            word: "repeat",
            line: reading.mark.line,
            id: reading.id.map(str::to_owned),
            item: None,
        });
        let body = self.body(reading, "repeat", "repeat");
        let until = get(reading.entries, "until").map(|node| condition(self, node, "`until`", Place::Step));
        self.visible.end_loop(mark);

        let every = get(reading.entries, "every").map(|node| waiting_time(&mut self.faults, node, "`every`"));
        let most = u64::from(limits::TURNS_MAX);
        let at_most = match get(reading.entries, "at_most") {
            Some(node) => count(&mut self.faults, node, "`at_most`", most),
            None if until.is_some() => Some(u64::from(limits::TURNS_DEFAULT)),
            None => {
                let message = "`repeat` has no end: give it an `until`, or say how often with `at_most`";
                self.faults.add(reading.mark, message);
                None
            }
        };
        Some(StepKind::Repeat(Repeat {
            body: body?,
            until: flatten(until)?,
            every: flatten(every)?,
            at_most: at_most? as u32,
        }))
    }
}
