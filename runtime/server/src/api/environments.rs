//! Environments: where revisions are published. `development`, `staging` and `production` are always there.

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use camshaft_model::ids::{Name, SecretName};
use camshaft_model::limits::{ENVIRONMENTS_MAX, VARIABLES_BYTES_MAX};
use camshaft_model::resource::{Change, Expect, ResourceKind};
use camshaft_model::{Map, Value};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::JsonBody;
use super::page::{Asked, Page, PageQuery};
use super::problem::{Fault, Problem};
use super::{App, check_generation, name_in_url, with_generation};
use crate::catalog::ENVIRONMENTS;
use crate::catalog::specs::{self, EnvironmentSpec, Kept, WorkflowSpec};

/// An environment, as it shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentBody {
    /// For people.
    pub description: Option<String>,
    /// What workflows read as `$.env`; those before where it is left out. They are no secrets.
    #[schema(value_type = Option<Object>)]
    pub variables: Option<Map<String, Value>>,
}

/// An environment.
#[derive(Debug, Serialize, ToSchema)]
pub struct EnvironmentView {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// What workflows read as `$.env`.
    #[schema(value_type = Object)]
    pub variables: Map<String, Value>,
    /// Workflows that are published here, and their revisions.
    pub published: Vec<PublishedItem>,
    /// One more at each change; `If-Match` takes it. 0 for one that is always there, until it is changed.
    pub generation: u64,
}

/// What is published in an environment.
#[derive(Debug, Serialize, ToSchema)]
pub struct PublishedItem {
    /// Name of the workflow.
    pub workflow: String,
    /// Its revision.
    pub revision: u32,
}

impl EnvironmentView {
    fn of(app: &App, name: &Name) -> Self {
        let kept = app.catalog.environment_kept(&app.workspace, name);
        Self {
            name: name.to_string(),
            description: kept.as_ref().and_then(|kept| kept.spec.description.clone()),
            variables: kept.as_ref().map(|kept| kept.spec.variables.clone()).unwrap_or_default(),
            published: published(app, name),
            generation: kept.map_or(0, |kept| kept.generation),
        }
    }
}

fn published(app: &App, environment: &Name) -> Vec<PublishedItem> {
    let here = |kept: &Kept<WorkflowSpec>| {
        let revision = *kept.spec.published.get(environment)?;
        Some(PublishedItem { workflow: kept.key.name.clone(), revision })
    };
    app.catalog.workflows(&app.workspace).iter().filter_map(|kept| here(kept)).collect()
}

/// Make or change an environment. Executions keep the variables that they began with.
#[utoipa::path(
    put, path = "/api/v1/environments/{environment}", tag = "environments", operation_id = "put_environment",
    params(
        ("environment" = String, Path, description = "its name"),
        ("If-Match" = Option<String>, Header, description = "only if the generation is this"),
    ),
    request_body = EnvironmentBody,
    responses(
        (status = 200, description = "changed", body = EnvironmentView),
        (status = 201, description = "made", body = EnvironmentView),
        (status = 412, description = "changed meanwhile"),
        (status = 413, description = "too large"),
        (status = 422, description = "variables that cannot be, or too many environments"),
    )
)]
pub async fn put(
    app: App,
    Path(which): Path<String>,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<EnvironmentBody>,
) -> Result<Response, Problem> {
    let name = name_in_url("environment name", &which)?;
    wanted.variables.as_ref().map(check_variables).transpose()?;
    let _editing = app.catalog.edit().await;
    let all = app.catalog.environments(&app.workspace);
    let is_new = !all.contains(&name);
    if is_new && all.len() >= ENVIRONMENTS_MAX {
        let detail = format!("`{name}` would be one more than {ENVIRONMENTS_MAX} environments, which is the limit");
        return Err(Problem::new(Fault::Invalid, detail));
    }
    let before = app.catalog.environment_kept(&app.workspace, &name);
    check_generation(&headers, before.as_ref().map_or(0, |kept| kept.generation))?;
    let kept = before.as_ref().map(|kept| kept.spec.clone()).unwrap_or_default();
    let spec = EnvironmentSpec {
        description: wanted.description.or(kept.description),
        variables: wanted.variables.unwrap_or(kept.variables),
    };
    let id = before.as_ref().map_or_else(|| app.ids.resource(), |kept| kept.id);
    let key = specs::key(ResourceKind::Environment, &app.workspace, &name);
    let expect = before.as_ref().map_or(Expect::Absent, |kept| Expect::Generation(kept.generation));
    let resource = specs::resource(key, id, &spec, app.clock.now());
    app.catalog.change(vec![Change::Put { resource, expect }]).await?;
    let view = EnvironmentView::of(&app, &name);
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(with_generation(status, view.generation, Json(view)))
}

/// Names as those of secrets, and no more of everything than an execution carries along.
fn check_variables(variables: &Map<String, Value>) -> Result<(), Problem> {
    for name in variables.keys() {
        SecretName::new(name).map_err(|malformed| {
            let malformed = camshaft_model::ids::Malformed { what: "variable", ..malformed };
            Problem::new(Fault::Invalid, malformed.to_string())
        })?;
    }
    let bytes = serde_json::to_vec(variables).map_err(Problem::internal)?.len();
    if bytes > VARIABLES_BYTES_MAX {
        let detail = format!("the variables have {bytes} bytes of JSON; {VARIABLES_BYTES_MAX} is the limit");
        return Err(Problem::new(Fault::Invalid, detail));
    }
    Ok(())
}

/// Show an environment.
#[utoipa::path(
    get, path = "/api/v1/environments/{environment}", tag = "environments", operation_id = "show_environment",
    params(("environment" = String, Path, description = "its name")),
    responses((status = 200, description = "the environment", body = EnvironmentView), (status = 404, description = "unknown"))
)]
pub async fn show(app: App, Path(which): Path<String>) -> Result<Response, Problem> {
    let name = known(&app, &which)?;
    let view = EnvironmentView::of(&app, &name);
    Ok(with_generation(StatusCode::OK, view.generation, Json(view)))
}

/// List the environments, by name.
#[utoipa::path(
    get, path = "/api/v1/environments", tag = "environments", operation_id = "list_environments", params(PageQuery),
    responses((status = 200, description = "a page", body = Page<EnvironmentView>))
)]
pub async fn list(app: App, Asked(query): Asked<PageQuery>) -> Result<Json<Page<EnvironmentView>>, Problem> {
    let all = app.catalog.environments(&app.workspace);
    query.page(all, ToString::to_string, |name| EnvironmentView::of(&app, name))
}

/// Remove an environment of one's own, once nothing is published in it. Its secrets go with it.
#[utoipa::path(
    delete, path = "/api/v1/environments/{environment}", tag = "environments", operation_id = "delete_environment",
    params(("environment" = String, Path, description = "its name")),
    responses(
        (status = 204, description = "removed"),
        (status = 404, description = "unknown"),
        (status = 409, description = "it is always there, or something is published in it"),
    )
)]
pub async fn remove(app: App, Path(which): Path<String>) -> Result<StatusCode, Problem> {
    let name = known(&app, &which)?;
    let _editing = app.catalog.edit().await;
    if ENVIRONMENTS.contains(&name.as_str()) {
        let detail = format!("environment `{name}` is always there; set its variables to {{}} instead");
        return Err(Problem::new(Fault::Conflict, detail));
    }
    if let Some(first) = published(&app, &name).first() {
        let detail = format!("workflow `{}` is published in `{name}`; unpublish it first", first.workflow);
        return Err(Problem::new(Fault::Conflict, detail));
    }
    let end = format!("@{name}");
    let secrets = app.catalog.secrets(&app.workspace);
    let secrets = secrets.iter().filter(|kept| kept.key.name.ends_with(&end)).map(|kept| kept.key.clone());
    let own = specs::key(ResourceKind::Environment, &app.workspace, &name);
    let changes = secrets.chain([own]).map(|key| Change::Delete { key, expect: Expect::Any });
    app.catalog.change(changes.collect()).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn known(app: &App, which: &str) -> Result<Name, Problem> {
    let name = name_in_url("environment name", which)?;
    let all = app.catalog.environments(&app.workspace);
    if all.contains(&name) {
        Ok(name)
    } else {
        Err(Problem::not_among("environment", name, all.iter().map(Name::as_str)))
    }
}
