//! The head of a document: name, description, labels, params, limits.

use std::collections::BTreeMap;

use super::diagnose::Mark;
use super::document::{Content, Key, Node};
use super::faults::{Faults, get};
use super::scalars::{boolean, count, duration, name};
use crate::limits;
use crate::workflow::{Param, ParamKind, WhenFull, Workflow, WorkflowLimits};

/// Keys of `limits`.
pub(crate) const LIMIT_KEYS: [&str; 5] = ["timeout", "concurrency", "when_full", "per_day", "per_month"];
/// Keys of a parameter's long form.
pub(crate) const PARAM_KEYS: [&str; 4] = ["type", "required", "default", "description"];

/// Everything but triggers and steps.
pub(crate) fn read(faults: &mut Faults, entries: &[(Key, Node)], start: Mark) -> Option<Workflow> {
    let name = match get(entries, "name") {
        Some(node) => faults.within("name".to_owned(), |faults| name(faults, node)),
        None => {
            faults.add(start, "the document has no `name`");
            None
        }
    };
    let description =
        get(entries, "description").and_then(|node| faults.text(node, "`description`")).map(|text| text.text.clone());
    let labels = get(entries, "labels").map(|node| labels(faults, node)).unwrap_or_default();
    let params = get(entries, "params").map(|node| params(faults, node)).unwrap_or_default();
    let limits = get(entries, "limits").map(|node| limits_of(faults, node)).unwrap_or_default();
    Some(Workflow { name: name?, description, labels, params, triggers: Vec::new(), limits })
}

fn labels(faults: &mut Faults, node: &Node) -> BTreeMap<String, String> {
    let Some(entries) = faults.map(node, "`labels`") else { return BTreeMap::new() };
    if entries.len() > limits::LABELS_MAX {
        faults.add(node.mark, format!("there are {} labels; {} is the limit", entries.len(), limits::LABELS_MAX));
    }
    let mut labels = BTreeMap::new();
    for (key, value) in entries {
        if let Some(text) = faults.text(value, &format!("label `{}`", key.text)) {
            labels.insert(key.text.clone(), text.text.clone());
        }
    }
    labels
}

fn params(faults: &mut Faults, node: &Node) -> Vec<Param> {
    let Some(entries) = faults.map(node, "`params`") else { return Vec::new() };
    faults.within("params".to_owned(), |faults| {
        entries
            .iter()
            .filter_map(|(key, node)| faults.within(format!(".{}", key.text), |faults| param(faults, key, node)))
            .collect()
    })
}

fn param(faults: &mut Faults, key: &Key, node: &Node) -> Option<Param> {
    if let Content::Scalar(_) = &node.content {
        let kind = kind(faults, node)?;
        return Some(Param { name: key.text.clone(), kind, required: true, default: None, description: None });
    }
    let what = format!("parameter `{}`", key.text);
    let entries = faults.map(node, &what)?;
    faults.keys(entries, &what, &PARAM_KEYS);
    let kind = match get(entries, "type") {
        Some(node) => kind(faults, node)?,
        None => {
            faults.add(node.mark, format!("{what} has no `type`"));
            return None;
        }
    };
    let default = get(entries, "default").map(|node| (node.mark, node.to_value()));
    if let Some((mark, value)) = &default
        && !kind.admits(value)
    {
        faults.add(*mark, format!("the default of {what} is {value}, which is no {}", kind.as_str()));
    }
    let required = get(entries, "required").and_then(|node| boolean(faults, node, "`required`")).unwrap_or(true);
    let description =
        get(entries, "description").and_then(|node| faults.text(node, "`description`")).map(|text| text.text.clone());
    Some(Param { name: key.text.clone(), kind, required, default: default.map(|(_, value)| value), description })
}

fn kind(faults: &mut Faults, node: &Node) -> Option<ParamKind> {
    // `null` unquoted is YAML's null, and means the type all the same.
    let text = faults.text(node, "a parameter's type")?;
    let found = ParamKind::ALL.into_iter().find(|kind| kind.as_str() == text.text);
    if found.is_none() {
        faults.word(node.mark, "the type", &text.text, &ParamKind::ALL.map(ParamKind::as_str));
    }
    found
}

fn limits_of(faults: &mut Faults, node: &Node) -> WorkflowLimits {
    let mut found = WorkflowLimits::default();
    let Some(entries) = faults.map(node, "`limits`") else { return found };
    faults.within("limits".to_owned(), |faults| {
        faults.keys(entries, "`limits`", &LIMIT_KEYS);
        if let Some(timeout) = get(entries, "timeout").and_then(|node| duration(faults, node, "`timeout`")) {
            found.timeout = timeout;
        }
        let most = u64::from(limits::EXECUTIONS_AT_ONCE_MAX);
        found.concurrency = get(entries, "concurrency")
            .and_then(|node| count(faults, node, "`concurrency`", most))
            .map(|most| most as u32);
        if let Some(when_full) = get(entries, "when_full").and_then(|node| when_full(faults, node)) {
            found.when_full = when_full;
        }
        found.per_day = get(entries, "per_day").and_then(|node| count(faults, node, "`per_day`", u64::MAX));
        found.per_month = get(entries, "per_month").and_then(|node| count(faults, node, "`per_month`", u64::MAX));
    });
    found
}

fn when_full(faults: &mut Faults, node: &Node) -> Option<WhenFull> {
    match faults.text(node, "`when_full`")?.text.as_str() {
        "queue" => Some(WhenFull::Queue),
        "reject" => Some(WhenFull::Reject),
        other => {
            faults.word(node.mark, "`when_full`", other, &["queue", "reject"]);
            None
        }
    }
}
