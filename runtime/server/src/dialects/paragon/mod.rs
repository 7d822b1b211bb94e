//! Paragon: <https://docs.useparagon.com>. A project is a workspace; a user's token is signed with one of its signing keys; an API key
//! is a token of ours.
//!
//! | call, below `/projects/{project}` | answer |
//! |---|---|
//! | POST `/sdk/events/trigger` `{name, payload}`, also below `/v2` | 201: an event of the app for the user |
//! | POST `/sdk/triggers/{workflow}` | 202; with an Exit step its answer, or 542 where that takes too long |
//! | POST, DELETE `/sdk/workflows/{workflow}` | enables and disables it for the user |
//! | GET, PATCH `/sdk/me` `{meta}` | the user, and what the app says of them; `{authenticated: false}` without a token |
//! | GET `/sdk/metadata`, `/sdk/integrations` | what there is to connect |
//! | DELETE `/sdk/integrations/{integration}` | disconnects |
//! | GET, PATCH `/sdk/credentials` `{integrationId, config, payload}` | settings; connects where the user is not yet |
//! | GET `/task-history/workflow-executions`, its steps, POST `…/{execution}/replay` | history, with an API key |
//!
//! Browsers call what is below `/sdk` from the app's own pages (CORS).

mod credentials;
mod history;
mod me;
mod refused;
mod start;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Method;
use axum::http::request::Parts;
use axum::routing::{delete, get, post};
use camshaft_model::ids::{Name, UserId};
use camshaft_model::limits::PREFLIGHT_LASTS;
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

use super::bearer;
use crate::api::caller;
use crate::api::problem::{Fault, Problem};
use crate::api::{App, Instance};
use crate::signing_keys::{self, NotVerified};
use crate::tokens::{Caller, Scope};
use refused::Refused;

/// What this dialect works with, beside the rest.
#[derive(Debug, Clone)]
pub struct Paragon {
    /// How long a caller waits for an Exit step.
    pub window: Duration,
}

struct Door {
    instance: Arc<Instance>,
    own: Paragon,
}

/// A user whose token is believed, in their app's project.
struct Called {
    app: App,
    user: UserId,
}

/// The routes.
pub(super) fn router(instance: Arc<Instance>, own: Paragon) -> Router {
    let under = |rest: &str| format!("/projects/{{project}}{rest}");
    let of_users = Router::new()
        .route(&under("/sdk/events/trigger"), post(start::event))
        .route(&format!("/v2{}", under("/sdk/events/trigger")), post(start::event))
        .route(&under("/sdk/triggers/{workflow}"), post(start::request))
        .route(&under("/sdk/workflows/{workflow}"), post(me::enable).delete(me::disable))
        .route(&under("/sdk/me"), get(me::show).patch(me::change))
        .route(&under("/sdk/metadata"), get(credentials::metadata))
        .route(&under("/sdk/integrations"), get(credentials::integrations))
        .route(&under("/sdk/integrations/{integration}"), delete(credentials::disconnect))
        .route(&under("/sdk/credentials"), get(credentials::list).patch(credentials::change))
        .method_not_allowed_fallback(wrong_method)
        .layer(from_any_page());
    Router::new()
        .route(&under("/task-history/workflow-executions"), get(history::list))
        .route(&under("/task-history/workflow-executions/{execution}"), get(history::show))
        .route(&under("/task-history/workflow-executions/{execution}/step-executions/{step}"), get(history::step))
        .route(&under("/task-history/workflow-executions/{execution}/replay"), post(history::replay))
        .method_not_allowed_fallback(wrong_method)
        .merge(of_users)
        .with_state(Arc::new(Door { instance, own }))
}

/// A user's own browser calls, from the pages of any app: what lets it in is the token that the page gives it, and never a cookie.
fn from_any_page() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(Any)
        .max_age(PREFLIGHT_LASTS)
}

async fn wrong_method() -> Refused {
    Problem::new(Fault::MethodNotAllowed, "This method is not allowed here").into()
}

impl Door {
    /// A project. One that there is not is not told from one whose keys have not signed the token.
    fn project(&self, which: &str) -> Option<App> {
        let name = Name::new(which).ok().filter(|name| self.instance.catalog.has_workspace(name))?;
        Some(App::new(self.instance.clone(), name))
    }

    /// The user who presents their token.
    fn user(&self, project: &str, head: &Parts) -> Result<Called, Refused> {
        let token = caller::bearer(&head.headers).ok_or_else(Refused::no_token)?;
        let unsigned = |error: NotVerified| Refused::unauthorized(error.to_string());
        let app = self.project(project);
        // Where there is no project there are no keys, and everything else is looked at all the same.
        let keys = app.as_ref().map(|app| app.catalog.signing_keys(&app.workspace)).unwrap_or_default();
        let keys = keys.iter().map(|(_, key)| &**key);
        let user = signing_keys::verify(keys, token, self.instance.clock.now()).map_err(unsigned)?;
        let app = app.ok_or_else(|| unsigned(NotVerified::Unsigned))?;
        Ok(Called { app, user })
    }

    /// Who presents an API key of the project.
    fn holder(&self, project: &str, head: &Parts) -> Result<(App, Caller), Refused> {
        let caller = bearer(&self.instance, &head.headers).ok_or_else(Refused::no_api_key)?;
        let app = self.project(project).ok_or_else(Refused::no_api_key)?;
        let is_its = caller.scope == Scope::Operator || caller.workspace == app.workspace;
        let reads = caller.manages() || caller.scope == Scope::Read;
        if !is_its || !reads {
            return Err(Refused::no_api_key());
        }
        let caller = Caller { workspace: app.workspace.clone(), ..caller };
        Ok((app, caller))
    }
}

/// Carries out a change though its caller hangs up: the catalog must follow the store.
async fn carried_out<T: Send + 'static>(
    change: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Refused> {
    match tokio::spawn(change).await {
        Ok(changed) => Ok(changed?),
        Err(error) => Err(Problem::internal(format!("a change was not carried out: {error}")).into()),
    }
}
