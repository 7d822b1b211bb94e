//! Dialects: clients that were written against another system, answered in its words. One system a file.
//!
//! ```text
//!   their request ─► whose token, which workflow ─► the dispatch that everything goes through ─► their words for what came of it
//! ```
//! A dialect adds spellings, statuses and texts, and no behaviour: what it starts, shows and cancels is what the management
//! API starts, shows and cancels, within the same limits. A token reaches its own workspace; what is in another one looks as if
//! it were not there.

pub mod torq;

mod boomerang;
mod paragon;
mod tooljet;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use camshaft_model::Value;
use camshaft_model::ids::ResourceId;
use camshaft_model::seams::{Directory, Published};
use camshaft_model::workflow::{Trigger, TriggerKey};
use camshaft_triggers::http::Room;

use crate::api::caller;
use crate::api::problem::Problem;
use crate::api::{App, Instance};
use crate::tokens::{Caller, Right, Scope};

pub use paragon::Paragon;
pub use tooljet::ToolJet;

/// The routes of every dialect, beside those that the management API has.
pub fn router(instance: Arc<Instance>, tooljet: ToolJet, paragon: Paragon) -> Router {
    let tooljet = tooljet::router(instance.clone(), tooljet);
    let paragon = paragon::router(instance.clone(), paragon);
    tooljet.merge(paragon).merge(boomerang::router(instance.clone())).merge(torq::router(instance))
}

/// What a path names. One that cannot be read names nothing that there is.
type Which<T> = Result<Path<T>, PathRejection>;

/// The texts of a path; empty where they cannot be read.
fn named<T: Default>(which: Which<T>) -> T {
    which.map(|Path(texts)| texts).unwrap_or_default()
}

/// A value of the query.
fn asked(uri: &Uri, name: &str) -> Option<String> {
    let query = uri.query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// Who presents the header's bearer token; none where it is not there, or not valid.
fn bearer(instance: &Instance, headers: &HeaderMap) -> Option<Caller> {
    recognise(instance, caller::bearer(headers)?)
}

fn recognise(instance: &Instance, token: &str) -> Option<Caller> {
    instance.catalog.tokens().recognise(token.trim(), instance.clock.now())
}

/// The workspace that a caller reaches: its token's own. An operator reaches the one that a workflow's id belongs to; without a
/// valid token it is the operators' own.
fn place(instance: &Arc<Instance>, caller: Option<&mut Caller>, which: &str) -> App {
    let home = instance.catalog.tokens().home();
    let workspace = match caller {
        None => home.clone(),
        Some(caller) => {
            let id = which.parse().ok().filter(|_| caller.scope == Scope::Operator);
            if let Some(workspace) = id.and_then(|id| instance.catalog.home(id)) {
                caller.workspace = workspace;
            }
            caller.workspace.clone()
        }
    };
    App::new(instance.clone(), workspace)
}

/// The switched-on `request` trigger of something published.
fn request_trigger(published: &Published) -> Option<TriggerKey> {
    published.triggers().find(|(_, trigger)| **trigger == Trigger::Request).map(|(key, _)| key.clone())
}

/// The caller, where it may do this with a workflow.
fn who_may(caller: Option<Caller>, right: Right, workflow: ResourceId) -> Option<Caller> {
    caller.filter(|caller| caller.may(right, workflow))
}

/// An answer to what started something, with what is left of the workspace's second.
fn with_room(answer: impl IntoResponse, room: Option<Room>) -> Response {
    let mut response = answer.into_response();
    if let Some(room) = room {
        room.put(response.headers_mut());
    }
    response
}

/// A problem in a dialect's words: its status, its headers and what the log is told stay.
fn reworded(problem: Problem, words: impl FnOnce(StatusCode, &str) -> Value) -> Response {
    let detail = problem.detail().to_owned();
    let mut response = problem.into_response();
    let body = words(response.status(), &detail);
    *response.body_mut() = Body::from(body.to_string());
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
