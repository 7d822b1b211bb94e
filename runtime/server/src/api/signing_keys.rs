//! Signing keys: the public halves of an app's keys. Several are valid at once; a token that any of them has signed is believed.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use camshaft_model::ids::Name;
use camshaft_model::limits::SIGNING_KEYS_MAX;
use camshaft_model::resource::{Change, Expect, ResourceKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::body::JsonBody;
use super::name_in_url;
use super::page::{Asked, Page, PageQuery};
use super::problem::{Fault, Problem};
use crate::catalog::specs::{self, Kept, SigningKeySpec};
use crate::signing_keys::SigningKey;

/// A key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SigningKeyBody {
    /// The RSA public key in PEM, 2048 to 8192 bits: `-----BEGIN PUBLIC KEY-----`.
    pub public_key: String,
}

/// A key that tokens of users are verified with.
#[derive(Debug, Serialize, ToSchema)]
pub struct SigningKeyView {
    /// What it is called.
    pub label: String,
    /// `RS256`
    pub algorithm: &'static str,
    /// How long it is, bits.
    pub bits: usize,
    /// The public key in PEM.
    pub public_key: String,
    /// When it was added (RFC 3339).
    pub created_at: String,
}

impl SigningKeyView {
    fn of(kept: &Kept<SigningKeySpec>, key: &SigningKey) -> Self {
        Self {
            label: kept.key.name.clone(),
            algorithm: "RS256",
            bits: key.bits(),
            public_key: kept.spec.pem.clone(),
            created_at: kept.created_at.to_string(),
        }
    }
}

/// Add a key. A key is never changed: add the next one, let the app sign with it, remove this one.
#[utoipa::path(
    put, path = "/api/v1/signing-keys/{key}", tag = "connections", operation_id = "add_signing_key",
    params(("key" = String, Path, description = "what to call it: a name")),
    request_body = SigningKeyBody,
    responses(
        (status = 200, description = "it is there already", body = SigningKeyView),
        (status = 201, description = "added", body = SigningKeyView),
        (status = 409, description = "another key is called so"),
        (status = 413, description = "too large"),
        (status = 422, description = "no RSA public key of 2048 to 8192 bits, or too many keys"),
    )
)]
pub async fn add(
    app: App,
    Path(which): Path<String>,
    JsonBody(wanted): JsonBody<SigningKeyBody>,
) -> Result<(StatusCode, Json<SigningKeyView>), Problem> {
    let label = name_in_url("key name", &which)?;
    let pem = wanted.public_key.trim().to_owned();
    let key = SigningKey::read(&pem).map_err(|error| Problem::new(Fault::Invalid, error.to_string()))?;
    let _editing = app.catalog.edit().await;
    let all = app.catalog.signing_keys(&app.workspace);
    if let Some((kept, key)) = all.iter().find(|(kept, _)| kept.key.name == label.as_str()) {
        if kept.spec.pem == pem {
            return Ok((StatusCode::OK, Json(SigningKeyView::of(kept, key))));
        }
        let detail = format!("another key is called `{label}`; add this one under a name of its own");
        return Err(Problem::new(Fault::Conflict, detail));
    }
    if all.len() >= SIGNING_KEYS_MAX {
        let detail = format!("`{label}` would be one more than {SIGNING_KEYS_MAX} signing keys, which is the limit");
        return Err(Problem::new(Fault::Invalid, detail));
    }
    let spec = SigningKeySpec { pem };
    let place = specs::key(ResourceKind::SigningKey, &app.workspace, &label);
    let resource = specs::resource(place, app.ids.resource(), &spec, app.clock.now());
    let made = app.catalog.change(vec![Change::Put { resource, expect: Expect::Absent }]).await?;
    let Some(Some(made)) = made.first() else {
        return Err(Problem::internal("the store put a signing key and gave none back"));
    };
    Ok((StatusCode::CREATED, Json(SigningKeyView::of(&Kept::read(made)?, &key))))
}

/// List the keys, by name.
#[utoipa::path(
    get, path = "/api/v1/signing-keys", tag = "connections", operation_id = "list_signing_keys", params(PageQuery),
    responses((status = 200, description = "a page", body = Page<SigningKeyView>))
)]
pub async fn list(app: App, Asked(query): Asked<PageQuery>) -> Result<Json<Page<SigningKeyView>>, Problem> {
    let all = app.catalog.signing_keys(&app.workspace);
    query.page(all, |(kept, _)| kept.key.name.clone(), |(kept, key)| SigningKeyView::of(kept, key))
}

/// Remove a key. Tokens that it has signed are refused at once.
#[utoipa::path(
    delete, path = "/api/v1/signing-keys/{key}", tag = "connections", operation_id = "remove_signing_key",
    params(("key" = String, Path, description = "its name")),
    responses((status = 204, description = "removed"), (status = 404, description = "unknown"))
)]
pub async fn remove(app: App, Path(which): Path<String>) -> Result<StatusCode, Problem> {
    let label: Name = name_in_url("key name", &which)?;
    let _editing = app.catalog.edit().await;
    let all = app.catalog.signing_keys(&app.workspace);
    let Some((kept, _)) = all.iter().find(|(kept, _)| kept.key.name == label.as_str()) else {
        return Err(Problem::not_among("signing key", label, all.iter().map(|(kept, _)| kept.key.name.as_str())));
    };
    let expect = Expect::Generation(kept.generation);
    app.catalog.change(vec![Change::Delete { key: kept.key.clone(), expect }]).await?;
    Ok(StatusCode::NO_CONTENT)
}
