//! `for_each`, `as`, `concurrency`, `do`, `collect`.

use super::super::compile::{Compiler, Place};
use super::super::document::{Content, Node};
use super::super::expression::{Expression, Form};
use super::super::faults::get;
use super::super::scalars::{count, plain_name};
use super::super::triggers::condition;
use super::super::visible::{Loop, ROOTS};
use super::Reading;
use crate::limits;
use crate::program::{ForEach, StepKind};

/// What items are called where `as` is left out.
const ITEM: &str = "item";

impl Compiler<'_> {
    pub(super) fn for_each(&mut self, reading: &Reading<'_>) -> Option<StepKind> {
        let items = self.items(reading.kind);
        let item = match get(reading.entries, "as") {
            Some(node) => self.item_name(node),
            None => self.free_item(reading.kind, ITEM).then(|| ITEM.to_owned()),
        };
        let most = u64::from(limits::CONCURRENCY_MAX);
        let concurrency = get(reading.entries, "concurrency")
            .map_or(Some(1), |node| count(&mut self.faults, node, "`concurrency`", most));

        let mark = self.visible.mark();
        self.visible.begin_loop(Loop {
            word: "for_each",
            line: reading.mark.line,
            id: reading.id.map(str::to_owned),
            item: item.clone().map(|item| (item, reading.address)),
        });
        let body = self.body(reading, "for_each", "do");
        let collect = get(reading.entries, "collect").map(|node| condition(self, node, "`collect`", Place::Step));
        self.visible.end_loop(mark);

        item?;
        Some(StepKind::ForEach(ForEach {
            items: items?,
            concurrency: concurrency? as u32,
            body: body?,
            collect: super::flatten(collect)?,
        }))
    }

    fn items(&mut self, node: &Node) -> Option<Expression> {
        if let Content::List(_) = node.content {
            let message =
                "`for_each` is an expression, found a list; written as one it has quotes: `for_each: \"[1, 2]\"`";
            self.faults.add(node.mark, message);
            return None;
        }
        let items = condition(self, node, "`for_each`", Place::Step)?;
        if let Form::Literal(found) = &items.form
            && !found.is_array()
        {
            self.faults.add(node.mark, format!("`for_each` goes over an array, found `{found}`"));
            return None;
        }
        Some(items)
    }

    fn item_name(&mut self, node: &Node) -> Option<String> {
        let name = &self.faults.text(node, "`as`")?.text;
        if !plain_name(&mut self.faults, node.mark, "the item's name", name) {
            return None;
        }
        if ROOTS.contains(&name.as_str()) {
            self.faults.add(node.mark, format!("`$.{name}` has a meaning already; call the item something else"));
            return None;
        }
        self.free_item(node, name).then(|| name.clone())
    }

    /// Whether no loop around this one calls its items so.
    fn free_item(&mut self, node: &Node, name: &str) -> bool {
        let Some(line) = self.visible.loop_of(name).map(|around| around.line) else { return true };
        let message = format!(
            "the loop around this, on line {line}, calls its items `{name}`; give these another name with `as`"
        );
        self.faults.add(node.mark, message);
        false
    }
}
