//! A fault in a document: where, what was found, what is allowed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A place in a document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Where.
    #[serde(flatten)]
    pub mark: Mark,
    /// Path of the place in the document: `steps[2].then[0].task`.
    pub path: String,
    /// One sentence that names what was found and what is allowed.
    pub message: String,
    /// The nearest name, where one is close.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.mark.line, self.mark.column, self.message)?;
        if let Some(name) = &self.suggestion {
            write!(f, "; did you mean `{name}`?")?;
        }
        Ok(())
    }
}
