//! Masks secrets in whatever a guest hands back: output, log, messages.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use camshaft_model::{Map, Value};

/// The secrets that one call has been given, in every form that is looked for.
#[derive(Debug, Default, Clone)]
pub(crate) struct Mask {
    /// What is looked for, and what stands in its place; longest first.
    needles: Vec<(String, String)>,
}

impl Mask {
    /// Masks this secret from now on: as it is, in base64 and percent-encoded.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        if value.is_empty() || self.needles.iter().any(|(needle, _)| needle == value) {
            return;
        }
        let mark = format!("<secret {name}>");
        let percent: String = value
            .bytes()
            .map(|b| match b {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
                b => format!("%{b:02X}"),
            })
            .collect();
        let mut forms = vec![value.to_owned(), STANDARD.encode(value), STANDARD_NO_PAD.encode(value)];
        forms.extend([URL_SAFE_NO_PAD.encode(value), percent]);
        forms.sort();
        forms.dedup();
        self.needles.extend(forms.into_iter().map(|form| (form, mark.clone())));
        self.needles.sort_by_key(|(needle, _)| std::cmp::Reverse(needle.len()));
    }

    /// A text without secrets.
    pub(crate) fn text(&self, text: String) -> String {
        self.needles.iter().fold(text, |text, (needle, mark)| {
            if text.contains(needle.as_str()) { text.replace(needle.as_str(), mark) } else { text }
        })
    }

    /// A value without secrets, in keys as well.
    pub(crate) fn value(&self, value: Value) -> Value {
        if self.needles.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.value(item)).collect()),
            Value::Object(fields) => Value::Object(self.fields(fields)),
            Value::Number(number) => match self.text(number.to_string()) {
                text if text == number.to_string() => Value::Number(number),
                masked => Value::String(masked),
            },
            other => other,
        }
    }

    pub(crate) fn fields(&self, fields: Map<String, Value>) -> Map<String, Value> {
        fields.into_iter().map(|(key, field)| (self.text(key), self.value(field))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use camshaft_model::json;

    #[test]
    fn a_secret_is_found_in_every_form_and_place() {
        let mut mask = Mask::default();
        mask.add("key", "s3cr\"t/+?");
        let encoded = STANDARD.encode("s3cr\"t/+?");
        let value = json!({
            "plain": "a s3cr\"t/+? b", "s3cr\"t/+?": [encoded], "url": "x=s3cr%22t%2F%2B%3F", "other": 7, "n": null
        });
        let masked = mask.value(value);
        assert_eq!(
            masked,
            json!({"plain": "a <secret key> b", "<secret key>": ["<secret key>"], "url": "x=<secret key>", "other": 7, "n": null})
        );
    }

    #[test]
    fn a_number_that_is_a_secret_is_masked() {
        let mut mask = Mask::default();
        mask.add("pin", "4711");
        assert_eq!(mask.value(json!([4711, 12])), json!(["<secret pin>", 12]));
        mask.add("empty", "");
        assert_eq!(mask.text("ab".into()), "ab");
    }
}
