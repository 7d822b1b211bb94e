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
use crate::tokens::{Caller, Right, Scope};

/// What a workflow's own token reaches; the handlers hold it to that workflow.
const OF_WORKFLOW_TOKENS: &[(&str, &str, Right)] = &[
    ("POST", "/api/v1/workflows/{workflow}/trigger", Right::Trigger),
    ("GET", "/api/v1/workflows/{workflow}/triggers", Right::Manage),
    ("PATCH", "/api/v1/workflows/{workflow}/triggers/{trigger}", Right::Manage),
    ("GET", "/api/v1/executions", Right::Read),
    ("GET", "/api/v1/executions/{execution}", Right::Read),
    ("GET", "/api/v1/executions/{execution}/journal", Right::Read),
    ("GET", "/api/v1/executions/{execution}/stream", Right::Read),
    ("POST", "/api/v1/executions/{execution}/cancel", Right::Trigger),
    ("POST", "/api/v1/executions/{execution}/rerun", Right::Trigger),
    ("POST", "/api/v1/executions/{execution}/events", Right::Trigger),
    ("POST", "/api/v1/executions/{execution}/approval", Right::Trigger),
    ("GET", "/api/v1/approvals", Right::Read),
    ("GET", "/public/v1alpha/executions/{execution}", Right::Read),
];

/// What a sender of events reaches.
const OF_SENDERS: &[(&str, &str)] = &[
    ("POST", "/events"),
    ("OPTIONS", "/events"),
    ("POST", "/events/{workspace}"),
    ("OPTIONS", "/events/{workspace}"),
    ("POST", "/api/v1/users/{user}/events"),
];

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
        return Problem::new(Fault::Forbidden, short_of(&caller, request.method(), route)).into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// The token of an `Authorization: Bearer` header.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn recognise(instance: &Instance, headers: &HeaderMap, query: Option<&str>) -> Result<Caller, Problem> {
    let unauthorized = |detail: &str| Problem::new(Fault::Unauthorized, detail);
    let known = |token: &str| {
        let caller = instance.catalog.tokens().recognise(token, instance.clock.now());
        caller.ok_or_else(|| unauthorized("the token is unknown, expired or revoked"))
    };
    if !headers.contains_key(header::AUTHORIZATION) {
        // RFC 6750, 2.3: for senders of events that can set no header.
        let mut query = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        if let Some((_, token)) = query.find(|(key, _)| key == "access_token") {
            return known(&token);
        }
        return Err(unauthorized("send a token: `Authorization: Bearer cst_…`"));
    }
    known(bearer(headers).ok_or_else(|| unauthorized("the Authorization header is not `Bearer` and a token"))?)
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
        Scope::Workflow(own) => wanted(method, route).is_some_and(|right| own.rights.has(right)),
    }
}

/// What a workflow's token needs for a route; none where no right is enough.
fn wanted(method: &Method, route: &str) -> Option<Right> {
    let found = OF_WORKFLOW_TOKENS.iter().find(|(m, r, _)| *m == method.as_str() && *r == route);
    found.map(|(_, _, right)| *right)
}

fn short_of(caller: &Caller, method: &Method, route: &str) -> String {
    let Caller { label, scope, .. } = caller;
    let own = scope.words().join(", ");
    match (scope, wanted(method, route)) {
        (Scope::Workflow(_), Some(right)) => {
            format!("token `{label}` has the scopes {own}; this needs `{}`", right.as_str())
        }
        (Scope::Workflow(_), None) => {
            format!("token `{label}` is of one workflow, with the scopes {own}; no scope of such a token reaches this")
        }
        _ => format!("token `{label}` has the scope `{own}`, which does not reach this"),
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
            Scope::Workflow(own) => own.id == workflow,
        }
    }

    /// Refuses a token of another workflow than the one that a URL names.
    pub fn check_sees(&self, workflow: ResourceId, which: &str) -> Result<(), Problem> {
        if self.sees(workflow) {
            return Ok(());
        }
        let detail = format!("token `{}` is of another workflow than `{which}`", self.label);
        Err(Problem::new(Fault::Forbidden, detail))
    }

    /// Whether this caller may do this with a workflow of its workspace.
    pub fn may(&self, right: Right, workflow: ResourceId) -> bool {
        match self.scope {
            Scope::Operator | Scope::Admin => true,
            Scope::Read => right == Right::Read,
            Scope::Events => false,
            Scope::Workflow(own) => own.id == workflow && own.rights.has(right),
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
    use crate::tokens::OfWorkflow;
    use camshaft_model::ids::Name;

    #[test]
    fn a_scope_reaches_what_it_should_and_no_more() {
        let id = ResourceId::from_bytes([1; 16]);
        let with = |rights: &[Right]| Scope::Workflow(OfWorkflow { id, rights: rights.iter().copied().collect() });
        let workflow = with(&Right::ALL);
        let reaches = |scope, method: &Method, route: &str| {
            let caller = Caller {
                label: "t".into(),
                workspace: Name::new("acme").unwrap(),
                is_home: false,
                scope,
                token: None,
                expires_at: None,
            };
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
            (Scope::Events, Method::POST, "/api/v1/users/{user}/events", true),
            (Scope::Events, Method::PUT, "/api/v1/users/{user}", false),
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
            (with(&[Right::Manage]), Method::GET, "/api/v1/workflows/{workflow}/triggers", true),
            (with(&[Right::Manage]), Method::PATCH, "/api/v1/workflows/{workflow}/triggers/{trigger}", true),
            (with(&[Right::Trigger, Right::Read]), Method::GET, "/api/v1/workflows/{workflow}/triggers", false),
            (with(&[Right::Trigger]), Method::PATCH, "/api/v1/workflows/{workflow}/triggers/{trigger}", false),
            (workflow, Method::GET, "/api/v1/executions/{execution}", true),
            (workflow, Method::GET, "/api/v1/workflows", false),
            (workflow, Method::GET, "/api/v1/secrets", false),
            (workflow, Method::GET, "", false),
            (with(&[Right::Trigger]), Method::POST, "/api/v1/workflows/{workflow}/trigger", true),
            (with(&[Right::Trigger]), Method::POST, "/api/v1/executions/{execution}/cancel", true),
            (with(&[Right::Trigger]), Method::GET, "/api/v1/executions/{execution}", false),
            (with(&[Right::Read]), Method::GET, "/api/v1/executions/{execution}", true),
            (with(&[Right::Read]), Method::POST, "/api/v1/workflows/{workflow}/trigger", false),
            (with(&[Right::Read]), Method::POST, "/api/v1/executions/{execution}/rerun", false),
            (with(&[Right::Manage]), Method::GET, "/api/v1/executions", false),
            (with(&[]), Method::GET, "/api/v1/executions", false),
        ] {
            assert_eq!(reaches(scope, &method, route), reached, "{scope:?} {method} {route}");
        }
    }
}
