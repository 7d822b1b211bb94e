//! What Paragon's clients are told when something is refused: `{message}`.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use camshaft_model::{Value, json};

use super::super::reworded;
use crate::api::problem::Problem;
use crate::api::start::StartRefused;

/// A refusal.
#[derive(Debug)]
pub(super) enum Refused {
    /// In a status and a text of this dialect's own.
    Own(StatusCode, String),
    /// What it has no words for.
    Other(Problem),
}

impl Refused {
    /// A user's token that is not believed.
    pub(super) fn unauthorized(why: String) -> Self {
        Self::Own(StatusCode::UNAUTHORIZED, why)
    }

    /// No token of a user.
    pub(super) fn no_token() -> Self {
        Self::unauthorized("send the user's token: `Authorization: Bearer …`".to_owned())
    }

    /// No API key of the project, or one that may not do this.
    pub(super) fn no_api_key() -> Self {
        Self::unauthorized("send an API key of the project: `Authorization: Bearer …`".to_owned())
    }

    /// A key of the body, or a parameter, that is not what it should be.
    pub(super) fn key(key: &str, rule: &str) -> Self {
        Self::Own(StatusCode::BAD_REQUEST, format!("{key} {rule}"))
    }

    /// There is no such thing.
    pub(super) fn unknown(what: &str, which: &str) -> Self {
        let which: String = which.chars().take(80).collect();
        Self::Own(StatusCode::NOT_FOUND, format!("there is no {what} `{which}`"))
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
            Self::Own(status, message) => (status, axum::Json(words(&message))).into_response(),
            Self::Other(problem) => {
                // What is readable and wrong is one thing here.
                let is_invalid = problem.status() == StatusCode::UNPROCESSABLE_ENTITY.as_u16();
                let mut response = reworded(problem, |_, detail| words(detail));
                if is_invalid {
                    *response.status_mut() = StatusCode::BAD_REQUEST;
                }
                response
            }
        }
    }
}

fn words(message: &str) -> Value {
    json!({"message": message})
}
