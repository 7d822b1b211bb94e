//! Trying a workflow out: its latest revision, published or not, with an event that somebody makes up.

use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use camshaft_model::ids::Name;
use camshaft_model::invocation::{RevisionRef, TriggerSource};
use camshaft_model::seams::{Directory, Start};
use camshaft_model::{Map, Value};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::body::JsonBody;
use super::problem::Problem;
use super::publish::production;
use super::rerun::Wish;
use super::start::{How, Started, start_one};
use crate::tokens::Caller;

/// What to try a workflow out with.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestBody {
    /// Its parameters.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub params: Map<String, Value>,
    /// `$.event`.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub event: Value,
    /// A number, or `draft` (also `latest`): the latest, published or not. That one where it is left out.
    #[serde(default)]
    pub revision: Option<Wish>,
    /// Whose secrets and workflows it uses: `production` where it is left out.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub environment: Option<Name>,
}

/// A test that has begun.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestBegun {
    /// Its execution.
    pub execution_id: String,
    /// Its revision.
    pub revision: u32,
}

/// Try a workflow out: run its latest revision as a test, whatever its triggers, published or not.
///
/// Plugins are told that it is a dry run. Everything else is as always.
#[utoipa::path(
    post, path = "/api/v1/workflows/{workflow}/test", tag = "workflows", operation_id = "test_workflow",
    params(("workflow" = String, Path, description = "name or id")),
    request_body = TestBody,
    responses(
        (status = 201, description = "it is durable and runs", body = TestBegun),
        (status = 404, description = "unknown"),
        (status = 409, description = "the revision cannot be read by this release"),
        (status = 422, description = "no such revision, or parameters that the workflow does not take"),
        (status = 429, description = "a limit of the workflow leaves no room"),
    )
)]
pub async fn test(
    app: App,
    caller: Caller,
    Path(which): Path<String>,
    JsonBody(body): JsonBody<TestBody>,
) -> Result<(StatusCode, Json<TestBegun>), Problem> {
    let workflow = app.workflow(&which)?;
    let number = body.revision.unwrap_or(Wish::Word("draft".to_owned())).number(&workflow)?;
    let environment = body.environment.unwrap_or_else(production);
    let name = Name::new(&workflow.key.name)?;
    let revision = RevisionRef { workflow_id: workflow.id, workflow: name, revision: number };
    let published = app.catalog.revision(&caller.workspace, &revision, &environment).await;
    let published = published.map_err(Problem::unreadable)?;
    let params = published.workflow.bind_params(&body.params).map_err(Problem::params)?;
    let start = Start {
        published,
        trigger: TriggerSource::Manual,
        by: None,
        event: Arc::new(body.event),
        params: Arc::new(params.into()),
        connection: Arc::default(),
        test: true,
        repeats: None,
        seed: None,
    };
    let Started { execution, .. } = start_one(&app, start, How::default()).await?;
    Ok((StatusCode::CREATED, Json(TestBegun { execution_id: execution.to_string(), revision: number })))
}
