//! `retry`: how often, how long apart, for which failures.

use super::super::compile::Compiler;
use super::super::document::Node;
use super::super::faults::get;
use super::super::scalars::{boolean, count, duration};
use crate::limits;
use crate::outcome::FailureKind;
use crate::program::Retry;

/// Keys of `retry`.
const KEYS: [&str; 6] = ["attempts", "first", "factor", "max", "jitter", "on"];

impl Compiler<'_> {
    /// None where there was a fault.
    pub(super) fn retry(&mut self, node: &Node) -> Option<Retry> {
        let faults = &mut self.faults;
        let entries = faults.map(node, "`retry`")?;
        faults.keys(entries, "`retry`", &KEYS);
        let before = faults.found.len();
        let mut retry = Retry::default();
        match get(entries, "attempts") {
            None => faults.add(node.mark, "`retry` has no `attempts`"),
            Some(node) => {
                if let Some(attempts) = count(faults, node, "`attempts`", u64::from(limits::ATTEMPTS_MAX)) {
                    retry.attempts = attempts as u32;
                }
            }
        }
        if let Some(first) = get(entries, "first").and_then(|node| duration(faults, node, "`first`")) {
            retry.first = first;
        }
        if let Some(max) = get(entries, "max").and_then(|node| duration(faults, node, "`max`")) {
            retry.max = max;
        }
        if let Some(node) = get(entries, "factor") {
            match node.to_value().as_f64() {
                Some(factor) if (1.0..=100.0).contains(&factor) => retry.factor = factor,
                _ => faults.add(node.mark, format!("`factor` is {}; it is a number from 1 to 100", node.describe())),
            }
        }
        if let Some(jitter) = get(entries, "jitter").and_then(|node| boolean(faults, node, "`jitter`")) {
            retry.jitter = jitter;
        }
        if let Some(items) = get(entries, "on").and_then(|node| faults.list(node, "`on`")) {
            retry.on.clear();
            for item in items {
                let Some(text) = faults.text(item, "a kind of failure") else { continue };
                match FailureKind::ALL.into_iter().find(|kind| kind.as_str() == text.text) {
                    Some(kind) => retry.on.push(kind),
                    None => faults.word(
                        item.mark,
                        "the kind of failure",
                        &text.text,
                        &FailureKind::ALL.map(FailureKind::as_str),
                    ),
                }
            }
        }
        (faults.found.len() == before).then_some(retry)
    }
}
