//! What the task takes.

use camshaft_sdk::prelude::*;
use serde_json::Map;

/// A request.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpRequest {
    /// The method; `GET` if left out.
    #[serde(default = "get")]
    pub method: String,
    /// Where to send it: `https://…` or `http://…`. An operator has to grant the host.
    pub url: String,
    /// Headers: names with a value, or a list of values.
    #[serde(default)]
    pub headers: Map<String, Value>,
    /// Pairs to add to the query: names with a value, or a list of values. Null leaves a pair out.
    #[serde(default)]
    pub query: Map<String, Value>,
    /// The body: a string goes out as text, anything else as JSON. Null is no body.
    #[serde(default)]
    pub body: Option<Value>,
    /// Credentials.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// Milliseconds that the whole exchange may take.
    #[serde(default = "timeout")]
    pub timeout: u64,
    /// Statuses that mean "later": they fail the step as `unavailable`, which a retry rule takes up, after the time that the
    /// service names in `Retry-After`. An empty list makes every answer an output.
    #[serde(default = "busy")]
    pub unavailable_on: Vec<u16>,
}

/// Credentials.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Auth {
    /// `Authorization: Basic …`
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// `Authorization: Bearer …`
    Bearer(String),
}

fn get() -> String {
    "GET".to_owned()
}

fn timeout() -> u64 {
    30_000
}

fn busy() -> Vec<u16> {
    vec![429, 503]
}

/// The texts of a scalar or of a list of them; none for null; `None` for what cannot be one.
pub(crate) fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::String(text) => Some(vec![text.clone()]),
        Value::Bool(_) | Value::Number(_) => Some(vec![value.to_string()]),
        Value::Array(items) => items.iter().map(texts).collect::<Option<Vec<_>>>().map(|texts| texts.concat()),
        Value::Object(_) => None,
    }
}
