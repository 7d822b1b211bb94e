//! Secrets of the workspace that an operator has granted to this plugin by name.

use crate::task::Failure;
use std::fmt;

/// Why a secret was not handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretError {
    /// No grant names this secret for this plugin.
    Denied(String),
    /// A grant names it, but the workspace has no such secret.
    Missing(String),
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(name) => write!(f, "the secret `{name}` is not granted to this plugin"),
            Self::Missing(name) => write!(f, "the workspace has no secret `{name}`"),
        }
    }
}

impl std::error::Error for SecretError {}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        Failure::failed(error.to_string())
    }
}

/// The value of a secret. Ask for it in `#[task(secrets = ["name"])]`, so that the operator knows.
///
/// # Errors
/// Where it is not granted, or not there.
pub fn get(name: &str) -> Result<String, SecretError> {
    crate::host::secret(name)
}
