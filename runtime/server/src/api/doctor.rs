//! Why deliveries of an integration are refused.

use axum::Json;
use axum::extract::Path;
use camshaft_model::ids::IdOrName;
use camshaft_model::seams::{Directory, Integration, WebhookRequest};
use camshaft_model::time::Timestamp;
use camshaft_triggers::deliveries::{REQUESTS_KEPT, RefusedDelivery};
use camshaft_triggers::doctor::{Cause, cause};
use serde::Serialize;
use utoipa::ToSchema;

use super::delivery::{RequestView, without_query};
use super::integrations::integration;
use super::problem::Problem;
use super::{App, name_in_url};

/// Advice where an adapter says what is wrong, and nothing changes that.
const UNCHANGED: &str = "the reason says it; no other time, URL or shape of the body changes that";

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
pub struct Diagnosis {
    /// The integration.
    pub integration: String,
    /// The latest refused deliveries, newest first: the last five.
    pub refused: Vec<Examined>,
    /// What else keeps deliveries from starting something.
    pub notes: Vec<String>,
}

/// A refused delivery, looked at again.
#[derive(Debug, Serialize, ToSchema)]
pub struct Examined {
    /// When it came (RFC 3339).
    pub time: String,
    /// The vendor's id of it, where a header named one.
    pub delivery: Option<String>,
    /// What it was answered with.
    pub status: u16,
    /// Why.
    pub reason: String,
    /// `mended`, `clock`, `url`, `body`, `secret`, or `other` where the reason says all
    pub cause: &'static str,
    /// What to do about it.
    pub advice: String,
    /// What came; none where it was not kept.
    pub request: Option<RequestView>,
}

/// Look again at the latest refused deliveries: each is shown to its adapter with one circumstance changed.
#[utoipa::path(
    post, path = "/api/v1/integrations/{integration}/doctor", tag = "integrations", operation_id = "examine_integration",
    params(("integration" = String, Path, description = "its name")),
    responses(
        (status = 200, description = "what was found", body = Diagnosis),
        (status = 404, description = "unknown"),
    )
)]
pub async fn examine(app: App, Path(which): Path<String>) -> Result<Json<Diagnosis>, Problem> {
    let name = name_in_url("integration name", &which)?;
    let kept = integration(&app, &name)?;
    let found = app.catalog.integration(&app.workspace, &IdOrName::Name(name.clone()));
    let counts = app.deliveries.counts(kept.id);
    let mut refused = Vec::new();
    for delivery in counts.last_refusals.into_iter().take(REQUESTS_KEPT) {
        let Some(found) = found.as_deref() else { continue };
        refused.push(examined(&app, found, &delivery).await);
    }
    let mut notes = Vec::new();
    if !kept.spec.enabled {
        notes.push(format!("integration `{name}` is disabled: every delivery is answered with 404"));
    }
    if counts.received == 0 {
        notes.push(format!(
            "nothing has come for `{name}` since the server started: does its vendor call {}/v1/webhooks/{name}?",
            app.url()
        ));
    } else if counts.refused == 0 {
        notes.push("nothing was refused since the server started".to_owned());
    }
    let environments = app.catalog.environments(&app.workspace);
    if environments.iter().all(|environment| app.catalog.subscribers(&app.workspace, &name, environment).is_empty()) {
        notes.push(format!("no published workflow has a trigger that is switched on for `{name}`, so nothing starts"));
    }
    Ok(Json(Diagnosis { integration: name.to_string(), refused, notes }))
}

async fn examined(app: &App, integration: &Integration, delivery: &RefusedDelivery) -> Examined {
    let (cause, advice) = match delivery.whole() {
        Some(request) if delivery.status == 401 => {
            let found = cause(&*app.triggers.plugins, integration, request).await;
            match found {
                Cause::Unknown if !is_of_a_secret(&delivery.reason) => ("other", UNCHANGED.to_owned()),
                found => (word(&found), advice(&found, integration, request)),
            }
        }
        None if delivery.status == 401 && delivery.request.is_some() => (
            "other",
            format!(
                "its body of {} bytes is too large to be kept whole and shown to the adapter again; the reason says what is known",
                delivery.body_bytes
            ),
        ),
        _ => ("other", "the reason says it; no look at it tells more".to_owned()),
    };
    Examined {
        time: delivery.time.to_string(),
        delivery: delivery.delivery.clone(),
        status: delivery.status,
        reason: delivery.reason.clone(),
        cause,
        advice,
        request: delivery
            .request
            .as_deref()
            .map(|request| RequestView { body_bytes: delivery.body_bytes, ..RequestView::of(integration, request) }),
    }
}

fn word(cause: &Cause) -> &'static str {
    match cause {
        Cause::Mended => "mended",
        Cause::Clock(_) => "clock",
        Cause::Url(_) => "url",
        Cause::Body(_) => "body",
        Cause::Unknown => "secret",
        Cause::AsksOthers => "other",
    }
}

/// Whether an adapter refuses because of a signature or a token that is not what it should be, as our SDK says it. What is missing, old or
/// of a strange form it says otherwise.
fn is_of_a_secret(reason: &str) -> bool {
    ["does not match", "matches the body", "is not the right one"].iter().any(|text| reason.contains(text))
}

fn advice(cause: &Cause, integration: &Integration, request: &WebhookRequest) -> String {
    match cause {
        Cause::Mended => {
            "it would be accepted now, for the secrets or the configuration have changed since; have it sent again"
                .into()
        }
        Cause::Clock(dated) => {
            let (apart, side) = apart(*dated, request.received_at);
            format!(
                "it is dated {dated}, {apart} {side} it came: set the clock of this machine or of its sender, or have it sent \
                 again by somebody who signs it anew"
            )
        }
        Cause::Url(signed) => {
            let peer = request.remote_address.as_deref().unwrap_or("the proxy");
            format!(
                "its sender signed `{}`, and it came as `{}`: set `public_url` in the server's configuration, or name {peer} in \
                 `trusted_proxies`",
                without_query(signed),
                without_query(&request.public_url)
            )
        }
        Cause::Body(change) => {
            format!("its body was changed on the way: {change}; have what stands in between pass it on as it is")
        }
        Cause::Unknown => {
            let fields: Vec<_> = integration.secrets.iter().map(|(field, _)| format!("`{field}`")).collect();
            let fields = if fields.is_empty() { "a secret".to_owned() } else { fields.join(" or ") };
            format!(
                "no other time, URL or shape of the body that was tried makes it right: {fields} is not what its sender signs \
                 with, or it comes from somebody else; it came as `{}`, which is to be what its sender calls",
                without_query(&request.public_url)
            )
        }
        Cause::AsksOthers => {
            "its adapter asks somebody outside before it believes a delivery, so it is not shown to it again; the reason says it"
                .to_owned()
        }
    }
}

/// `11m 3s`, `before`
fn apart(dated: Timestamp, came: Timestamp) -> (humantime::FormattedDuration, &'static str) {
    let micros = dated.0.abs_diff(came.0);
    let side = if dated < came { "before" } else { "after" };
    (humantime::format_duration(std::time::Duration::from_secs(micros / 1_000_000)), side)
}
