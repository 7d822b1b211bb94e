//! The head of a document: name, description, labels, params, limits.

use std::collections::BTreeMap;
use std::time::Duration;

use super::diagnose::Mark;
use super::document::{Content, Key, Node};
use super::faults::{Faults, get};
use crate::ids::Name;
use crate::limits;
use crate::workflow::{Param, ParamKind, Workflow, WorkflowLimits};

/// Keys of `limits`.
pub(crate) const LIMIT_KEYS: [&str; 1] = ["timeout"];
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

/// A name of a workflow or integration.
pub(crate) fn name(faults: &mut Faults, node: &Node) -> Option<Name> {
    let text = faults.text(node, "a name")?;
    Name::new(&text.text).map_err(|malformed| faults.add(node.mark, malformed.to_string())).ok()
}

/// A duration as people write it, longer than nothing.
pub(crate) fn duration(faults: &mut Faults, node: &Node, what: &str) -> Option<Duration> {
    let text = faults.text(node, what)?;
    match humantime::parse_duration(&text.text) {
        Ok(duration) if !duration.is_zero() => Some(duration),
        Ok(_) => {
            faults.add(node.mark, format!("{what} is `{}`; it is longer than nothing", text.text));
            None
        }
        Err(_) => {
            faults.add(
                node.mark,
                format!("{what} is `{}`, which is no duration; write 500ms, 30s, 1h30m, 2d", text.text),
            );
            None
        }
    }
}

/// `true` or `false`.
pub(crate) fn boolean(faults: &mut Faults, node: &Node, what: &str) -> Option<bool> {
    let value = node.to_value().as_bool();
    if value.is_none() {
        faults.add(node.mark, format!("{what} is true or false, found {}", node.describe()));
    }
    value
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
    let mut limits = WorkflowLimits::default();
    let Some(entries) = faults.map(node, "`limits`") else { return limits };
    faults.within("limits".to_owned(), |faults| {
        faults.keys(entries, "`limits`", &LIMIT_KEYS);
        if let Some(timeout) = get(entries, "timeout").and_then(|node| duration(faults, node, "`timeout`")) {
            limits.timeout = timeout;
        }
    });
    limits
}
