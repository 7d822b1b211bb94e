//! What Boomerang Flow's clients are told when something is refused: `{error: {code, description, message}}`.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use camshaft_model::{Value, json};

use super::super::reworded;
use crate::api::problem::Problem;
use crate::api::start::StartRefused;

/// A refusal.
#[derive(Debug)]
pub(super) enum Refused {
    /// In Boomerang's words.
    Own { status: StatusCode, description: &'static str, message: String },
    /// What Boomerang has no words for.
    Other(Problem),
}

impl Refused {
    fn new(status: StatusCode, description: &'static str, message: impl Into<String>) -> Self {
        Self::Own { status, description, message: message.into() }
    }

    /// No token, or none that may do this.
    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "The token is missing, unknown, expired or revoked.")
    }

    /// The workflow has no `request` trigger, or a disabled one, or is not published.
    pub(super) fn trigger_disabled() -> Self {
        let message = "The required workflow trigger has not been enabled.";
        Self::new(StatusCode::UNAUTHORIZED, "WORKFLOW_TRIGGER_DISABLED", message)
    }

    /// There is no such activity, or the token does not see it.
    pub(super) fn unknown_activity(id: &str) -> Self {
        let id: String = id.chars().take(80).collect();
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", format!("There is no activity `{id}`."))
    }

    /// The request is not what it should be.
    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    /// The body is of another type than is taken here.
    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", message)
    }
}

impl From<StartRefused> for Refused {
    fn from(refused: StartRefused) -> Self {
        Self::Other(refused.into())
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Other(problem)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Own { status, description, message } => {
                (status, axum::Json(words(status, description, &message))).into_response()
            }
            Self::Other(problem) => reworded(problem, |status, detail| {
                let reason = status.canonical_reason().unwrap_or("Error").to_ascii_uppercase().replace(' ', "_");
                // When to try again is in the headers.
                let too_many = "Number of requests has exceeded the allowed number.";
                words(status, &reason, if status == StatusCode::TOO_MANY_REQUESTS { too_many } else { detail })
            }),
        }
    }
}

fn words(status: StatusCode, description: &str, message: &str) -> Value {
    json!({"error": {"code": status.as_u16(), "description": description, "message": message}})
}
