//! The JSON Schema of the document, for editors: its keys, and what their values look like. The compiler knows more.

use serde_json::{Map, Value, json};

use crate::limits;
use crate::outcome::FailureKind;
use crate::workflow::ParamKind;

/// JSON Schema (draft 2020-12) of a workflow document.
pub fn schema() -> Value {
    let failures = FailureKind::ALL.map(FailureKind::as_str);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Camshaft workflow",
        "type": "object",
        "properties": {
            "name": {"$ref": "#/$defs/name"},
            "description": {"type": "string"},
            "labels": {"type": "object", "maxProperties": limits::LABELS_MAX, "additionalProperties": {"$ref": "#/$defs/text"}},
            "params": {"type": "object", "additionalProperties": param()},
            "triggers": {"type": "array", "items": {"oneOf": triggers()}},
            "limits": closed(json!({
                "timeout": duration("How long an execution may take"),
                "concurrency": count(limits::EXECUTIONS_AT_ONCE_MAX, "Executions at once"),
                "when_full": {"enum": ["queue", "reject"], "description": "What becomes of one more"},
                "per_day": {"type": "integer", "minimum": 1, "description": "Executions in a day (UTC)"},
                "per_month": {"type": "integer", "minimum": 1, "description": "Executions in a month (UTC)"},
            }), &[]),
            "steps": {"$ref": "#/$defs/steps"},
        },
        "required": ["name", "steps"],
        "additionalProperties": false,
        "$defs": {
            "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,62}$"},
            "id": {"type": "string", "pattern": "^[a-z_][a-z0-9_]{0,62}$"},
            "text": {"type": ["string", "number", "boolean"]},
            "duration": {"type": "string", "description": "500ms, 30s, 1h30m, 2d"},
            "key": {"type": ["string", "number", "boolean"], "minLength": 1},
            "topic": {"type": ["string", "number", "boolean"], "minLength": 1, "maxLength": limits::KEY_BYTES_MAX},
            "expression": {"type": ["string", "boolean", "number"], "description": "A jq expression; `$.` is the execution's context"},
            "retry": closed(json!({
                "attempts": count(limits::ATTEMPTS_MAX, "Attempts in all; 1 is no retry"),
                "first": duration("Wait before the second attempt"),
                "factor": {"type": "number", "minimum": 1, "maximum": 100, "description": "What each further wait is multiplied with"},
                "max": duration("Longest wait"),
                "jitter": {"type": "boolean", "description": "Whether waits are spread at random"},
                "on": {"type": "array", "items": {"enum": failures}, "description": "The failures that are worth another attempt"},
            }), &["attempts"]),
            "steps": {"type": "array", "items": {"$ref": "#/$defs/step"}},
            "step": {"oneOf": steps()},
        },
    })
}

fn param() -> Value {
    let types = ParamKind::ALL.map(ParamKind::as_str);
    let long = json!({"type": {"enum": types}, "required": {"type": "boolean"}, "default": {}, "description": {"type": "string"}});
    json!({"oneOf": [{"enum": types}, closed(long, &["type"])]})
}

fn triggers() -> Value {
    let webhook = json!({
        "integration": {"$ref": "#/$defs/name"},
        "when": expression("Holds for the events that are meant"),
        "on_failure": closed(json!({"status": {"type": "integer", "minimum": 200, "maximum": 599}}), &["status"]),
    });
    let text = json!({"type": "string", "minLength": 1, "maxLength": limits::KEY_BYTES_MAX});
    let event = json!({
        "type": text,
        "source": text,
        "topic": text,
        "when": expression("Holds for the events that are meant"),
    });
    let app_event = json!({
        "name": text,
        "integration": {"$ref": "#/$defs/name", "description": "Only with connections to this integration"},
        "when": expression("Holds for the events that are meant"),
    });
    let resource = json!({
        "integration": {"$ref": "#/$defs/name"},
        "user": expression("The user whom the delivery is about; the workflow starts with their connections"),
        "when": expression("Holds for the events that are meant"),
    });
    json!([
        closed(json!({"manual": {"type": ["object", "null"], "maxProperties": 0}}), &["manual"]),
        closed(
            json!({"request": {"oneOf": [{"type": "null"}, closed(json!({"token": {"const": "required"}}), &[])]}}),
            &["request"]
        ),
        closed(json!({"webhook": closed(webhook, &["integration"])}), &["webhook"]),
        closed(json!({"event": closed(event, &["type"])}), &["event"]),
        closed(json!({"app_event": closed(app_event, &["name"])}), &["app_event"]),
        closed(
            json!({"connected": closed(json!({"integration": {"$ref": "#/$defs/name"}}), &["integration"])}),
            &["connected"]
        ),
        closed(json!({"resource": closed(resource, &["integration"])}), &["resource"]),
        closed(json!({"schedule": {"oneOf": schedules()}}), &["schedule"]),
    ])
}

/// A schedule by a pattern, once, and by an interval.
fn schedules() -> Value {
    let missed = json!({"oneOf": [
        {"enum": ["latest", "all", "skip"]},
        closed(json!({"all": count(limits::MISSED_MAX, "The last so many")}), &["all"]),
    ], "description": "What becomes of firings that nobody was there for"});
    let any = json!({
        "missed": missed,
        "overlap": {"enum": ["skip", "queue", "allow", "cancel_previous"], "description": "What becomes of a firing while the execution of the one before goes on"},
        "jitter": duration("Each firing is put off by up to this much"),
        "params": {"type": "object", "description": "Parameters of its executions"},
        "integration": {"$ref": "#/$defs/name", "description": "One execution for each connection to it that has the workflow enabled"},
    });
    let wall = json!({
        "timezone": {"type": "string", "description": "A zone of the IANA database, such as Europe/Berlin; UTC where it is left out"},
        "gap": {"enum": ["next", "skip"], "description": "What becomes of a wall time that a change of clock leaves out"},
        "fold": {"enum": ["first", "both"], "description": "What becomes of a wall time that a change of clock repeats"},
    });
    let with = |own: Value, more: &[&Value]| {
        let all =
            [&own].into_iter().chain(more.iter().copied()).flat_map(|part| part.as_object().into_iter().flatten());
        Value::Object(all.map(|(key, value)| (key.clone(), value.clone())).collect())
    };
    let cron = json!({"cron": {"type": "string", "description": "Minute, hour, day, month, weekday; seconds before and years behind, if need be"}});
    let at = json!({"at": {"type": "string", "description": "A wall time: 2026-12-24T18:00:00"}});
    let every = json!({"every": duration("An interval, counted from 1970-01-01T00:00:00Z")});
    json!([
        closed(with(cron, &[&wall, &any]), &["cron"]),
        closed(with(at, &[&wall, &any]), &["at"]),
        closed(with(every, &[&any]), &["every"]),
    ])
}

/// Every kind of step, in the order of the document's description.
fn steps() -> Value {
    let status = json!({"oneOf": [{"type": "integer", "minimum": 200, "maximum": 599}, {"type": "string"}]});
    json!([
        step(
            json!({
                "task": {"type": "string", "description": "A task plugin: name, name@1, name@1.2 or name@1.2.3"},
                "with": {"description": "Its input; the only place for secrets"},
                "repeat": {"const": "never", "description": "An attempt that the server did not survive is not made again"},
            }),
            &["task"]
        ),
        step(json!({"if": expression("What is asked"), "then": block(), "else": block()}), &["if", "then"]),
        step(
            json!({
                "switch": expression("What is compared"),
                "cases": {"type": "object", "additionalProperties": block()}, "default": block(),
            }),
            &["switch", "cases"]
        ),
        step(
            json!({
                "for_each": expression("An array"),
                "as": {"$ref": "#/$defs/id", "description": "What `$.` calls an item; `item` where it is left out"},
                "concurrency": count(limits::CONCURRENCY_MAX, "Turns at once; 1 where it is left out"),
                "do": block(),
                "collect": expression("What becomes of a turn in the step's output"),
            }),
            &["for_each", "do"]
        ),
        json!({"anyOf": [{"required": ["until"]}, {"required": ["at_most"]}], "allOf": [step(json!({
            "repeat": block(),
            "until": expression("Asked after each turn"),
            "every": duration("Pause between two turns"),
            "at_most": count(limits::TURNS_MAX, "Most turns"),
        }), &["repeat"])]}),
        step(
            json!({
                "parallel": {
                    "type": "object", "minProperties": 1, "maxProperties": limits::BRANCHES_MAX,
                    "propertyNames": {"$ref": "#/$defs/id"}, "additionalProperties": block(),
                },
                "join": {"enum": ["all", "any"], "description": "Whether every branch is waited for, or one that succeeds"},
            }),
            &["parallel"]
        ),
        json!({"anyOf": [{"required": ["catch"]}, {"required": ["finally"]}], "allOf": [
            step(json!({"try": block(), "catch": block(), "finally": block()}), &["try"]),
        ]}),
        step(json!({"wait": wait()}), &["wait"]),
        step(
            json!({"approval": closed(json!({
            "ask": {"$ref": "#/$defs/text", "description": "The question to a person"},
            "of": {"type": "array", "items": {"$ref": "#/$defs/key"}, "description": "Labels of the tokens that may answer"},
            "timeout": duration("How long to wait for the answer"),
        }), &["ask"])}),
            &["approval"]
        ),
        step(
            json!({"lock": closed(json!({
            "key": {"$ref": "#/$defs/key", "description": "What is locked, within the workspace"},
            "timeout": duration("How long to stand in line"),
        }), &["key"]), "do": block()}),
            &["lock", "do"]
        ),
        step(json!({"set": {"type": "object", "minProperties": 1}}), &["set"]),
        step(
            json!({
                "workflow": {"$ref": "#/$defs/name", "description": "The workflow that is started"},
                "with": {"type": ["object", "string"], "description": "Its parameters"},
                "wait": {"type": "boolean", "description": "Whether to wait for its end"},
            }),
            &["workflow"]
        ),
        step(
            json!({"emit": closed(json!({
            "type": {"$ref": "#/$defs/key", "description": "The event's type, such as com.acme.order.taken"},
            "topic": {"$ref": "#/$defs/key", "description": "What waits listen to; the type where it is left out"},
            "subject": {"$ref": "#/$defs/text", "description": "What it happened to"},
            "data": {"description": "What it carries"},
        }), &["type"])}),
            &["emit"]
        ),
        step(
            json!({"exit": {"type": ["object", "null"], "properties": {
                "status": status, "headers": {"type": ["object", "string"]}, "run": {"enum": ["failed", "succeeded"]},
            }}}),
            &["exit"]
        ),
    ])
}

fn wait() -> Value {
    let event = closed(
        json!({"topic": {"$ref": "#/$defs/topic"}, "match": expression("Whether it is the one; `$.received` is the event")}),
        &["topic"],
    );
    json!({"oneOf": [
        duration("How long; or an expression, in braces"),
        {"type": "number", "exclusiveMinimum": 0, "maximum": limits::WAIT_MAX.as_secs(), "description": "Seconds"},
        closed(json!({"until": {"type": "string", "description": "A time as in RFC 3339"}}), &["until"]),
        closed(json!({"event": event, "timeout": duration("How long at most")}), &["event"]),
    ]})
}

/// A step: its own keys and those that any step takes.
fn step(own: Value, required: &[&str]) -> Value {
    let mut properties = json!({
        "id": {"$ref": "#/$defs/id", "description": "What `$.steps.ID` reads"},
        "name": {"$ref": "#/$defs/text", "description": "A title for people"},
        "when": expression("The step is skipped unless this holds"),
        "timeout": duration("How long one attempt may take"),
        "retry": {"$ref": "#/$defs/retry"},
        "on_error": {"enum": ["fail", "continue"], "description": "What a failure does"},
    });
    if let (Value::Object(all), Value::Object(own)) = (&mut properties, own) {
        all.extend(own);
    }
    closed(properties, required)
}

fn closed(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn block() -> Value {
    json!({"$ref": "#/$defs/steps"})
}

fn expression(description: &str) -> Value {
    described("expression", description)
}

fn duration(description: &str) -> Value {
    described("duration", description)
}

fn described(definition: &str, description: &str) -> Value {
    let mut described = Map::new();
    described.insert("$ref".to_owned(), format!("#/$defs/{definition}").into());
    described.insert("description".to_owned(), description.into());
    Value::Object(described)
}

fn count(most: u32, description: &str) -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": most, "description": description})
}
