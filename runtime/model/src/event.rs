//! What an adapter hands in, in the shape that workflows see as `$.event`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::Timestamp;

/// One event, normalised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The vendor's id of it; the same id again starts nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `push`, `issues.opened`, `com.acme.order.created`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened.
    pub time: Timestamp,
    /// The whole as workflows read it: `id, type, source, subject, time, integration, http_method, path, query, headers,
    /// body`, and `body_encoding` where the body is base64.
    pub value: Arc<Value>,
}
