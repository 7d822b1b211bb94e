//! JSON Schemas of configurations. Those of the SDK's own, which most adapters have, are written out: their components then hold
//! no generator of schemas.

use super::NoConfig;
use crate::json;
use crate::verify::SharedToken;
use schemars::JsonSchema;
use serde_json::Value;
use std::any::TypeId;

const NO_CONFIG: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "NoConfig",
  "description": "The configuration of an adapter that has none.",
  "type": "object",
  "additionalProperties": false
}"#;

const SHARED_TOKEN: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "SharedToken",
  "description": "Where a delivery carries the token: configuration of an adapter whose vendor lets people choose.",
  "type": "object",
  "properties": {
    "header": {
      "description": "The header with the token; left out, it is the parameter `token` of the URL.",
      "type": ["string", "null"],
      "default": null
    }
  },
  "additionalProperties": false
}"#;

/// JSON Schema of a type of configuration.
pub(super) fn of<C: JsonSchema + 'static>() -> Value {
    let config = TypeId::of::<C>();
    if config == TypeId::of::<NoConfig>() {
        return written_schema(NO_CONFIG);
    }
    if config == TypeId::of::<SharedToken>() {
        return written_schema(SHARED_TOKEN);
    }
    made_schema::<C>()
}

/// A schema that is written out: `include_str!` of a file.
///
/// # Panics
/// Where the text is no JSON; it is compiled in, so the first test of the plugin shows it.
pub fn written_schema(text: &str) -> Value {
    serde_json::from_slice(text.as_bytes()).expect("the schema is JSON")
}

/// The schema that is made of a type.
pub fn made_schema<C: JsonSchema>() -> Value {
    json::input_schema::<C>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_out_is_what_would_be_made_of_the_type() {
        assert_eq!(of::<NoConfig>(), made_schema::<NoConfig>());
        assert_eq!(of::<SharedToken>(), made_schema::<SharedToken>());
    }
}
