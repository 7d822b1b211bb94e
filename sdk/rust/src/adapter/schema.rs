//! JSON Schemas of configurations. Those of the SDK's own, which most adapters have, are written out: their components then hold
//! no generator of schemas.

use super::{Adapter, NoConfig};
use crate::json;
use crate::verify::SharedToken;
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

/// JSON Schema of an adapter's configuration.
pub fn config_schema<A: Adapter>() -> Value {
    let config = TypeId::of::<A::Config>();
    let written = |text: &str| serde_json::from_slice(text.as_bytes()).expect("the schema is JSON, says a test");
    if config == TypeId::of::<NoConfig>() {
        return written(NO_CONFIG);
    }
    if config == TypeId::of::<SharedToken>() {
        return written(SHARED_TOKEN);
    }
    json::input_schema::<A::Config>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_out_is_what_would_be_made_of_the_type() {
        let written = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(written(NO_CONFIG), json::input_schema::<NoConfig>());
        assert_eq!(written(SHARED_TOKEN), json::input_schema::<SharedToken>());
    }
}
