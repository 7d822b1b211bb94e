//! JSON at the border: text to types with faults that name the field, and types to schemas.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;

/// Where and why a text is not the type that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The field, as `lines[2].price`; empty for the value itself.
    pub(crate) path: String,
    /// What is wrong with it.
    pub(crate) message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "`{}`: {}", self.path, self.message) }
    }
}

/// Parses a text. The common case is the plain parser; only a text that fails is read again with its path tracked.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    match serde_json::from_str(text) {
        Ok(value) => Ok(value),
        Err(error) => Err(locate::<T>(text, error)),
    }
}

#[cold]
fn locate<T: DeserializeOwned>(text: &str, error: serde_json::Error) -> Fault {
    let deserializer = &mut serde_json::Deserializer::from_str(text);
    let (path, error) = match serde_path_to_error::deserialize::<_, T>(deserializer) {
        Ok(_) => (String::new(), error),
        Err(located) => (located.path().to_string(), located.into_inner()),
    };
    let path = if path == "." || path == "?" { String::new() } else { path };
    Fault { path, message: without_position(&error) }
}

/// Parses a text with faults that name the key at most: a component that tracks no paths is some 30 KB smaller.
pub(crate) fn parse_unlocated<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    let fault = |error: serde_json::Error| Fault { path: String::new(), message: without_position(&error) };
    // As bytes, like the bodies of deliveries: a parser of text would be a second one in the component.
    serde_json::from_slice(text.as_bytes()).map_err(fault)
}

/// People did not write the text that a plugin gets, so its lines and columns say nothing to them.
fn without_position(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    message.strip_suffix(&position).unwrap_or(&message).to_owned()
}

/// The text of a value. `to_string` would bring the code that lays JSON out for people, too.
pub(crate) fn text(value: &Value) -> String {
    serde_json::to_string(value).expect("a JSON value can be written")
}

/// JSON Schema (2020-12) of what a type reads.
pub(crate) fn input_schema<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12().for_deserialize().into_generator().into_root_schema_for::<T>().to_value()
}

/// JSON Schema (2020-12) of what a type writes.
pub(crate) fn output_schema<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>().to_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[allow(dead_code)]
    struct Order {
        lines: Vec<Line>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[allow(dead_code)]
    struct Line {
        price: u32,
    }

    #[test]
    fn a_fault_names_the_field_by_its_path() {
        let fault = parse::<Order>(r#"{"lines":[{"price":1},{"price":"two"}]}"#).unwrap_err();
        assert_eq!(fault.to_string(), "`lines[1].price`: invalid type: string \"two\", expected u32");
    }

    #[test]
    fn a_missing_field_is_named() {
        let fault = parse::<Order>("{}").unwrap_err();
        assert_eq!(fault.to_string(), "missing field `lines`");
    }

    #[test]
    fn raw_json_passes_through_unchanged() {
        let raw = parse::<Box<serde_json::value::RawValue>>(r#" {"a" : 1.10} "#).unwrap();
        assert_eq!(raw.get(), r#"{"a" : 1.10}"#);
    }

    #[test]
    fn the_schema_lists_what_is_required() {
        assert_eq!(input_schema::<Order>()["required"], serde_json::json!(["lines"]));
    }
}
