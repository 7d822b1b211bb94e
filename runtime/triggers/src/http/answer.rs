//! What the trigger URLs answer beside an execution's own answer: ids, nothing started, or what the adapter says.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use camshaft_model::Value;
use camshaft_model::ids::{ExecutionId, Name};
use camshaft_model::outcome::HEADERS_REFUSED;
use camshaft_model::seams::AdapterResponse;
use serde_json::json;

use super::refused::Refused;
use super::reply;

/// To a delivery for every workflow: what it started, which may be nothing.
pub(super) fn all(executions: &[(Name, ExecutionId)]) -> Response {
    reply::json_response(StatusCode::OK, &json!({"status": "ok", "executions": list(executions)}))
}

/// To a delivery for one workflow, whose caller does not wait. A batch may have started it several times.
pub(super) fn detached(executions: &[(Name, ExecutionId)]) -> Response {
    match executions {
        [(_, one)] => reply::accepted(*one),
        several => reply::json_response(
            StatusCode::OK,
            &json!({
                "execution_id": several.first().map(|(_, first)| first),
                "status": "ok",
                "executions": list(several),
            }),
        ),
    }
}

/// The answer where the workflow that the URL names was not started: no event, or its `when` does not hold.
///
/// A `when` says which of the integration's events a workflow is meant for, by whatever URL they come. The status is a
/// success, since vendors send again and at last switch a webhook off for anything else, and nothing was wrong. It is
/// not `ok` either: whoever goes on to ask for an execution reads that there is none.
pub(super) fn ignored(workflow: &Name) -> Response {
    let message = format!("no trigger of workflow `{workflow}` holds for this delivery; nothing was started");
    reply::json_response(StatusCode::OK, &json!({"status": "ignored", "message": message}))
}

fn list(executions: &[(Name, ExecutionId)]) -> Vec<Value> {
    let one = |(workflow, execution): &(Name, ExecutionId)| json!({"workflow": workflow, "execution_id": execution});
    executions.iter().map(one).collect()
}

/// An adapter's own answer. Headers that belong to the connection are ours to set.
pub(super) fn adapters(answer: AdapterResponse) -> Result<Response, Refused> {
    let status = StatusCode::from_u16(answer.status).ok().filter(|status| (200..=599).contains(&status.as_u16()));
    let status = status.ok_or_else(|| Refused::Internal(format!("adapter answers with status {}", answer.status)))?;
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = status;
    let ours = |name: &str| HEADERS_REFUSED.iter().any(|refused| name.eq_ignore_ascii_case(refused));
    reply::put_headers(&mut response, answer.headers.iter().filter(|(name, _)| !ours(name)));
    Ok(response)
}
