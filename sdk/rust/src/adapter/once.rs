//! Reads a JSON object in which each key comes once. What is verified field by field must not be read in two ways.
//!
//! Each kind of value has an answer of its own here: serde's says what it found, and the code that writes numbers for people is 20 KB.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// The fields of an object, in their order.
pub(super) struct Once(pub(super) Map<String, Value>);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Fields)
    }
}

struct Fields;

impl Fields {
    fn no_object<E: Error>(self) -> Result<Once, E> {
        Err(E::custom("it is no object"))
    }
}

impl<'de> Visitor<'de> for Fields {
    type Value = Once;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Once, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format_args!("`{name}` comes more than once")));
            }
            fields.insert(name, map.next_value()?);
        }
        Ok(Once(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Once, A::Error> {
        self.no_object()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Once, E> {
        self.no_object()
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Once, E> {
        self.no_object()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Once, E> {
        self.no_object()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Once, E> {
        self.no_object()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Once, E> {
        self.no_object()
    }

    fn visit_unit<E: Error>(self) -> Result<Once, E> {
        self.no_object()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Map<String, Value>, String> {
        serde_json::from_str::<Once>(json).map(|once| once.0).map_err(|error| error.to_string())
    }

    #[test]
    fn each_key_comes_once_however_it_is_spelled() {
        assert_eq!(read(r#"{"a":{"b":1},"b":null}"#).unwrap()["a"], serde_json::json!({ "b": 1 }));
        for twice in [r#"{"a":1,"a":1}"#, r#"{"a":1,"b":2,"\u0061":3}"#, r#"{"a":null,"a":{}}"#] {
            let error = read(twice).unwrap_err();
            assert!(error.starts_with("`a` comes more than once"), "{twice}: {error}");
        }
    }

    #[test]
    fn what_is_no_object_is_told_so() {
        for other in ["[]", "[{}]", "\"a\"", "true", "7", "-7", "1.5", "null"] {
            let error = read(other).unwrap_err();
            assert!(error.starts_with("it is no object"), "{other}: {error}");
        }
        assert!(read("{}{}").is_err());
    }
}
