//! Sending to URLs that people put in.

use bytes::Bytes;
use futures::future::BoxFuture;

/// What is sent to somebody's URL.
#[derive(Debug, Clone)]
pub struct Posting {
    /// `http` or `https`, whatever else it is.
    pub url: String,
    /// Names and values, in the order of the wire.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
}

/// Why a URL is not sent to, or why nobody answered there: one sentence that names what, and neither headers nor body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotPosted(pub String);

/// Sends to URLs that people put in, where the operator allows it.
pub trait Post: Send + Sync {
    /// Refuses what would never be sent to, as far as that shows without asking anybody: no URL, another scheme, an address
    /// that is not allowed.
    fn check(&self, url: &str) -> Result<(), NotPosted>;
    /// Sends once, with POST, and tells the status of the answer, of which nothing else is looked at. A redirect is an answer.
    /// Ends within [`POST_TAKES_MAX`](crate::limits::POST_TAKES_MAX).
    fn post(&self, posting: Posting) -> BoxFuture<'_, Result<u16, NotPosted>>;
}
