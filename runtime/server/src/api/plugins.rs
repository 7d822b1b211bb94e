//! Plugins: upload a component, look at what there is.
//!
//! A release never changes: the same bytes again are the same release, other bytes under a taken version are refused.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request};
use axum::http::StatusCode;
use camshaft_model::ids::Name;
use camshaft_model::limits::COMPONENT_BYTES_MAX;
use camshaft_model::plugin::{Descriptor, Grant, PluginKind, PluginRelease};
use camshaft_model::resource::{Change, Expect, ResourceKind};
use camshaft_model::seams::Permissions;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::page::{Asked, Page, PageQuery};
use super::problem::{Fault, Problem};
use super::{App, body, name_in_url, schemas};
use crate::catalog::Catalog;
use crate::catalog::specs::{self, Kept};
use crate::inspector::Unfit;

/// A release.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReleaseView {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `task` or `adapter`
    pub kind: &'static str,
    /// BLAKE3 digest of its component.
    pub digest: String,
    /// Size of its component.
    pub size_bytes: u64,
    /// Whether its calls can be seen from outside.
    pub observable: bool,
    /// Interfaces that it imports.
    pub imports: Vec<String>,
    /// Interfaces that it exports.
    pub exports: Vec<String>,
    /// Whether it is an adapter that can sign samples.
    pub signs: bool,
    /// Whether the server brought it.
    pub shipped: bool,
    /// One sentence.
    pub summary: String,
    /// What it says of itself: schemas, examples, secrets, events.
    #[schema(value_type = Object)]
    pub descriptor: Descriptor,
    /// When it was uploaded (RFC 3339).
    pub created_at: String,
}

/// A plugin with all its releases.
#[derive(Debug, Serialize, ToSchema)]
pub struct PluginView {
    /// Its name.
    pub name: String,
    /// `task` or `adapter`
    pub kind: &'static str,
    /// Newest version.
    pub version: String,
    /// One sentence, of the newest release.
    pub summary: String,
    /// What it is granted.
    #[schema(value_type = Object)]
    pub grant: Grant,
    /// Every release, oldest version first.
    pub releases: Vec<ReleaseView>,
}

/// Which plugins.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PluginQuery {
    /// `task` or `adapter`; both where it is left out.
    #[param(value_type = Option<String>)]
    pub kind: Option<PluginKind>,
    /// Items of a page: 1 to 200, 50 where it is left out.
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub after: Option<String>,
}

impl ReleaseView {
    fn of(kept: &Kept<PluginRelease>) -> Self {
        let release = &kept.spec;
        Self {
            name: release.name.to_string(),
            version: release.version.to_string(),
            kind: release.kind.as_str(),
            digest: release.digest.to_string(),
            size_bytes: release.size_bytes,
            observable: release.observable,
            imports: release.imports.clone(),
            exports: release.exports.clone(),
            signs: release.signs(),
            shipped: release.shipped,
            summary: release.descriptor.summary().to_owned(),
            descriptor: release.descriptor.clone(),
            created_at: kept.created_at.to_string(),
        }
    }
}

/// The bytes of a component.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "it tells what a body is")]
pub struct ComponentBytes(Vec<u8>);

/// Upload a component: the raw bytes are the body.
#[utoipa::path(
    post, path = "/api/v1/plugins", tag = "plugins", operation_id = "upload_plugin",
    request_body(
        description = "the component, whatever its type is said to be",
        content((ComponentBytes = "application/wasm"), (ComponentBytes = "application/octet-stream")),
    ),
    responses(
        (status = 200, description = "the same bytes are there already", body = ReleaseView),
        (status = 201, description = "a new release", body = ReleaseView),
        (status = 409, description = "the version, or the name, is taken by something else"),
        (status = 413, description = "too large"),
        (status = 422, description = "no plugin; `check` tells which check failed"),
    )
)]
pub async fn upload(app: App, request: Request) -> Result<(StatusCode, Json<ReleaseView>), Problem> {
    let bytes = body::read(request, COMPONENT_BYTES_MAX).await?;
    let workspace = &app.workspace;
    let digest = camshaft_model::ids::Digest(*blake3::hash(&bytes).as_bytes());
    if let Some(kept) = app.catalog.release_of(workspace, digest) {
        return Ok((StatusCode::OK, Json(ReleaseView::of(&kept))));
    }
    let release = app.inspector.inspect(bytes.clone()).await.map_err(|unfit| match unfit {
        Unfit::Refused { check, message } => Problem::new(Fault::Invalid, message).with("check", check),
        Unfit::Unavailable(why) => {
            Problem::new(Fault::Unavailable, "the component cannot be looked at now; try again").because(why)
        }
    })?;
    if let Descriptor::Adapter(adapter) = &release.descriptor {
        schemas::check(adapter).map_err(|broken| {
            let detail = format!("adapter `{}` {} {broken}", release.name, release.version);
            Problem::new(Fault::Invalid, detail).with("check", "describe")
        })?;
    }

    let _editing = app.catalog.edit().await;
    let taken = |detail: String| Err(Problem::new(Fault::Conflict, detail));
    let (name, version) = (&release.name, &release.version);
    match app.catalog.release(workspace, name, version) {
        Some(kept) if kept.spec.digest == digest => return Ok((StatusCode::OK, Json(ReleaseView::of(&kept)))),
        Some(kept) => {
            let other = kept.spec.digest;
            return taken(format!(
                "`{name}` {version} is taken by other bytes: they have the digest {other}, yours {digest}; raise the version"
            ));
        }
        None => {}
    }
    if let Some(other) = app.catalog.releases(workspace, name).first().filter(|kept| kept.spec.kind != release.kind) {
        let (is, was) = (release.kind.as_str(), other.spec.kind.as_str());
        return taken(format!("the name `{name}` is taken by another plugin, which is of kind {was}, not {is}"));
    }
    app.store.put_blob(digest, bytes.into()).await?;
    let kept = keep(&app.catalog, &app, release).await?;
    Ok((StatusCode::CREATED, Json(ReleaseView::of(&kept))))
}

async fn keep(catalog: &Catalog, app: &App, release: PluginRelease) -> Result<Kept<PluginRelease>, Problem> {
    let key = specs::key(ResourceKind::Plugin, &app.workspace, format!("{}@{}", release.name, release.version));
    let resource = specs::resource(key, app.ids.resource(), &release, app.clock.now());
    let made = catalog.change(vec![Change::Put { resource, expect: Expect::Absent }]).await?;
    match made.first() {
        Some(Some(made)) => Ok(Kept::read(made)?),
        _ => Err(Problem::internal("the store put a plugin and gave none back")),
    }
}

/// List releases by name and version.
#[utoipa::path(
    get, path = "/api/v1/plugins", tag = "plugins", operation_id = "list_plugins", params(PluginQuery),
    responses((status = 200, description = "a page", body = Page<ReleaseView>))
)]
pub async fn list(app: App, Asked(query): Asked<PluginQuery>) -> Result<Json<Page<ReleaseView>>, Problem> {
    let mut releases = app.catalog.all_releases(&app.workspace, query.kind);
    let cursor = |kept: &Arc<Kept<PluginRelease>>| kept.key.name.clone();
    releases.sort_by_key(cursor);
    PageQuery { limit: query.limit, after: query.after }.page(releases, cursor, |kept| ReleaseView::of(kept))
}

/// Show a plugin with all its releases and its grant.
#[utoipa::path(
    get, path = "/api/v1/plugins/{plugin}", tag = "plugins", operation_id = "get_plugin",
    params(("plugin" = String, Path, description = "its name")),
    responses((status = 200, description = "the plugin", body = PluginView), (status = 404, description = "unknown"))
)]
pub async fn show(app: App, Path(which): Path<String>) -> Result<Json<PluginView>, Problem> {
    let name = name_in_url("plugin name", &which)?;
    let releases = app.catalog.releases(&app.workspace, &name);
    let newest = releases.last().ok_or_else(|| unknown(&app, &name))?;
    Ok(Json(PluginView {
        name: name.to_string(),
        kind: newest.spec.kind.as_str(),
        version: newest.spec.version.to_string(),
        summary: newest.spec.descriptor.summary().to_owned(),
        grant: (*app.catalog.grant(&app.workspace, &name)).clone(),
        releases: releases.iter().map(|kept| ReleaseView::of(kept)).collect(),
    }))
}

/// There is no such plugin.
pub fn unknown(app: &App, name: &Name) -> Problem {
    let all = app.catalog.all_releases(&app.workspace, None);
    Problem::not_among("plugin", name, all.iter().map(|kept| kept.spec.name.as_str()))
}
