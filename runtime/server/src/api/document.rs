//! The OpenAPI 3.1 document: made of the handlers, then completed with what all of them share.
//!
//! A handler names the statuses that are its own. That a token is needed, that a request may be malformed, and that every
//! error is a problem details object, is added here for all.

use std::sync::{Arc, OnceLock};

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::Response as Answer;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{ComponentsBuilder, Content, InfoBuilder, License, OpenApi, OpenApiBuilder, Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::Instance;
use super::problem::Details;

/// Paths that need no token.
pub const OPEN: [&str; 3] = ["/healthz", "/readyz", "/api/openapi.json"];

const INTRODUCTION: &str = "\
Management API of Camshaft. Every path but `/healthz`, `/readyz`, this document and the trigger URLs wants a token: \
`Authorization: Bearer cst_…`. Errors are problem details (RFC 9457). Lists are pages: `items`, and `next` to ask for \
more. Times are RFC 3339. The trigger URLs answer any method: `/v1/webhooks/{integration}` starts every published \
workflow that subscribes, `/v1/webhooks/{integration}/workflows/{workflow}` that one, and `…/sync` waits for its answer.";

/// The document before the handlers are added.
pub fn head() -> OpenApi {
    let tag = |name: &str, text: &str| TagBuilder::new().name(name).description(Some(text)).build();
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Camshaft")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(INTRODUCTION))
                .license(Some(License::new(env!("CARGO_PKG_LICENSE"))))
                .build(),
        )
        .tags(Some([
            tag("workflows", "documents, their revisions, publishing and starting them"),
            tag("executions", "what ran and what runs"),
            tag("schedules", "what starts workflows when the time comes"),
            tag("plugins", "components and what they are granted"),
            tag("integrations", "adapters with their configuration, secrets and URLs"),
            tag("secrets", "values that go in and never come out"),
            tag("tokens", "who may call"),
            tag("events", "CloudEvents from outside"),
            tag("subscriptions", "URLs that are told when executions change"),
            tag("environments", "where revisions are published, with their variables"),
            tag("workspaces", "tenants of this instance"),
            tag("backup", "a copy of everything"),
            tag("health", "what machines ask"),
        ]))
        .components(Some(
            ComponentsBuilder::new()
                .schema(Details::name(), Details::schema())
                .security_scheme(
                    "token",
                    SecurityScheme::Http(
                        HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("cst_…").build(),
                    ),
                )
                .build(),
        ))
        .build()
}

/// Adds what all operations share.
pub fn complete(mut openapi: OpenApi) -> OpenApi {
    for (path, item) in &mut openapi.paths.paths {
        let is_open = OPEN.contains(&path.as_str());
        for (is_change, operation) in operations(item) {
            let has_body = operation.request_body.is_some();
            let mut add = |status: &str, description: &str| {
                let answers = &mut operation.responses.responses;
                answers.entry(status.to_owned()).or_insert_with(|| RefOr::T(Answer::new(description)));
            };
            if !is_open {
                add("400", "malformed");
                add("401", "no valid token");
                add("403", "the token does not reach this");
                add("500", "something went wrong inside");
                add("503", "not now; try again");
                operation.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
            }
            if is_change && has_body {
                add("408", "the body did not come in time");
                add("413", "too large");
            }
            for (status, answer) in &mut operation.responses.responses {
                if let (true, RefOr::T(answer)) = (status.as_str() >= "400", answer)
                    && answer.content.is_empty()
                {
                    let problem = Content::new(Some(Ref::from_schema_name(Details::name())));
                    answer.content.insert("application/problem+json".to_owned(), RefOr::T(problem));
                }
            }
        }
    }
    openapi
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (bool, &mut Operation)> {
    let PathItem { get, put, post, patch, delete, options, .. } = item;
    let get = get.iter_mut().map(|operation| (false, operation));
    let get = get.chain(options.iter_mut().map(|operation| (false, operation)));
    get.chain([put, post, patch, delete].into_iter().filter_map(Option::as_mut).map(|operation| (true, operation)))
}

/// The document as JSON text.
pub fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let openapi = complete(super::described());
        openapi.to_pretty_json().expect("an OpenAPI document is JSON")
    })
}

/// This document.
#[utoipa::path(
    get, path = "/api/openapi.json", tag = "health", operation_id = "openapi",
    responses((status = 200, description = "the OpenAPI 3.1 document", body = Object))
)]
pub async fn show(State(_instance): State<Arc<Instance>>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text()).into_response()
}
