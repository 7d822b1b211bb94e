//! Torq's public API: an access token for a client's credentials, and executions by id. The trigger URLs are Torq's as they are.
//!
//! <https://kb.torq.io>; the token endpoint is RFC 6749, 4.4.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use camshaft_model::summary::Status;
use camshaft_model::{Value, json};
use serde::Serialize;
use utoipa::ToSchema;

use super::reworded;
use crate::api::body;
use crate::api::executions::{Inspected, inspect, visible};
use crate::api::problem::{Fault, Problem};
use crate::api::{App, Instance};
use crate::tokens::Caller;

/// Largest body of a request for an access token, bytes.
const CREDENTIALS_BYTES_MAX: usize = 8 << 10;

/// The routes that need no token.
pub(super) fn router(instance: Arc<Instance>) -> Router {
    Router::new().route("/v1/auth/token", post(access)).method_not_allowed_fallback(wrong_method).with_state(instance)
}

async fn wrong_method() -> Response {
    let problem = Problem::new(Fault::MethodNotAllowed, "an access token is asked for with POST");
    reworded(problem, |_, detail| refusal("invalid_request", detail))
}

/// POST `/v1/auth/token`: an access token for a token's id (`client_id`) and the token (`client_secret`), as HTTP Basic or in a form.
async fn access(State(instance): State<Arc<Instance>>, request: Request) -> Response {
    let basic = basic(request.headers());
    let bytes = match body::read(request, CREDENTIALS_BYTES_MAX).await {
        Ok(bytes) => bytes,
        Err(problem) => return reworded(problem, |_, detail| refusal("invalid_request", detail)),
    };
    let field =
        |name: &str| form_urlencoded::parse(&bytes).find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    if let Some(grant) = field("grant_type").filter(|grant| grant != "client_credentials") {
        let grant: String = grant.chars().take(80).collect();
        let detail = format!("`grant_type` is `{grant}`: it is `client_credentials`");
        return (StatusCode::BAD_REQUEST, Json(refusal("unsupported_grant_type", &detail))).into_response();
    }
    let credentials = basic.or_else(|| field("client_id").zip(field("client_secret")));
    let found =
        credentials.and_then(|(id, secret)| instance.catalog.tokens().access(&id, &secret, instance.clock.now()));
    match found {
        Some(access) => {
            let body = json!({
                "access_token": access.text,
                "token_type": "Bearer",
                "expires_in": access.lasts.as_secs(),
            });
            ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
        }
        None => {
            let body = refusal("invalid_client", "the client is unknown, or its secret is wrong");
            let wanted = [(header::WWW_AUTHENTICATE, "Basic realm=\"camshaft\"")];
            (StatusCode::UNAUTHORIZED, wanted, Json(body)).into_response()
        }
    }
}

/// RFC 6749, 5.2.
fn refusal(error: &str, description: &str) -> Value {
    json!({"error": error, "error_description": description})
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, credentials) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let bytes = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(credentials.trim()).ok())??;
    let text = String::from_utf8(bytes).ok()?;
    text.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
}

/// An execution in Torq's words.
#[derive(Debug, Serialize, ToSchema)]
pub struct PublicExecution {
    /// Its id.
    pub id: String,
    /// Id of its workflow.
    pub workflow_id: String,
    /// Name of its workflow.
    pub workflow_name: String,
    /// `WORKFLOW-ID/NUMBER`
    pub revision_id: String,
    /// `RUNNING`, `ON_HOLD`, `QUEUED`, `SUCCESS`, `FAILED`, `STOPPED`, `DROPPED`
    pub status: &'static str,
    /// What it put out; null until it has ended.
    #[schema(value_type = Object)]
    pub output: Value,
    /// When it began to run (RFC 3339).
    pub started_at: Option<String>,
    /// When something happened last (RFC 3339).
    pub updated_at: String,
    /// Why it failed.
    pub error: Option<String>,
}

/// Torq's word for a status.
fn word(status: Status) -> &'static str {
    match status {
        Status::Accepted | Status::Running => "RUNNING",
        Status::Waiting => "ON_HOLD",
        Status::Queued => "QUEUED",
        Status::Succeeded => "SUCCESS",
        Status::Failed | Status::TimedOut => "FAILED",
        Status::Cancelled => "STOPPED",
        Status::Dropped => "DROPPED",
    }
}

/// Show an execution's status and output.
#[utoipa::path(
    get, path = "/public/v1alpha/executions/{execution}", tag = "executions", operation_id = "get_public_execution",
    params(("execution" = String, Path, description = "its id")),
    responses((status = 200, description = "the execution", body = PublicExecution), (status = 404, description = "unknown"))
)]
pub async fn show(app: App, caller: Caller, Path(which): Path<String>) -> Result<Json<PublicExecution>, Problem> {
    let summary = visible(&app, &caller, &which).await?;
    let Inspected { summary, timeline, .. } = inspect(&app, summary).await?;
    let outcome = timeline.outcome;
    let failure = outcome.as_ref().and_then(|outcome| outcome.failure.as_ref()).map(ToString::to_string);
    Ok(Json(PublicExecution {
        id: summary.id.to_string(),
        workflow_id: summary.revision.workflow_id.to_string(),
        workflow_name: summary.revision.workflow.to_string(),
        revision_id: format!("{}/{}", summary.revision.workflow_id, summary.revision.revision),
        status: word(summary.status),
        output: outcome.as_ref().map(|outcome| (*outcome.output).clone()).unwrap_or_default(),
        started_at: summary.started_at.map(|at| at.to_string()),
        updated_at: summary.updated_at.to_string(),
        error: failure.or(summary.failure),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_one_of_torq_s_words() {
        let words = Status::ALL.map(|status| (status, word(status)));
        let known = ["RUNNING", "ON_HOLD", "QUEUED", "SUCCESS", "FAILED", "STOPPED", "DROPPED"];
        assert!(words.iter().all(|(_, word)| known.contains(word)), "{words:?}");
        assert!(known.iter().all(|known| words.iter().any(|(_, word)| word == known)), "{words:?}");
        // Only what stood in line for a day comes to it.
        assert_eq!(word(Status::Dropped), "DROPPED");
    }
}
