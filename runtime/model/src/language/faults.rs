//! Collects every fault of a document, and reads maps strictly: a key that nobody asks for is a fault.

use super::diagnose::{Diagnostic, Mark};
use super::document::{Content, Key, Node, Text};

/// The faults found so far, and the path of the place that is being read.
#[derive(Default)]
pub(crate) struct Faults {
    pub(crate) found: Vec<Diagnostic>,
    path: Vec<String>,
}

impl Faults {
    /// Notes a fault.
    pub(crate) fn add(&mut self, mark: Mark, message: impl Into<String>) {
        self.suggest(mark, message, None);
    }

    /// Notes a fault, with the name that was probably meant.
    pub(crate) fn suggest(&mut self, mark: Mark, message: impl Into<String>, suggestion: Option<String>) {
        self.found.push(Diagnostic { mark, path: self.path.concat(), message: message.into(), suggestion });
    }

    /// Reads something inside a key or index.
    pub(crate) fn within<T>(&mut self, part: String, read: impl FnOnce(&mut Self) -> T) -> T {
        self.enter(part);
        let value = read(self);
        self.leave();
        value
    }

    /// From here on faults are within this key or index, until [`Faults::leave`].
    pub(crate) fn enter(&mut self, part: String) {
        self.path.push(part);
    }

    /// Ends the latest [`Faults::enter`].
    pub(crate) fn leave(&mut self) {
        self.path.pop();
    }

    /// The text of a scalar that is meant as text.
    pub(crate) fn text<'a>(&mut self, node: &'a Node, what: &str) -> Option<&'a Text> {
        match &node.content {
            Content::Scalar(text) => Some(text),
            _ => {
                self.add(node.mark, format!("{what} is a text, found {}", node.describe()));
                None
            }
        }
    }

    /// The entries of a map.
    pub(crate) fn map<'a>(&mut self, node: &'a Node, what: &str) -> Option<&'a [(Key, Node)]> {
        match &node.content {
            Content::Map(entries) => Some(entries),
            _ => {
                self.add(node.mark, format!("{what} is a map, found {}", node.describe()));
                None
            }
        }
    }

    /// The items of a list.
    pub(crate) fn list<'a>(&mut self, node: &'a Node, what: &str) -> Option<&'a [Node]> {
        match &node.content {
            Content::List(items) => Some(items),
            _ => {
                self.add(node.mark, format!("{what} is a list, found {}", node.describe()));
                None
            }
        }
    }

    /// Faults for keys that are not allowed.
    pub(crate) fn keys(&mut self, entries: &[(Key, Node)], what: &str, allowed: &[&str]) {
        for (key, _) in entries.iter().filter(|(key, _)| !allowed.contains(&key.text.as_str())) {
            let nearest = nearest(&key.text, allowed.iter().copied());
            let message = format!("{what} has no key `{}`; it takes {}", key.text, allowed.join(", "));
            self.suggest(key.mark, message, nearest);
        }
    }

    /// A fault for a word that is none of those allowed.
    pub(crate) fn word(&mut self, mark: Mark, what: &str, found: &str, allowed: &[&str]) {
        let nearest = nearest(found, allowed.iter().copied());
        self.suggest(mark, format!("{what} `{found}` is not known; it is one of {}", allowed.join(", ")), nearest);
    }
}

/// The value of a key.
pub(crate) fn get<'a>(entries: &'a [(Key, Node)], key: &str) -> Option<&'a Node> {
    entries.iter().find(|(found, _)| found.text == key).map(|(_, node)| node)
}

/// The name that is close enough to have been meant.
pub fn nearest<'a>(found: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let far = (found.chars().count() / 3).max(2);
    names
        .map(|name| (strsim::damerau_levenshtein(found, name), name))
        .filter(|(distance, name)| *distance > 0 && *distance <= far && *distance < name.chars().count())
        .min()
        .map(|(_, name)| name.to_owned())
}
