//! What starts a workflow: where to call, what came of it, and the switch of each trigger.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use camshaft_model::ids::Name;
use camshaft_model::resource::{Change, Expect};
use camshaft_model::workflow::{TriggerKey, trigger_keys};
use camshaft_model::{Value, json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::JsonBody;
use super::page::{Asked, Page};
use super::problem::Problem;
use super::publish::production;
use super::trigger::TriggerQuery;
use super::{App, check_generation, curl, with_generation};
use crate::catalog::specs::{self, Kept, TriggerSpec, WorkflowSpec};
use crate::tallies::{NotStarted, Tally};
use crate::tokens::Caller;

/// A trigger.
#[derive(Debug, Serialize, ToSchema)]
pub struct TriggerItem {
    /// What it is switched on and off by: `manual`, `webhook:github`, `webhook:github#2`
    pub key: String,
    /// `manual`, `webhook`, `request`, `event`, `app_event`, `connected`, `resource`, `schedule`
    pub kind: String,
    /// The integration that it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integration: Option<String>,
    /// Whether it starts the workflow.
    pub enabled: bool,
    /// Where to call: `webhook`, `async` and `sync` of a `webhook` or `resource` trigger, `events` of an `event` or `app_event`
    /// trigger, `trigger` of the others. The list of a workflow's triggers has also where ToolJet's clients call a `request` trigger:
    /// `tooljet` and `tooljet_async`.
    pub urls: BTreeMap<&'static str, String>,
}

/// A trigger, and what it has done in an environment.
#[derive(Debug, Serialize, ToSchema)]
pub struct TriggerView {
    /// Which.
    #[serde(flatten)]
    pub trigger: TriggerItem,
    /// When it is due next, where it is a schedule that is switched on (RFC 3339).
    pub next_at: Option<String>,
    /// The same as calls for a shell, by the words of `urls`. They read what is secret from variables: `CAMSHAFT_TOKEN`, for a
    /// `request` trigger `WORKFLOW_TOKEN`, for an integration that wants a shared value `SECRET`.
    pub curl: BTreeMap<&'static str, String>,
    /// Executions that it started. Written down every five seconds: a crash may lose the last few from the count.
    pub started: u64,
    /// When it started the latest (RFC 3339).
    pub last_started_at: Option<String>,
    /// The latest.
    pub last_execution_id: Option<String>,
    /// How often it could start none.
    pub failed: u64,
    /// The latest of these, newest first, at most 20.
    pub last_failures: Vec<FailureView>,
}

/// A time when a trigger could not start its workflow.
#[derive(Debug, Serialize, ToSchema)]
pub struct FailureView {
    /// When (RFC 3339).
    pub time: String,
    /// Why.
    pub why: String,
}

impl FailureView {
    /// Those of a tally, newest first.
    pub fn all(tally: Tally) -> Vec<Self> {
        let view = |failure: NotStarted| Self { time: failure.time.to_string(), why: failure.why };
        tally.failures.into_iter().map(view).collect()
    }
}

/// How a trigger shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerSwitch {
    /// Whether it starts the workflow, in every environment.
    pub enabled: bool,
}

/// The triggers of what is published in an environment, or else of the latest revision; with an example of what each takes.
fn specs_of(app: &App, kept: &Kept<WorkflowSpec>, environment: &Name) -> (Vec<TriggerSpec>, Value) {
    let published = Name::new(&kept.key.name).ok();
    let published = published.and_then(|name| app.catalog.published_here(&app.workspace, &name, environment));
    match published {
        Some(published) => {
            let params = published.workflow.params.iter();
            let params = params.map(|param| (param.name.clone(), param.kind.example())).collect();
            (TriggerSpec::all(&published.workflow.triggers), Value::Object(params))
        }
        None => (kept.spec.triggers.clone(), json!({})),
    }
}

impl TriggerItem {
    /// The triggers of the latest revision, with the URLs of `production`.
    pub fn all(app: &App, kept: &Kept<WorkflowSpec>) -> Vec<Self> {
        kept.spec.triggers.iter().map(|trigger| Self::of(app, kept, &production(), trigger)).collect()
    }

    fn of(app: &App, kept: &Kept<WorkflowSpec>, environment: &Name, trigger: &TriggerSpec) -> Self {
        let (hooks, workflow) = (app.url(), &kept.key.name);
        let query = if *environment == production() { String::new() } else { format!("?environment={environment}") };
        let urls = match (trigger.kind.as_str(), &trigger.integration) {
            ("event", _) => {
                let home = *app.catalog.tokens().home() == app.workspace;
                let workspace = if home { String::new() } else { format!("/{}", app.workspace) };
                BTreeMap::from([("events", format!("{}/events{workspace}{query}", app.public_url))])
            }
            ("app_event", _) => {
                let url = format!("{}/api/v1/users/{{user}}/events{query}", app.public_url);
                BTreeMap::from([("events", url)])
            }
            ("webhook" | "resource", Some(integration)) => {
                let hook = format!("{hooks}/v1/webhooks/{integration}");
                let one = format!("{hook}/workflows/{workflow}");
                BTreeMap::from([
                    ("async", format!("{one}{query}")),
                    ("sync", format!("{one}/sync{query}")),
                    ("webhook", format!("{hook}{query}")),
                ])
            }
            // Nobody calls the time, nor what follows from somebody's connecting.
            ("schedule" | "connected", _) => BTreeMap::new(),
            _ => {
                let url = format!("{}/api/v1/workflows/{workflow}/trigger{query}", app.public_url);
                BTreeMap::from([("trigger", url)])
            }
        };
        Self {
            key: trigger.key.to_string(),
            kind: trigger.kind.clone(),
            integration: trigger.integration.as_ref().map(Name::to_string),
            enabled: !kept.spec.disabled_triggers.contains(&trigger.key),
            urls,
        }
    }
}

impl TriggerView {
    fn all(app: &App, kept: &Kept<WorkflowSpec>, environment: &Name) -> Vec<Self> {
        let (triggers, params) = specs_of(app, kept, environment);
        triggers.iter().map(|trigger| Self::of(app, kept, environment, trigger, &params)).collect()
    }

    fn of(app: &App, kept: &Kept<WorkflowSpec>, environment: &Name, trigger: &TriggerSpec, params: &Value) -> Self {
        let tally = app.tallies.of(&app.workspace, kept.id, environment, &trigger.key);
        let mut item = TriggerItem::of(app, kept, environment, trigger);
        if let Some(url) = item.urls.get("trigger").filter(|_| trigger.kind == "request") {
            let query = url.split_once('?').map(|(_, query)| format!("?{query}")).unwrap_or_default();
            let theirs = format!("{}/api/v2/webhooks/workflows/{}/trigger", app.public_url, kept.key.name);
            item.urls.insert("tooljet", format!("{theirs}{query}"));
            item.urls.insert("tooljet_async", format!("{theirs}-async{query}"));
        }
        let curl = item.urls.iter().map(|(which, url)| (*which, curl::of(app, trigger, which, url, params))).collect();
        let name = Name::new(&kept.key.name).ok();
        let published = name.and_then(|name| app.catalog.published_here(&app.workspace, &name, environment));
        let next = published.as_deref().and_then(|published| {
            let (_, schedule) = published.schedules().find(|(key, _)| **key == trigger.key)?;
            schedule.next_after(app.clock.now())
        });
        Self {
            trigger: item,
            next_at: next.map(|next| next.to_string()),
            curl,
            started: tally.started,
            last_started_at: tally.last.map(|(time, _)| time.to_string()),
            last_execution_id: tally.last.map(|(_, execution)| execution.to_string()),
            failed: tally.failed,
            last_failures: FailureView::all(tally),
        }
    }
}

/// List what starts a workflow, with URLs, counts and the latest failures.
#[utoipa::path(
    get, path = "/api/v1/workflows/{workflow}/triggers", tag = "workflows", operation_id = "list_triggers",
    params(("workflow" = String, Path, description = "name or id"), TriggerQuery),
    responses(
        (status = 200, description = "all of them", body = Page<TriggerView>),
        (status = 404, description = "unknown workflow"),
    )
)]
pub async fn list(
    app: App,
    caller: Caller,
    Path(which): Path<String>,
    Asked(query): Asked<TriggerQuery>,
) -> Result<Json<Page<TriggerView>>, Problem> {
    let kept = app.workflow(&which)?;
    caller.check_sees(kept.id, &which)?;
    let items = TriggerView::all(&app, &kept, &query.environment.unwrap_or_else(production));
    Ok(Json(Page { items, next: None }))
}

/// Switch a trigger on or off, in every environment. What runs goes on.
#[utoipa::path(
    patch, path = "/api/v1/workflows/{workflow}/triggers/{trigger}", tag = "workflows", operation_id = "switch_trigger",
    params(
        ("workflow" = String, Path, description = "name or id"),
        ("trigger" = String, Path, description = "its key, as `triggers` lists it"),
        ("If-Match" = Option<String>, Header, description = "only if the workflow's generation is this"),
    ),
    request_body = TriggerSwitch,
    responses(
        (status = 200, description = "so it is now", body = TriggerView),
        (status = 404, description = "unknown workflow or trigger"),
        (status = 412, description = "changed meanwhile"),
        (status = 413, description = "too large"),
    )
)]
pub async fn switch(
    app: App,
    caller: Caller,
    Path((which, trigger)): Path<(String, String)>,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<TriggerSwitch>,
) -> Result<Response, Problem> {
    caller.check_sees(app.workflow(&which)?.id, &which)?;
    let kept = set_enabled(&app, &which, &trigger, Some(&headers), wanted.enabled).await?;
    let environments = kept.spec.published.keys().cloned().chain([production()]);
    let views = environments.flat_map(|environment| TriggerView::all(&app, &kept, &environment));
    let Some(view) = views.into_iter().find(|view| view.trigger.key == trigger) else {
        return Err(Problem::internal(format!("trigger `{trigger}` was switched and is not there")));
    };
    Ok(with_generation(StatusCode::OK, kept.generation, Json(view)))
}

/// Switches a trigger of the latest revision, or of one that is published.
pub async fn set_enabled(
    app: &App,
    which: &str,
    trigger: &str,
    headers: Option<&HeaderMap>,
    enabled: bool,
) -> Result<Arc<Kept<WorkflowSpec>>, Problem> {
    let _editing = app.catalog.edit().await;
    let kept = app.workflow(which)?;
    if let Some(headers) = headers {
        check_generation(headers, kept.generation)?;
    }
    let keys = keys(app, &kept);
    let Some(key) = keys.iter().find(|key| key.as_str() == trigger) else {
        return Err(Problem::not_among("trigger", trigger, keys.iter().map(TriggerKey::as_str)));
    };
    let mut head = kept.spec.clone();
    head.since.extend(kept.spec.published.keys().map(|environment| (environment.clone(), app.clock.now())));
    let changed = if enabled { head.disabled_triggers.remove(key) } else { head.disabled_triggers.insert(key.clone()) };
    if !changed {
        return Ok(kept);
    }
    let resource = specs::resource(kept.key.clone(), kept.id, &head, app.clock.now());
    app.catalog.change(vec![Change::Put { resource, expect: Expect::Generation(kept.generation) }]).await?;
    app.workflow(which)
}

fn keys(app: &App, kept: &Kept<WorkflowSpec>) -> Vec<TriggerKey> {
    let mut keys: Vec<_> = kept.spec.triggers.iter().map(|trigger| trigger.key.clone()).collect();
    for environment in kept.spec.published.keys() {
        let name = Name::new(&kept.key.name).ok();
        let published = name.and_then(|name| app.catalog.published_here(&app.workspace, &name, environment));
        keys.extend(published.into_iter().flat_map(|published| trigger_keys(&published.workflow.triggers)));
    }
    keys.sort();
    keys.dedup();
    keys
}
