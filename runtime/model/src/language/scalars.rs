//! Scalars with a meaning: names, durations, whole numbers, yes and no. Each says what it is and where its bound is.

use std::time::Duration;

use super::diagnose::Mark;
use super::document::Node;
use super::faults::Faults;
use crate::ids::Name;
use crate::limits;

/// A name of a workflow or integration.
pub(crate) fn name(faults: &mut Faults, node: &Node) -> Option<Name> {
    let text = faults.text(node, "a name")?;
    Name::new(&text.text).map_err(|malformed| faults.add(node.mark, malformed.to_string())).ok()
}

/// `[a-z_][a-z0-9_]{0,62}`, so that it is a plain part of a path; a hyphen would be a minus to jq. `what` is what it
/// names ("the id").
pub(crate) fn plain_name(faults: &mut Faults, mark: Mark, what: &str, text: &str) -> bool {
    let first = text.as_bytes().first().is_some_and(|b| b.is_ascii_lowercase() || *b == b'_');
    let rest = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if first && rest && text.len() <= 63 {
        return true;
    }
    let suggestion = Some(text.to_lowercase().replace('-', "_")).filter(|better| better != text);
    let message = format!(
        "{what} `{text}` is not taken: 1 to 63 of a-z, 0-9 and _, not beginning with a digit (in `$.steps.a-b` the hyphen is a minus)"
    );
    faults.suggest(mark, message, suggestion);
    false
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

/// A duration that something waits for: at most [`limits::WAIT_MAX`].
pub(crate) fn waiting_time(faults: &mut Faults, node: &Node, what: &str) -> Option<Duration> {
    let found = duration(faults, node, what)?;
    (found <= limits::WAIT_MAX).then_some(found).or_else(|| {
        let limit = limits::WAIT_MAX.as_secs() / (24 * 60 * 60);
        faults.add(node.mark, format!("{what} is {}; {limit} days is the longest wait", node.describe()));
        None
    })
}

/// `true` or `false`.
pub(crate) fn boolean(faults: &mut Faults, node: &Node, what: &str) -> Option<bool> {
    let value = node.to_value().as_bool();
    if value.is_none() {
        faults.add(node.mark, format!("{what} is true or false, found {}", node.describe()));
    }
    value
}

/// A whole number from 1 to `most`.
pub(crate) fn count(faults: &mut Faults, node: &Node, what: &str, most: u64) -> Option<u64> {
    let found = node.to_value().as_u64().filter(|found| (1..=most).contains(found));
    if found.is_none() {
        let range = if most == u64::MAX { "1 upwards".to_owned() } else { format!("1 to {most}") };
        faults.add(node.mark, format!("{what} is {}; it is a number from {range}", node.describe()));
    }
    found
}

/// Whether a text may be a lock's key or a topic: neither empty nor longer than [`limits::KEY_BYTES_MAX`], and without
/// control characters.
pub(crate) fn key(faults: &mut Faults, mark: Mark, what: &str, text: &str) -> bool {
    let limit = limits::KEY_BYTES_MAX;
    if text.is_empty() || text.len() > limit {
        faults.add(mark, format!("{what} has {} bytes; it is 1 to {limit} bytes long", text.len()));
        return false;
    }
    if text.chars().any(char::is_control) {
        faults
            .add(mark, format!("{what} {text:?} has control characters, such as line breaks; it is one line of text"));
        return false;
    }
    true
}
