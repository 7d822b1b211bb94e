//! A request, built step by step and checked when it is sent.

use super::url::Target;
use super::{HttpError, Response};
use crate::task::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use std::time::Duration;

/// How long an exchange may take if nothing else is said. The call's own deadline holds as well.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// An HTTP method: a token of RFC 9110, in the spelling that is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method(String);

impl Method {
    /// As it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Result<Self, HttpError> {
        if is_token(text) {
            return Ok(Self(text.to_ascii_uppercase()));
        }
        Err(HttpError::Invalid(format!("`{text}` is not an HTTP method")))
    }
}

/// A request that is being built. The first fault is kept and comes out of [`Request::send`].
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    building: Result<Outgoing, HttpError>,
}

/// A request that may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) timeout: Duration,
}

impl Outgoing {
    pub(crate) fn url(&self) -> String {
        format!("{}{}", self.target.origin(), self.target.path_and_query)
    }
}

impl Request {
    pub(super) fn new(method: &str, url: &str) -> Self {
        let build = || {
            let (method, target) = (Method::parse(method)?, Target::parse(url)?);
            Ok(Outgoing { method, target, headers: Vec::new(), body: Vec::new(), timeout: TIMEOUT_DEFAULT })
        };
        Self { building: build() }
    }

    fn then(mut self, change: impl FnOnce(&mut Outgoing) -> Result<(), HttpError>) -> Self {
        if let Ok(outgoing) = &mut self.building
            && let Err(error) = change(outgoing)
        {
            self.building = Err(error);
        }
        self
    }

    /// Adds a header. The same name again adds a line.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.then(|outgoing| {
            if !is_token(name) {
                return Err(HttpError::Invalid(format!("`{name}` is not the name of a header")));
            }
            if value.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
                return Err(HttpError::Invalid(format!("the value of the header `{name}` holds a control character")));
            }
            outgoing.headers.push((name.to_owned(), value.to_owned()));
            Ok(())
        })
    }

    /// Adds a header unless the request has it already.
    pub fn default_header(self, name: &str, value: &str) -> Self {
        let there = |outgoing: &Outgoing| outgoing.headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
        if self.building.as_ref().is_ok_and(there) { self } else { self.header(name, value) }
    }

    /// Adds a pair to the query.
    pub fn query(self, name: &str, value: &str) -> Self {
        self.then(|outgoing| {
            outgoing.target.add_query(name, value);
            Ok(())
        })
    }

    /// Sends `Authorization: Bearer …`.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Sends `Authorization: Basic …`.
    pub fn basic(self, user: &str, password: &str) -> Self {
        self.header("authorization", &format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }

    /// Sends the call's idempotency key as `Idempotency-Key`: a service that takes one does the work once, however many
    /// attempts the step needs.
    pub fn idempotent(self, context: &Context) -> Self {
        self.default_header("idempotency-key", &context.idempotency_key)
    }

    /// Sends a body of bytes as they are.
    pub fn body(self, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        self.then(|outgoing| {
            outgoing.body = bytes;
            Ok(())
        })
    }

    /// Sends a text, as `text/plain` unless a header says otherwise.
    pub fn text(self, text: &str) -> Self {
        self.default_header("content-type", "text/plain; charset=utf-8").body(text)
    }

    /// Sends a JSON body, as `application/json` unless a header says otherwise.
    pub fn json(self, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => self.default_header("content-type", "application/json").body(bytes),
            Err(error) => Self { building: Err(HttpError::Invalid(format!("the body is no JSON: {error}"))) },
        }
    }

    /// How long the whole exchange may take; 30 s if nothing is said.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.then(|outgoing| {
            outgoing.timeout = timeout;
            Ok(())
        })
    }

    /// Lets the runtime answer this `GET` with what it was answered before, at most this long ago: for what every delivery needs, such
    /// as a certificate. It does so for adapters, as far as the server allows it, for a status of 200 and up to 64 KiB, and only where
    /// the request says nothing but its URL; otherwise the request is sent. It is `Cache-Control` (RFC 9111), whole seconds of it.
    pub fn keep_for(self, duration: Duration) -> Self {
        let seconds = duration.as_secs();
        self.header("cache-control", &format!("max-age={seconds}, max-stale={seconds}"))
    }

    /// Sends it and waits for the whole answer. Any status is an answer.
    ///
    /// # Errors
    /// Where there is none.
    pub fn send(self) -> Result<Response, HttpError> {
        let mut outgoing = self.building?;
        if !outgoing.body.is_empty() {
            let length = outgoing.body.len().to_string();
            outgoing.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-length"));
            outgoing.headers.push(("content-length".to_owned(), length));
        }
        crate::host::send(&outgoing)
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(request: Request) -> Outgoing {
        request.building.unwrap()
    }

    #[test]
    fn a_header_that_is_set_wins_over_a_default() {
        let request = Request::new("post", "https://a").header("Content-Type", "text/csv").text("a,b");
        assert_eq!(built(request).headers, [("Content-Type".to_owned(), "text/csv".to_owned())]);
    }

    #[test]
    fn basic_credentials_are_those_of_rfc_7617() {
        let request = built(Request::new("GET", "https://a").basic("Aladdin", "open sesame"));
        assert_eq!(request.headers[0].1, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn a_header_value_with_a_line_feed_never_leaves() {
        let error = Request::new("GET", "https://a").header("x", "a\r\nhost: b").building.unwrap_err();
        assert_eq!(error, HttpError::Invalid("the value of the header `x` holds a control character".to_owned()));
    }

    #[test]
    fn the_first_fault_is_the_one_that_is_told() {
        let error = Request::new("GE T", "nowhere").header("a b", "c").building.unwrap_err();
        assert_eq!(error.to_string(), "`GE T` is not an HTTP method");
    }
}
