//! CloudEvents from outside; what they do is `camshaft_triggers::cloudevents`'s.

use axum::extract::{Path, Request};
use axum::response::Response;
use camshaft_model::ids::Name;
use camshaft_triggers::cloudevents;

use super::problem::Problem;
use super::{App, name_in_url};
use crate::tokens::{Caller, Scope};

/// Take CloudEvents (1.0 or 0.3, binary, structured or batched): they start workflows with an `event` trigger for their type, and
/// reach executions that wait for their topic.
#[utoipa::path(
    post, path = "/events", tag = "events", operation_id = "receive_events",
    params(
        ("environment" = Option<String>, Query, description = "`production` where it is left out"),
        ("access_token" = Option<String>, Query, description = "a token, for senders that can set no header"),
    ),
    request_body(content = String, content_type = "application/cloudevents+json"),
    responses(
        (status = 202, description = "`{status: \"ok\", events: [{id, source, executions}]}`, durable", body = Object),
        (status = 400, description = "`detail` names the attribute that is not what it should be"),
        (status = 413, description = "too large"),
        (status = 429, description = "too many executions; Retry-After tells when"),
    )
)]
pub async fn receive(app: App, request: Request) -> Result<Response, Problem> {
    Ok(cloudevents::receive(&app.triggers, &app.workspace, request).await?)
}

/// The same, for the workspace that the URL names.
#[utoipa::path(
    post, path = "/events/{workspace}", tag = "events", operation_id = "receive_events_of_workspace",
    params(
        ("workspace" = String, Path, description = "its name"),
        ("environment" = Option<String>, Query, description = "`production` where it is left out"),
        ("access_token" = Option<String>, Query, description = "a token, for senders that can set no header"),
    ),
    request_body(content = String, content_type = "application/cloudevents+json"),
    responses(
        (status = 202, description = "`{status: \"ok\", events: [{id, source, executions}]}`, durable", body = Object),
        (status = 400, description = "`detail` names the attribute that is not what it should be"),
        (status = 404, description = "unknown workspace"),
        (status = 413, description = "too large"),
        (status = 429, description = "too many executions; Retry-After tells when"),
    )
)]
pub async fn receive_named(
    app: App,
    caller: Caller,
    Path(which): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let workspace = named(&app, &caller, &which)?;
    Ok(cloudevents::receive(&app.triggers, &workspace, request).await?)
}

/// Ask whether events may be sent (CloudEvents HTTP Web Hooks, 4).
#[utoipa::path(
    options, path = "/events", tag = "events", operation_id = "ask_to_send_events",
    params(("WebHook-Request-Origin" = Option<String>, Header, description = "who asks")),
    responses((status = 200, description = "yes: `WebHook-Allowed-Origin` and `WebHook-Allowed-Rate`"))
)]
pub async fn ask(app: App, request: Request) -> Result<Response, Problem> {
    Ok(cloudevents::receive(&app.triggers, &app.workspace, request).await?)
}

/// Ask whether events may be sent to the workspace that the URL names.
#[utoipa::path(
    options, path = "/events/{workspace}", tag = "events", operation_id = "ask_to_send_events_of_workspace",
    params(
        ("workspace" = String, Path, description = "its name"),
        ("WebHook-Request-Origin" = Option<String>, Header, description = "who asks"),
    ),
    responses(
        (status = 200, description = "yes: `WebHook-Allowed-Origin` and `WebHook-Allowed-Rate`"),
        (status = 404, description = "unknown workspace"),
    )
)]
pub async fn ask_named(
    app: App,
    caller: Caller,
    Path(which): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let workspace = named(&app, &caller, &which)?;
    Ok(cloudevents::receive(&app.triggers, &workspace, request).await?)
}

fn named(app: &App, caller: &Caller, which: &str) -> Result<Name, Problem> {
    let name = name_in_url("workspace", which)?;
    let is_seen = name == app.workspace || (caller.scope == Scope::Operator && app.catalog.has_workspace(&name));
    if is_seen { Ok(name) } else { Err(Problem::not_found("workspace", name)) }
}
