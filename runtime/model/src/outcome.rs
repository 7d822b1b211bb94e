//! How an execution or an attempt ended, and why.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The kind of a failure; the words of the workflow language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The input is not what the task takes.
    InvalidInput,
    /// The work failed and would fail again.
    Failed,
    /// Something needed is not there now; another attempt may help.
    Unavailable,
    /// The time allowed was over.
    Timeout,
    /// A bound of the sandbox was reached.
    Budget,
    /// The guest trapped.
    Trap,
    /// A grant is missing.
    Denied,
    /// An expression failed.
    Expression,
    /// Somebody cancelled.
    Cancelled,
    /// The server died during an observable attempt that may not be repeated.
    Lost,
    /// A person said no.
    Rejected,
}

impl FailureKind {
    /// Every kind, for messages and schemas.
    pub const ALL: [Self; 11] = [
        Self::InvalidInput,
        Self::Failed,
        Self::Unavailable,
        Self::Timeout,
        Self::Budget,
        Self::Trap,
        Self::Denied,
        Self::Expression,
        Self::Cancelled,
        Self::Lost,
        Self::Rejected,
    ];

    /// The word of the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::Failed => "failed",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Budget => "budget",
            Self::Trap => "trap",
            Self::Denied => "denied",
            Self::Expression => "expression",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why something failed, for people and for `catch`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind.
    pub kind: FailureKind,
    /// One sentence that names the thing and its value; never a secret.
    pub message: String,
    /// More, for programs. For `budget`: `{bound, limit, used, unit}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// How long to wait before another attempt, milliseconds, where the plugin knew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Failure {
    /// A failure without details.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), details: None, retry_after_ms: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

/// What a plugin call used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Time in the guest and its host calls, microseconds.
    #[serde(default)]
    pub wall_us: u64,
    /// Time on the processor, microseconds; counted in ticks of the epoch where the guest runs long.
    #[serde(default)]
    pub cpu_us: u64,
    /// Most memory at once, bytes.
    #[serde(default)]
    pub memory_bytes: u64,
    /// Outbound requests.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub requests: u32,
    /// Bytes of JSON in.
    #[serde(default)]
    pub input_bytes: u64,
    /// Bytes of JSON out.
    #[serde(default)]
    pub output_bytes: u64,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Every detail.
    Trace,
    /// For whoever looks for a fault.
    Debug,
    /// What happened.
    Info,
    /// Odd, but gone on with.
    Warn,
    /// Wrong.
    Error,
}

/// A line that a plugin wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// When, microseconds after the call began.
    pub after_us: u64,
    /// How much it matters.
    pub level: LogLevel,
    /// The text.
    pub message: String,
    /// Structured values.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
}

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// With this output.
    Succeeded(Arc<Value>),
    /// With this failure.
    Failed(Failure),
}

/// How one step ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// With this output.
    Succeeded(Arc<Value>),
    /// With this failure.
    Failed(Failure),
    /// Its `when` did not hold.
    Skipped,
    /// An `exit` inside it was reached.
    Exited,
}

/// How an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// All is well.
    Succeeded,
    /// A step failed and nothing caught it, or `exit` said so.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// It took longer than its workflow allows.
    TimedOut,
    /// It waited in the queue for longer than a day.
    Dropped,
}

/// The whole end of an execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// How.
    pub ending: Ending,
    /// The outputs of `exit`, or the last step's output where no `exit` was reached. Null on failure.
    pub output: Arc<Value>,
    /// What `exit` said to a synchronous caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// Why, where it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Path of the step that failed or exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
}

/// The answer that an `exit` step gives to a synchronous caller. Checked: see [`Exit::from_outputs`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exit {
    /// 200–599; 200 where `exit` names none.
    pub status: u16,
    /// Names and values that HTTP allows, in the order of the document.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
}

/// Headers that belong to the connection or frame the message (RFC 9110 7.6.1, RFC 9112 6): never an `exit`'s to set.
pub const HEADERS_REFUSED: [&str; 10] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "proxy-authenticate",
    "date",
];

impl Exit {
    /// Reads `status` and `headers` of an `exit`'s outputs. Errors name the value and the rule.
    pub fn from_outputs(outputs: &Map<String, Value>) -> Result<Self, String> {
        let status = match outputs.get("status") {
            None | Some(Value::Null) => 200,
            Some(value) => Self::check_status(value)?,
        };
        let mut headers = Vec::new();
        match outputs.get("headers") {
            None | Some(Value::Null) => {}
            Some(Value::Object(map)) => {
                for (name, value) in map {
                    match value {
                        Value::Array(values) => {
                            for value in values {
                                headers.push(Self::check_header(name, value)?);
                            }
                        }
                        value => headers.push(Self::check_header(name, value)?),
                    }
                }
            }
            Some(other) => {
                return Err(format!("exit headers are an object of names and values, found {other}"));
            }
        }
        Ok(Self { status, headers })
    }

    /// A final status: an integer (or its text) from 200 to 599.
    pub fn check_status(value: &Value) -> Result<u16, String> {
        let number = match value {
            Value::Number(number) => {
                number.as_u64().or_else(|| number.as_f64().filter(|f| f.fract() == 0.0 && *f >= 0.0).map(|f| f as u64))
            }
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        match number {
            Some(status @ 200..=599) => Ok(status as u16),
            _ => Err(format!("exit status {value} is no HTTP status that ends a request: use 200 to 599")),
        }
    }

    /// A header that an `exit` may set: a token and a value without line breaks or other controls (RFC 9110 5.5, 5.6.2).
    pub fn check_header(name: &str, value: &Value) -> Result<(String, String), String> {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(token) {
            return Err(format!("exit header name {name:?} is no HTTP header name"));
        }
        if HEADERS_REFUSED.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(format!("exit header `{name}` belongs to the connection and cannot be set"));
        }
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            other => {
                return Err(format!("exit header `{name}` is a text, number or boolean, found {other}"));
            }
        };
        if text.bytes().any(|b| (b < 0x20 && b != b'\t') || b == 0x7f) {
            return Err(format!(
                "exit header `{name}` has the value {text:?}: line breaks and other controls are refused"
            ));
        }
        Ok((name.to_owned(), text.trim_matches([' ', '\t']).to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn statuses_are_held_to_200_up_to_599() {
        for good in [json!(200), json!(599), json!("201"), json!(204.0)] {
            assert!(Exit::check_status(&good).is_ok(), "{good}");
        }
        for bad in [json!(42), json!(199), json!(600), json!(-1), json!("x"), json!(200.5), json!([200])] {
            let error = Exit::check_status(&bad).unwrap_err();
            assert!(error.contains(&bad.to_string()), "{error}");
        }
    }

    #[test]
    fn headers_with_line_feeds_or_of_the_connection_are_refused_by_name() {
        let error = Exit::check_header("X-A", &json!("a\nSet-Cookie: b")).unwrap_err();
        assert!(error.contains("X-A") && error.contains("\\n"), "{error}");
        assert!(Exit::check_header("Content-Length", &json!("1")).unwrap_err().contains("Content-Length"));
        assert!(Exit::check_header("a b", &json!("1")).is_err());
        assert_eq!(Exit::check_header("X-N", &json!(7)).unwrap(), ("X-N".into(), "7".into()));
    }
}
