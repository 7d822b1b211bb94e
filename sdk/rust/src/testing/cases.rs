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
//! A case of an adapter, which may have `http` too; the body of an answer may be a file of the crate, `body_file`:
//!
//! ```json
//! { "name": "a push", "config": {}, "secrets": { "signing_secret": ["s3cret"] },
//!   "request": { "headers": { "x-github-event": "push" }, "body": "{}", "received_at": 1767225600000 },
//!   "receipt": { "events": [ { "type": "push" } ] } }
//! ```

use super::{Answer, Host};
use crate::adapter::{Adapter, Event, Named, Receipt, Rejection, Request};
use crate::http::HttpError;
use crate::task::{Failure, FailureKind, Task};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
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
        let mut host = answering(&self.http)?;
        for (name, value) in &self.secrets {
            host = host.secret(name, value.as_str().ok_or("a secret is a string")?);
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
        asked(&self.http, &host)
    }
}

/// A mock host with the answers of a case.
fn answering(http: &[Exchange]) -> Result<Host, String> {
    http.iter().try_fold(Host::new(), |host, Exchange { request, answer }| {
        let text = |key: &str| request[key].as_str().ok_or(format!("a request needs `{key}`"));
        Ok(host.answer(text("method")?, text("url")?, canned(answer)?))
    })
}

/// Whether the requests of a case were sent, and no others.
fn asked(http: &[Exchange], host: &Host) -> Result<(), String> {
    let sent = host.requests();
    if sent.len() != http.len() {
        return Err(format!("{} requests were sent; the case has {}", sent.len(), http.len()));
    }
    for (Exchange { request, .. }, sent) in http.iter().zip(&sent) {
        for (name, value) in request["headers"].as_object().into_iter().flatten() {
            same(&format!("header `{name}`"), value, &json!(sent.header(name)))?;
        }
        if let Some(body) = request.get("body") {
            same("request body", body, &text_or_json(&sent.body, body))?;
        }
    }
    Ok(())
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
fn canned(answer: &Value) -> Result<Answer, String> {
    let message = answer["message"].as_str().unwrap_or("no answer").to_owned();
    match answer["error"].as_str() {
        Some("denied") => return Ok(Answer::error(HttpError::Denied(message))),
        Some("timeout") => return Ok(Answer::error(HttpError::Timeout(message))),
        Some(_) => return Ok(Answer::error(HttpError::Unavailable(message))),
        None => {}
    }
    let status = answer["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(200);
    let body = match (&answer["body"], answer["body_file"].as_str()) {
        (_, Some(file)) => fs::read(file).map_err(|error| format!("`{file}`: {error}"))?,
        (Value::Null, None) => Vec::new(),
        (Value::String(text), None) => text.clone().into_bytes(),
        (other, None) => other.to_string().into_bytes(),
    };
    let headers = answer["headers"].as_object().into_iter().flatten();
    Ok(headers.fold(Answer::bytes(status, body), |answer, (name, value)| {
        answer.header(name, value.as_str().unwrap_or_default())
    }))
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
    #[serde(default)]
    http: Vec<Exchange>,
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
    /// A file of the crate, in place of `body`.
    #[serde(default)]
    body_file: Option<String>,
    /// Bytes that are no text, in place of `body`.
    #[serde(default)]
    body_base64: Option<String>,
    #[serde(default)]
    received_at: u64,
    /// The URL that the vendor called, where it is signed.
    #[serde(default)]
    url: Option<String>,
}

impl Delivery {
    fn request(&self) -> Result<Request, String> {
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default())).collect();
        let body = match (&self.body_file, &self.body_base64) {
            (Some(file), _) => fs::read(file).map_err(|error| format!("`{file}`: {error}"))?,
            (None, Some(text)) => STANDARD.decode(text).map_err(|error| error.to_string())?,
            (None, None) => self.body.clone().into_bytes(),
        };
        let plain = super::delivery(&headers, body, self.received_at);
        Ok(Request {
            method: self.method.clone().unwrap_or("POST".to_owned()),
            path: self.path.clone(),
            query: self.query.clone(),
            public_url: self.url.clone().unwrap_or(plain.public_url.clone()),
            ..plain
        })
    }
}

impl AdapterCase {
    fn check<A: Adapter>(&self) -> Result<(), String> {
        let request = self.request.request()?;
        let values: Vec<(&str, Vec<&str>)> =
            self.secrets.iter().map(|(name, values)| (name.as_str(), texts(values))).collect();
        let secrets: Vec<(&str, &[&str])> = values.iter().map(|(name, values)| (*name, values.as_slice())).collect();
        let host = answering(&self.http)?;
        let found = match host.run(|| super::receive::<A>(&request, self.config.clone(), &secrets)) {
            Ok(receipt) => json!({ "receipt": receipt_told(&receipt) }),
            Err(rejection) => json!({ "rejection": rejection_told(&rejection) }),
        };
        let expected = match (&self.receipt, &self.rejection) {
            (Some(receipt), None) => json!({ "receipt": receipt }),
            (None, Some(rejection)) => json!({ "rejection": rejection }),
            _ => return Err("a case has either `receipt` or `rejection`".to_owned()),
        };
        same("result", &expected, &found)?;
        asked(&self.http, &host)
    }
}

/// Holds an adapter against a table of deliveries that its vendor's own library has signed, an object a line:
///
/// ```json
/// { "adapter": "github", "library": "@octokit/webhooks-methods", "version": "6.0.0", "secret": ["signing_secret", "s3cret"],
///   "request": { "headers": { "x-github-event": "push" }, "body": "{}", "received_at": 1767225600000 } }
/// ```
///
/// Each is taken as it is; with a bit of the body changed, or without the secret, it is not. A vendor that signs with a key of its own
/// has no `secret`, and may have `http` as in a case, for each time that the delivery is looked at.
///
/// # Panics
/// With every line that does not hold, and where the table has none for this adapter.
pub fn adapter_table<A: Adapter + Named>(file: &str) {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("the table `{file}`: {error}"));
    let lines =
        text.lines().map(|line| serde_json::from_str::<Line>(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    let own: Vec<Line> = lines.filter(|line| line.adapter == A::NAME).collect();
    assert!(!own.is_empty(), "the table `{file}` has no line for `{}`", A::NAME);
    let faults: Vec<String> = own.iter().filter_map(|line| line.check::<A>().err()).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    adapter: String,
    library: String,
    version: String,
    #[serde(default)]
    config: Value,
    secret: Option<(String, String)>,
    #[serde(default)]
    http: Vec<Exchange>,
    request: Delivery,
}

impl Line {
    fn check<A: Adapter>(&self) -> Result<(), String> {
        let request = self.request.request()?;
        let with = |request: &Request, secrets: &[(&str, &[&str])]| {
            let host = answering(&self.http)?;
            Ok::<_, String>(host.run(|| super::receive::<A>(request, self.config.clone(), secrets)))
        };
        let told = |what: &str, result: &dyn std::fmt::Debug| {
            format!("{what} of {} {} with {:?}: {result:?}", self.library, self.version, request.headers)
        };
        let secret = self.secret.as_ref().map(|(field, secret)| (field.as_str(), [secret.as_str()]));
        let own: Vec<(&str, &[&str])> = secret.iter().map(|(field, values)| (*field, &values[..])).collect();
        let taken = with(&request, &own)?;
        if taken.is_err() {
            return Err(told("a delivery", &taken));
        }
        let stripped = with(&request, &[])?;
        if secret.is_some() && !matches!(stripped, Err(Rejection::Unauthorized(_))) {
            return Err(told("without the secret, a delivery", &stripped));
        }
        let mut changed = request.clone();
        match changed.body.last_mut() {
            Some(last) => *last ^= 1,
            None => changed.body.push(b' '),
        }
        let changed = with(&changed, &own)?;
        // What is signed in parts is read first, and may be no JSON any more.
        let in_parts = secret.is_none() && matches!(changed, Err(Rejection::Malformed(_)));
        if !in_parts && !matches!(changed, Err(Rejection::Unauthorized(_))) {
            return Err(told("with one bit changed, a delivery", &changed));
        }
        Ok(())
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
        Rejection::Unavailable(_) => "unavailable",
    };
    json!({ kind: rejection.message() })
}
