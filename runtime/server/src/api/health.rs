//! What machines ask: is it alive, is it ready, how much of what.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use camshaft_model::{Value, json};
use camshaft_triggers::schedule::Became;

use super::problem::{Fault, Problem};
use super::{App, Instance};
use crate::letters;

/// Alive: the process answers.
#[utoipa::path(
    get, path = "/healthz", tag = "health", operation_id = "healthz",
    responses((status = 200, description = "alive", body = Object))
)]
pub async fn healthz() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// Ready: the store takes writes, the shipped plugins are there, and what was open at the start goes on.
#[utoipa::path(
    get, path = "/readyz", tag = "health", operation_id = "readyz",
    responses((status = 200, description = "ready", body = Object), (status = 503, description = "not now; `detail` tells why"))
)]
pub async fn readyz(State(instance): State<Arc<Instance>>) -> Result<Json<Value>, Problem> {
    let missing =
        if instance.store.healthy() { instance.readiness.missing() } else { Some("the store takes no writes") };
    match missing {
        None => Ok(Json(json!({"status": "ready"}))),
        Some(why) => Err(Problem::new(Fault::Unavailable, why)),
    }
}

/// Counters, in the text format of Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "health", operation_id = "metrics",
    responses((status = 200, description = "the counters", body = String, content_type = "text/plain"))
)]
pub async fn metrics(app: App) -> Response {
    app.metrics.executions((app.under_way)());
    // A store that does not answer is what /readyz tells of.
    if let Ok(size) = app.store.size().await {
        app.metrics.store(size);
    }
    for workspace in app.catalog.workspaces() {
        for kept in app.catalog.integrations(&workspace) {
            let counts = app.deliveries.counts(kept.id);
            app.metrics.deliveries(&workspace, &kept.key.name, counts.accepted, counts.refused);
        }
    }
    for became in Became::ALL {
        app.metrics.firings(became.as_str(), app.schedules.counted(became));
    }
    for became in letters::Became::ALL {
        app.metrics.letters(became.as_str(), app.letters.counted(became));
    }
    app.metrics.letters_standing(app.letters.standing_of_all());
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], app.metrics.render()).into_response()
}
