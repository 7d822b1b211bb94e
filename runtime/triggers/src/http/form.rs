//! Forms and query strings: `application/x-www-form-urlencoded` (WHATWG URL, section 5).

use camshaft_model::{Map, Value};

/// The fields of a form as an object: one value is a text, the values of a repeated key are a list in their order. Escapes
/// that are not UTF-8 are replaced.
pub(crate) fn parse(form: &[u8]) -> Map<String, Value> {
    let mut fields = Map::new();
    for (key, value) in form_urlencoded::parse(form) {
        put(&mut fields, key.into_owned(), Value::String(value.into_owned()));
    }
    fields
}

/// Puts a value under a key, beside those that stand there already. Values that are lists themselves cannot be told from
/// several values, so callers have none.
pub(crate) fn put(fields: &mut Map<String, Value>, key: String, value: Value) {
    match fields.entry(key) {
        serde_json::map::Entry::Vacant(entry) => {
            entry.insert(value);
        }
        serde_json::map::Entry::Occupied(mut entry) => match entry.get_mut() {
            Value::Array(values) => values.push(value),
            first => {
                let values = vec![first.take(), value];
                *first = Value::Array(values);
            }
        },
    }
}
