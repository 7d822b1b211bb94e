//! Keeps an integration's secrets out of events, and so out of the journal: vendors send some of them back as a header, a
//! query parameter or a field of the body.

use std::cmp::Reverse;

use camshaft_model::Value;
use memchr::{memchr, memchr3, memmem};

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

    /// Masks every text of a body that is a secret.
    pub(crate) fn mask(&self, value: &mut Value) {
        self.mask_also_within(value, &[]);
    }

    /// Masks every secret of a body that was parsed from these bytes, within longer texts, keys and numbers too. Looking into
    /// each of thousands of texts would cost more than the rest of the delivery; so the bytes are looked through first, and
    /// texts only where a secret may be found.
    pub(crate) fn mask_parsed(&self, value: &mut Value, raw: &[u8]) {
        if self.values().next().is_none() {
            return;
        }
        let mut within: Vec<_> = self.values().filter(|secret| secret.len() >= WITHIN_BYTES_MIN).collect();
        within.retain(|secret| may_hold(raw, secret));
        // Of two that begin at the same place, the longer one is the whole.
        within.sort_by_key(|secret| Reverse(secret.len()));
        self.mask_also_within(value, &within);
    }

    fn mask_also_within(&self, value: &mut Value, within: &[&str]) {
        match value {
            Value::String(text) if self.is(text) => MASK.clone_into(text),
            Value::String(text) => masked(text, within).into_iter().for_each(|masked| *text = masked),
            Value::Number(number) if !within.is_empty() => {
                if let Some(masked) = masked(&number.to_string(), within) {
                    *value = Value::String(masked);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.mask_also_within(item, within)),
            Value::Object(fields) => {
                if fields.keys().any(|key| masked(key, within).is_some()) {
                    let shown = |key: String| masked(&key, within).unwrap_or(key);
                    *fields = std::mem::take(fields).into_iter().map(|(key, field)| (shown(key), field)).collect();
                }
                fields.values_mut().for_each(|field| self.mask_also_within(field, within));
            }
            _ => {}
        }
    }

    fn values(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|(_, values)| values).map(String::as_str).filter(|secret| !secret.is_empty())
    }
}

/// A text without these secrets; none where it has none of them.
fn masked(text: &str, within: &[&str]) -> Option<String> {
    within.iter().fold(None, |shown: Option<String>, secret| {
        let looked_at = shown.as_deref().unwrap_or(text);
        if looked_at.contains(secret) { Some(looked_at.replace(secret, MASK)) } else { shown }
    })
}

/// Whether texts that were parsed from these bytes may hold a secret: it stands there, or something is escaped that may be a
/// part of it. JSON begins with a bracket or a quote, escapes with backslashes, and plain letters as `\u0041` alone; forms and
/// XML escape with `%`, `+` and `&`.
fn may_hold(raw: &[u8], secret: &str) -> bool {
    if memmem::find(raw, secret.as_bytes()).is_some() {
        return true;
    }
    match raw.trim_ascii_start().strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw).trim_ascii_start().first() {
        Some(b'{' | b'[' | b'"') => {
            let is_escaped_anyway =
                secret.contains(|letter: char| matches!(letter, '"' | '\\' | '/') || letter.is_control());
            memmem::find(raw, b"\\u").is_some() || (is_escaped_anyway && memchr(b'\\', raw).is_some())
        }
        _ => memchr3(b'%', b'+', b'&', raw).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use camshaft_model::json;

    const TOKEN: &str = "tok-tok-tok-1";

    fn masked_json(secrets: &[&str], raw: &str) -> Value {
        let secrets = [("token".to_owned(), secrets.iter().map(|secret| (*secret).to_owned()).collect())];
        let mut value = serde_json::from_str(raw).unwrap();
        Secrets(&secrets).mask_parsed(&mut value, raw.as_bytes());
        value
    }

    #[test]
    fn a_secret_is_masked_wherever_in_a_body_it_stands() {
        let raw = r#"{"tok": "tok-tok-tok-1", "in": ["a tok-tok-tok-1 b"], "tok-tok-tok-1x": {"n": 12345678, "m": 1, "o": null}}"#;
        let expected = json!({"tok": MASK, "in": ["a <secret> b"], "<secret>x": {"n": MASK, "m": 1, "o": null}});
        assert_eq!(masked_json(&[TOKEN, "12345678"], raw), expected);
        assert_eq!(
            masked_json(&["tok-tok-t", TOKEN], r#"["a tok-tok-tok-1"]"#),
            json!(["a <secret>"]),
            "the longer one first"
        );
        // A short one is masked where it is everything, and not in each word that holds it.
        assert_eq!(masked_json(&["ab"], r#"["ab", "abba"]"#), json!([MASK, "abba"]));
    }

    #[test]
    fn a_secret_is_masked_however_it_is_escaped() {
        assert_eq!(masked_json(&[TOKEN], r#"{"a": "x \u0074ok-tok-tok-1"}"#), json!({"a": "x <secret>"}));
        assert_eq!(masked_json(&["tok/tok/tok"], r#"{"a": "x tok\/tok\/tok"}"#), json!({"a": "x <secret>"}));
        assert_eq!(masked_json(&["tok\"tok\"tok"], r#"{"a": "x tok\"tok\"tok"}"#), json!({"a": "x <secret>"}));
        for (raw, text) in
            [("a=x+tok%2Dtok-tok-1", "x tok-tok-tok-1"), ("<a>x &#116;ok-tok-tok-1</a>", "x tok-tok-tok-1")]
        {
            let secrets = [("token".to_owned(), vec![TOKEN.to_owned()])];
            let mut value = json!({"a": text});
            Secrets(&secrets).mask_parsed(&mut value, raw.as_bytes());
            assert_eq!(value, json!({"a": "x <secret>"}), "{raw}");
        }
    }

    #[test]
    fn a_body_that_can_hold_no_secret_is_not_looked_into() {
        assert!(!may_hold(br#"{"a": "100% & 1+1\r\n"}"#, TOKEN));
        assert!(!may_hold(b"a=b", TOKEN));
        assert!(may_hold(b" \xef\xbb\xbf {\"a\": \"\\u0041\"}", TOKEN));
    }
}
