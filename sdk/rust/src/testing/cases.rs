//! Golden cases: JSON files that say what a plugin makes of an input, run by one test of the plugin.
//!
//! A case of a task, of which `http`, `secrets` and either `output` or `failure` may be left out:
//!
//! ```json
//! { "name": "greets by name", "input": { "name": "Ada" }, "secrets": { "token": "s3cret" },
//!   "http": [ { "request": { "method": "GET", "url": "https://api.example.com/", "headers": { "accept": "*/*" }, "body": "…" },
//!               "answer": { "status": 200, "headers": { "content-type": "application/json" }, "body": {} } } ],
//!   "output": { "text": "Hello, Ada!" } }
//! ```
//!
//! A case of an adapter:
//!
//! ```json
//! { "name": "a push", "config": {}, "secrets": { "signing_secret": ["s3cret"] },
//!   "request": { "headers": { "x-github-event": "push" }, "body": "{}", "received_at": 1767225600000 },
//!   "receipt": { "events": [ { "type": "push" } ] } }
//! ```

use super::{Answer, Host};
use crate::adapter::{Adapter, Event, Receipt, Rejection, Request};
use crate::http::HttpError;
use crate::task::{Failure, FailureKind, Task};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

/// Runs every case of a folder against a task. Paths are those of the crate: `task_cases::<greet>("cases")`.
///
/// # Panics
/// With every case that does not hold, and where the folder has none.
pub fn task_cases<T: Task>(folder: &str) {
    run(folder, |case: TaskCase| case.check::<T>());
}

/// Runs every case of a folder against an adapter: `adapter_cases::<GitHub>("cases")`.
///
/// # Panics
/// With every case that does not hold, and where the folder has none.
pub fn adapter_cases<A: Adapter>(folder: &str) {
    run(folder, |case: AdapterCase| case.check::<A>());
}

fn run<C: DeserializeOwned>(folder: &str, check: impl Fn(C) -> Result<(), String>) {
    let entries = fs::read_dir(Path::new(folder)).unwrap_or_else(|error| panic!("the folder `{folder}`: {error}"));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a folder can be read").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    assert!(!files.is_empty(), "the folder `{folder}` has no cases");
    let faults: Vec<String> = files
        .iter()
        .filter_map(|file| {
            let text = fs::read_to_string(file).map_err(|error| error.to_string());
            let case = text.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
            case.and_then(&check).err().map(|fault| format!("{}: {fault}", file.display()))
        })
        .collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn same(what: &str, expected: &Value, found: &Value) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    Err(format!("{what}\n  expected {expected}\n  found    {found}"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskCase {
    #[serde(rename = "name")]
    _name: String,
    input: Value,
    #[serde(default)]
    secrets: Map<String, Value>,
    #[serde(default)]
    http: Vec<Exchange>,
    #[serde(default, deserialize_with = "present")]
    output: Option<Value>,
    failure: Option<Value>,
}

/// A key that is there counts, even with null.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    request: Value,
    answer: Value,
}

impl TaskCase {
    fn check<T: Task>(&self) -> Result<(), String> {
        let mut host = Host::new();
        for (name, value) in &self.secrets {
            host = host.secret(name, value.as_str().ok_or("a secret is a string")?);
        }
        for Exchange { request, answer } in &self.http {
            let text = |key: &str| request[key].as_str().ok_or(format!("a request needs `{key}`"));
            host = host.answer(text("method")?, text("url")?, canned(answer));
        }
        let found = match host.run(|| super::call::<T>(self.input.clone())) {
            Ok(output) => json!({ "output": output }),
            Err(failure) => json!({ "failure": told(&failure) }),
        };
        let expected = match (&self.output, &self.failure) {
            (Some(output), None) => json!({ "output": output }),
            (None, Some(failure)) => json!({ "failure": failure }),
            _ => return Err("a case has either `output` or `failure`".to_owned()),
        };
        same("result", &expected, &found)?;
        let sent = host.requests();
        if sent.len() != self.http.len() {
            return Err(format!("{} requests were sent; the case has {}", sent.len(), self.http.len()));
        }
        for (Exchange { request, .. }, sent) in self.http.iter().zip(&sent) {
            for (name, value) in request["headers"].as_object().into_iter().flatten() {
                same(&format!("header `{name}`"), value, &json!(sent.header(name)))?;
            }
            if let Some(body) = request.get("body") {
                same("request body", body, &text_or_json(&sent.body, body))?;
            }
        }
        Ok(())
    }
}

/// A body as the case writes it: a string is compared as text, anything else as JSON.
fn text_or_json(bytes: &[u8], like: &Value) -> Value {
    if like.is_string() {
        json!(String::from_utf8_lossy(bytes))
    } else {
        serde_json::from_slice(bytes).unwrap_or_default()
    }
}

/// `{"error": "unavailable", "message": …}`, or status, headers and body.
fn canned(answer: &Value) -> Answer {
    let message = answer["message"].as_str().unwrap_or("no answer").to_owned();
    match answer["error"].as_str() {
        Some("denied") => return Answer::error(HttpError::Denied(message)),
        Some("timeout") => return Answer::error(HttpError::Timeout(message)),
        Some(_) => return Answer::error(HttpError::Unavailable(message)),
        None => {}
    }
    let status = answer["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(200);
    let body = match &answer["body"] {
        Value::Null => Vec::new(),
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    };
    let headers = answer["headers"].as_object().into_iter().flatten();
    headers.fold(Answer::bytes(status, body), |answer, (name, value)| {
        answer.header(name, value.as_str().unwrap_or_default())
    })
}

fn told(failure: &Failure) -> Value {
    let kind = match failure.kind {
        FailureKind::InvalidInput => "invalid_input",
        FailureKind::Failed => "failed",
        FailureKind::Unavailable { .. } => "unavailable",
    };
    let mut told = json!({ "kind": kind, "message": failure.message });
    if let FailureKind::Unavailable { retry_after: Some(wait) } = failure.kind {
        told["retry_after_ms"] = json!(wait.as_millis());
    }
    if let Some(details) = &failure.details {
        told["details"] = details.clone();
    }
    told
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdapterCase {
    #[serde(rename = "name")]
    _name: String,
    #[serde(default)]
    config: Value,
    #[serde(default)]
    secrets: Map<String, Value>,
    request: Delivery,
    receipt: Option<Value>,
    rejection: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delivery {
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    path: String,
    #[serde(default)]
    query: String,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    received_at: u64,
}

impl AdapterCase {
    fn check<A: Adapter>(&self) -> Result<(), String> {
        let headers: Vec<(&str, &str)> = self
            .request
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()))
            .collect();
        let request = Request {
            method: self.request.method.clone().unwrap_or("POST".to_owned()),
            path: self.request.path.clone(),
            query: self.request.query.clone(),
            ..super::delivery(&headers, self.request.body.as_bytes(), self.request.received_at)
        };
        let values: Vec<(&str, Vec<&str>)> =
            self.secrets.iter().map(|(name, values)| (name.as_str(), texts(values))).collect();
        let secrets: Vec<(&str, &[&str])> = values.iter().map(|(name, values)| (*name, values.as_slice())).collect();
        let found = match super::receive::<A>(&request, self.config.clone(), &secrets) {
            Ok(receipt) => json!({ "receipt": receipt_told(&receipt) }),
            Err(rejection) => json!({ "rejection": rejection_told(&rejection) }),
        };
        let expected = match (&self.receipt, &self.rejection) {
            (Some(receipt), None) => json!({ "receipt": receipt }),
            (None, Some(rejection)) => json!({ "rejection": rejection }),
            _ => return Err("a case has either `receipt` or `rejection`".to_owned()),
        };
        same("result", &expected, &found)
    }
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        other => other.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
    }
}

fn receipt_told(receipt: &Receipt) -> Value {
    let events: Vec<&Event> = receipt.events.iter().collect();
    let mut told = json!({ "events": events });
    if let Some(response) = &receipt.respond {
        let body = String::from_utf8_lossy(&response.body).into_owned();
        let headers: Map<String, Value> =
            response.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        told["respond"] = json!({ "status": response.status, "headers": headers, "body": body });
    }
    told
}

fn rejection_told(rejection: &Rejection) -> Value {
    let kind = match rejection {
        Rejection::Unauthorized(_) => "unauthorized",
        Rejection::Malformed(_) => "malformed",
        Rejection::Unsupported(_) => "unsupported",
    };
    json!({ kind: rejection.message() })
}
