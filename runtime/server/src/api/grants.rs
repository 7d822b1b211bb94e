//! Grants: what an operator allows a plugin, all its releases alike. A change holds from the next call on.

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use camshaft_model::ids::{Name, SecretName};
use camshaft_model::plugin::Grant;
use camshaft_model::resource::{Change, Expect, ResourceKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::JsonBody;
use super::problem::{Fault, Problem};
use super::{App, check_generation, name_in_url, with_generation};
use crate::catalog::specs;
use crate::tokens::{Caller, Scope};

/// Most hosts, and most secrets, of a grant.
const NAMES_MAX: usize = 1_000;

/// What a plugin may do.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantBody {
    /// Origins that it may call: `https://api.example.com`, `http://127.0.0.1:9000`, any subdomain with `https://*.example.com`,
    /// any one name in a place with `https://api.*.example.com`; `*` is every public host.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Whether these hosts may have private addresses.
    #[serde(default)]
    pub private_addresses: bool,
    /// Secrets that it may read.
    #[serde(default)]
    pub secrets: Vec<String>,
}

impl From<Grant> for GrantBody {
    fn from(Grant { hosts, private_addresses, secrets }: Grant) -> Self {
        Self { hosts, private_addresses, secrets }
    }
}

/// Set what a plugin is granted, in place of what it was.
#[utoipa::path(
    put, path = "/api/v1/plugins/{plugin}/grant", tag = "plugins", operation_id = "put_grant",
    params(
        ("plugin" = String, Path, description = "its name"),
        ("If-Match" = Option<String>, Header, description = "only if the generation is this"),
    ),
    request_body = GrantBody,
    responses(
        (status = 200, description = "granted", body = GrantBody),
        (status = 404, description = "unknown plugin"),
        (status = 412, description = "changed meanwhile"),
        (status = 413, description = "too large"),
        (status = 422, description = "a host or a secret that cannot be"),
    )
)]
pub async fn put(
    app: App,
    caller: Caller,
    Path(which): Path<String>,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<GrantBody>,
) -> Result<Response, Problem> {
    let name = name_in_url("plugin name", &which)?;
    check(&wanted)?;
    // What is behind the server is not a tenant's to open.
    if wanted.private_addresses && caller.scope != Scope::Operator && !caller.is_home {
        return Err(Problem::new(Fault::Forbidden, "`private_addresses` is granted by an operator only"));
    }
    let workspace = &app.workspace;
    let _editing = app.catalog.edit().await;
    known(&app, &name)?;
    let before = app.catalog.grant_kept(workspace, &name);
    check_generation(&headers, before.as_ref().map_or(0, |kept| kept.generation))?;
    let id = before.as_ref().map_or_else(|| app.ids.resource(), |kept| kept.id);
    let GrantBody { hosts, private_addresses, secrets } = wanted;
    let grant = Grant { hosts, private_addresses, secrets };
    let resource = specs::resource(specs::key(ResourceKind::Grant, workspace, &name), id, &grant, app.clock.now());
    app.catalog.change(vec![Change::Put { resource, expect: Expect::Any }]).await?;
    let generation = app.catalog.grant_kept(workspace, &name).map_or(0, |kept| kept.generation);
    Ok(with_generation(StatusCode::OK, generation, Json(GrantBody::from(grant))))
}

/// Show what a plugin is granted.
#[utoipa::path(
    get, path = "/api/v1/plugins/{plugin}/grant", tag = "plugins", operation_id = "get_grant",
    params(("plugin" = String, Path, description = "its name")),
    responses(
        (status = 200, description = "its grant; empty where none was made", body = GrantBody),
        (status = 404, description = "unknown plugin"),
    )
)]
pub async fn show(app: App, Path(which): Path<String>) -> Result<Response, Problem> {
    let name = name_in_url("plugin name", &which)?;
    known(&app, &name)?;
    let kept = app.catalog.grant_kept(&app.workspace, &name);
    let generation = kept.as_ref().map_or(0, |kept| kept.generation);
    let grant = kept.map(|kept| kept.spec.clone()).unwrap_or_default();
    Ok(with_generation(StatusCode::OK, generation, Json(GrantBody::from(grant))))
}

fn known(app: &App, name: &Name) -> Result<(), Problem> {
    if app.catalog.releases(&app.workspace, name).is_empty() { Err(super::plugins::unknown(app, name)) } else { Ok(()) }
}

fn check(grant: &GrantBody) -> Result<(), Problem> {
    if grant.hosts.len() > NAMES_MAX || grant.secrets.len() > NAMES_MAX {
        return Err(Problem::new(
            Fault::Invalid,
            format!("a grant names at most {NAMES_MAX} hosts and as many secrets"),
        ));
    }
    for host in &grant.hosts {
        if !is_origin(host) {
            let rule = "write `https://api.example.com`, `https://*.example.com`, `https://api.*.example.com`, \
                        `http://127.0.0.1:9000` or `*`";
            return Err(Problem::new(Fault::Invalid, format!("host `{host}` cannot be granted: {rule}")));
        }
    }
    for secret in &grant.secrets {
        SecretName::new(secret).map_err(|malformed| Problem::new(Fault::Invalid, malformed.to_string()))?;
    }
    Ok(())
}

/// Scheme, host and port; `*.` may stand before the host, or `*` in the place of one label within it, `*` for everything.
fn is_origin(text: &str) -> bool {
    if text == "*" {
        return true;
    }
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let (plain, is_subdomain) = rest.strip_prefix("*.").map_or((rest, false), |parent| (parent, true));
    let Ok(authority) = plain.parse::<http::uri::Authority>() else { return false };
    let host = authority.host();
    let port = plain.strip_prefix(host).unwrap_or("no");
    matches!(scheme, "http" | "https")
        && !host.is_empty()
        && (!host.contains('*') || !is_subdomain && has_one_open_label(host))
        && (port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()))
}

/// Whether one label of a host is `*`, with a label before it and two behind: a grant never opens all that a registry gives out.
fn has_one_open_label(host: &str) -> bool {
    let labels: Vec<_> = host.split('.').collect();
    let open = labels.iter().position(|label| *label == "*");
    host.matches('*').count() == 1 && open.is_some_and(|at| at > 0 && at + 2 < labels.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_origins_can_be_granted() {
        for good in [
            "*",
            "https://a.example",
            "https://*.a.example",
            "https://a.*.b.example",
            "https://a.*.b.example:8443",
            "http://127.0.0.1:9000",
            "http://[::1]:80",
        ] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "",
            "a.example",
            "https://",
            "https://a.example/path",
            "ftp://a.example",
            "https://*",
            "https://u@a.example",
            "https://a.*.example",
            "https://a.*",
            "https://*.a.*.b.example",
            "https://a.*.*.b.example",
            "https://a.b*.c.example",
            "https://a.example:99999",
            "https://a b",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
