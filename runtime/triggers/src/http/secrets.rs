//! Keeps an integration's secrets out of events, and so out of the journal: vendors send some of them back as a header, a
//! query parameter or a field of the body.

use camshaft_model::Value;

/// Stands where a secret stood.
pub(crate) const MASK: &str = "<secret>";

/// Headers that are credentials whatever they say. They are left out.
pub(crate) const CREDENTIAL_HEADERS: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];

/// Shorter secrets are masked only where they are the whole text: a two-letter one would be found everywhere.
const WITHIN_BYTES_MIN: usize = 8;

/// The secrets of an integration.
pub(crate) struct Secrets<'a>(pub(crate) &'a [(String, Vec<String>)]);

impl Secrets<'_> {
    /// Whether the text is a secret.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.values().any(|secret| secret == text)
    }

    /// Whether the text is or holds a secret: `Token token="…"`, a URL with one in its query.
    pub(crate) fn is_within(&self, text: &str) -> bool {
        self.values().any(|secret| secret == text || (secret.len() >= WITHIN_BYTES_MIN && text.contains(secret)))
    }

    /// Masks every text of a body that is a secret. Texts that merely hold one are left alone: looking into each of
    /// thousands would cost more than the rest of the delivery, and no vendor is known to send that.
    pub(crate) fn mask(&self, value: &mut Value) {
        match value {
            Value::String(text) if self.is(text) => MASK.clone_into(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.mask(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.mask(field)),
            _ => {}
        }
    }

    fn values(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|(_, values)| values).map(String::as_str).filter(|secret| !secret.is_empty())
    }
}
