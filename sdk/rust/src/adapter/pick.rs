//! Reads a few texts out of a JSON object by their paths, and skips the rest without building it.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_json::Number;
use std::borrow::Cow;
use std::fmt;

/// The texts at these paths; see [`super::Request::texts`].
pub(super) fn texts<const N: usize>(json: &[u8], paths: [&str; N]) -> Result<[Option<String>; N], serde_json::Error> {
    let mut found = std::array::from_fn(|_| None);
    let wanted = paths.iter().enumerate().map(|(place, path)| (place, Some(*path))).collect();
    let mut reader = serde_json::Deserializer::from_slice(json);
    Pick { wanted, found: &mut found, whole: true }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(found)
}

/// One value of the body.
struct Pick<'a> {
    /// Which text it may be or hold, and what is left of its path; nothing where it is the text itself.
    wanted: Vec<(usize, Option<&'a str>)>,
    found: &'a mut [Option<String>],
    /// Whether it is the body itself.
    whole: bool,
}

impl Pick<'_> {
    /// The last of the same keys counts, as everywhere in JSON.
    fn is(self, text: Option<String>) {
        for (place, rest) in self.wanted {
            self.found[place] = if rest.is_none() { text.clone() } else { None };
        }
    }

    fn scalar<E: Error>(self, text: String) -> Result<(), E> {
        if self.whole {
            return Err(E::invalid_type(Unexpected::Other("no object"), &self));
        }
        self.is(Some(text));
        Ok(())
    }

    /// A list or object is no text itself; what it holds is looked at afterwards.
    fn forget(&mut self) {
        for (place, _) in &self.wanted {
            self.found[*place] = None;
        }
    }

    fn below(&mut self, key: &str) -> Pick<'_> {
        let deeper = self.wanted.iter().filter_map(|(place, rest)| match (*rest)?.split_once('.') {
            Some((first, rest)) => (first == key).then_some((*place, Some(rest))),
            None => (*rest == Some(key)).then_some((*place, None)),
        });
        Pick { wanted: deeper.collect(), found: self.found, whole: false }
    }
}

impl<'de> DeserializeSeed<'de> for Pick<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.wanted.is_empty() && !self.whole {
            return deserializer.deserialize_ignored_any(IgnoredAny).map(|_| ());
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Pick<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.forget();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            map.next_value_seed(self.below(&key))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        if self.whole {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        self.forget();
        let mut index = 0_usize;
        while items.next_element_seed(self.below(&index.to_string()))?.is_some() {
            index += 1;
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.scalar(text.to_owned())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.scalar(value.to_string())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.scalar(value.to_string())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.scalar(value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        // As JSON writes it; the formatting of floats for people is code that nothing else here needs.
        self.scalar(Number::from_f64(value).map(|number| number.to_string()).unwrap_or_default())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        if self.whole {
            return Err(E::invalid_type(Unexpected::Unit, &self));
        }
        self.is(None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::texts;

    fn picked(json: &str, path: &str) -> Option<String> {
        let [text] = texts(json.as_bytes(), [path]).unwrap();
        text
    }

    #[test]
    fn texts_numbers_and_truth_values_are_found_where_they_are() {
        let json = r#"{"a":{"b":[{"c":"x"},{"c":-7}]},"t":true,"f":1.5,"n":18446744073709551615,"e":"\u00e4\n"}"#;
        let found = texts(json.as_bytes(), ["a.b.0.c", "a.b.1.c", "t", "f", "n", "e"]).unwrap();
        let found: Vec<_> = found.iter().flatten().map(String::as_str).collect();
        assert_eq!(found, ["x", "-7", "true", "1.5", "18446744073709551615", "\u{e4}\n"]);
    }

    #[test]
    fn what_is_not_there_or_no_text_is_none() {
        let json = r#"{"a":{"b":"x"},"l":["x"],"n":null}"#;
        for path in ["", "b", "a", "a.b.c", "l", "l.1", "l.x", "n", "n.a", "a."] {
            assert_eq!(picked(json, path), None, "{path}");
        }
    }

    #[test]
    fn the_last_of_the_same_keys_counts() {
        assert_eq!(picked(r#"{"a":1,"a":2}"#, "a").as_deref(), Some("2"));
        assert_eq!(picked(r#"{"a":1,"a":null}"#, "a"), None);
        assert_eq!(picked(r#"{"a":{"b":1},"a":3}"#, "a.b"), None);
        assert_eq!(picked(r#"{"a":1,"a":{}}"#, "a"), None);
        assert_eq!(picked(r#"{"a":{"b":1},"a":{}}"#, "a.b"), None);
    }

    #[test]
    fn only_a_whole_object_will_do() {
        for bad in ["", "[]", "null", "7", "\"a\"", "true", "{", "{} {}", "{\"a\":}", "{\"a\":\"\u{1}\"}"] {
            assert!(texts(bad.as_bytes(), ["a"]).is_err(), "{bad}");
        }
        assert!(texts(b"{\"a\":\"\xff\"}", ["a"]).is_err());
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
        assert!(texts(deep.as_bytes(), ["a.0"]).is_ok(), "what is skipped may be as deep as it likes");
    }
}
