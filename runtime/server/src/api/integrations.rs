//! Integrations: an adapter with its configuration and secrets, and the URLs that its vendor calls.
//!
//! Secrets are sealed before they are stored and never shown; those that an update leaves out keep their values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use camshaft_model::ids::Name;
use camshaft_model::language::TaskMissing;
use camshaft_model::plugin::{AdapterDescriptor, Descriptor, PluginKind, PluginPin};
use camshaft_model::resource::{Change, Expect, ResourceKind};
use camshaft_model::seams::Permissions;
use camshaft_model::{Map, Value};
use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use semver::VersionReq;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{JsonBody, map};
use super::page::{Asked, Page, PageQuery};
use super::problem::{Fault, Problem, nearest_of};
use super::publish::prepare;
use super::requirements;
use super::schemas::{self, Broken};
use super::secrets::check_value;
use super::{App, check_generation, name_in_url, with_generation};
use crate::catalog::WorkspaceTasks;
use crate::catalog::specs::{self, IntegrationSpec, Kept};
use crate::vault::Sealed;

/// Most values of one secret: several while a key is rotated.
const VALUES_MAX: usize = 8;
/// Of a value that has none of several forms, so many reasons are told.
const REASONS_SHOWN: usize = 4;

/// An integration as it shall be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IntegrationBody {
    /// `github`, or with a version range `github@1`.
    pub adapter: String,
    /// The adapter's configuration.
    #[serde(default, deserialize_with = "map")]
    #[schema(value_type = Object)]
    pub config: Map<String, Value>,
    /// Secrets by field; those left out keep their values, null removes one.
    #[serde(default, deserialize_with = "map")]
    #[schema(value_type = Object)]
    pub secrets: BTreeMap<String, Option<SecretValues>>,
    /// Whether it takes deliveries: as before, or yes for a new one, where it is left out.
    pub enabled: Option<bool>,
}

/// One value, or several while a key is rotated.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a text, or a list of texts")]
pub enum SecretValues {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// An integration, without the values of its secrets.
#[derive(Debug, Serialize, ToSchema)]
pub struct IntegrationView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its adapter.
    pub adapter: String,
    /// The adapter's version.
    pub version: String,
    /// Its configuration.
    #[schema(value_type = Object)]
    pub config: Value,
    /// Which secrets are set.
    pub secrets: Vec<String>,
    /// Whether it takes deliveries.
    pub enabled: bool,
    /// One more at each change; `If-Match` takes it.
    pub generation: u64,
    /// Where its vendor calls.
    pub urls: IntegrationUrls,
    /// Deliveries that came since the server started.
    pub received: u64,
    /// Of these, answered with success.
    pub accepted: u64,
    /// Of these, refused.
    pub refused: u64,
    /// The latest refused, newest first.
    pub last_refusals: Vec<RefusalView>,
    /// When it was made (RFC 3339).
    pub created_at: String,
    /// When it was changed (RFC 3339).
    pub updated_at: String,
}

/// Where a vendor calls.
#[derive(Debug, Serialize, ToSchema)]
pub struct IntegrationUrls {
    /// Every workflow that subscribes.
    pub webhook: String,
    /// One workflow; put its name in.
    pub async_template: String,
    /// One workflow, and waits for its answer.
    pub sync_template: String,
}

/// A delivery that was refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefusalView {
    /// When (RFC 3339).
    pub time: String,
    /// The vendor's id of it, where a header named one.
    pub delivery: Option<String>,
    /// What it was answered with.
    pub status: u16,
    /// Why.
    pub reason: String,
}

impl IntegrationView {
    fn of(app: &App, kept: &Kept<IntegrationSpec>) -> Self {
        let counts = app.deliveries.counts(kept.id);
        let hook = format!("{}/v1/webhooks/{}", app.url(), kept.key.name);
        Self {
            id: kept.id.to_string(),
            name: kept.key.name.clone(),
            adapter: kept.spec.adapter.name.to_string(),
            version: kept.spec.adapter.version.to_string(),
            config: kept.spec.config.clone(),
            secrets: kept.spec.secrets.keys().cloned().collect(),
            enabled: kept.spec.enabled,
            generation: kept.generation,
            urls: IntegrationUrls {
                async_template: format!("{hook}/workflows/{{workflow}}"),
                sync_template: format!("{hook}/workflows/{{workflow}}/sync"),
                webhook: hook,
            },
            received: counts.received,
            accepted: counts.accepted,
            refused: counts.refused,
            last_refusals: counts
                .last_refusals
                .into_iter()
                .map(|refused| RefusalView {
                    time: refused.time.to_string(),
                    delivery: refused.delivery,
                    status: refused.status,
                    reason: refused.reason,
                })
                .collect(),
            created_at: kept.created_at.to_string(),
            updated_at: kept.updated_at.to_string(),
        }
    }
}

/// Make or change an integration.
#[utoipa::path(
    put, path = "/api/v1/integrations/{integration}", tag = "integrations", operation_id = "put_integration",
    params(
        ("integration" = String, Path, description = "its name"),
        ("If-Match" = Option<String>, Header, description = "only if the generation is this"),
    ),
    request_body = IntegrationBody,
    responses(
        (status = 200, description = "changed", body = IntegrationView),
        (status = 201, description = "made", body = IntegrationView),
        (status = 412, description = "changed meanwhile"),
        (status = 413, description = "too large"),
        (status = 422, description = "unknown adapter, or one that `missing` says what to grant to; or `faults` of the configuration; or secrets that are missing or unknown"),
    )
)]
pub async fn put(
    app: App,
    Path(which): Path<String>,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<IntegrationBody>,
) -> Result<Response, Problem> {
    let name = name_in_url("integration name", &which)?;
    let workspace = &app.workspace;
    let editing = app.catalog.edit().await;
    let before = app.catalog.integration_kept(workspace, &name);
    check_generation(&headers, before.as_ref().map_or(0, |kept| kept.generation))?;

    let (adapter, descriptor) = adapter(&app, &wanted.adapter)?;
    check_grant(&app, &adapter)?;
    let config = Value::Object(wanted.config);
    check_config(&adapter, &descriptor, &config)?;
    let kept_secrets = before.as_ref().map(|kept| kept.spec.secrets.clone()).unwrap_or_default();
    let secrets = secrets(&app, &name, &adapter, &descriptor, kept_secrets, wanted.secrets)?;
    let spec = IntegrationSpec {
        adapter,
        config,
        secrets,
        enabled: wanted.enabled.unwrap_or_else(|| before.as_ref().is_none_or(|kept| kept.spec.enabled)),
    };
    let id = before.as_ref().map_or_else(|| app.ids.resource(), |kept| kept.id);
    let resource = specs::resource(specs::key(ResourceKind::Integration, workspace, &name), id, &spec, app.clock.now());
    let expect = before.as_ref().map_or(Expect::Absent, |kept| Expect::Generation(kept.generation));
    let digest = spec.adapter.digest;
    app.catalog.change(vec![Change::Put { resource, expect }]).await?;
    drop(editing);
    prepare(&app, [digest]).await;
    let status = if before.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    let kept = integration(&app, &name)?;
    Ok(with_generation(status, kept.generation, Json(IntegrationView::of(&app, &kept))))
}

pub(super) fn integration(app: &App, name: &Name) -> Result<Arc<Kept<IntegrationSpec>>, Problem> {
    app.catalog.integration_kept(&app.workspace, name).ok_or_else(|| {
        let all = app.catalog.integrations(&app.workspace);
        Problem::not_among("integration", name, all.iter().map(|kept| kept.key.name.as_str()))
    })
}

/// The newest release that `github@1` means, and what it says of itself.
fn adapter(app: &App, written: &str) -> Result<(PluginPin, AdapterDescriptor), Problem> {
    let invalid = |detail: String| Problem::new(Fault::Invalid, detail);
    let (name, range) = written.split_once('@').unwrap_or((written, "*"));
    let name = Name::new(name).map_err(|malformed| invalid(format!("adapter `{written}`: {malformed}")))?;
    let range = VersionReq::parse(range)
        .map_err(|error| invalid(format!("adapter `{written}`: `{range}` is no version range: {error}")))?;
    let plugins = WorkspaceTasks { catalog: &app.catalog, workspace: &app.workspace };
    let pin = plugins.newest(PluginKind::Adapter, &name, &range).map_err(|missing| match missing {
        TaskMissing::NoSuchPlugin => {
            let all = app.catalog.all_releases(&app.workspace, Some(PluginKind::Adapter));
            let mut names: Vec<_> = all.iter().map(|kept| format!("`{}`", kept.spec.name)).collect();
            names.dedup();
            let meant = nearest_of(name.as_str(), all.iter().map(|kept| kept.spec.name.as_str()));
            invalid(format!("there is no adapter `{name}`; there are {}{meant}", names.join(", ")))
        }
        TaskMissing::NotATask => invalid(format!("`{name}` is a task, not an adapter")),
        TaskMissing::NoSuchVersion(versions) => {
            let versions: Vec<_> = versions.iter().map(ToString::to_string).collect();
            invalid(format!("adapter `{name}` has no version {range}; it has {}", versions.join(", ")))
        }
    })?;
    let release = app.catalog.release(&app.workspace, &pin.name, &pin.version);
    match release.map(|kept| kept.spec.descriptor.clone()) {
        Some(Descriptor::Adapter(descriptor)) => Ok((pin, descriptor)),
        _ => Err(Problem::internal(format!("adapter `{name}` has no adapter's descriptor"))),
    }
}

/// Refuses an adapter that calls its vendor and is not granted to: it would refuse every delivery.
fn check_grant(app: &App, adapter: &PluginPin) -> Result<(), Problem> {
    let Some(release) = app.catalog.release(&app.workspace, &adapter.name, &adapter.version) else { return Ok(()) };
    let missing = requirements::missing_grants(&release.spec, &app.catalog.grant(&app.workspace, &adapter.name));
    let Some(first) = missing.first() else { return Ok(()) };
    let command = first.command.as_ref().map(|command| format!("; run `{command}`")).unwrap_or_default();
    Err(Problem::new(Fault::Invalid, format!("{}{command}", first.message)).with("missing", &missing))
}

fn unusable(adapter: &PluginPin, broken: &Broken) -> Problem {
    Problem::new(Fault::Invalid, format!("adapter `{}` {} {broken}", adapter.name, adapter.version))
}

/// Holds a configuration against the adapter's JSON Schema, and tells every fault at once.
fn check_config(adapter: &PluginPin, descriptor: &AdapterDescriptor, config: &Value) -> Result<(), Problem> {
    let schema = schemas::of_config(descriptor).map_err(|broken| unusable(adapter, &broken))?;
    let faults: Vec<_> = schema
        .iter_errors(config)
        .map(|error| {
            let path = error.instance_path().to_string();
            let at = if path.is_empty() { String::new() } else { format!(" at `{path}`") };
            (path, format!("config{at}: {}", config_fault(&error, config)))
        })
        .collect();
    let [(_, first), rest @ ..] = faults.as_slice() else { return Ok(()) };
    let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
    let faults: Vec<_> =
        faults.iter().map(|(path, message)| serde_json::json!({"path": path, "message": message})).collect();
    Err(Problem::new(Fault::Invalid, format!("{first}{more}")).with("faults", faults))
}

/// What is wrong, without the value: somebody may have put a secret there.
fn config_fault(error: &ValidationError<'_>, config: &Value) -> String {
    let keys = |instance: &Value| -> Vec<String> {
        instance.as_object().into_iter().flatten().map(|(key, _)| format!("`{key}`")).collect()
    };
    match error.kind() {
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            // Of every form, what is closest to it.
            let reasons: BTreeSet<_> = context.iter().flatten().map(|error| config_fault(error, config)).collect();
            let keys = keys(error.instance());
            let has = if keys.is_empty() { String::new() } else { format!(", which has {},", keys.join(", ")) };
            let reasons = reasons.into_iter().take(REASONS_SHOWN).collect::<Vec<_>>().join("; ");
            format!("the value{has} has none of the forms that it may have: {reasons}")
        }
        // `additionalProperties: false` where there are no properties at all.
        Kind::FalseSchema => match config.pointer(error.instance_path().as_str()).map(keys) {
            Some(keys) if !keys.is_empty() => format!("nothing is taken here, found {}", keys.join(", ")),
            _ => "nothing is taken here".to_owned(),
        },
        _ => error.masked_with("the value").to_string(),
    }
}

/// The sealed secrets after an update.
fn secrets(
    app: &App,
    integration: &Name,
    adapter: &PluginPin,
    descriptor: &AdapterDescriptor,
    mut kept: BTreeMap<String, Vec<Sealed>>,
    given: BTreeMap<String, Option<SecretValues>>,
) -> Result<BTreeMap<String, Vec<Sealed>>, Problem> {
    let known = |field: &str| descriptor.secrets.iter().any(|secret| secret.name == field);
    // After a change of adapter, secrets that the new one does not know are dropped.
    kept.retain(|field, _| known(field));
    for (field, values) in given {
        if !known(&field) {
            let fields: Vec<_> = descriptor.secrets.iter().map(|secret| format!("`{}`", secret.name)).collect();
            let has = if fields.is_empty() { "none".to_owned() } else { fields.join(", ") };
            let detail = format!("adapter `{}` has no secret `{field}`; it has {has}", adapter.name);
            return Err(Problem::new(Fault::Invalid, detail));
        }
        let values = match values {
            None => {
                kept.remove(&field);
                continue;
            }
            Some(SecretValues::One(value)) => vec![value],
            Some(SecretValues::Several(values)) => values,
        };
        if values.is_empty() || values.len() > VALUES_MAX {
            let detail = format!("secret `{field}` has {} values: it has 1 to {VALUES_MAX}", values.len());
            return Err(Problem::new(Fault::Invalid, detail));
        }
        let place = specs::integration_place(&app.workspace, integration.as_str(), &field);
        let mut sealed = Vec::with_capacity(values.len());
        for value in &values {
            check_value(&field, value)?;
            check_form(adapter, descriptor, &field, value)?;
            sealed.push(app.catalog.vault().seal(&place, value).map_err(Problem::internal)?);
        }
        kept.insert(field, sealed);
    }
    let absent = descriptor.secrets.iter().find(|secret| secret.required && !kept.contains_key(&secret.name));
    match absent {
        None => Ok(kept),
        Some(secret) => {
            let detail = format!("adapter `{}` needs the secret `{}`: {}", adapter.name, secret.name, secret.summary);
            Err(Problem::new(Fault::Invalid, detail))
        }
    }
}

/// Holds a secret's value against what the adapter's schema says of it: a key that is none would refuse every delivery.
fn check_form(adapter: &PluginPin, descriptor: &AdapterDescriptor, field: &str, value: &str) -> Result<(), Problem> {
    let form = schemas::of_secret(descriptor, field).map_err(|broken| unusable(adapter, &broken))?;
    let Some((schema, wanted)) = form else { return Ok(()) };
    if schema.is_valid(&Value::from(value)) {
        return Ok(());
    }
    let wanted = wanted.map(|wanted| format!(", which is {wanted}")).unwrap_or_default();
    let summary = descriptor.secrets.iter().find(|secret| secret.name == field).map(|secret| secret.summary.as_str());
    let (adapter, summary) = (&adapter.name, summary.unwrap_or_default());
    let detail = format!("the value of `{field}` is not what adapter `{adapter}` takes{wanted}: {summary}");
    Err(Problem::new(Fault::Invalid, detail))
}

/// List integrations by name.
#[utoipa::path(
    get, path = "/api/v1/integrations", tag = "integrations", operation_id = "list_integrations", params(PageQuery),
    responses((status = 200, description = "a page", body = Page<IntegrationView>))
)]
pub async fn list(app: App, Asked(query): Asked<PageQuery>) -> Result<Json<Page<IntegrationView>>, Problem> {
    let all = app.catalog.integrations(&app.workspace);
    query.page(all, |kept| kept.key.name.clone(), |kept| IntegrationView::of(&app, kept))
}

/// Show an integration.
#[utoipa::path(
    get, path = "/api/v1/integrations/{integration}", tag = "integrations", operation_id = "get_integration",
    params(("integration" = String, Path, description = "its name")),
    responses((status = 200, description = "the integration", body = IntegrationView), (status = 404, description = "unknown"))
)]
pub async fn show(app: App, Path(which): Path<String>) -> Result<Response, Problem> {
    let kept = integration(&app, &name_in_url("integration name", &which)?)?;
    Ok(with_generation(StatusCode::OK, kept.generation, Json(IntegrationView::of(&app, &kept))))
}

/// Remove an integration that no published workflow listens to.
#[utoipa::path(
    delete, path = "/api/v1/integrations/{integration}", tag = "integrations", operation_id = "delete_integration",
    params(("integration" = String, Path, description = "its name")),
    responses(
        (status = 204, description = "removed"),
        (status = 404, description = "unknown"),
        (status = 409, description = "published workflows listen to it, or users are connected to it"),
    )
)]
pub async fn remove(app: App, Path(which): Path<String>) -> Result<StatusCode, Problem> {
    let name = name_in_url("integration name", &which)?;
    let _editing = app.catalog.edit().await;
    let kept = integration(&app, &name)?;
    let listening = app.catalog.listeners(&app.workspace, &name);
    if !listening.is_empty() {
        let workflows: Vec<_> = listening.iter().map(|workflow| format!("`{workflow}`")).collect();
        let detail = format!("published workflows listen to `{name}`: {}; unpublish them first", workflows.join(", "));
        return Err(Problem::new(Fault::Conflict, detail));
    }
    let connected = app.catalog.connection_count(&app.workspace, &name);
    if connected > 0 {
        let detail = format!("`{name}` has {connected} connections of users; disconnect them first");
        return Err(Problem::new(Fault::Conflict, detail));
    }
    let expect = Expect::Generation(kept.generation);
    app.catalog.change(vec![Change::Delete { key: kept.key.clone(), expect }]).await?;
    app.deliveries.forget(kept.id);
    Ok(StatusCode::NO_CONTENT)
}
