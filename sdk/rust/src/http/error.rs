//! What can go wrong with a request. An answer is never an error, whatever its status.

use crate::task::Failure;
use std::fmt;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpError {
    /// The request cannot be sent as it is: its URL, method or a header.
    Invalid(String),
    /// The operator has not granted this host.
    Denied(String),
    /// No connection, or it broke off; worth another attempt.
    Unavailable(String),
    /// No answer in time; worth another attempt.
    Timeout(String),
    /// The answer is larger than the runtime takes.
    TooLarge(String),
    /// The answer's body is not what was asked for.
    Body(String),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(message)
            | Self::Denied(message)
            | Self::Unavailable(message)
            | Self::Timeout(message)
            | Self::TooLarge(message)
            | Self::Body(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for HttpError {}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        let message = error.to_string();
        match error {
            HttpError::Invalid(_) => Failure::invalid_input(message),
            HttpError::Unavailable(_) | HttpError::Timeout(_) => Failure::unavailable(message),
            HttpError::Denied(_) | HttpError::TooLarge(_) | HttpError::Body(_) => Failure::failed(message),
        }
    }
}
