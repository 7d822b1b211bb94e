//! Subscriptions: URLs that are told when executions change.
//!
//! The secret that signs what is sent is made here, sealed before it is stored, and shown once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use camshaft_model::ids::Name;
use camshaft_model::limits::{LABELS_MAX, SIGNING_BESIDE, SUBSCRIPTION_NAMES_MAX, SUBSCRIPTIONS_MAX};
use camshaft_model::resource::{Change, Expect, ResourceKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::JsonBody;
use super::page::{Asked, Page, PageQuery};
use super::problem::{Fault, Problem};
use super::{App, check_generation, name_in_url, with_generation};
use crate::catalog::specs::{self, Kept};
use crate::letters;
use crate::letters::letter::Milestone;
use crate::letters::subscription::{SubscriptionSpec, place};
use crate::vault::Sealed;

/// A subscription as it shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionBody {
    /// Where CloudEvents are sent: `https://example.com/camshaft`
    pub url: String,
    /// Which state changes are told of; the five ends where it is left out.
    pub on: Option<BTreeSet<Milestone>>,
    /// Of these workflows; of all where it is left out.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub workflows: BTreeSet<Name>,
    /// In these environments; in all where it is left out.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub environments: BTreeSet<Name>,
    /// Of executions whose workflow has all of these labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Whether test executions count; not where it is left out.
    #[serde(default)]
    pub tests: bool,
    /// Whether it is told anything; as it was, or true, where it is left out.
    pub enabled: Option<bool>,
}

/// A subscription, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubscriptionView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where CloudEvents are sent.
    pub url: String,
    /// Which state changes are told of.
    pub on: BTreeSet<Milestone>,
    /// Of these workflows; of all where it is empty.
    #[schema(value_type = Vec<String>)]
    pub workflows: BTreeSet<Name>,
    /// In these environments; in all where it is empty.
    #[schema(value_type = Vec<String>)]
    pub environments: BTreeSet<Name>,
    /// Of executions whose workflow has all of these labels.
    pub labels: BTreeMap<String, String>,
    /// Whether test executions count.
    pub tests: bool,
    /// Whether it is told anything.
    pub enabled: bool,
    /// Why Camshaft switched it off itself.
    pub switched_off: Option<String>,
    /// Until when its former secret signs beside the new one (RFC 3339).
    pub former_secret_until: Option<String>,
    /// Letters that wait for their next try.
    pub waiting: usize,
    /// Letters that are not tried any more.
    pub dead: usize,
    /// One more at each change; `If-Match` takes it.
    pub generation: u64,
    /// When it was made (RFC 3339).
    pub created_at: String,
    /// When it was changed (RFC 3339).
    pub updated_at: String,
}

/// A subscription with a secret that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewSecret {
    /// What verifies its letters: `whsec_…`. Shown this once.
    pub secret: String,
    /// Everything else about it.
    #[serde(flatten)]
    pub view: SubscriptionView,
}

/// What came of an event that was sent to see whether it arrives.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestView {
    /// Whether it was taken.
    pub ok: bool,
    /// What it was answered with.
    pub status: Option<u16>,
    /// Why nobody answered.
    pub why: Option<String>,
}

impl SubscriptionView {
    fn of(app: &App, kept: &Kept<SubscriptionSpec>) -> Self {
        let SubscriptionSpec { url, on, workflows, environments, labels, tests, enabled, switched_off, .. } =
            kept.spec.clone();
        let letters::Standing { waiting, dead } = app.letters.standing(kept.id);
        let now = app.clock.now();
        let former = kept.spec.former_secret.as_ref().filter(|(_, until)| now < *until);
        Self {
            id: kept.id.to_string(),
            name: kept.key.name.clone(),
            url,
            on,
            workflows,
            environments,
            labels,
            tests,
            enabled,
            switched_off,
            former_secret_until: former.map(|(_, until)| until.to_string()),
            waiting,
            dead,
            generation: kept.generation,
            created_at: kept.created_at.to_string(),
            updated_at: kept.updated_at.to_string(),
        }
    }
}

/// Make or change a subscription. One that is made answers with its secret, this once.
#[utoipa::path(
    put, path = "/api/v1/subscriptions/{subscription}", tag = "subscriptions", operation_id = "put_subscription",
    params(
        ("subscription" = String, Path, description = "its name"),
        ("If-Match" = Option<String>, Header, description = "only if the generation is this"),
    ),
    request_body = SubscriptionBody,
    responses(
        (status = 200, description = "changed", body = SubscriptionView),
        (status = 201, description = "made", body = NewSecret),
        (status = 412, description = "changed meanwhile"),
        (status = 413, description = "too large"),
        (status = 422, description = "a URL that is not sent to, an unknown environment, or too many of something"),
    )
)]
pub async fn put(
    app: App,
    Path(which): Path<String>,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<SubscriptionBody>,
) -> Result<Response, Problem> {
    let name = name_in_url("subscription name", &which)?;
    let _editing = app.catalog.edit().await;
    let before = app.catalog.subscription(&app.workspace, &name);
    check_generation(&headers, before.as_ref().map_or(0, |kept| kept.generation))?;
    check(&app, &wanted)?;
    if before.is_none() && app.catalog.subscriptions(&app.workspace).len() >= SUBSCRIPTIONS_MAX {
        let detail = format!("`{name}` would be one more than {SUBSCRIPTIONS_MAX} subscriptions, which is the limit");
        return Err(Problem::new(Fault::Invalid, detail));
    }
    let SubscriptionBody { url, on, workflows, environments, labels, tests, enabled } = wanted;
    let (secret, former_secret, made) = match &before {
        Some(kept) => (kept.spec.secret.clone(), kept.spec.former_secret.clone(), None),
        None => {
            let (secret, sealed) = fresh_secret(&app, &name)?;
            (sealed, None, Some(secret))
        }
    };
    let enabled = enabled.unwrap_or_else(|| before.as_ref().is_none_or(|kept| kept.spec.enabled));
    let switched_off = before.as_ref().and_then(|kept| kept.spec.switched_off.clone()).filter(|_| !enabled);
    let on = on.unwrap_or_else(|| Milestone::ENDS.into());
    let spec = SubscriptionSpec {
        url,
        on,
        workflows,
        environments,
        labels,
        tests,
        enabled,
        switched_off,
        secret,
        former_secret,
    };
    let kept = save(&app, &name, before.as_deref(), spec).await?;
    let view = SubscriptionView::of(&app, &kept);
    Ok(match made {
        Some(secret) => with_generation(StatusCode::CREATED, kept.generation, Json(NewSecret { secret, view })),
        None => with_generation(StatusCode::OK, kept.generation, Json(view)),
    })
}

fn check(app: &App, wanted: &SubscriptionBody) -> Result<(), Problem> {
    let invalid = |detail: String| Err(Problem::new(Fault::Invalid, detail));
    if let Err(refused) = app.letters.check(&wanted.url) {
        return invalid(format!("`url`: {refused}"));
    }
    if wanted.on.as_ref().is_some_and(BTreeSet::is_empty) {
        return invalid("`on` is empty: it would be told nothing".to_owned());
    }
    for (field, count) in [("workflows", wanted.workflows.len()), ("environments", wanted.environments.len())] {
        if count > SUBSCRIPTION_NAMES_MAX {
            return invalid(format!("`{field}` has {count} names: it has at most {SUBSCRIPTION_NAMES_MAX}"));
        }
    }
    if wanted.labels.len() > LABELS_MAX {
        return invalid(format!("`labels` has {} labels: it has at most {LABELS_MAX}", wanted.labels.len()));
    }
    wanted.environments.iter().try_for_each(|environment| app.check_environment(environment))
}

fn fresh_secret(app: &App, name: &Name) -> Result<(String, Sealed), Problem> {
    let secret = letters::secret().map_err(Problem::internal)?;
    let place = place(&app.workspace, name.as_str());
    let sealed = app.catalog.vault().seal(&place, &secret).map_err(Problem::internal)?;
    Ok((secret, sealed))
}

async fn save(
    app: &App,
    name: &Name,
    before: Option<&Kept<SubscriptionSpec>>,
    spec: SubscriptionSpec,
) -> Result<Arc<Kept<SubscriptionSpec>>, Problem> {
    let id = before.map_or_else(|| app.ids.resource(), |kept| kept.id);
    let key = specs::key(ResourceKind::Subscription, &app.workspace, name);
    let resource = specs::resource(key, id, &spec, app.clock.now());
    let expect = before.map_or(Expect::Absent, |kept| Expect::Generation(kept.generation));
    app.catalog.change(vec![Change::Put { resource, expect }]).await?;
    app.letters.look_again();
    subscription(app, name)
}

/// A subscription of a name.
pub(super) fn subscription(app: &App, name: &Name) -> Result<Arc<Kept<SubscriptionSpec>>, Problem> {
    app.catalog.subscription(&app.workspace, name).ok_or_else(|| {
        let all = app.catalog.subscriptions(&app.workspace);
        Problem::not_among("subscription", name, all.iter().map(|kept| kept.key.name.as_str()))
    })
}

/// List subscriptions by name.
#[utoipa::path(
    get, path = "/api/v1/subscriptions", tag = "subscriptions", operation_id = "list_subscriptions", params(PageQuery),
    responses((status = 200, description = "a page", body = Page<SubscriptionView>))
)]
pub async fn list(app: App, Asked(query): Asked<PageQuery>) -> Result<Json<Page<SubscriptionView>>, Problem> {
    let all = app.catalog.subscriptions(&app.workspace);
    query.page(all, |kept| kept.key.name.clone(), |kept| SubscriptionView::of(&app, kept))
}

/// Show a subscription.
#[utoipa::path(
    get, path = "/api/v1/subscriptions/{subscription}", tag = "subscriptions", operation_id = "get_subscription",
    params(("subscription" = String, Path, description = "its name")),
    responses((status = 200, description = "the subscription", body = SubscriptionView), (status = 404, description = "unknown"))
)]
pub async fn show(app: App, Path(which): Path<String>) -> Result<Response, Problem> {
    let kept = subscription(&app, &name_in_url("subscription name", &which)?)?;
    Ok(with_generation(StatusCode::OK, kept.generation, Json(SubscriptionView::of(&app, &kept))))
}

/// Remove a subscription, and its letters with it.
#[utoipa::path(
    delete, path = "/api/v1/subscriptions/{subscription}", tag = "subscriptions", operation_id = "delete_subscription",
    params(("subscription" = String, Path, description = "its name")),
    responses((status = 204, description = "removed"), (status = 404, description = "unknown"))
)]
pub async fn remove(app: App, Path(which): Path<String>) -> Result<StatusCode, Problem> {
    let name = name_in_url("subscription name", &which)?;
    let _editing = app.catalog.edit().await;
    let kept = subscription(&app, &name)?;
    let expect = Expect::Generation(kept.generation);
    app.catalog.change(vec![Change::Delete { key: kept.key.clone(), expect }]).await?;
    app.letters.look_again();
    Ok(StatusCode::NO_CONTENT)
}

/// Make another secret and show it, this once. The one before signs beside it for 24 hours.
#[utoipa::path(
    post, path = "/api/v1/subscriptions/{subscription}/rotate", tag = "subscriptions", operation_id = "rotate_subscription_secret",
    params(("subscription" = String, Path, description = "its name")),
    responses((status = 200, description = "the new secret", body = NewSecret), (status = 404, description = "unknown"))
)]
pub async fn rotate(app: App, Path(which): Path<String>) -> Result<Response, Problem> {
    let name = name_in_url("subscription name", &which)?;
    let _editing = app.catalog.edit().await;
    let before = subscription(&app, &name)?;
    let (secret, sealed) = fresh_secret(&app, &name)?;
    let former_secret = Some((before.spec.secret.clone(), app.clock.now().plus(SIGNING_BESIDE)));
    let spec = SubscriptionSpec { secret: sealed, former_secret, ..before.spec.clone() };
    let kept = save(&app, &name, Some(&before), spec).await?;
    let view = SubscriptionView::of(&app, &kept);
    Ok(with_generation(StatusCode::OK, kept.generation, Json(NewSecret { secret, view })))
}

/// Send an event that tells of nothing, once and at once, and tell what came of it.
#[utoipa::path(
    post, path = "/api/v1/subscriptions/{subscription}/test", tag = "subscriptions", operation_id = "test_subscription",
    params(("subscription" = String, Path, description = "its name")),
    responses((status = 200, description = "what came of it", body = TestView), (status = 404, description = "unknown"))
)]
pub async fn test(app: App, Path(which): Path<String>) -> Result<Json<TestView>, Problem> {
    let kept = subscription(&app, &name_in_url("subscription name", &which)?)?;
    Ok(Json(match app.letters.try_out(&kept).await {
        Ok(status) => TestView { ok: (200..300).contains(&status), status: Some(status), why: None },
        Err(refused) => TestView { ok: false, status: None, why: Some(refused.to_string()) },
    }))
}
