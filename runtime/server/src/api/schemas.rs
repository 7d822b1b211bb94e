//! What an adapter's configuration schema says: of an integration's configuration, and of the values of its secrets.

use camshaft_model::plugin::AdapterDescriptor;
use jsonschema::{Registry, ValidationError, Validator};
use serde_json::json;

/// What the schema is called where a part of it is looked at.
const WHOLE: &str = "urn:camshaft:configuration";
/// What holds the schemas of secrets, by name.
const SECRETS: &str = "x-secrets";

/// Why a schema cannot be used: what, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("brings a broken {what}: {why}")]
pub struct Broken {
    what: String,
    why: String,
}

/// Checks every schema of an adapter, so that one that is broken is noticed before anybody sets it up.
pub fn check(descriptor: &AdapterDescriptor) -> Result<(), Broken> {
    of_config(descriptor)?;
    let secrets = descriptor.config_schema[SECRETS].as_object();
    secrets.into_iter().flatten().try_for_each(|(secret, _)| of_secret(descriptor, secret).map(drop))
}

/// The schema of the configuration.
pub fn of_config(descriptor: &AdapterDescriptor) -> Result<Validator, Broken> {
    let broken = |why: ValidationError<'_>| Broken { what: "configuration schema".to_owned(), why: why.to_string() };
    jsonschema::validator_for(&descriptor.config_schema).map_err(broken)
}

/// The schema of a secret's values, and what it says of itself; none where nothing is said. It may refer to other parts of the
/// whole (`$ref`), and to nothing outside.
pub fn of_secret(descriptor: &AdapterDescriptor, secret: &str) -> Result<Option<(Validator, Option<String>)>, Broken> {
    let whole = &descriptor.config_schema;
    let Some(schema) = whole[SECRETS].get(secret) else { return Ok(None) };
    let broken = |why: String| Broken { what: format!("schema of secret `{secret}`"), why };
    let registry = Registry::new().add(WHOLE, whole).and_then(|registry| registry.prepare());
    let registry = registry.map_err(|error| broken(error.to_string()))?;
    let key = secret.replace('~', "~0").replace('/', "~1");
    let part = json!({ "$ref": format!("{WHOLE}#/{SECRETS}/{key}") });
    let validator = jsonschema::options().with_registry(&registry).build(&part);
    let validator = validator.map_err(|error| broken(error.to_string()))?;
    Ok(Some((validator, schema["description"].as_str().map(str::to_owned))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use camshaft_model::Value;

    fn adapter(config_schema: Value) -> AdapterDescriptor {
        let vendor = "Bench".to_owned();
        let summary = "An adapter".to_owned();
        AdapterDescriptor { vendor, summary, config_schema, secrets: vec![], events: vec![], docs: None, hosts: vec![] }
    }

    fn takes(schema: &Value, secret: &str, value: &str) -> bool {
        let (validator, _) = of_secret(&adapter(schema.clone()), secret).unwrap().unwrap();
        validator.is_valid(&Value::from(value))
    }

    #[test]
    fn a_secret_s_schema_may_refer_to_the_rest() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {"prefix": {"type": "string", "pattern": "^p"}},
            "required": ["prefix"],
            "$defs": {"hex": {"type": "string", "pattern": "^[0-9a-f]+$"}, "short": {"allOf": [{"$ref": "#/$defs/hex"}, {"maxLength": 4}]}},
            "x-secrets": {
                "one": {"$ref": "#/$defs/short"},
                "two": {"$ref": "#/x-secrets/one", "minLength": 2},
                "three": {"$ref": "#/properties/prefix"},
                "a/b~c": {"const": "x"},
            },
        });
        check(&adapter(schema.clone())).unwrap();
        for (secret, value, taken) in [
            ("one", "ab1", true),
            ("one", "xyz", false),
            ("one", "abcde", false),
            ("two", "ab", true),
            ("two", "a", false),
            ("three", "pq", true),
            ("three", "q", false),
            ("a/b~c", "x", true),
            ("a/b~c", "y", false),
        ] {
            assert_eq!(takes(&schema, secret, value), taken, "{secret} {value}");
        }
        // The same where the whole has a name of its own.
        let named = json!({"$id": "https://vendor.example/config", "$defs": schema["$defs"], "x-secrets": {"one": {"$ref": "#/$defs/hex"}}});
        assert!(takes(&named, "one", "ab1") && !takes(&named, "one", "xyz"));
        assert!(of_secret(&adapter(schema), "four").unwrap().is_none());
        assert!(of_secret(&adapter(json!(true)), "one").unwrap().is_none());
    }

    #[test]
    fn a_reference_that_leads_nowhere_is_named_and_nothing_is_fetched() {
        for (schema, what, named) in [
            (json!({"x-secrets": {"key": {"$ref": "#/$defs/hex"}}}), "schema of secret `key`", "/$defs/hex"),
            (
                json!({"x-secrets": {"key": {"$ref": "https://a.example/b"}}}),
                "schema of secret `key`",
                "https://a.example/b",
            ),
            (json!({"x-secrets": {"key": {"type": "text"}}}), "schema of secret `key`", "type"),
            (json!({"properties": {"a": {"$ref": "#/$defs/a"}}}), "configuration schema", "/$defs/a"),
        ] {
            let broken = check(&adapter(schema.clone())).unwrap_err().to_string();
            assert!(broken.starts_with(&format!("brings a broken {what}: ")), "{broken}");
            assert!(broken.contains(named), "{broken}");
        }
    }
}
