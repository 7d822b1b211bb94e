//! Secrets of the workspace: values go in, are sealed, and never come out of here.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use camshaft_model::ids::{Name, SecretName};
use camshaft_model::limits::SECRET_BYTES_MAX;
use camshaft_model::resource::{Change, Expect, ResourceKind};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::body::JsonBody;
use super::page::{Asked, Page, PageQuery};
use super::problem::{Fault, Problem};
use crate::catalog::specs::{self, SecretSpec};

/// A secret's value.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretBody {
    /// The value: 1 byte to 64 KiB of text.
    #[schema(value_type = String)]
    pub value: SecretText,
}

/// A text. What else stands there is a secret too, and no error shows it.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a text is expected; a number or another value goes between quotes")]
pub enum SecretText {
    /// The text.
    Text(String),
}

/// In which environment.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SecretQuery {
    /// For this environment alone; for all that have no value of their own where it is left out.
    #[param(value_type = Option<String>)]
    pub environment: Option<Name>,
}

/// A secret, without its value.
#[derive(Debug, Serialize, ToSchema)]
pub struct SecretView {
    /// Its name.
    pub name: String,
    /// The environment whose own value it is; null for all that have none.
    pub environment: Option<String>,
    /// When it was made (RFC 3339).
    pub created_at: String,
    /// When it was set last (RFC 3339).
    pub updated_at: String,
}

/// Set a secret.
#[utoipa::path(
    put, path = "/api/v1/secrets/{secret}", tag = "secrets", operation_id = "put_secret",
    params(("secret" = String, Path, description = "its name, as in `$.secrets.NAME`"), SecretQuery),
    request_body = SecretBody,
    responses(
        (status = 204, description = "set"),
        (status = 413, description = "too large"),
        (status = 422, description = "an empty value, or one that is too long"),
    )
)]
pub async fn put(
    app: App,
    Path(which): Path<String>,
    Asked(query): Asked<SecretQuery>,
    JsonBody(SecretBody { value: SecretText::Text(value) }): JsonBody<SecretBody>,
) -> Result<StatusCode, Problem> {
    let name = SecretName::new(&which)?;
    check_value(name.as_str(), &value)?;
    let workspace = &app.workspace;
    let environment = query.environment.as_ref();
    environment.map(|environment| app.check_environment(environment)).transpose()?;
    let key = specs::secret_key(&name, environment);
    let place = specs::secret_place(workspace, &key);
    let value = app.catalog.vault().seal(&place, &value).map_err(Problem::internal)?;
    let _editing = app.catalog.edit().await;
    let id = app.catalog.secret_kept(workspace, &name, environment).map_or_else(|| app.ids.resource(), |kept| kept.id);
    let key = specs::key(ResourceKind::Secret, workspace, key);
    let resource = specs::resource(key, id, &SecretSpec { value }, app.clock.now());
    app.catalog.change(vec![Change::Put { resource, expect: Expect::Any }]).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Holds a secret's value to its bounds; the message never shows it.
pub fn check_value(name: &str, value: &str) -> Result<(), Problem> {
    match value.len() {
        0 => Err(Problem::new(Fault::Invalid, format!("the value of `{name}` is empty"))),
        1..=SECRET_BYTES_MAX => Ok(()),
        long => {
            let detail = format!("the value of `{name}` has {long} bytes, more than {SECRET_BYTES_MAX}");
            Err(Problem::new(Fault::Invalid, detail))
        }
    }
}

/// List secrets: names and times, never values.
#[utoipa::path(
    get, path = "/api/v1/secrets", tag = "secrets", operation_id = "list_secrets", params(PageQuery),
    responses((status = 200, description = "a page", body = Page<SecretView>))
)]
pub async fn list(app: App, Asked(query): Asked<PageQuery>) -> Result<Json<Page<SecretView>>, Problem> {
    let all = app.catalog.secrets(&app.workspace);
    query.page(
        all,
        |kept| kept.key.name.clone(),
        |kept| SecretView {
            name: kept.key.name.split('@').next().unwrap_or_default().to_owned(),
            environment: kept.key.name.split_once('@').map(|(_, environment)| environment.to_owned()),
            created_at: kept.created_at.to_string(),
            updated_at: kept.updated_at.to_string(),
        },
    )
}

/// Remove a secret. Workflows that use it fail from now on.
#[utoipa::path(
    delete, path = "/api/v1/secrets/{secret}", tag = "secrets", operation_id = "delete_secret",
    params(("secret" = String, Path, description = "its name"), SecretQuery),
    responses((status = 204, description = "removed"), (status = 404, description = "unknown"))
)]
pub async fn remove(
    app: App,
    Path(which): Path<String>,
    Asked(query): Asked<SecretQuery>,
) -> Result<StatusCode, Problem> {
    let name = SecretName::new(&which)?;
    let _editing = app.catalog.edit().await;
    let environment = query.environment.as_ref();
    if app.catalog.secret_kept(&app.workspace, &name, environment).is_none() {
        let all = app.catalog.secrets(&app.workspace);
        return Err(Problem::not_among("secret", name, all.iter().map(|kept| kept.key.name.as_str())));
    }
    let key = specs::key(ResourceKind::Secret, &app.workspace, specs::secret_key(&name, environment));
    app.catalog.change(vec![Change::Delete { key, expect: Expect::Any }]).await?;
    Ok(StatusCode::NO_CONTENT)
}
