//! Configurations that an adapter's JSON Schema allows, as far as schemas of configurations go.

use serde_json::{Map, Value, json};

use super::change::Bytes;

/// A configuration after a schema.
pub(crate) fn after(schema: &Value, input: &mut Bytes<'_>) -> Value {
    value(schema, schema, input)
}

fn value(whole: &Value, schema: &Value, input: &mut Bytes<'_>) -> Value {
    if let Some(path) = schema["$ref"].as_str() {
        let target = whole.pointer(path.trim_start_matches('#')).unwrap_or(&Value::Null);
        return value(whole, target, input);
    }
    for one in ["const", "default"] {
        if let Some(given) = schema.get(one).filter(|_| one == "const" || input.next().is_multiple_of(2)) {
            return given.clone();
        }
    }
    for forms in ["anyOf", "oneOf", "enum"] {
        if let Some(all) = schema[forms].as_array() {
            let chosen = input.one_of(all);
            return if forms == "enum" { chosen.clone() } else { value(whole, chosen, input) };
        }
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => input.one_of(kinds).as_str().unwrap_or_default(),
        kind => kind.as_str().unwrap_or_default(),
    };
    match kind {
        "object" => Value::Object(object(whole, schema, input)),
        "array" => (0..1 + input.below(3)).map(|_| value(whole, &schema["items"], input)).collect(),
        "string" => json!(input.text()),
        "integer" | "number" => json!(input.below(1 << 16)),
        "boolean" => json!(input.next().is_multiple_of(2)),
        _ => Value::Null,
    }
}

fn object(whole: &Value, schema: &Value, input: &mut Bytes<'_>) -> Map<String, Value> {
    let required = schema["required"].as_array();
    let needed = |name: &str| required.is_some_and(|names| names.iter().any(|one| one == name));
    let mut fields = Map::new();
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        if needed(name) || input.next().is_multiple_of(2) {
            fields.insert(name.clone(), value(whole, schema, input));
        }
    }
    fields
}
