//! The triggers of a document.

use super::compile::{Compiler, Place, Read};
use super::document::{Key, Node};
use super::expression::Expression;
use super::faults::get;
use super::scalars::name;
use super::schedules;
use crate::ids::Name;
use crate::limits;
use crate::workflow::{Param, Trigger};

/// Kinds of triggers.
pub(crate) const KINDS: [&str; 8] =
    ["manual", "webhook", "request", "event", "app_event", "connected", "resource", "schedule"];

/// Reads the list of triggers, of a workflow with these parameters.
pub(crate) fn read(compiler: &mut Compiler<'_>, node: &Node, params: &[Param]) -> Vec<Trigger> {
    let Some(items) = compiler.faults.list(node, "`triggers`") else { return Vec::new() };
    if items.len() > limits::TRIGGERS_MAX {
        let (found, most) = (items.len(), limits::TRIGGERS_MAX);
        compiler.faults.add(node.mark, format!("there are {found} triggers; {most} is the limit"));
    }
    let read = |compiler: &mut Compiler<'_>| {
        let one =
            |(index, item)| compiler.faults_within(format!("[{index}]"), |compiler| trigger(compiler, item, params));
        items.iter().enumerate().filter_map(one).collect()
    };
    compiler.faults_within("triggers", read)
}

fn trigger(compiler: &mut Compiler<'_>, node: &Node, params: &[Param]) -> Option<Trigger> {
    let entries = compiler.faults.map(node, "a trigger")?;
    let [(key, value)] = entries else {
        compiler.faults.add(node.mark, format!("a trigger has exactly one key, its kind: {}", KINDS.join(", ")));
        return None;
    };
    match key.text.as_str() {
        "manual" => {
            empty(compiler, value, "`manual`");
            Some(Trigger::Manual)
        }
        "request" => {
            let entries = optional_map(compiler, value, "`request`")?;
            compiler.faults.keys(entries, "`request`", &["token"]);
            if let Some(token) = get(entries, "token") {
                let text = compiler.faults.text(token, "`token`")?;
                if text.text != "required" {
                    compiler.faults.word(token.mark, "`token`", &text.text, &["required"]);
                }
            }
            Some(Trigger::Request)
        }
        "webhook" => {
            needs_no_params(compiler, key, params, "a webhook");
            webhook(compiler, value)
        }
        "event" => {
            needs_no_params(compiler, key, params, "an event");
            event(compiler, value)
        }
        "app_event" => {
            needs_no_params(compiler, key, params, "an app event");
            app_event(compiler, value)
        }
        "connected" => {
            needs_no_params(compiler, key, params, "a user who connects");
            let entries = compiler.faults.map(value, "`connected`")?;
            compiler.faults.keys(entries, "`connected`", &["integration"]);
            Some(Trigger::Connected { integration: integration(compiler, value, entries, "`connected`")? })
        }
        "resource" => {
            needs_no_params(compiler, key, params, "a resource");
            resource(compiler, value)
        }
        "schedule" => schedules::read(&mut compiler.faults, key, value, params).map(Box::new).map(Trigger::Schedule),
        other => {
            compiler.faults.word(key.mark, "the trigger", other, &KINDS);
            None
        }
    }
}

/// What starts a workflow without anybody who gives parameters cannot start one that requires some.
fn needs_no_params(compiler: &mut Compiler<'_>, key: &Key, params: &[Param], what: &str) {
    for param in params.iter().filter(|param| param.required && param.default.is_none()) {
        let name = &param.name;
        let message =
            format!("{what} brings no parameters, and `{name}` is required; give it a default, or read `$.event`");
        compiler.faults.add(key.mark, message);
    }
}

fn event(compiler: &mut Compiler<'_>, node: &Node) -> Option<Trigger> {
    let entries = compiler.faults.map(node, "`event`")?;
    compiler.faults.keys(entries, "`event`", &["type", "source", "topic", "when"]);
    let mut word = |key: &str| match get(entries, key) {
        Some(node) => bounded(compiler, node, key).map(Some),
        None => Some(None),
    };
    let (kind, source, topic) = (word("type"), word("source"), word("topic"));
    if let Some(None) = kind {
        compiler.faults.add(node.mark, "`event` has no `type`");
    }
    let when = asked(compiler, entries, "when");
    Some(Trigger::Event { kind: kind??, source: source?, topic: topic?, when: when? })
}

fn app_event(compiler: &mut Compiler<'_>, node: &Node) -> Option<Trigger> {
    let entries = compiler.faults.map(node, "`app_event`")?;
    compiler.faults.keys(entries, "`app_event`", &["name", "integration", "when"]);
    let name = match get(entries, "name") {
        Some(node) => bounded(compiler, node, "name"),
        None => {
            compiler.faults.add(node.mark, "`app_event` has no `name`");
            None
        }
    };
    let integration = match get(entries, "integration") {
        Some(node) => self::name(&mut compiler.faults, node).map(Some),
        None => Some(None),
    };
    let when = asked(compiler, entries, "when");
    Some(Trigger::AppEvent { name: name?, integration: integration?, when: when? })
}

fn resource(compiler: &mut Compiler<'_>, node: &Node) -> Option<Trigger> {
    let entries = compiler.faults.map(node, "`resource`")?;
    compiler.faults.keys(entries, "`resource`", &["integration", "user", "when"]);
    let integration = integration(compiler, node, entries, "`resource`");
    let (user, when) = (asked(compiler, entries, "user"), asked(compiler, entries, "when"));
    Some(Trigger::Resource { integration: integration?, user: user?, when: when? })
}

/// The integration that a trigger is for.
fn integration(compiler: &mut Compiler<'_>, node: &Node, entries: &[(Key, Node)], what: &str) -> Option<Name> {
    match get(entries, "integration") {
        Some(node) => name(&mut compiler.faults, node),
        None => {
            compiler.faults.add(node.mark, format!("{what} has no `integration`"));
            None
        }
    }
}

/// An expression that a trigger asks of an event, where it is there; none where there was a fault.
fn asked(compiler: &mut Compiler<'_>, entries: &[(Key, Node)], key: &str) -> Option<Option<Expression>> {
    match get(entries, key) {
        Some(node) => condition(compiler, node, &format!("`{key}`"), Place::Trigger).map(Some),
        None => Some(None),
    }
}

/// A text that events are compared with.
fn bounded(compiler: &mut Compiler<'_>, node: &Node, key: &str) -> Option<String> {
    let text = compiler.faults.text(node, &format!("`{key}`"))?;
    let most = limits::KEY_BYTES_MAX;
    if (1..=most).contains(&text.text.len()) && !text.text.chars().any(char::is_control) {
        return Some(text.text.clone());
    }
    let message = format!("`{key}` is {:?}: it has 1 to {most} bytes and no control characters", text.text);
    compiler.faults.add(node.mark, message);
    None
}

fn webhook(compiler: &mut Compiler<'_>, node: &Node) -> Option<Trigger> {
    let entries = compiler.faults.map(node, "`webhook`")?;
    compiler.faults.keys(entries, "`webhook`", &["integration", "when", "on_failure"]);
    let integration = integration(compiler, node, entries, "`webhook`");
    let when = asked(compiler, entries, "when");
    let failure_status = get(entries, "on_failure").map(|node| failure_status(compiler, node));
    Some(Trigger::Webhook {
        integration: integration?,
        when: when?,
        failure_status: match failure_status {
            Some(status) => Some(status?),
            None => None,
        },
    })
}

fn failure_status(compiler: &mut Compiler<'_>, node: &Node) -> Option<u16> {
    let entries = compiler.faults.map(node, "`on_failure`")?;
    compiler.faults.keys(entries, "`on_failure`", &["status"]);
    let status = get(entries, "status")?;
    match status.to_value().as_u64() {
        Some(found @ 200..=599) => Some(found as u16),
        _ => {
            let found = status.describe();
            compiler.faults.add(status.mark, format!("`status` is {found}; an HTTP status of an answer is 200 to 599"));
            None
        }
    }
}

/// An expression that is asked whether it holds: bare, or in one pair of braces.
pub(crate) fn condition(compiler: &mut Compiler<'_>, node: &Node, what: &str, place: Place) -> Option<Expression> {
    let text = compiler.faults.text(node, what)?;
    let inside = text.text.trim();
    let (source, offset) = match inside.strip_prefix("{{").and_then(|inside| inside.strip_suffix("}}")) {
        Some(source) => (source, text.text.len() - text.text.trim_start().len() + 2),
        None => (text.text.as_str(), 0),
    };
    match compiler.expression(source, &|at| node.place(text, offset + at), place)? {
        Read::Expression(expression) => Some(expression),
        Read::Secret(_, name) => {
            compiler.faults.add(
                node.mark,
                format!("{what} cannot look at the secret `{name}`; a secret is only handed to a task"),
            );
            None
        }
    }
}

fn empty(compiler: &mut Compiler<'_>, node: &Node, what: &str) {
    if let Some(entries) = optional_map(compiler, node, what)
        && !entries.is_empty()
    {
        compiler.faults.add(node.mark, format!("{what} takes nothing; write `{{}}`"));
    }
}

/// A map, or nothing at all.
fn optional_map<'a>(compiler: &mut Compiler<'_>, node: &'a Node, what: &str) -> Option<&'a [(Key, Node)]> {
    if node.to_value().is_null() {
        return Some(&[]);
    }
    compiler.faults.map(node, what)
}
