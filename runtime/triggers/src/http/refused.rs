//! Why a delivery is refused, and the one place that decides its status. What the caller reads and what the log says are
//! two texts: the caller's never tells what goes on inside.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use camshaft_model::ids::Name;
use camshaft_model::outcome::Failure;
use camshaft_model::seams::{DispatchError, LimitReached, StoreError};
use serde_json::json;

use super::throttle::{Room, seconds};

/// Why a delivery is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// An id, a header or the body is not what it should be.
    #[error("{0}")]
    Malformed(String),
    /// The adapter did not believe the delivery.
    #[error("{0}")]
    Unauthorized(String),
    /// There is no such integration or workflow here.
    #[error("{0}")]
    Unknown(String),
    /// The caller's key came before with another body.
    #[error("idempotency key `{0}` came before with a different body")]
    DifferentBody(String),
    /// The body is too large.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// The body did not come in time.
    #[error("the body comes too slowly; nothing was started")]
    TooSlow,
    /// Too many executions a second.
    #[error("workspace `{workspace}` starts more than {} executions a second; try again in {} s", .room.limit, seconds(.room.wait))]
    TooMany { workspace: Name, room: Room },
    /// A limit of the workflow leaves no room.
    #[error("{0}")]
    LimitReached(LimitReached),
    /// What it asks for cannot be kept now.
    #[error("the delivery cannot be made durable now; nothing was lost, send it again")]
    NotDurable(#[source] DispatchError),
    /// The adapter cannot verify it now.
    #[error("{0}")]
    Unavailable(String),
    /// A `when` cannot be looked at now.
    #[error("the server has no room to look at a `when` now; nothing was started, send it again")]
    Busy(Failure),
    /// Something of ours failed.
    #[error("internal error; the server's log tells more under the request's id")]
    Internal(String),
}

impl Refused {
    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Unknown(_) => StatusCode::NOT_FOUND,
            Self::DifferentBody(_) => StatusCode::CONFLICT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::LimitReached(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::NotDurable(_) | Self::Unavailable(_) | Self::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What the caller must not read but the operator must.
    pub(crate) fn inside(&self) -> Option<String> {
        match self {
            Self::NotDurable(why) => Some(why.to_string()),
            Self::Busy(why) => Some(why.to_string()),
            Self::Internal(why) => Some(why.clone()),
            _ => None,
        }
    }
}

impl From<DispatchError> for Refused {
    fn from(error: DispatchError) -> Self {
        match error {
            DispatchError::DifferentBody { id } => Self::DifferentBody(id),
            DispatchError::LimitReached(reached) => Self::LimitReached(reached),
            error @ (DispatchError::NotDurable(_) | DispatchError::Stopping) => Self::NotDurable(error),
        }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::NotDurable(DispatchError::NotDurable(error.to_string()))
    }
}

impl From<camshaft_model::ids::Malformed> for Refused {
    fn from(error: camshaft_model::ids::Malformed) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = (self.status(), axum::Json(json!({"message": self.to_string()}))).into_response();
        let retry_after_s = match self {
            Self::TooMany { room, .. } => {
                room.put(response.headers_mut());
                seconds(room.wait)
            }
            Self::LimitReached(LimitReached { retry_after_s, .. }) => retry_after_s,
            Self::NotDurable(_) | Self::Unavailable(_) | Self::Busy(_) => 1,
            _ => return response,
        };
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after_s));
        response
    }
}
