//! The answers of executions, as HTTP: their ids for callers that do not wait, and for those that do, the status, headers
//! and body of the Exit step.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use camshaft_model::Value;
use camshaft_model::ids::ExecutionId;
use camshaft_model::outcome::{Ending, Exit, Outcome};
use serde_json::json;

/// What a failed execution tells a synchronous caller; its reasons are on the execution.
pub const FAILED_MESSAGE: &str = "Workflow execution failed due to error";

/// On answers that an earlier delivery of the same id was given.
pub const REPLAYED: HeaderName = HeaderName::from_static("camshaft-replayed");

/// 200: the execution is durable and goes on by itself.
pub fn accepted(execution: ExecutionId) -> Response {
    json_response(StatusCode::OK, &json!({"execution_id": execution, "status": "ok"}))
}

/// 201: the caller's time is over and the execution goes on; `Location` tells where its result will be.
pub fn in_progress(execution: ExecutionId) -> Response {
    let mut response = json_response(StatusCode::CREATED, &json!({"execution_id": execution, "status": "in_progress"}));
    let location = HeaderValue::from_str(&format!("/public/v1alpha/executions/{execution}"));
    response.headers_mut().insert(header::LOCATION, location.expect("an id is visible ASCII"));
    response
}

/// The answer to a caller that waited for the outcome.
///
/// With an `exit`, that is its status, headers and body: `body` alone where it has one, the other outputs as an object
/// otherwise; texts as they are, `{"$base64": …}` as its bytes, everything else as JSON. Without one it is the last
/// step's output. A failure that nothing turned into an `exit` is 200 with a message, or `failure_status`.
pub fn outcome(execution: ExecutionId, outcome: &Outcome, failure_status: Option<u16>) -> Response {
    match (&outcome.exit, outcome.ending) {
        (Some(exit), _) => exited(exit, &outcome.output),
        (None, Ending::Succeeded) => json_response(StatusCode::OK, &outcome.output),
        (None, Ending::Failed | Ending::Cancelled | Ending::TimedOut | Ending::Dropped) => {
            let status = failure_status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::OK);
            json_response(status, &json!({"execution-id": execution, "message": FAILED_MESSAGE}))
        }
    }
}

fn exited(exit: &Exit, output: &Value) -> Response {
    let status = StatusCode::from_u16(exit.status).expect("an exit's status was checked to be 200 to 599");
    let mut response = Response::new(match status {
        // No answer of these statuses has a body (RFC 9110 15.3.5, 15.3.6, 15.4.5).
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED => Body::empty(),
        _ => body(output.get("body").unwrap_or(output)),
    });
    *response.status_mut() = status;
    put_headers(&mut response, &exit.headers);
    let has_body = !matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED);
    if has_body && !response.headers().contains_key(header::CONTENT_TYPE) {
        response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    }
    response
}

fn body(value: &Value) -> Body {
    match value {
        Value::String(text) => Body::from(text.clone()),
        value => match bytes(value) {
            Some(bytes) => Body::from(bytes),
            None => Body::from(json_bytes(value)),
        },
    }
}

/// The bytes that `{"$base64": "…"}` stands for. Anything else, broken base64 too, is plain JSON.
fn bytes(value: &Value) -> Option<Vec<u8>> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    STANDARD.decode(object.get("$base64")?.as_str()?).ok()
}

/// Adds headers, several of a name side by side. Those that HTTP does not allow are left out: an `exit`'s were checked
/// before, an adapter's are its own fault.
pub(crate) fn put_headers<'a>(response: &mut Response, headers: impl IntoIterator<Item = &'a (String, String)>) {
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(value.as_bytes())) {
            response.headers_mut().append(name, value);
        }
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(crate) fn json_response(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(json_bytes(value)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

fn json_bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("a JSON value has no keys but strings")
}
