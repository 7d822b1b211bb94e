//! Who calls, and what that token reaches. Every route of the management API is behind this.

use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use camshaft_model::ids::ResourceId;

use super::App;
use super::problem::{Fault, Problem};
use crate::tokens::{Caller, Scope};

/// What a workflow's own token reaches; the handlers hold it to that workflow.
const OF_WORKFLOW_TOKENS: &[(&str, &str)] = &[
    ("POST", "/api/v1/workflows/{workflow}/trigger"),
    ("GET", "/api/v1/executions"),
    ("GET", "/api/v1/executions/{execution}"),
    ("GET", "/api/v1/executions/{execution}/journal"),
    ("GET", "/api/v1/executions/{execution}/stream"),
    ("POST", "/api/v1/executions/{execution}/cancel"),
    ("POST", "/api/v1/executions/{execution}/rerun"),
    ("POST", "/api/v1/executions/{execution}/events"),
    ("POST", "/api/v1/executions/{execution}/approval"),
    ("GET", "/api/v1/approvals"),
    ("GET", "/public/v1alpha/executions/{execution}"),
];

/// What looks like looking, and shows everything: for admin tokens alone.
const OF_ADMIN_TOKENS: &[&str] = &["/api/v1/backup"];

/// Lets a request with a valid token that reaches the route through, with its [`Caller`].
pub async fn authenticate(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let caller = match recognise(&app, request.headers()) {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    if !reaches(caller.scope, request.method(), route) {
        let scope = caller.scope.as_str();
        let detail = format!("token `{}` has the scope `{scope}`, which does not reach this", caller.label);
        return Problem::new(Fault::Forbidden, detail).into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

fn recognise(app: &App, headers: &HeaderMap) -> Result<Caller, Problem> {
    let unauthorized = |detail: &str| Problem::new(Fault::Unauthorized, detail);
    let Some(header) = headers.get(header::AUTHORIZATION) else {
        return Err(unauthorized("send a token: `Authorization: Bearer cst_…`"));
    };
    let token = header.to_str().ok().and_then(|text| text.split_once(' '));
    let Some((_, token)) = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) else {
        return Err(unauthorized("the Authorization header is not `Bearer` and a token"));
    };
    app.catalog
        .tokens()
        .recognise(token.trim(), app.clock.now())
        .ok_or_else(|| unauthorized("the token is unknown, expired or revoked"))
}

fn reaches(scope: Scope, method: &Method, route: &str) -> bool {
    match scope {
        Scope::Admin => true,
        Scope::Read => (method == Method::GET || method == Method::HEAD) && !OF_ADMIN_TOKENS.contains(&route),
        Scope::Workflow(_) => OF_WORKFLOW_TOKENS.iter().any(|(m, r)| *m == method.as_str() && *r == route),
    }
}

impl Caller {
    /// Whether this caller may know of a workflow's executions.
    pub fn sees(&self, workflow: ResourceId) -> bool {
        match self.scope {
            Scope::Admin | Scope::Read => true,
            Scope::Workflow(own) => own == workflow,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Problem::internal("a route is not behind authentication"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_reaches_what_it_should_and_no_more() {
        let workflow = Scope::Workflow(ResourceId::from_bytes([1; 16]));
        for (scope, method, route, reached) in [
            (Scope::Admin, Method::DELETE, "/api/v1/tokens/{token}", true),
            (Scope::Read, Method::GET, "/api/v1/tokens", true),
            (Scope::Admin, Method::GET, "/api/v1/backup", true),
            (Scope::Read, Method::GET, "/api/v1/backup", false),
            (workflow, Method::GET, "/api/v1/backup", false),
            (Scope::Read, Method::POST, "/api/v1/tokens", false),
            (Scope::Read, Method::POST, "/api/v1/workflows/{workflow}/trigger", false),
            (workflow, Method::POST, "/api/v1/workflows/{workflow}/trigger", true),
            (workflow, Method::POST, "/api/v1/workflows/{workflow}/publish", false),
            (workflow, Method::GET, "/api/v1/executions/{execution}", true),
            (workflow, Method::GET, "/api/v1/workflows", false),
            (workflow, Method::GET, "/api/v1/secrets", false),
            (workflow, Method::GET, "", false),
        ] {
            assert_eq!(reaches(scope, &method, route), reached, "{scope:?} {method} {route}");
        }
    }
}
