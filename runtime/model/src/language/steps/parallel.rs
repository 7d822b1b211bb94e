//! `parallel`, `join`.

use super::super::compile::Compiler;
use super::super::document::Node;
use super::super::faults::get;
use super::super::scalars::plain_name;
use super::Reading;
use crate::limits;
use crate::program::{Join, Parallel, StepKind};

impl Compiler<'_> {
    pub(super) fn parallel(&mut self, reading: &Reading<'_>) -> Option<StepKind> {
        let join = get(reading.entries, "join").map_or(Some(Join::All), |node| self.join(node));
        let entries = self.faults.map(reading.kind, "`parallel`")?;
        let (found, limit) = (entries.len(), limits::BRANCHES_MAX);
        let number = (1..=limit).contains(&found);
        if !number {
            self.faults.add(reading.kind.mark, format!("`parallel` has {found} branches; it has 1 to {limit}"));
        }
        let (mut branches, mut named, mut over) = (Vec::with_capacity(found), true, Vec::new());
        for (key, node) in entries {
            named &= plain_name(&mut self.faults, key.mark, "the branch", &key.text);
            let mark = self.visible.mark();
            let path = format!("{}.{}", reading.path, key.text);
            let part = format!(".parallel.{}", key.text);
            branches.push((key.text.clone(), self.faults_within(part, |this| this.block(node, &path))));
            over.extend(self.visible.end_branch(mark, &key.text, reading.mark.line));
        }
        self.visible.join(over);
        let join = join?;
        (number && named).then_some(StepKind::Parallel(Parallel { branches, join }))
    }

    fn join(&mut self, node: &Node) -> Option<Join> {
        match self.faults.text(node, "`join`")?.text.as_str() {
            "all" => Some(Join::All),
            "any" => Some(Join::Any),
            other => {
                self.faults.word(node.mark, "`join`", other, &["all", "any"]);
                None
            }
        }
    }
}
