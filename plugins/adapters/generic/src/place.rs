//! Places in a delivery where a text is: a header, or a path into the body's JSON.

use camshaft_sdk::prelude::*;

/// Where a text is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// A header.
    Header(String),
    /// A path into the body's JSON, with dots: `event.type`, `items.0.id`.
    Body(String),
    /// This text, always.
    Value(String),
}

impl Place {
    /// The text there; none where there is none.
    pub(crate) fn text(&self, request: &Request) -> Result<Option<String>, Rejection> {
        match self {
            Self::Header(name) => Ok(request.header(name)?.filter(|value| !value.is_empty()).map(str::to_owned)),
            Self::Value(text) => Ok(Some(text.clone())),
            Self::Body(path) => {
                let body: Value = request.json()?;
                let found = path.split('.').try_fold(&body, |value, key| match value {
                    Value::Array(items) => items.get(key.parse::<usize>().ok()?),
                    other => other.get(key),
                });
                Ok(match found {
                    Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
                    Some(Value::Number(number)) => Some(number.to_string()),
                    Some(Value::Bool(value)) => Some(value.to_string()),
                    _ => None,
                })
            }
        }
    }

    /// The rejection for a text that has to be there.
    pub(crate) fn missing(&self, what: &str) -> Rejection {
        Rejection::Malformed(match self {
            Self::Header(name) => format!("the {what} is missing: there is no header `{name}`"),
            Self::Body(path) => format!("the {what} is missing: there is no text at `{path}` in the body"),
            Self::Value(_) => format!("the {what} is missing"),
        })
    }
}
