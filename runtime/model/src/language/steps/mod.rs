//! Steps: the keys that all of them take, and which kind each is. One kind a file.

mod retry;

mod approval;
mod emit;
mod exit;
mod for_each;
mod r#if;
mod lock;
mod parallel;
mod repeat;
mod set;
mod switch;
mod task;
mod r#try;
mod wait;
mod workflow;

use super::compile::{Compiler, Place};
use super::diagnose::Mark;
use super::document::{Content, Key, Node};
use super::faults::{get, nearest};
use super::scalars::{duration, plain_name};
use super::triggers::condition;
use crate::program::{BlockAddress, OnError, RepeatAfterCrash, Retry, Step, StepAddress, StepKind};

/// Keys that say what a step does, each with the keys that belong to it; each step has exactly one.
pub(crate) const KINDS: [(&str, &[&str]); 14] = [
    ("task", &["with", "repeat"]),
    ("if", &["then", "else"]),
    ("switch", &["cases", "default"]),
    ("for_each", &["as", "concurrency", "do", "collect"]),
    ("repeat", &["until", "every", "at_most"]),
    ("parallel", &["join"]),
    ("try", &["catch", "finally"]),
    ("wait", &[]),
    ("approval", &[]),
    ("lock", &["do"]),
    ("set", &[]),
    ("workflow", &["with", "wait"]),
    ("emit", &[]),
    ("exit", &[]),
];
/// Keys that any step takes.
const COMMON: [&str; 6] = ["id", "name", "when", "timeout", "retry", "on_error"];

fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.into_iter().map(|(kind, _)| kind)
}

/// A step whose kind is being read.
struct Reading<'a> {
    entries: &'a [(Key, Node)],
    /// The key of its kind, and what stands there.
    kind: &'a Node,
    address: StepAddress,
    id: Option<&'a str>,
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
            if let Some(Step { kind: StepKind::Exit(_), when: None, on_error: OnError::Fail, line, .. }) = &step {
                ended_at = Some(*line);
            }
            self.steps[address.0 as usize] = step;
        }
        BlockAddress(block as u32)
    }

    fn step(&mut self, node: &Node, stable: &str, address: StepAddress) -> Option<Step> {
        let entries = self.faults.map(node, "a step")?;
        let (kind_key, own, kind) = self.kind_of(entries, node.mark)?;
        let allowed: Vec<&str> = [kind_key].iter().chain(own).chain(&COMMON).copied().collect();
        self.faults.keys(entries, &format!("a `{kind_key}` step"), &allowed);

        let id = get(entries, "id").and_then(|node| self.id(node));
        let path = id.clone().unwrap_or_else(|| stable.to_owned());
        let when = get(entries, "when").map(|node| condition(self, node, "`when`", Place::Step));
        let timeout = get(entries, "timeout").map(|node| duration(&mut self.faults, node, "`timeout`"));
        let retry = get(entries, "retry").map(|node| self.retry(node)).unwrap_or(Some(Retry::default()));
        let on_error = get(entries, "on_error").map(|node| self.on_error(node)).unwrap_or(Some(OnError::Fail));
        let repeat = match kind_key {
            "task" => get(entries, "repeat").map(|node| self.repeat_after_crash(node)),
            _ => None,
        };

        if let Some(id) = &id {
            self.visible.begin(id);
        }
        let reading = Reading { entries, kind, address, id: id.as_deref(), path: &path, mark: node.mark };
        let kind = match kind_key {
            "task" => self.task(&reading),
            "if" => self.if_step(&reading),
            "switch" => self.switch(&reading),
            "for_each" => self.for_each(&reading),
            "repeat" => self.repeat(&reading),
            "parallel" => self.parallel(&reading),
            "try" => self.try_step(&reading),
            "wait" => self.wait(&reading),
            "approval" => self.approval(&reading),
            "lock" => self.lock(&reading),
            "set" => self.set(&reading),
            "workflow" => self.workflow(&reading),
            "emit" => self.emit(&reading),
            _ => self.exit(&reading),
        };
        let name = get(entries, "name").and_then(|node| self.faults.text(node, "`name`")).map(|text| text.text.clone());
        if let Some(id) = &id {
            self.visible.end(id, address);
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
            repeat: repeat.unwrap_or(Some(RepeatAfterCrash::Allowed))?,
            kind: kind?,
        })
    }

    /// The key that says what a step does, the keys that belong to it, and what stands there.
    fn kind_of<'a>(
        &mut self,
        entries: &'a [(Key, Node)],
        mark: Mark,
    ) -> Option<(&'static str, &'static [&'static str], &'a Node)> {
        let has = |key: &str| get(entries, key).is_some();
        // Two keys are kinds alone and options beside another one.
        let option = |key: &str, value: &Node| match key {
            "wait" => has("workflow"),
            "repeat" => has("task") || !matches!(value.content, Content::List(_)),
            _ => false,
        };
        let mut found = entries.iter().filter_map(|(key, node)| {
            let (kind, own) = KINDS.into_iter().find(|(kind, _)| *kind == key.text)?;
            (!option(kind, node)).then_some((kind, own, key, node))
        });
        match (found.next(), found.next()) {
            (Some((kind, own, _, node)), None) => {
                if let Some(repeat) = get(entries, "repeat").filter(|_| !own.contains(&"repeat") && kind != "repeat") {
                    self.faults.add(repeat.mark, format!("`repeat: never` is for `task` steps; this is `{kind}`"));
                    return None;
                }
                Some((kind, own, node))
            }
            (Some((first, ..)), Some((second, _, key, _))) => {
                self.faults.add(key.mark, format!("a step has one kind, found both `{first}` and `{second}`"));
                None
            }
            (None, _) => {
                self.no_kind(entries, mark);
                None
            }
        }
    }

    fn no_kind(&mut self, entries: &[(Key, Node)], mark: Mark) {
        if let Some(repeat) = get(entries, "repeat") {
            let found = repeat.describe();
            let message = format!(
                "`repeat` is a list of steps, found {found}; how often stands in `at_most`, and `repeat: never` is for `task` steps"
            );
            return self.faults.add(repeat.mark, message);
        }
        let kinds_listed = || kinds().collect::<Vec<_>>().join(", ");
        let strange = entries.iter().find(|(key, _)| !COMMON.contains(&key.text.as_str()));
        match strange {
            Some((key, _)) => match KINDS.iter().find(|(_, own)| own.contains(&key.text.as_str())) {
                Some((kind, _)) => {
                    let message = format!("`{}` belongs to `{kind}`, which this step has not", key.text);
                    self.faults.add(key.mark, message);
                }
                None => {
                    let suggestion = nearest(&key.text, kinds().chain(COMMON));
                    let message = format!("a step has no key `{}`; its kind is one of {}", key.text, kinds_listed());
                    self.faults.suggest(key.mark, message, suggestion);
                }
            },
            None => self.faults.add(mark, format!("a step has one kind: {}", kinds_listed())),
        }
    }

    /// The block of a key; a fault where it is missing.
    fn body(&mut self, reading: &Reading<'_>, kind: &str, key: &str) -> Option<BlockAddress> {
        let body = self.part(reading, key);
        if body.is_none() {
            self.faults.add(reading.mark, format!("`{kind}` has no `{key}`"));
        }
        body
    }

    /// The block of a key, where there is one.
    fn part(&mut self, reading: &Reading<'_>, key: &str) -> Option<BlockAddress> {
        let node = get(reading.entries, key)?;
        let path = format!("{}.{key}", reading.path);
        Some(self.faults_within(format!(".{key}"), |this| this.block(node, &path)))
    }

    fn id(&mut self, node: &Node) -> Option<String> {
        let text = self.faults.text(node, "`id`")?;
        let id = &text.text;
        if !plain_name(&mut self.faults, node.mark, "the id", id) {
            return None;
        }
        match self.visible.first(id) {
            Some(first) if first != node.mark => {
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

    fn repeat_after_crash(&mut self, node: &Node) -> Option<RepeatAfterCrash> {
        if let Content::List(_) = node.content {
            let message = "`repeat` of a task is `never`; to make the task again and again, put it into the list: `- repeat: [ … ]`";
            self.faults.add(node.mark, message);
            return None;
        }
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
