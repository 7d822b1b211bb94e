//! Errors of the management API as RFC 9457 problem details; the one place that decides their status.
//!
//! What a client reads names its own mistake with the value. What went wrong inside is logged and never shown.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use camshaft_model::ids::Malformed;
use camshaft_model::language::nearest;
use camshaft_model::outcome::Failure;
use camshaft_model::seams::{DispatchError, StoreError, TellError};
use camshaft_model::{Map, Value};
use camshaft_triggers::cloudevents::NotTaken;
use serde::Serialize;
use utoipa::ToSchema;

/// What is wrong, in words that programs compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request cannot be read.
    Malformed,
    /// No valid token.
    Unauthorized,
    /// The token may not do this.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The thing does not take this method.
    MethodNotAllowed,
    /// It is there already, differently; or its state does not allow this.
    Conflict,
    /// It was changed since the caller looked.
    Changed,
    /// The body is larger than allowed.
    TooLarge,
    /// The body did not come in time.
    TooSlow,
    /// The request is readable, and what it asks for is wrong.
    Invalid,
    /// Too many at once.
    TooMany,
    /// Something of ours failed.
    Internal,
    /// Not now; the same request may succeed later.
    Unavailable,
}

impl Fault {
    fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Changed => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::Conflict => "conflict",
            Self::Changed => "changed",
            Self::TooLarge => "too-large",
            Self::TooSlow => "too-slow",
            Self::Invalid => "invalid",
            Self::TooMany => "too-many",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Malformed => "The request cannot be read",
            Self::Unauthorized => "A valid token is needed",
            Self::Forbidden => "The token may not do this",
            Self::NotFound => "There is no such thing",
            Self::MethodNotAllowed => "The method is not allowed here",
            Self::Conflict => "This is in conflict with what is there",
            Self::Changed => "It was changed meanwhile",
            Self::TooLarge => "The body is too large",
            Self::TooSlow => "The body did not come in time",
            Self::Invalid => "The request asks for something that is wrong",
            Self::TooMany => "Too many at once",
            Self::Internal => "Something went wrong inside",
            Self::Unavailable => "Not available now",
        }
    }
}

/// The end of a sentence about a name that there is not: what was probably meant, or nothing.
pub fn nearest_of<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, names.into_iter()).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// Why a request is refused. On the heap, since every handler's answer may be one.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Problem(Box<Details>);

/// A problem details object (RFC 9457), with members of its own where they help programs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Details {
    /// `urn:camshaft:problem:` and a word that programs compare.
    #[serde(rename = "type")]
    #[schema(example = "urn:camshaft:problem:not-found")]
    kind: String,
    /// One sentence, the same for each type.
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 404)]
    status: u16,
    /// What was wrong, with the value.
    detail: String,
    /// `diagnostics` of a document, `missing` grants of a publication, …
    #[serde(flatten)]
    more: Map<String, Value>,
    #[serde(skip)]
    headers: Vec<(HeaderName, HeaderValue)>,
    #[serde(skip)]
    inside: Option<String>,
}

/// What went wrong inside; rides on the answer to where it is logged with the request's id, and no further.
#[derive(Debug, Clone)]
pub struct Inside(pub String);

impl Problem {
    /// A problem.
    pub fn new(fault: Fault, detail: impl Into<String>) -> Self {
        let mut details = Details {
            kind: format!("urn:camshaft:problem:{}", fault.word()),
            title: fault.title(),
            status: fault.status().as_u16(),
            detail: detail.into(),
            more: Map::new(),
            headers: Vec::new(),
            inside: None,
        };
        match fault {
            Fault::Unauthorized => {
                details.headers.push((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"camshaft\"")));
            }
            Fault::Unavailable => details.headers.push((header::RETRY_AFTER, HeaderValue::from_static("1"))),
            _ => {}
        }
        Self(Box::new(details))
    }

    /// There is no such thing: `workflow`, its name.
    pub fn not_found(what: &str, which: impl std::fmt::Display) -> Self {
        Self::new(Fault::NotFound, format!("there is no {what} `{which}`"))
    }

    /// There is no such thing, and perhaps one of these was meant.
    pub fn not_among<'a>(what: &str, which: impl std::fmt::Display, names: impl IntoIterator<Item = &'a str>) -> Self {
        let meant = nearest_of(&which.to_string(), names);
        Self::new(Fault::NotFound, format!("there is no {what} `{which}`{meant}"))
    }

    /// Parameters that a workflow does not take, every fault at once.
    pub fn params(faults: Vec<String>) -> Self {
        Self::new(Fault::Invalid, faults.join("; ")).with("faults", faults)
    }

    /// A revision that an earlier release took and this one does not; anything else of the store as it is.
    pub fn unreadable(error: StoreError) -> Self {
        match error {
            StoreError::Damaged(why) => Self::new(Fault::Conflict, format!("{why}; put the workflow anew")),
            error => error.into(),
        }
    }

    /// Something of ours failed: the caller learns that, the log learns what.
    pub fn internal(what: impl std::fmt::Display) -> Self {
        Self::new(Fault::Internal, "the server's log tells more under the request's id").because(what)
    }

    /// Nothing can be evaluated now.
    pub fn busy(failure: &Failure) -> Self {
        Self::new(Fault::Unavailable, "the server has too much to do now; nothing was started, try again")
            .because(failure)
    }

    /// With what the log shall tell and the caller not.
    #[must_use]
    pub fn because(mut self, inside: impl std::fmt::Display) -> Self {
        self.0.inside = Some(format!("{inside:#}"));
        self
    }

    /// With a member of its own.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).expect("members of problems are plain data");
        self.0.more.insert(name.to_owned(), value);
        self
    }

    /// With a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.retain(|(other, _)| *other != name);
        self.0.headers.push((name, value));
        self
    }

    /// What was wrong, with the value.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.0.status
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let headers = std::mem::take(&mut self.0.headers);
        let inside = self.0.inside.take();
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response.headers_mut().extend(headers);
        if let Some(inside) = inside {
            response.extensions_mut().insert(Inside(inside));
        }
        response
    }
}

impl From<Malformed> for Problem {
    fn from(malformed: Malformed) -> Self {
        Self::new(Fault::Malformed, malformed.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) => {
                Self::new(Fault::Unavailable, "the store is not available now; nothing was changed, try again")
                    .because(why)
            }
            error @ StoreError::Conflict { .. } => {
                Self::new(Fault::Conflict, format!("{error}: somebody else changed it at the same moment; try again"))
            }
            error => Self::internal(error),
        }
    }
}

impl From<DispatchError> for Problem {
    fn from(error: DispatchError) -> Self {
        match error {
            DispatchError::DifferentBody { id } => {
                Self::new(Fault::Conflict, format!("idempotency key `{id}` came before with a different body"))
            }
            DispatchError::LimitReached(reached) => {
                let problem = Self::new(Fault::TooMany, reached.to_string()).with("limit", reached.limit);
                problem.with_header(header::RETRY_AFTER, HeaderValue::from(reached.retry_after_s))
            }
            DispatchError::NotDurable(why) => Self::new(
                Fault::Unavailable,
                "the execution cannot be made durable now; nothing was started, try again",
            )
            .because(why),
            DispatchError::Stopping => Self::new(Fault::Unavailable, "the server is stopping; try again"),
        }
    }
}

impl From<NotTaken> for Problem {
    fn from(not_taken: NotTaken) -> Self {
        let NotTaken { status, message, inside, headers } = not_taken;
        let fault = match status {
            StatusCode::BAD_REQUEST => Fault::Malformed,
            StatusCode::PAYLOAD_TOO_LARGE => Fault::TooLarge,
            StatusCode::REQUEST_TIMEOUT => Fault::TooSlow,
            StatusCode::TOO_MANY_REQUESTS => Fault::TooMany,
            StatusCode::SERVICE_UNAVAILABLE => Fault::Unavailable,
            StatusCode::CONFLICT => Fault::Conflict,
            _ => return Self::internal(inside.unwrap_or(message)),
        };
        let mut problem = Self::new(fault, message);
        if let Some(inside) = inside {
            problem = problem.because(inside);
        }
        headers.into_iter().fold(problem, |problem, (name, value)| match name {
            Some(name) => problem.with_header(name, value),
            None => problem,
        })
    }
}

impl From<TellError> for Problem {
    fn from(error: TellError) -> Self {
        match error {
            TellError::Unknown(id) => Self::not_found("execution", id),
            error @ TellError::Ended(..) => Self::new(Fault::Conflict, error.to_string()),
            TellError::Unfit(why) => Self::new(Fault::Conflict, why),
            error @ TellError::NotAsked { .. } => Self::new(Fault::Forbidden, error.to_string()),
            TellError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_problem_is_told_in_the_form_of_its_standard() {
        let problem = Problem::not_found("workflow", "orders").with("hint", "x");
        let response = problem.into_response();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["type"], "urn:camshaft:problem:not-found");
        assert_eq!((value["status"].as_u64(), value["hint"].as_str()), (Some(404), Some("x")));
        assert_eq!(value["detail"], "there is no workflow `orders`");
    }

    #[test]
    fn what_fails_inside_is_not_shown() {
        let problem = Problem::from(StoreError::Unavailable("/var/lib/secret-path is full".into()));
        let text = serde_json::to_string(&problem).unwrap();
        assert!(!text.contains("secret-path") && problem.status() == 503, "{text}");
        let response = problem.into_response();
        assert!(response.extensions().get::<Inside>().unwrap().0.contains("secret-path"), "the log learns it");
        let problem = Problem::from(StoreError::Damaged("page 7".into()));
        assert!(!serde_json::to_string(&problem).unwrap().contains("page 7") && problem.status() == 500);
    }
}
