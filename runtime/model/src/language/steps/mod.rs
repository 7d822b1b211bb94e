//! Steps: the keys that all of them take, and which kind each is. One kind a file.

mod exit;
mod r#if;
mod retry;
mod set;
mod switch;
mod task;

use super::compile::{Compiler, Place};
use super::diagnose::Mark;
use super::document::{Key, Node};
use super::faults::{get, nearest};
use super::head::duration;
use super::triggers::condition;
use crate::program::{BlockAddress, OnError, RepeatAfterCrash, Retry, Step, StepAddress, StepKind};

/// Keys that say what a step does; each step has exactly one.
pub(crate) const KINDS: [&str; 5] = ["task", "if", "switch", "set", "exit"];
/// Keys that any step takes.
const COMMON: [&str; 7] = ["id", "name", "when", "timeout", "retry", "on_error", "repeat"];

/// A step whose kind is being read.
struct Reading<'a> {
    entries: &'a [(Key, Node)],
    /// The key of its kind, and what stands there.
    kind: &'a Node,
    path: &'a str,
    mark: Mark,
}

impl Compiler<'_> {
    /// Reads a list of steps into a block. `path` is the stable path of the step around it.
    pub(crate) fn block(&mut self, node: &Node, path: &str) -> BlockAddress {
        let block = self.blocks.len();
        self.blocks.push(Vec::new());
        let Some(items) = self.faults.list(node, "a list of steps").map(<[Node]>::to_vec) else {
            return BlockAddress(block as u32);
        };
        let mut ended_at: Option<u32> = None;
        for (index, item) in items.iter().enumerate() {
            if let Some(line) = ended_at.take() {
                self.faults
                    .add(item.mark, format!("this step is never reached: the `exit` on line {line} comes before it"));
            }
            let path = if path.is_empty() { index.to_string() } else { format!("{path}.{index}") };
            let address = StepAddress(self.steps.len() as u32);
            self.steps.push(None);
            self.blocks[block].push(address);
            let step = self.faults_within(format!("[{index}]"), |this| this.step(item, &path, address));
            if let Some(Step { kind: StepKind::Exit(_), when: None, line, .. }) = &step {
                ended_at = Some(*line);
            }
            self.steps[address.0 as usize] = step;
        }
        BlockAddress(block as u32)
    }

    fn step(&mut self, node: &Node, stable: &str, address: StepAddress) -> Option<Step> {
        let entries = self.faults.map(node, "a step")?;
        let kinds: Vec<_> = entries.iter().filter(|(key, _)| KINDS.contains(&key.text.as_str())).collect();
        let (kind_key, kind) = match kinds[..] {
            [(key, node)] => (key, node),
            [] => {
                self.no_kind(entries, node.mark);
                return None;
            }
            [(first, _), (second, _), ..] => {
                let message = format!("a step has one kind, found both `{}` and `{}`", first.text, second.text);
                self.faults.add(second.mark, message);
                return None;
            }
        };
        let own: &[&str] = match kind_key.text.as_str() {
            "task" => &["task", "with"],
            "if" => &["if", "then", "else"],
            "switch" => &["switch", "cases", "default"],
            "set" => &["set"],
            _ => &["exit"],
        };
        let allowed: Vec<&str> = own.iter().chain(&COMMON).copied().collect();
        self.faults.keys(entries, &format!("a `{}` step", kind_key.text), &allowed);

        let id = get(entries, "id").and_then(|node| self.id(node));
        let path = id.clone().unwrap_or_else(|| stable.to_owned());
        let when = get(entries, "when").map(|node| condition(self, node, "`when`", Place::Step));
        let timeout = get(entries, "timeout").map(|node| duration(&mut self.faults, node, "`timeout`"));
        for key in ["timeout", "retry", "repeat"] {
            if let Some(node) = get(entries, key).filter(|_| kind_key.text != "task") {
                self.faults.add(node.mark, format!("`{key}` is for `task` steps; this is `{}`", kind_key.text));
            }
        }
        let retry = get(entries, "retry").map(|node| self.retry(node)).unwrap_or(Some(Retry::default()));
        let on_error = get(entries, "on_error").map(|node| self.on_error(node)).unwrap_or(Some(OnError::Fail));
        let repeat = get(entries, "repeat").map(|node| self.repeat(node)).unwrap_or(Some(RepeatAfterCrash::Allowed));

        let reading = Reading { entries, kind, path: &path, mark: node.mark };
        let kind = match kind_key.text.as_str() {
            "task" => self.task(&reading),
            "if" => self.if_step(&reading),
            "switch" => self.switch(&reading),
            "set" => self.set(&reading),
            _ => self.exit(&reading),
        };
        let name = get(entries, "name").and_then(|node| self.faults.text(node, "`name`")).map(|text| text.text.clone());
        // From here on the step's output may be read.
        if let Some(id) = &id {
            self.ids.insert(id.clone(), address);
        }
        Some(Step {
            path: path.clone(),
            id,
            name,
            line: node.mark.line,
            when: flatten(when)?,
            timeout: flatten(timeout)?,
            retry: retry?,
            on_error: on_error?,
            repeat: repeat?,
            kind: kind?,
        })
    }

    fn no_kind(&mut self, entries: &[(Key, Node)], mark: Mark) {
        let strange = entries.iter().find(|(key, _)| !COMMON.contains(&key.text.as_str()));
        match strange {
            Some((key, _)) => {
                let suggestion = nearest(&key.text, KINDS.into_iter().chain(COMMON));
                let message = format!("a step has no key `{}`; its kind is one of {}", key.text, KINDS.join(", "));
                self.faults.suggest(key.mark, message, suggestion);
            }
            None => self.faults.add(mark, format!("a step has one kind: {}", KINDS.join(", "))),
        }
    }

    /// `[a-z_][a-z0-9_]*`, so that `$.steps.ID` is a plain path; a hyphen would be a minus to jq.
    fn id(&mut self, node: &Node) -> Option<String> {
        let text = self.faults.text(node, "`id`")?;
        let id = &text.text;
        let first = id.as_bytes().first().is_some_and(|b| b.is_ascii_lowercase() || *b == b'_');
        if !first || id.len() > 63 || !id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
            let suggestion = Some(id.to_lowercase().replace('-', "_")).filter(|better| better != id);
            let message = format!(
                "the id `{id}` is not taken: 1 to 63 of a-z, 0-9 and _, not beginning with a digit (in `$.steps.a-b` the hyphen is a minus)"
            );
            self.faults.suggest(node.mark, message, suggestion);
            return None;
        }
        match self.known_ids.get(id) {
            Some(first) if *first != node.mark => {
                let line = first.line;
                self.faults.add(node.mark, format!("the id `{id}` stands on line {line} already"));
                None
            }
            _ => Some(id.clone()),
        }
    }

    fn on_error(&mut self, node: &Node) -> Option<OnError> {
        let text = self.faults.text(node, "`on_error`")?;
        match text.text.as_str() {
            "fail" => Some(OnError::Fail),
            "continue" => Some(OnError::Continue),
            other => {
                self.faults.word(node.mark, "`on_error`", other, &["fail", "continue"]);
                None
            }
        }
    }

    fn repeat(&mut self, node: &Node) -> Option<RepeatAfterCrash> {
        let text = self.faults.text(node, "`repeat`")?;
        match text.text.as_str() {
            "never" => Some(RepeatAfterCrash::Never),
            other => {
                self.faults.word(node.mark, "`repeat`", other, &["never"]);
                None
            }
        }
    }
}

/// A key that was left out is fine; one with a fault is not.
fn flatten<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(None) => None,
        Some(Some(value)) => Some(Some(value)),
    }
}
