//! Tasks: what an author writes, and how a call that goes wrong says so.

use crate::json;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;
use std::time::Duration;

/// Where a call stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Id of the execution.
    pub execution: String,
    /// Path of the step in its workflow.
    pub step: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Turns of the enclosing loops, outermost first; empty outside loops.
    pub iteration: Vec<u32>,
    /// The same for every attempt of this step in this execution: hand it to services that take one.
    pub idempotency_key: String,
    /// When the call is stopped, in milliseconds since 1970.
    pub deadline_ms: u64,
    /// Name of the workspace.
    pub workspace: String,
    /// Name of the environment.
    pub environment: String,
    /// True where nothing outside should be changed.
    pub dry_run: bool,
}

impl Context {
    /// How long this call may still take.
    pub fn remaining(&self) -> Duration {
        Duration::from_millis(self.deadline_ms.saturating_sub(crate::clock::now_ms()))
    }
}

/// Why a task could not do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The input is not what the task takes. Never retried.
    InvalidInput,
    /// The work failed, and would fail again.
    Failed,
    /// Something needed is not there now; worth another attempt.
    Unavailable {
        /// Not before this long, where known.
        retry_after: Option<Duration>,
    },
}

/// A failure, for people and for a workflow's `catch`.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// What the engine makes of it.
    pub kind: FailureKind,
    /// One sentence that names the thing and the value.
    pub message: String,
    /// More, for programs.
    pub details: Option<Value>,
}

impl Failure {
    /// The work failed, and would fail again.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Failed, message: message.into(), details: None }
    }

    /// The input is not what the task takes.
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::InvalidInput, message: message.into(), details: None }
    }

    /// Something needed is not there now; the engine may try again.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Unavailable { retry_after: None }, message: message.into(), details: None }
    }

    /// Makes it an unavailability that is worth another attempt after `wait`.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.kind = FailureKind::Unavailable { retry_after: Some(wait) };
        self
    }

    /// Adds details for programs: they are `$.error.details` in a workflow.
    pub fn details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// A worked example: this input gives this output.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// What the example shows, in a few words.
    pub name: String,
    /// The input.
    pub input: Value,
    /// The output; none where it depends on the world outside.
    pub output: Option<Value>,
}

/// A task as a type. `#[task]` on a function writes this, under the function's name.
pub trait Task {
    /// `[a-z0-9][a-z0-9-]{0,62}`
    const NAME: &'static str;
    /// A semantic version.
    const VERSION: &'static str;
    /// One sentence for people.
    const SUMMARY: &'static str;
    /// Origins that the task wants to call (`https://api.example.com`).
    const HOSTS: &'static [&'static str];
    /// Names of secrets that the task wants.
    const SECRETS: &'static [&'static str];

    /// What it takes.
    type Input: DeserializeOwned + JsonSchema;
    /// What it gives.
    type Output: Serialize + JsonSchema;

    /// Worked examples.
    fn examples() -> Vec<Example>;

    /// Does the work.
    fn run(context: &Context, input: Self::Input) -> Result<Self::Output, Failure>;
}

/// What a task says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Descriptor {
    /// The name.
    pub name: String,
    /// The version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// JSON Schema of the input.
    pub input_schema: Value,
    /// JSON Schema of the output.
    pub output_schema: Value,
    /// Worked examples.
    pub examples: Vec<Example>,
    /// Wanted origins.
    pub hosts: Vec<String>,
    /// Wanted secrets.
    pub secrets: Vec<String>,
}

/// Describes a task, as the runtime sees it at upload.
pub fn describe<T: Task>() -> Descriptor {
    Descriptor {
        name: T::NAME.to_owned(),
        version: T::VERSION.to_owned(),
        summary: T::SUMMARY.to_owned(),
        input_schema: json::input_schema::<T::Input>(),
        output_schema: json::output_schema::<T::Output>(),
        examples: T::examples(),
        hosts: T::HOSTS.iter().map(|host| (*host).to_owned()).collect(),
        secrets: T::SECRETS.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// Calls a task with JSON text, exactly as the runtime does.
///
/// # Errors
/// The task's own failure; `invalid-input` naming the field where the text is not the task's input.
pub fn call<T: Task>(context: &Context, input: &str) -> Result<String, Failure> {
    let input = json::parse::<T::Input>(input).map_err(|fault| {
        Failure::invalid_input(fault.to_string()).details(serde_json::json!({ "path": fault.path }))
    })?;
    let output = T::run(context, input)?;
    serde_json::to_string(&output).map_err(|error| Failure::failed(format!("the output is no JSON: {error}")))
}

/// The types behind a task function's result, for `#[task]`.
#[doc(hidden)]
pub trait TaskResult {
    type Output;
    fn into_result(self) -> Result<Self::Output, Failure>;
}

impl<O, E: Into<Failure>> TaskResult for Result<O, E> {
    type Output = O;
    fn into_result(self) -> Result<O, Failure> {
        self.map_err(Into::into)
    }
}
