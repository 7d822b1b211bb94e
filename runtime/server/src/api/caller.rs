//! Who calls, and what that token reaches. Every route of the management API is behind this.

use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use camshaft_model::ids::ResourceId;

use super::problem::{Fault, Problem};
use super::{Instance, name_in_url};
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

/// What a sender of events reaches.
const OF_SENDERS: &[(&str, &str)] =
    &[("POST", "/events"), ("OPTIONS", "/events"), ("POST", "/events/{workspace}"), ("OPTIONS", "/events/{workspace}")];

/// What is the whole instance's: for operators alone.
const OF_OPERATORS: &[(&str, &str)] = &[("GET", "/api/v1/backup"), ("PUT", "/api/v1/workspaces/{workspace}")];

/// What tells of every workspace, for operators and for the tokens of their own workspace.
const OF_HOME: &[(&str, &str)] = &[("GET", "/metrics")];

/// Where an operator says which workspace is meant.
pub const WORKSPACE: HeaderName = HeaderName::from_static("camshaft-workspace");

/// Lets a request with a valid token that reaches the route through, with its [`Caller`].
pub async fn authenticate(State(instance): State<Arc<Instance>>, mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let query = if OF_SENDERS.iter().any(|(_, sent)| *sent == route) { request.uri().query() } else { None };
    let caller = recognise(&instance, request.headers(), query);
    let caller = match caller.and_then(|caller| place(&instance, caller, request.headers())) {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    if !reaches(&caller, request.method(), route) {
        let scope = caller.scope.as_str();
        let detail = format!("token `{}` has the scope `{scope}`, which does not reach this", caller.label);
        return Problem::new(Fault::Forbidden, detail).into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

fn recognise(instance: &Instance, headers: &HeaderMap, query: Option<&str>) -> Result<Caller, Problem> {
    let unauthorized = |detail: &str| Problem::new(Fault::Unauthorized, detail);
    let known = |token: &str| {
        let caller = instance.catalog.tokens().recognise(token, instance.clock.now());
        caller.ok_or_else(|| unauthorized("the token is unknown, expired or revoked"))
    };
    let Some(header) = headers.get(header::AUTHORIZATION) else {
        // RFC 6750, 2.3: for senders of events that can set no header.
        let mut query = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        if let Some((_, token)) = query.find(|(key, _)| key == "access_token") {
            return known(&token);
        }
        return Err(unauthorized("send a token: `Authorization: Bearer cst_…`"));
    };
    let token = header.to_str().ok().and_then(|text| text.split_once(' '));
    let Some((_, token)) = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) else {
        return Err(unauthorized("the Authorization header is not `Bearer` and a token"));
    };
    known(token.trim())
}

/// The caller in the workspace that it names. Whether there is another one than its own, only an operator learns.
fn place(instance: &Instance, mut caller: Caller, headers: &HeaderMap) -> Result<Caller, Problem> {
    let Some(named) = headers.get(WORKSPACE) else { return Ok(caller) };
    let named = String::from_utf8_lossy(named.as_bytes());
    let workspace = name_in_url("workspace", &named)?;
    if workspace != caller.workspace {
        if caller.scope != Scope::Operator {
            let detail = format!("token `{}` is of another workspace than `{workspace}`", caller.label);
            return Err(Problem::new(Fault::Forbidden, detail));
        }
        if !instance.catalog.has_workspace(&workspace) {
            return Err(Problem::not_found("workspace", workspace));
        }
        caller.workspace = workspace;
    }
    Ok(caller)
}

fn reaches(caller: &Caller, method: &Method, route: &str) -> bool {
    let is_in = |routes: &[(&str, &str)]| routes.iter().any(|(m, r)| *m == method.as_str() && *r == route);
    let instance_wide = is_in(OF_OPERATORS) || (is_in(OF_HOME) && !caller.is_home);
    match caller.scope {
        Scope::Operator => true,
        Scope::Admin => !instance_wide,
        Scope::Read => (method == Method::GET || method == Method::HEAD) && !instance_wide,
        Scope::Events => is_in(OF_SENDERS),
        Scope::Workflow(_) => is_in(OF_WORKFLOW_TOKENS),
    }
}

impl Caller {
    /// Whether this caller manages executions: answers for those whom a step does not name, runs what is not published.
    pub fn manages(&self) -> bool {
        matches!(self.scope, Scope::Operator | Scope::Admin)
    }

    /// Whether this caller may know of a workflow's executions.
    pub fn sees(&self, workflow: ResourceId) -> bool {
        match self.scope {
            Scope::Operator | Scope::Admin | Scope::Read => true,
            Scope::Events => false,
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
    use camshaft_model::ids::Name;

    #[test]
    fn a_scope_reaches_what_it_should_and_no_more() {
        let workflow = Scope::Workflow(ResourceId::from_bytes([1; 16]));
        let reaches = |scope, method: &Method, route: &str| {
            let caller = Caller { label: "t".into(), workspace: Name::new("acme").unwrap(), is_home: false, scope };
            let there = super::reaches(&caller, method, route);
            let at_home = super::reaches(&Caller { is_home: true, ..caller }, method, route);
            assert_eq!(there != at_home, route == "/metrics" && matches!(scope, Scope::Admin | Scope::Read));
            there
        };
        for (scope, method, route, reached) in [
            (Scope::Admin, Method::DELETE, "/api/v1/tokens/{token}", true),
            (Scope::Read, Method::GET, "/api/v1/tokens", true),
            (Scope::Operator, Method::GET, "/api/v1/backup", true),
            (Scope::Operator, Method::GET, "/metrics", true),
            (Scope::Operator, Method::PUT, "/api/v1/workspaces/{workspace}", true),
            (Scope::Admin, Method::PUT, "/api/v1/workspaces/{workspace}", false),
            (Scope::Admin, Method::GET, "/api/v1/backup", false),
            (Scope::Admin, Method::GET, "/metrics", false),
            (Scope::Read, Method::GET, "/metrics", false),
            (Scope::Events, Method::POST, "/events", true),
            (Scope::Events, Method::POST, "/api/v1/events", false),
            (Scope::Events, Method::GET, "/api/v1/workflows", false),
            (Scope::Read, Method::POST, "/events", false),
            (workflow, Method::POST, "/events", false),
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
