//! Masks secrets in whatever a guest hands back: output, log, messages.
//!
//! A value is found as it is and in the forms that it takes on its way: escaped in JSON, in Base64 (at each of its three
//! alignments, so also inside `user:secret`), percent-encoded, in hexadecimal. A guest that means to smuggle a secret out
//! can still transform it; this is for accidents, grants are for the rest.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use camshaft_model::{Map, Value};

/// The shortest value whose encoded forms are looked for: those of shorter ones stand in any text by chance.
const ENCODED_BYTES_MIN: usize = 4;
/// The shortest value that is looked for where a mark would do harm: in an answer, which gives a vendor its own words back. A shorter
/// one is guessed sooner than read.
const LONG_BYTES_MIN: usize = 8;

/// The secrets that one call has been given, in every form that is looked for.
#[derive(Default, Clone)]
pub(crate) struct Mask {
    /// Longest first: of two that begin at the same place, the longer one is the whole.
    needles: Vec<Needle>,
}

#[derive(Clone)]
struct Needle {
    text: String,
    /// What stands in its place.
    mark: String,
    /// Of the secret that this is a form of.
    secret_bytes: usize,
}

impl Mask {
    /// Masks this secret from now on.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        self.add_as(&format!("<secret {name}>"), value);
    }

    /// The same, with the mark that stands in its place.
    pub(crate) fn add_as(&mut self, mark: &str, value: &str) {
        let mut texts = vec![value.to_owned(), escaped(value)];
        if value.len() >= ENCODED_BYTES_MIN {
            texts.extend(base64_forms(value));
            texts.extend(percent_forms(value));
            texts.extend(hex_forms(value));
        }
        for text in texts {
            if !text.is_empty() && !self.needles.iter().any(|needle| needle.text == text) {
                self.needles.push(Needle { text, mark: mark.to_owned(), secret_bytes: value.len() });
            }
        }
        self.needles.sort_by_key(|needle| std::cmp::Reverse(needle.text.len()));
    }

    /// The mask of secrets that are long enough to be none by chance.
    pub(crate) fn of_long(&self) -> Self {
        let long = self.needles.iter().filter(|needle| needle.secret_bytes >= LONG_BYTES_MIN);
        Self { needles: long.cloned().collect() }
    }

    /// A text without secrets. One pass: marks are not looked into again, whatever a secret's value is.
    pub(crate) fn text(&self, text: String) -> String {
        // Nearly all are longer than what they are looked for in, which `find` would notice after it has got ready for the search.
        let first = |needle: &Needle| if needle.text.len() > text.len() { None } else { text.find(&needle.text) };
        let mut next: Vec<_> = self.needles.iter().map(first).collect();
        if next.iter().all(Option::is_none) {
            return text;
        }
        let (mut masked, mut from) = (String::with_capacity(text.len()), 0);
        loop {
            for (needle, next) in self.needles.iter().zip(&mut next) {
                if next.is_some_and(|at| at < from) {
                    *next = text[from..].find(&needle.text).map(|at| from + at);
                }
            }
            // The first of the earliest is the longest of them.
            let found = next.iter().zip(&self.needles).filter_map(|(at, needle)| at.map(|at| (at, needle)));
            let Some((at, needle)) = found.min_by_key(|(at, _)| *at) else { break };
            masked.push_str(&text[from..at]);
            masked.push_str(&needle.mark);
            from = at + needle.text.len();
        }
        masked.push_str(&text[from..]);
        masked
    }

    /// Bytes without secrets. A secret is UTF-8, so it stands within what of them is; the others stay as they are.
    pub(crate) fn bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        match String::from_utf8(bytes) {
            Ok(text) => self.text(text).into_bytes(),
            Err(error) => {
                let mut masked = Vec::with_capacity(error.as_bytes().len());
                for chunk in error.as_bytes().utf8_chunks() {
                    masked.extend_from_slice(self.text(chunk.valid().to_owned()).as_bytes());
                    masked.extend_from_slice(chunk.invalid());
                }
                masked
            }
        }
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
        if self.needles.is_empty() {
            return fields;
        }
        fields.into_iter().map(|(key, field)| (self.text(key), self.value(field))).collect()
    }
}

/// As it stands between the quotes of JSON.
fn escaped(value: &str) -> String {
    let json = Value::from(value).to_string();
    json[1..json.len() - 1].to_owned()
}

/// What of the value's Base64 does not depend on the bytes around it, for each place that it can begin at.
fn base64_forms(value: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for before in 0..3 {
        let bytes: Vec<u8> = std::iter::repeat_n(0, before).chain(value.bytes()).collect();
        // Six bits a digit: a digit that holds bits of a neighbour is left out.
        let (first, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        for alphabet in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            forms.push(alphabet.encode(&bytes)[first..end].to_owned());
        }
    }
    forms
}

/// As it stands in a URL: by the strict rule, in a path, as JavaScript writes it, and in a form.
fn percent_forms(value: &str) -> Vec<String> {
    let form = |kept: &[u8], upper: bool| {
        value.bytes().fold(String::new(), |mut text, byte| {
            match byte {
                byte if byte.is_ascii_alphanumeric() || kept.contains(&byte) => text.push(char::from(byte)),
                byte => text.extend(['%'].into_iter().chain(hex(byte, upper))),
            }
            text
        })
    };
    let strict = form(b"-._~", true);
    let (lower, path) = (form(b"-._~", false), form(b"-._~!$&'()*+,;=:@/", true));
    let (script, plus) = (form(b"-._~!'()*", true), form(b"-._*", true).replace("%20", "+"));
    vec![strict, lower, path, script, plus]
}

fn hex_forms(value: &str) -> [String; 2] {
    [true, false].map(|upper| value.bytes().flat_map(|byte| hex(byte, upper)).collect())
}

/// A byte's two digits.
fn hex(byte: u8, upper: bool) -> [char; 2] {
    let digits = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    [byte >> 4, byte & 15].map(|digit| char::from(digits[usize::from(digit)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;
    use camshaft_model::json;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn mask(secrets: &[(&str, &str)]) -> Mask {
        let mut mask = Mask::default();
        secrets.iter().for_each(|(name, value)| mask.add(name, value));
        mask
    }

    #[test]
    fn a_secret_is_found_however_it_is_written() {
        let secret = "hunter2 \"qu/ote\" ä?";
        let mask = mask(&[("key", secret)]);
        let mut forms = vec![
            secret.to_owned(),
            r#"hunter2 \"qu/ote\" ä?"#.to_owned(),
            "68756e74657232202271752f6f74652220c3a43f".to_owned(),
            "68756E74657232202271752F6F74652220C3A43F".to_owned(),
            "hunter2%20%22qu%2Fote%22%20%C3%A4%3F".to_owned(),
            "hunter2%20%22qu%2fote%22%20%c3%a4%3f".to_owned(),
            "hunter2%20%22qu/ote%22%20%C3%A4%3F".to_owned(),
            "hunter2+%22qu%2Fote%22+%C3%A4%3F".to_owned(),
        ];
        for around in ["", "u:", "ab:", "abc:"] {
            forms.push(STANDARD.encode(format!("{around}{secret}")));
            forms.push(URL_SAFE_NO_PAD.encode(format!("{around}{secret}{around}")));
        }
        for form in forms {
            let text = mask.text(format!("a {form} b {form}"));
            assert_eq!(text.matches("<secret key>").count(), 2, "{form} gave {text}");
        }
    }

    #[test]
    fn marks_are_not_masked_again_and_the_longest_secret_wins() {
        let mask = mask(&[("a", "secret"), ("b", "secretary"), ("c", "e")]);
        assert_eq!(mask.text("the secretary's secret".into()), "th<secret c> <secret b>'s <secret a>");
    }

    #[test]
    fn a_secret_is_found_among_bytes_that_are_no_text() {
        let mask = mask(&[("key", "ähem")]);
        assert_eq!(mask.bytes("say ähem".into()), b"say <secret key>");
        // Each of these could be taken for the beginning of what follows.
        for around in [&b"\xff"[..], b"\xc3", b"\xe2\x82", b"\xf0\x9f\x92", b"\x00"] {
            let bytes = [around, "ähem".as_bytes(), around, b"other", around].concat();
            let expected = [around, b"<secret key>", around, b"other", around].concat();
            assert_eq!(mask.bytes(bytes), expected, "{around:?}");
        }
    }

    #[test]
    fn keys_and_numbers_are_masked_and_others_left_alone() {
        let mask = mask(&[("pin", "4711"), ("word", "swordfish"), ("empty", "")]);
        let value = json!({"n": 4711, "m": 12.5, "swordfish": [{"x": "say swordfish"}], "k": null, "t": true});
        let expected = json!({
            "n": "<secret pin>", "m": 12.5, "<secret word>": [{"x": "say <secret word>"}], "k": null, "t": true
        });
        assert_eq!(mask.value(value), expected);
        assert_eq!(Mask::default().text("ab".into()), "ab");
    }

    proptest! {
        // Of letters that no mark has, and so few that secrets begin, end and overlap everywhere.
        #[test]
        fn no_secret_is_left_and_nothing_else_is_lost(
            secrets in vec("[xyz\"]{1,5}", 1..4),
            pieces in vec(("[xyz\" ]{0,6}", any::<prop::sample::Index>()), 0..8),
            between in prop::sample::select(vec![&b""[..], b"\xff", b"\xe2\x82"]),
        ) {
            let named: Vec<_> = secrets.iter().map(|secret| ("a", secret.as_str())).collect();
            let mask = mask(&named);
            let texts: Vec<_> = pieces.iter().map(|(text, at)| format!("{text}{}", at.get(&secrets))).collect();
            let (text, bytes) = (texts.concat(), texts.join("\u{0}").into_bytes());
            let masked = mask.text(text.clone());
            let bytes = mask.bytes([&bytes, between, &bytes].concat());
            for secret in &secrets {
                prop_assert!(!masked.contains(secret), "{:?} in {:?}", secret, masked);
                prop_assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()));
            }
            // What stands between the marks stood there before, in this order.
            let mut rest = text.as_str();
            for part in masked.split("<secret a>") {
                let at = rest.find(part);
                prop_assert!(at.is_some(), "{:?} of {:?} is not in {:?}", part, masked, text);
                rest = &rest[at.unwrap_or_default() + part.len()..];
            }
        }
    }
}
