//! Tokens: made and shown once, listed without their text, revoked at once.

use std::time::Duration;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use camshaft_model::ids::ResourceId;
use camshaft_model::resource::{Change, Expect, ResourceKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::body::JsonBody;
use super::page::{Asked, Page, PageQuery};
use super::problem::{Fault, Problem};
use crate::catalog::specs::{self, Kept};
use crate::tokens::{self, Caller, OfWorkflow, Right, Rights, Scope, TokenSpec};

/// Longest label, characters.
const LABEL_CHARS_MAX: usize = 100;

/// A token for a workflow.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkflowTokenBody {
    /// What people call it.
    pub label: String,
    /// What it may do: `trigger` and `read` where it is left out.
    pub scopes: Option<Vec<Right>>,
    /// How long it is valid, seconds; for ever where it is left out.
    pub expires_in_s: Option<u64>,
}

/// A token for the management API.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenBody {
    /// What people call it.
    pub label: String,
    /// What it may do.
    pub scope: WideScope,
    /// How long it is valid, seconds; for ever where it is left out.
    pub expires_in_s: Option<u64>,
}

/// A scope that is not one workflow's.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WideScope {
    /// Everything, in every workspace. Only an operator makes such a token.
    Operator,
    /// Everything in this workspace.
    Admin,
    /// Look at everything in this workspace, change nothing.
    Read,
    /// Send events to this workspace, and nothing else.
    Events,
}

/// A token, without its text.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenView {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub label: String,
    /// `operator`, `admin`, `read`, `events`, `workflow`
    pub scope: &'static str,
    /// What it may do: `admin`, `read`, or what the token of a workflow may do with it: `trigger`, `read`, `manage`
    pub scopes: Vec<&'static str>,
    /// The workflow that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// When it was made (RFC 3339).
    pub created_at: String,
    /// When it stops being valid (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// When it was presented last (RFC 3339); a crash may lose the last minute of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
}

/// A token that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewToken {
    /// What the caller presents. Shown this once, and kept nowhere.
    pub token: String,
    /// Everything else about it.
    #[serde(flatten)]
    pub view: TokenView,
}

impl TokenView {
    fn of(app: &App, kept: &Kept<TokenSpec>) -> Self {
        let TokenSpec { label, scope, expires_at, .. } = &kept.spec;
        let workflow = match scope {
            Scope::Workflow(own) => app.catalog.workflow_name(&app.workspace, own.id).map(|name| name.to_string()),
            _ => None,
        };
        Self {
            id: kept.id.to_string(),
            label: label.clone(),
            scope: scope.as_str(),
            scopes: scope.words(),
            workflow,
            created_at: kept.created_at.to_string(),
            expires_at: expires_at.map(|at| at.to_string()),
            last_used_at: app.catalog.tokens().last_used(kept.id).map(|at| at.to_string()),
        }
    }
}

async fn make(
    app: &App,
    label: &str,
    scope: Scope,
    expires_in_s: Option<u64>,
) -> Result<(StatusCode, Json<NewToken>), Problem> {
    let label = label.trim();
    if label.is_empty() || label.chars().count() > LABEL_CHARS_MAX || label.chars().any(char::is_control) {
        let detail = format!("`label` is {label:?}: it has 1 to {LABEL_CHARS_MAX} characters, on one line");
        return Err(Problem::new(Fault::Invalid, detail));
    }
    if expires_in_s == Some(0) {
        return Err(Problem::new(Fault::Invalid, "`expires_in_s` is 0: the token would never be valid"));
    }
    let now = app.clock.now();
    let id = app.ids.resource();
    let minted = tokens::mint(id).map_err(Problem::internal)?;
    let spec = TokenSpec {
        label: label.to_owned(),
        scope,
        digest: minted.digest,
        expires_at: expires_in_s.map(|seconds| now.plus(Duration::from_secs(seconds))),
        last_used_at: None,
    };
    let key = specs::key(ResourceKind::Token, &app.workspace, id);
    let resource = specs::resource(key, id, &spec, now);
    let made = app.catalog.change(vec![Change::Put { resource, expect: Expect::Absent }]).await?;
    let Some(Some(made)) = made.first() else {
        return Err(Problem::internal("the store put a token and gave none back"));
    };
    let view = TokenView::of(app, &Kept::read(made)?);
    Ok((StatusCode::CREATED, Json(NewToken { token: minted.text, view })))
}

/// Make a token for this workflow: to trigger it, to see its executions, to manage its triggers.
#[utoipa::path(
    post, path = "/api/v1/workflows/{workflow}/tokens", tag = "tokens", operation_id = "create_workflow_token",
    params(("workflow" = String, Path, description = "name or id")),
    request_body = WorkflowTokenBody,
    responses(
        (status = 201, description = "made; its text is shown this once", body = NewToken),
        (status = 404, description = "unknown workflow"),
        (status = 413, description = "too large"),
        (status = 422, description = "a label, a time or no scopes, which cannot be"),
    )
)]
pub async fn create_of_workflow(
    app: App,
    Path(which): Path<String>,
    JsonBody(wanted): JsonBody<WorkflowTokenBody>,
) -> Result<(StatusCode, Json<NewToken>), Problem> {
    let workflow = app.workflow(&which)?;
    let rights = wanted.scopes.map_or(Rights::USUAL, Rights::from);
    if rights.is_empty() {
        let all = Right::ALL.map(Right::as_str).join(", ");
        return Err(Problem::new(Fault::Invalid, format!("`scopes` is empty: it names one or more of {all}")));
    }
    make(&app, &wanted.label, Scope::Workflow(OfWorkflow { id: workflow.id, rights }), wanted.expires_in_s).await
}

/// List a workflow's tokens, oldest first.
#[utoipa::path(
    get, path = "/api/v1/workflows/{workflow}/tokens", tag = "tokens", operation_id = "list_workflow_tokens",
    params(("workflow" = String, Path, description = "name or id"), PageQuery),
    responses(
        (status = 200, description = "a page", body = Page<TokenView>),
        (status = 404, description = "unknown workflow"),
    )
)]
pub async fn list_of_workflow(
    app: App,
    Path(which): Path<String>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<TokenView>>, Problem> {
    let workflow = app.workflow(&which)?.id;
    let all = app.catalog.tokens_kept(&app.workspace);
    let own = all.into_iter().filter(|kept| matches!(kept.spec.scope, Scope::Workflow(own) if own.id == workflow));
    query.page(own, |kept| kept.id.to_string(), |kept| TokenView::of(&app, kept))
}

/// Make a token for the management API.
#[utoipa::path(
    post, path = "/api/v1/tokens", tag = "tokens", operation_id = "create_token",
    request_body = TokenBody,
    responses(
        (status = 201, description = "made; its text is shown this once", body = NewToken),
        (status = 413, description = "too large"),
        (status = 422, description = "a label or a time that cannot be"),
    )
)]
pub async fn create(
    app: App,
    caller: Caller,
    JsonBody(wanted): JsonBody<TokenBody>,
) -> Result<(StatusCode, Json<NewToken>), Problem> {
    let scope = match wanted.scope {
        WideScope::Operator if caller.scope == Scope::Operator => Scope::Operator,
        WideScope::Operator => {
            return Err(Problem::new(Fault::Forbidden, "only an operator makes an operator's token"));
        }
        WideScope::Admin => Scope::Admin,
        WideScope::Read => Scope::Read,
        WideScope::Events => Scope::Events,
    };
    make(&app, &wanted.label, scope, wanted.expires_in_s).await
}

/// List every token, those of workflows too, oldest first.
#[utoipa::path(
    get, path = "/api/v1/tokens", tag = "tokens", operation_id = "list_tokens", params(PageQuery),
    responses((status = 200, description = "a page", body = Page<TokenView>))
)]
pub async fn list(app: App, Asked(query): Asked<PageQuery>) -> Result<Json<Page<TokenView>>, Problem> {
    let all = app.catalog.tokens_kept(&app.workspace);
    query.page(all, |kept| kept.id.to_string(), |kept| TokenView::of(&app, kept))
}

/// Revoke a token, at once.
#[utoipa::path(
    delete, path = "/api/v1/tokens/{token}", tag = "tokens", operation_id = "revoke_token",
    params(("token" = String, Path, description = "its id")),
    responses((status = 204, description = "revoked"), (status = 404, description = "unknown"))
)]
pub async fn revoke(app: App, Path(which): Path<String>) -> Result<StatusCode, Problem> {
    let id: ResourceId = which.parse()?;
    let _editing = app.catalog.edit().await;
    if !app.catalog.tokens_kept(&app.workspace).iter().any(|kept| kept.id == id) {
        return Err(Problem::not_found("token", id));
    }
    let key = specs::key(ResourceKind::Token, &app.workspace, id);
    app.catalog.change(vec![Change::Delete { key, expect: Expect::Any }]).await?;
    Ok(StatusCode::NO_CONTENT)
}
