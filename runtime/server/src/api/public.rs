//! The executions endpoint that other systems' clients know: `GET /public/v1alpha/executions/{id}`.

use std::time::Duration;

use axum::Json;
use axum::extract::Path;
use camshaft_model::Value;
use camshaft_model::summary::Status;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::executions::visible;
use super::problem::Problem;
use crate::tokens::Caller;

/// An execution in the words of those clients.
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

/// The word of those clients for a status.
pub fn word(status: Status) -> &'static str {
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
    let outcome = match summary.status.is_final() {
        true => app.dispatch.outcome(summary.id, Duration::ZERO).await?,
        false => None,
    };
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
