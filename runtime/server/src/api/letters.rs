//! Letters of a subscription: those that wait, those that are dead, and sending the dead anew.

use axum::Json;
use axum::extract::Path;
use camshaft_model::Value;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::page::{Asked, Page, limit};
use super::problem::Problem;
use super::subscriptions::subscription;
use super::{App, name_in_url};
use crate::letters::letter::{LetterId, LetterSpec};

/// Which letters.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// Those that are not tried any more.
    #[default]
    Dead,
    /// Those that wait for their next try.
    Waiting,
}

/// Which page of which letters.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LettersQuery {
    /// `dead`, which it is where it is left out, or `waiting`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    pub state: Which,
    /// Items of a page: 1 to 200, 50 where it is left out.
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub after: Option<String>,
}

/// A letter.
#[derive(Debug, Serialize, ToSchema)]
pub struct LetterView {
    /// Its id: `webhook-id`, and the id of its event.
    pub id: String,
    /// How often it was sent for nothing.
    pub tries: u32,
    /// What the latest try came to.
    pub why: Option<String>,
    /// When it is sent next (RFC 3339); null for a dead one.
    pub due_at: Option<String>,
    /// Since when it is not tried any more (RFC 3339).
    pub dead_since: Option<String>,
    /// The CloudEvent.
    #[schema(value_type = Object)]
    pub event: Value,
}

/// What is sent anew.
#[derive(Debug, Serialize, ToSchema)]
pub struct RedrivenView {
    /// How many letters.
    pub redriven: usize,
}

impl LetterView {
    fn of(id: LetterId, spec: LetterSpec) -> Self {
        Self {
            id: id.to_string(),
            tries: spec.tries,
            why: spec.why,
            due_at: if spec.dead_since.is_none() { Some(spec.due.to_string()) } else { None },
            dead_since: spec.dead_since.map(|since| since.to_string()),
            event: spec.event,
        }
    }
}

/// List letters of a subscription that are dead, or that wait, by id.
#[utoipa::path(
    get, path = "/api/v1/subscriptions/{subscription}/letters", tag = "subscriptions", operation_id = "list_letters",
    params(("subscription" = String, Path, description = "its name"), LettersQuery),
    responses((status = 200, description = "a page", body = Page<LetterView>), (status = 404, description = "unknown"))
)]
pub async fn list(
    app: App,
    Path(which): Path<String>,
    Asked(query): Asked<LettersQuery>,
) -> Result<Json<Page<LetterView>>, Problem> {
    let kept = subscription(&app, &name_in_url("subscription name", &which)?)?;
    let limit = limit(query.limit)?;
    let after = query.after.as_deref().map(str::parse).transpose()?;
    let dead = query.state == Which::Dead;
    let mut found = app.letters.list(&app.workspace, kept.id, dead, after, limit + 1).await?;
    let next = (found.len() > limit).then(|| found[limit - 1].0.to_string());
    found.truncate(limit);
    let items = found.into_iter().map(|(id, spec)| LetterView::of(id, spec)).collect();
    Ok(Json(Page { items, next }))
}

/// Send all dead letters of a subscription anew.
#[utoipa::path(
    post, path = "/api/v1/subscriptions/{subscription}/redrive", tag = "subscriptions", operation_id = "redrive_letters",
    params(("subscription" = String, Path, description = "its name")),
    responses((status = 200, description = "how many", body = RedrivenView), (status = 404, description = "unknown"))
)]
pub async fn redrive_all(app: App, Path(which): Path<String>) -> Result<Json<RedrivenView>, Problem> {
    let kept = subscription(&app, &name_in_url("subscription name", &which)?)?;
    let redriven = app.letters.redrive(&app.workspace, kept.id, None).await?;
    Ok(Json(RedrivenView { redriven }))
}

/// Send one dead letter anew.
#[utoipa::path(
    post, path = "/api/v1/subscriptions/{subscription}/letters/{letter}/redrive", tag = "subscriptions",
    operation_id = "redrive_letter",
    params(
        ("subscription" = String, Path, description = "its name"),
        ("letter" = String, Path, description = "the letter's id"),
    ),
    responses(
        (status = 200, description = "it is sent", body = RedrivenView),
        (status = 404, description = "unknown, or not dead"),
    )
)]
pub async fn redrive(app: App, Path((which, letter)): Path<(String, String)>) -> Result<Json<RedrivenView>, Problem> {
    let kept = subscription(&app, &name_in_url("subscription name", &which)?)?;
    let id: LetterId = letter.parse()?;
    match app.letters.redrive(&app.workspace, kept.id, Some(id)).await? {
        0 => Err(Problem::not_found("dead letter", id)),
        redriven => Ok(Json(RedrivenView { redriven })),
    }
}
