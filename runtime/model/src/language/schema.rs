//! The JSON Schema of the document, for editors.

use serde_json::{Value, json};

use crate::outcome::FailureKind;
use crate::workflow::ParamKind;

/// JSON Schema (draft 2020-12) of a workflow document.
pub fn schema() -> Value {
    let expression = json!({"type": ["string", "boolean", "number"], "description": "A jq expression; `$.` is the execution's context"});
    let duration = json!({"type": "string", "description": "500ms, 30s, 1h30m, 2d"});
    let steps = json!({"type": "array", "items": {"$ref": "#/$defs/step"}});
    let name = json!({"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,62}$"});
    let failures = FailureKind::ALL.map(FailureKind::as_str);
    let types = ParamKind::ALL.map(ParamKind::as_str);
    let closed = |properties: Value, required: &[&str]| json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    let common = json!({
        "id": {"type": "string", "pattern": "^[a-z_][a-z0-9_]{0,62}$", "description": "What `$.steps.ID` reads"},
        "name": {"type": "string", "description": "A title for people"},
        "when": expression,
        "on_error": {"enum": ["fail", "continue"]},
    });
    let step = |own: Value, required: &[&str]| {
        let mut properties = common.clone();
        if let (Value::Object(all), Value::Object(own)) = (&mut properties, own) {
            all.extend(own);
        }
        closed(properties, required)
    };
    let retry = closed(
        json!({
            "attempts": {"type": "integer", "minimum": 1, "maximum": crate::limits::ATTEMPTS_MAX},
            "first": duration, "factor": {"type": "number", "minimum": 1, "maximum": 100}, "max": duration,
            "jitter": {"type": "boolean"}, "on": {"type": "array", "items": {"enum": failures}},
        }),
        &["attempts"],
    );
    let status = json!({"oneOf": [{"type": "integer", "minimum": 200, "maximum": 599}, {"type": "string"}]});
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Camshaft workflow",
        "type": "object",
        "properties": {
            "name": name,
            "description": {"type": "string"},
            "labels": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
            "params": {"type": "object", "additionalProperties": {"oneOf": [
                {"enum": types},
                closed(json!({"type": {"enum": types}, "required": {"type": "boolean"}, "default": {}, "description": {"type": "string"}}), &["type"]),
            ]}},
            "triggers": {"type": "array", "items": {"oneOf": [
                closed(json!({"manual": {"type": ["object", "null"], "maxProperties": 0}}), &["manual"]),
                closed(json!({"request": {"oneOf": [{"type": "null"}, closed(json!({"token": {"const": "required"}}), &[])]}}), &["request"]),
                closed(json!({"webhook": closed(json!({
                    "integration": name, "when": expression,
                    "on_failure": closed(json!({"status": {"type": "integer", "minimum": 200, "maximum": 599}}), &["status"]),
                }), &["integration"])}), &["webhook"]),
            ]}},
            "limits": closed(json!({"timeout": duration}), &[]),
            "steps": steps,
        },
        "required": ["name", "steps"],
        "additionalProperties": false,
        "$defs": {"step": {"oneOf": [
            step(json!({
                "task": {"type": "string", "description": "A task plugin: name, name@1, name@1.2 or name@1.2.3"},
                "with": {}, "timeout": duration, "retry": retry, "repeat": {"const": "never"},
            }), &["task"]),
            step(json!({"if": expression, "then": steps, "else": steps}), &["if", "then"]),
            step(json!({"switch": expression, "cases": {"type": "object", "additionalProperties": steps}, "default": steps}), &["switch", "cases"]),
            step(json!({"set": {"type": "object", "minProperties": 1}}), &["set"]),
            step(json!({"exit": {"type": ["object", "null"], "properties": {
                "status": status, "headers": {"type": ["object", "string"]}, "run": {"enum": ["failed", "succeeded"]},
            }}}), &["exit"]),
        ]}},
    })
}
