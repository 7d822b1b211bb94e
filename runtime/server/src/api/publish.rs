//! Publishing a revision to an environment, and taking it back.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use camshaft_model::ids::{Digest, Name};
use camshaft_model::language::{self, Compiled};
use camshaft_model::limits::FORMER_MAX;
use camshaft_model::resource::{Change, Expect};
use camshaft_model::seams::Permissions;
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::JsonBody;
use super::problem::{Fault, Problem};
use super::requirements::{self, Missing};
use super::workflows::WorkflowView;
use super::{App, check_generation, with_generation};
use crate::catalog::specs::{self, Kept, RevisionSpec, WorkflowSpec};
use crate::sharing::{self, check_own};

/// What to publish where.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// Number of the revision; the latest where it is left out.
    pub revision: Option<u32>,
    /// `production` where it is left out.
    #[schema(value_type = Option<String>)]
    pub environment: Option<Name>,
}

/// From where to where.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Promote {
    /// The environment whose revision is meant.
    #[schema(value_type = String)]
    pub from: Name,
    /// The environment to publish it in; `production` where it is left out.
    #[schema(value_type = Option<String>)]
    pub to: Option<Name>,
}

/// Where to take it back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Unpublish {
    /// `production` where it is left out.
    #[schema(value_type = Option<String>)]
    pub environment: Option<Name>,
}

/// The environment where none is named.
pub fn production() -> Name {
    Name::new("production").expect("`production` is a name")
}

/// Publish a revision to an environment: from now on it runs there.
#[utoipa::path(
    post, path = "/api/v1/workflows/{workflow}/publish", tag = "workflows", operation_id = "publish_workflow",
    params(
        ("workflow" = String, Path, description = "name or id"),
        ("If-Match" = Option<String>, Header, description = "only if the generation is this"),
    ),
    request_body = Publish,
    responses(
        (status = 200, description = "published", body = WorkflowView),
        (status = 404, description = "unknown workflow"),
        (status = 412, description = "changed meanwhile"),
        (status = 413, description = "too large"),
        (status = 422, description = "no such revision; or `missing` grants, secrets, integrations or workflows"),
    )
)]
pub async fn publish(
    app: App,
    Path(which): Path<String>,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<Publish>,
) -> Result<Response, Problem> {
    let environment = wanted.environment.unwrap_or_else(production);
    put(&app, &which, &headers, &environment, |kept| {
        let latest = kept.spec.latest_revision;
        match wanted.revision.unwrap_or(latest) {
            revision if revision == 0 || revision > latest => {
                let detail = format!("workflow `{}` has no revision {revision}; the latest is {latest}", kept.key.name);
                Err(Problem::new(Fault::Invalid, detail))
            }
            revision => Ok((revision, pushed(&kept.spec, &environment))),
        }
    })
    .await
}

/// Publish in one environment the revision that runs in another.
#[utoipa::path(
    post, path = "/api/v1/workflows/{workflow}/promote", tag = "workflows", operation_id = "promote_workflow",
    params(
        ("workflow" = String, Path, description = "name or id"),
        ("If-Match" = Option<String>, Header, description = "only if the generation is this"),
    ),
    request_body = Promote,
    responses(
        (status = 200, description = "published", body = WorkflowView),
        (status = 404, description = "unknown workflow"),
        (status = 409, description = "nothing is published in the first environment"),
        (status = 412, description = "changed meanwhile"),
        (status = 413, description = "too large"),
        (status = 422, description = "no such environment; or `missing` grants, secrets, integrations or workflows"),
    )
)]
pub async fn promote(
    app: App,
    Path(which): Path<String>,
    headers: HeaderMap,
    JsonBody(Promote { from, to }): JsonBody<Promote>,
) -> Result<Response, Problem> {
    let to = to.unwrap_or_else(production);
    app.check_environment(&from)?;
    put(&app, &which, &headers, &to, |kept| match kept.spec.published.get(&from) {
        Some(revision) => Ok((*revision, pushed(&kept.spec, &to))),
        None => {
            let detail = format!("workflow `{}` is not published in `{from}`", kept.key.name);
            Err(Problem::new(Fault::Conflict, detail))
        }
    })
    .await
}

/// Publish again what an environment ran before its present revision. Each further call goes one further back.
#[utoipa::path(
    post, path = "/api/v1/workflows/{workflow}/rollback", tag = "workflows", operation_id = "roll_back_workflow",
    params(
        ("workflow" = String, Path, description = "name or id"),
        ("If-Match" = Option<String>, Header, description = "only if the generation is this"),
    ),
    request_body = Unpublish,
    responses(
        (status = 200, description = "published", body = WorkflowView),
        (status = 404, description = "unknown workflow"),
        (status = 409, description = "nothing was published before"),
        (status = 412, description = "changed meanwhile"),
        (status = 413, description = "too large"),
        (status = 422, description = "no such environment; or `missing` grants, secrets, integrations or workflows"),
    )
)]
pub async fn rollback(
    app: App,
    Path(which): Path<String>,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<Unpublish>,
) -> Result<Response, Problem> {
    let environment = wanted.environment.unwrap_or_else(production);
    put(&app, &which, &headers, &environment, |kept| {
        let mut former = kept.spec.former.get(&environment).cloned().unwrap_or_default();
        former.pop().map(|revision| (revision, former)).ok_or_else(|| {
            let detail = format!("nothing of workflow `{}` was published in `{environment}` before", kept.key.name);
            Problem::new(Fault::Conflict, detail)
        })
    })
    .await
}

/// What an environment can be rolled back to once something else is published there.
fn pushed(head: &WorkflowSpec, environment: &Name) -> Vec<u32> {
    let mut former = head.former.get(environment).cloned().unwrap_or_default();
    former.extend(head.published.get(environment));
    former.drain(..former.len().saturating_sub(FORMER_MAX));
    former
}

/// Publishes the revision that `choose` says, and keeps what it says of the former ones.
async fn put(
    app: &App,
    which: &str,
    headers: &HeaderMap,
    environment: &Name,
    choose: impl FnOnce(&Kept<WorkflowSpec>) -> Result<(u32, Vec<u32>), Problem>,
) -> Result<Response, Problem> {
    let editing = app.catalog.edit().await;
    let kept = app.workflow(which)?;
    check_own(&kept)?;
    check_generation(headers, kept.generation)?;
    app.check_environment(environment)?;
    let (revision, former) = choose(&kept)?;
    let spec = stored(app, &kept, revision).await?;
    let Fit { digests, .. } = fits(app, &kept.key.name, revision, &spec, environment, Whose::Own).await?;
    let mut head = kept.spec.clone();
    if head.published.insert(environment.clone(), revision) != Some(revision) {
        head.former.insert(environment.clone(), former);
        head.since.insert(environment.clone(), app.clock.now());
    }
    let answer = change(app, &kept, head).await?;
    if let Some(published) =
        Name::new(&kept.key.name).ok().and_then(|name| app.catalog.published_here(&app.workspace, &name, environment))
    {
        (app.widen)(kept.id, published.workflow.limits.concurrency.unwrap_or(u32::MAX));
    }
    drop(editing);
    prepare(app, digests).await;
    Ok(answer)
}

/// Compiles what the first call would otherwise compile. If that fails, the call tells.
pub async fn prepare(app: &App, digests: impl IntoIterator<Item = Digest>) {
    for digest in digests {
        if let Err(why) = app.inspector.prepare(digest).await {
            tracing::warn!(%digest, why, "a plugin could not be compiled ahead");
        }
    }
}

/// Take a workflow back from an environment: it is not started there any more. What runs goes on.
#[utoipa::path(
    post, path = "/api/v1/workflows/{workflow}/unpublish", tag = "workflows", operation_id = "unpublish_workflow",
    params(
        ("workflow" = String, Path, description = "name or id"),
        ("If-Match" = Option<String>, Header, description = "only if the generation is this"),
    ),
    request_body = Unpublish,
    responses(
        (status = 200, description = "taken back, or not published there anyway", body = WorkflowView),
        (status = 404, description = "unknown workflow"),
        (status = 412, description = "changed meanwhile"),
        (status = 413, description = "too large"),
    )
)]
pub async fn unpublish(
    app: App,
    Path(which): Path<String>,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<Unpublish>,
) -> Result<Response, Problem> {
    let environment = wanted.environment.unwrap_or_else(production);
    let _editing = app.catalog.edit().await;
    let kept = app.workflow(&which)?;
    check_own(&kept)?;
    check_generation(&headers, kept.generation)?;
    let mut head = kept.spec.clone();
    if head.published.contains_key(&environment) {
        head.former.insert(environment.clone(), pushed(&head, &environment));
        head.published.remove(&environment);
        head.since.remove(&environment);
    }
    change(&app, &kept, head).await
}

async fn change(app: &App, before: &Kept<WorkflowSpec>, head: WorkflowSpec) -> Result<Response, Problem> {
    if head != before.spec {
        let resource = specs::resource(before.key.clone(), before.id, &head, app.clock.now());
        let expect = Expect::Generation(before.generation);
        let mut changes = vec![Change::Put { resource, expect }];
        changes.extend(sharing::follow(app, before, &head).await?);
        app.catalog.change(changes).await?;
    }
    let kept = app.workflow(&before.key.name)?;
    Ok(with_generation(StatusCode::OK, kept.generation, Json(WorkflowView::of(app, &kept))))
}

/// Whose workflow a workspace is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Its own: the plugins are there, since the document was compiled with them.
    Own,
    /// Another workspace's: the very plugins have to be here too, and its integrations are the other one's.
    Lent,
}

/// A revision that could run.
pub struct Fit {
    /// The plugins that it calls.
    pub digests: Vec<Digest>,
    /// Its document, compiled.
    pub compiled: Compiled,
}

/// Refuses a revision that could not run in a workspace.
pub async fn fits(
    app: &App,
    name: &str,
    revision: u32,
    spec: &RevisionSpec,
    environment: &Name,
    whose: Whose,
) -> Result<Fit, Problem> {
    let workspace = &app.workspace;
    let catalog = &app.catalog;
    let RevisionSpec { document, pins } = spec;
    let digests: Vec<_> = pins.values().map(|pin| pin.digest).collect();

    let mut missing: Vec<Missing> = Vec::new();
    for pin in pins.values() {
        // A shipped release may have been replaced by a newer build of the same version, which imports the same.
        let release = catalog.release_of(workspace, pin.digest);
        if whose == Whose::Lent && release.is_none() {
            missing.push(requirements::missing_plugin(pin));
            continue;
        }
        let release = release.or_else(|| catalog.release(workspace, &pin.name, &pin.version));
        if let Some(release) = release {
            missing.extend(requirements::missing_grants(&release.spec, &catalog.grant(workspace, &pin.name)));
        }
    }
    let compiled = language::compile(document, &language::Pins(pins)).map_err(|faults| {
        let first = faults.first().map(ToString::to_string).unwrap_or_default();
        Problem::new(Fault::Invalid, format!("revision {revision} of `{name}` does not compile any more: {first}"))
    })?;
    let secrets = compiled.secrets.iter().filter(|name| !catalog.has_secret(workspace, name, environment));
    missing.extend(secrets.map(requirements::missing_secret));
    let integrations = requirements::integrations_of(&compiled.workflow);
    for integration in integrations.into_iter().filter(|_| whose == Whose::Own) {
        let Some(kept) = catalog.integration_kept(workspace, integration) else {
            missing.push(requirements::missing_integration(integration));
            continue;
        };
        let adapter = &kept.spec.adapter;
        if let Some(release) = catalog.release(workspace, &adapter.name, &adapter.version) {
            missing.extend(requirements::missing_grants(&release.spec, &catalog.grant(workspace, &adapter.name)));
        }
    }
    for child in requirements::children_of(&compiled.program) {
        if catalog.published_here(workspace, child, environment).is_none() && !leads_back(app, child, &compiled).await?
        {
            missing.push(requirements::missing_workflow(child, environment));
        }
    }
    missing.dedup();
    match missing.as_slice() {
        [] => Ok(Fit { digests, compiled }),
        [first, rest @ ..] => {
            let command = first.command.as_ref().map(|command| format!("; run `{command}`")).unwrap_or_default();
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more missing)", rest.len()) };
            let detail = format!("`{name}` cannot be published: {}{command}{more}", first.message);
            Err(Problem::new(Fault::Invalid, detail).with("missing", &missing))
        }
    }
}

async fn stored(app: &App, kept: &Kept<WorkflowSpec>, revision: u32) -> Result<RevisionSpec, Problem> {
    let stored = app.catalog.revision_document(&app.workspace, kept.id, revision).await?;
    let stored =
        stored.ok_or_else(|| Problem::internal(format!("revision {revision} of `{}` is not stored", kept.key.name)))?;
    Ok(stored.spec)
}

/// Whether the latest revision of a child starts the workflow itself, directly or through others: of workflows that start
/// each other in a ring one has to be the first that is published.
async fn leads_back(app: &App, child: &Name, compiled: &Compiled) -> Result<bool, Problem> {
    let itself = &compiled.workflow.name;
    let (mut known, mut next) = (BTreeSet::new(), vec![child.clone()]);
    while let Some(name) = next.pop() {
        if name == *itself {
            return Ok(true);
        }
        let Some(kept) = app.catalog.workflow(&app.workspace, &name) else { continue };
        if !known.insert(name) {
            continue;
        }
        let RevisionSpec { document, pins } = stored(app, &kept, kept.spec.latest_revision).await?;
        if let Ok(compiled) = language::compile(&document, &language::Pins(&pins)) {
            next.extend(requirements::children_of(&compiled.program).into_iter().cloned());
        }
    }
    Ok(false)
}
