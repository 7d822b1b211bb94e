//! What ToolJet's clients are told when something is refused: `{statusCode, message, error}`, with ToolJet's own texts.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use camshaft_model::seams::{LimitReached, Limited};
use camshaft_model::workflow::ParamFault;
use camshaft_model::{Value, json};

use super::super::reworded;
use crate::api::problem::Problem;
use crate::api::start::StartRefused;

/// A refusal.
#[derive(Debug)]
pub(super) enum Refused {
    /// In ToolJet's words.
    Own { status: StatusCode, message: String, retry_after_s: Option<u64> },
    /// What ToolJet has no words for.
    Other(Problem),
}

const LIMIT_REACHED: StatusCode = StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS;

impl Refused {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self::Own { status, message: message.into(), retry_after_s: None }
    }

    /// There is no such workflow, or it is another workspace's.
    pub(super) fn unknown_workflow() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Workflow doesn't exists")
    }

    /// There is no such execution of this workflow.
    pub(super) fn unknown_execution() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Workflow execution doesn't exists")
    }

    /// No token, or none that may do this.
    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Invalid authentication token")
    }

    /// The workflow is published nowhere.
    pub(super) fn disabled_workflow() -> Self {
        Self::new(StatusCode::FORBIDDEN, "Workflow is disabled or does not exist")
    }

    /// It has no `request` trigger, or a disabled one.
    pub(super) fn disabled_trigger() -> Self {
        Self::new(StatusCode::FORBIDDEN, "Webhook endpoint disabled or doesn't exists")
    }

    /// What it is to be switched to is not said.
    pub(super) fn no_switch() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "isEnable must be a boolean value")
    }

    /// It is not published there.
    pub(super) fn unknown_environment() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Invalid environment")
    }

    /// It has no such revision.
    pub(super) fn unknown_version(version: &str, workflow: &str) -> Self {
        let version: String = version.chars().take(80).collect();
        Self::new(StatusCode::NOT_FOUND, format!("Version \"{version}\" not found for workflow \"{workflow}\""))
    }

    /// What it needs is not given, or is given as something else. One that is missing goes before one that is wrong.
    pub(super) fn params(faults: &[ParamFault]) -> Self {
        let missing = faults.iter().find(|fault| matches!(fault, ParamFault::Missing { .. }));
        let message = match missing.or(faults.first()) {
            Some(ParamFault::Missing { name, .. }) => format!("Params - {name} is missing"),
            Some(ParamFault::Kind { name, .. }) => format!("{name} has incorrect datatype"),
            None => "Params are wrong".to_owned(),
        };
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// Too many requests in a time.
    pub(super) fn throttled(wait: Duration) -> Self {
        let retry_after_s = u64::try_from(wait.as_micros().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1);
        let message = "ThrottlerException: Too Many Requests".to_owned();
        Self::Own { status: StatusCode::TOO_MANY_REQUESTS, message, retry_after_s: Some(retry_after_s) }
    }
}

impl From<LimitReached> for Refused {
    fn from(reached: LimitReached) -> Self {
        let period = match reached.what {
            "executions a day" => "daily",
            "executions a month" => "monthly",
            _ => {
                let (message, retry_after_s) = (reached.to_string(), Some(reached.retry_after_s));
                return Self::Own { status: StatusCode::TOO_MANY_REQUESTS, message, retry_after_s };
            }
        };
        let whose = if reached.of == Limited::Instance { "been reached" } else { "reached for this workspace" };
        let message = format!("Maximum {period} limit for workflow execution has {whose}");
        Self::Own { status: LIMIT_REACHED, message, retry_after_s: Some(reached.retry_after_s) }
    }
}

impl From<StartRefused> for Refused {
    fn from(refused: StartRefused) -> Self {
        match refused {
            StartRefused::Limit(reached) => reached.into(),
            StartRefused::Other(problem) => Self::Other(problem),
        }
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Other(problem)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, message, retry_after_s) = match self {
            Self::Own { status, message, retry_after_s } => (status, message, retry_after_s),
            Self::Other(problem) => return reworded(problem, words),
        };
        let mut response = (status, axum::Json(words(status, &message))).into_response();
        if let Some(seconds) = retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

fn words(status: StatusCode, message: &str) -> Value {
    let error = status.canonical_reason().unwrap_or("Error");
    json!({"statusCode": status.as_u16(), "message": message, "error": error})
}
