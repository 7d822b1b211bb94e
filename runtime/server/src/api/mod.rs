//! The management API: one resource a file, errors in `problem`, the OpenAPI document made of the handlers themselves.
//!
//! ```text
//!   request ─► caller (token, scope) ─► finish what was begun ─► a resource's handler ─► catalog, store, dispatch
//! ```

pub mod body;
pub mod caller;
pub mod filter;
pub mod page;
pub mod problem;

pub mod app_events;
pub mod approvals;
pub mod backup;
pub mod connect;
pub mod connections;
pub mod curl;
pub mod delivery;
pub mod doctor;
pub mod environments;
pub mod events;
pub mod executions;
pub mod following;
pub mod grants;
pub mod health;
pub mod integrations;
pub mod letters;
pub mod plugins;
pub mod publish;
pub mod requirements;
pub mod rerun;
pub mod reruns;
pub mod samples;
pub mod schedules;
pub mod schemas;
pub mod secrets;
pub mod shares;
pub mod signing_keys;
pub mod start;
pub mod stream;
pub mod subscriptions;
pub mod tell;
pub mod test;
pub mod timeline;
pub mod tokens;
pub mod trigger;
pub mod triggers;
pub mod users;
pub mod workflows;
pub mod workspaces;

pub mod document;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts as Head;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use camshaft_engine::{Appended, Occupancy};
use camshaft_model::ids::{IdOrName, Name, ResourceId};
use camshaft_model::seams::{Clock, Dispatch, Ids, Store};
use camshaft_triggers::deliveries::Deliveries;
use camshaft_triggers::http::{Parts, Throttle};
use camshaft_triggers::schedule::Schedules;
use tokio::sync::broadcast;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::backup::Backups;
use crate::catalog::Catalog;
use crate::catalog::specs::{Kept, WorkflowSpec};
use crate::dialects::torq;
use crate::inspector::Inspector;
use crate::letters::Letters;
use crate::observe::Metrics;
use crate::readiness::Readiness;
use crate::reruns::Reruns;
use crate::shipped::{self, Shipped};
use crate::tallies::Tallies;
use crate::tokens::Caller;
use problem::{Fault, Problem};

/// What the management API works with, whatever the workspace.
pub struct Instance {
    /// Executions and their journals.
    pub store: Arc<dyn Store>,
    /// Copies of everything.
    pub backups: Backups,
    /// Everything that people put in.
    pub catalog: Arc<Catalog>,
    /// Starts, awaits and cancels executions.
    pub dispatch: Arc<dyn Dispatch>,
    /// The plugins that the binary carries: every workspace has them.
    pub shipped: Vec<Shipped>,
    /// Looks at components.
    pub inspector: Arc<dyn Inspector>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Fresh ids.
    pub ids: Arc<dyn Ids>,
    /// Executions a second; shared with the trigger URLs.
    pub throttle: Arc<Throttle>,
    /// What the trigger URLs work with.
    pub triggers: Parts,
    /// What came for each integration; written by the trigger URLs.
    pub deliveries: Arc<Deliveries>,
    /// What every trigger has done.
    pub tallies: Arc<Tallies>,
    /// What starts workflows when the time comes.
    pub schedules: Arc<Schedules>,
    /// Reruns of many executions.
    pub reruns: Reruns,
    /// What subscribed URLs are told.
    pub letters: Arc<Letters>,
    /// How far the start has come.
    pub readiness: Arc<Readiness>,
    /// Counters, for `/metrics`.
    pub metrics: Metrics,
    /// How many executions are under way.
    pub under_way: Box<dyn Fn() -> usize + Send + Sync>,
    /// How far the concurrency of a workflow is used, as [`camshaft_engine::Engine::occupancy`] tells.
    pub occupancy: Box<dyn Fn(ResourceId) -> Occupancy + Send + Sync>,
    /// Hears of a workflow's concurrency when it is published, as [`camshaft_engine::Engine::widen`] does.
    pub widen: Box<dyn Fn(ResourceId, u32) + Send + Sync>,
    /// Hears of every append from now on, as [`camshaft_engine::Engine::appended`] tells of them.
    pub appended: Box<dyn Fn() -> broadcast::Receiver<Appended> + Send + Sync>,
    /// How the outside calls this server, without a slash at the end.
    pub public_url: String,
    /// How long a synchronous caller waits.
    pub sync_window: Duration,
}

/// The instance as one workspace's callers see it. Behind a token this is the workspace that the token reaches.
#[derive(Clone)]
pub struct App {
    instance: Arc<Instance>,
    /// The workspace.
    pub workspace: Name,
}

impl App {
    /// The instance in a workspace.
    pub fn new(instance: Arc<Instance>, workspace: Name) -> Self {
        Self { instance, workspace }
    }

    /// The instance.
    pub fn instance(&self) -> Arc<Instance> {
        self.instance.clone()
    }

    /// What the workspace's trigger URLs begin with. Names without a workspace before them are the operators' own.
    pub fn url(&self) -> String {
        let base = &self.public_url;
        if self.workspace == *self.catalog.tokens().home() {
            base.clone()
        } else {
            format!("{base}/w/{}", self.workspace)
        }
    }

    /// Largest body of what starts something, bytes: `limits.body_bytes`.
    pub fn body_bytes(&self) -> usize {
        self.triggers.settings.body_bytes
    }

    /// The same instance in another workspace.
    pub fn within(&self, workspace: Name) -> Self {
        Self { instance: self.instance.clone(), workspace }
    }
}

impl Instance {
    /// Registers what the binary carries in a workspace.
    pub async fn ship(&self, workspace: &Name) -> anyhow::Result<()> {
        let (catalog, store) = (&self.catalog, &self.store);
        shipped::register(&self.shipped, workspace, catalog, store, &self.inspector, (&self.ids, &self.clock)).await
    }
}

impl Deref for App {
    type Target = Instance;

    fn deref(&self) -> &Instance {
        &self.instance
    }
}

impl FromRequestParts<Arc<Instance>> for App {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Head, instance: &Arc<Instance>) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, instance).await?;
        Ok(Self::new(instance.clone(), caller.workspace))
    }
}

/// The management API.
pub fn router(instance: Arc<Instance>) -> Router {
    // A change that began is carried out though its caller hangs up: the catalog must follow the store.
    let changing = changing().layer(from_fn(finish)).layer(from_fn_with_state(instance.clone(), wait_for_plugins));
    let behind_tokens =
        changing.merge(watching()).route_layer(from_fn_with_state(instance.clone(), caller::authenticate));
    let (router, _) = behind_tokens.merge(open()).split_for_parts();
    router.fallback(nothing_here).method_not_allowed_fallback(wrong_method).with_state(instance)
}

/// Every handler's own description.
pub(crate) fn described() -> OpenApi {
    OpenApiRouter::with_openapi(document::head()).merge(changing()).merge(watching()).merge(open()).into_openapi()
}

fn changing() -> OpenApiRouter<Arc<Instance>> {
    OpenApiRouter::new()
        .routes(routes!(workflows::put, workflows::show))
        .routes(routes!(workflows::list))
        .routes(routes!(triggers::list))
        .routes(routes!(workflows::revisions))
        .routes(routes!(workflows::revision))
        .routes(routes!(triggers::switch))
        .routes(routes!(publish::publish))
        .routes(routes!(publish::unpublish))
        .routes(routes!(tokens::create_of_workflow, tokens::list_of_workflow))
        .routes(routes!(tokens::create, tokens::list))
        .routes(routes!(tokens::revoke))
        .routes(routes!(plugins::upload, plugins::list))
        .routes(routes!(plugins::show))
        .routes(routes!(grants::put, grants::show))
        .routes(routes!(integrations::put, integrations::show, integrations::remove))
        .routes(routes!(integrations::list))
        .routes(routes!(shares::offer, shares::list))
        .routes(routes!(shares::remove))
        .routes(routes!(shares::accept))
        .routes(routes!(shares::leave))
        .routes(routes!(shares::offers))
        .routes(routes!(subscriptions::put, subscriptions::show, subscriptions::remove))
        .routes(routes!(subscriptions::list))
        .routes(routes!(subscriptions::rotate))
        .routes(routes!(letters::redrive_all))
        .routes(routes!(letters::redrive))
        .routes(routes!(doctor::examine))
        .routes(routes!(secrets::put, secrets::remove))
        .routes(routes!(secrets::list))
        .routes(routes!(reruns::begin))
        .routes(routes!(reruns::cancel))
        .routes(routes!(workspaces::put, workspaces::show))
        .routes(routes!(workspaces::list))
        .routes(routes!(environments::put, environments::show, environments::remove))
        .routes(routes!(environments::list))
        .routes(routes!(publish::promote))
        .routes(routes!(publish::rollback))
        .routes(routes!(users::put, users::show, users::remove))
        .routes(routes!(users::list))
        .routes(routes!(connections::put, connections::show, connections::remove))
        .routes(routes!(connections::list))
        .routes(routes!(connections::enable, connections::disable))
        .routes(routes!(signing_keys::add, signing_keys::remove))
        .routes(routes!(signing_keys::list))
}

fn watching() -> OpenApiRouter<Arc<Instance>> {
    OpenApiRouter::new()
        .routes(routes!(trigger::trigger))
        .routes(routes!(executions::list))
        .routes(routes!(executions::show))
        .routes(routes!(executions::journal))
        .routes(routes!(stream::stream))
        .routes(routes!(executions::cancel))
        .routes(routes!(rerun::rerun))
        .routes(routes!(reruns::list))
        .routes(routes!(reruns::show))
        .routes(routes!(test::test))
        .routes(routes!(samples::send))
        .routes(routes!(events::receive, events::ask))
        .routes(routes!(events::receive_named, events::ask_named))
        .routes(routes!(tell::send))
        .routes(routes!(tell::send_to))
        .routes(routes!(tell::answer))
        .routes(routes!(approvals::list))
        .routes(routes!(app_events::send))
        .routes(routes!(torq::show))
        .routes(routes!(schedules::list))
        .routes(routes!(schedules::preview))
        .routes(routes!(subscriptions::test))
        .routes(routes!(letters::list))
        .routes(routes!(backup::take))
        .routes(routes!(health::metrics))
}

fn open() -> OpenApiRouter<Arc<Instance>> {
    OpenApiRouter::new()
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(document::show))
}

async fn finish(request: Request, next: Next) -> Response {
    if request.method() == Method::GET {
        return next.run(request).await;
    }
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(error) => Problem::internal(format!("a request was not carried out: {error}")).into_response(),
    }
}

async fn wait_for_plugins(State(instance): State<Arc<Instance>>, request: Request, next: Next) -> Response {
    instance.readiness.until_shipped().await;
    next.run(request).await
}

async fn nothing_here(request: Request) -> Problem {
    Problem::new(Fault::NotFound, format!("there is nothing at `{}`", shown(request.uri().path())))
}

async fn wrong_method(request: Request) -> Problem {
    let detail = format!("`{}` does not take {}", shown(request.uri().path()), request.method());
    Problem::new(Fault::MethodNotAllowed, detail)
}

fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}

impl App {
    /// A workflow by the id or name in a URL.
    pub fn workflow(&self, which: &str) -> Result<Arc<Kept<WorkflowSpec>>, Problem> {
        let unknown = || Problem::not_found("workflow", which);
        let name = match IdOrName::parse("workflow id", which)? {
            IdOrName::Name(name) => name,
            IdOrName::Id(id) => self.catalog.workflow_name(&self.workspace, id).ok_or_else(unknown)?,
        };
        self.catalog.workflow(&self.workspace, &name).ok_or_else(unknown)
    }
}

impl App {
    /// Refuses an environment that there is not.
    fn check_environment(&self, name: &Name) -> Result<(), Problem> {
        let all = self.catalog.environments(&self.workspace);
        if all.contains(name) {
            return Ok(());
        }
        let names = all.iter().map(Name::as_str);
        let meant = problem::nearest_of(name.as_str(), names.clone());
        let names = names.collect::<Vec<_>>().join("`, `");
        Err(Problem::new(Fault::Invalid, format!("there is no environment `{name}`; there are `{names}`{meant}")))
    }
}

/// A name of the thing that a URL means, checked.
fn name_in_url(what: &'static str, text: &str) -> Result<Name, Problem> {
    Name::new(text).map_err(|malformed| camshaft_model::ids::Malformed { what, ..malformed }.into())
}

/// Holds a change to the generation that its caller has seen (`If-Match`); 0 stands for a thing that is not there.
fn check_generation(headers: &HeaderMap, found: u64) -> Result<(), Problem> {
    let Some(header) = headers.get(header::IF_MATCH) else { return Ok(()) };
    let text = header.to_str().unwrap_or_default().trim();
    let wanted = text.strip_prefix("W/").unwrap_or(text).trim_matches('"');
    match wanted {
        "*" if found > 0 => Ok(()),
        _ if wanted.parse() == Ok(found) && found > 0 => Ok(()),
        _ if wanted != "*" && wanted.parse::<u64>().is_err() => {
            Err(Problem::new(Fault::Malformed, format!("If-Match is `{text}`: it is a generation, such as \"3\"")))
        }
        _ => {
            Err(Problem::new(Fault::Changed, format!("the generation is {found}, not {wanted}"))
                .with("generation", found))
        }
    }
}

/// An answer that tells its generation as an `ETag`.
fn with_generation(status: StatusCode, generation: u64, body: impl IntoResponse) -> Response {
    let mut response = (status, body).into_response();
    let tag = format!("\"{generation}\"").parse().expect("a number is a header value");
    response.headers_mut().insert(header::ETAG, tag);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_held_to_the_generation_that_its_caller_saw() {
        for (wanted, found, status) in [
            (None, 0, None),
            (None, 3, None),
            (Some("\"3\""), 3, None),
            (Some("3"), 3, None),
            (Some("W/\"3\""), 3, None),
            (Some("*"), 3, None),
            (Some("\"2\""), 3, Some(412)),
            (Some("\"0\""), 0, Some(412)),
            (Some("*"), 0, Some(412)),
            (Some("latest"), 3, Some(400)),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(wanted) = wanted {
                headers.insert(header::IF_MATCH, wanted.parse().unwrap());
            }
            let refused = check_generation(&headers, found).err().map(|problem| problem.status());
            assert_eq!(refused, status, "{wanted:?} of {found}");
        }
    }
}
