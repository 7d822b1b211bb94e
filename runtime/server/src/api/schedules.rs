//! Schedules: when each is due next, what its last firing came to, and when one would fire that there is not yet.

use std::sync::Arc;

use axum::Json;
use camshaft_model::ids::Name;
use camshaft_model::invocation::TriggerSource;
use camshaft_model::schedule::{Fold, Gap, Missed, Overlap, Schedule, Timing};
use camshaft_model::seams::{Published, StoreError, SummaryQuery};
use camshaft_model::summary::Summary;
use camshaft_model::workflow::{Trigger, TriggerKey, trigger_keys};
use camshaft_triggers::schedule::{Fired, Place};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::page::{Asked, Page, PageQuery};
use super::problem::{Fault, Problem};
use super::triggers::FailureView;
use crate::preview::{self, FireTime, PreviewQuery};

/// Summaries among which the last firing of a former server is looked for.
const LOOKED_AT: usize = 256;

/// A schedule, where it is published.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScheduleItem {
    /// Name of its workflow.
    pub workflow: String,
    /// Id of its workflow.
    pub workflow_id: String,
    /// Where it is published.
    pub environment: String,
    /// Key of the trigger, by which it is switched on and off.
    pub trigger: String,
    /// Whether it fires.
    pub enabled: bool,
    /// Its pattern, where it has one.
    pub cron: Option<String>,
    /// Its wall time, where it fires once.
    pub at: Option<String>,
    /// Its interval, where it has one.
    pub every: Option<String>,
    /// The zone of its wall clock.
    pub timezone: String,
    /// `next` or `skip`
    pub gap: &'static str,
    /// `first` or `both`
    pub fold: &'static str,
    /// `latest`, `all` or `skip`
    pub missed: &'static str,
    /// `skip`, `queue`, `allow` or `cancel_previous`
    pub overlap: &'static str,
    /// The integration for whose connections it fires, one execution each; null where it is for none.
    pub integration: Option<String>,
    /// By how much a firing is put off at most, seconds.
    pub jitter_s: f64,
    /// When it is due next, jitter left out; none while it is switched off.
    pub next: Vec<FireTime>,
    /// Its last firing; where none was since the server started, the last that started something.
    pub last: Option<FiringView>,
    /// How often it could start nothing: a limit left no room, its parameters did not fit, or it waited too long.
    pub failed: u64,
    /// The latest of these, newest first, at most 20.
    pub last_failures: Vec<FailureView>,
}

/// A firing.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FiringView {
    /// When it was due (RFC 3339).
    pub due: String,
    /// When it was dealt with (RFC 3339).
    pub at: String,
    /// `started`, `skipped`, `refused`, `dropped`, `missed`, `no_connection`
    pub became: &'static str,
    /// What it started; or what went on, where it was skipped.
    pub execution_id: Option<String>,
    /// Where that execution stands, while it is kept.
    pub status: Option<&'static str>,
    /// Why it started nothing.
    pub why: Option<String>,
}

/// Which schedules.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ScheduleQuery {
    /// Of this workflow: name or id.
    pub workflow: Option<String>,
    /// Published in this environment.
    pub environment: Option<String>,
    /// How many of its next times each tells: 1 to 100, 5 where it is left out.
    pub next: Option<usize>,
    /// Items of a page: 1 to 200, 50 where it is left out.
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub after: Option<String>,
}

/// The schedules that were asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct Preview {
    /// When it would be due.
    pub next: Vec<FireTime>,
}

/// One schedule among those of everything that is published.
#[derive(Clone)]
struct Row {
    published: Arc<Published>,
    key: TriggerKey,
    enabled: bool,
    schedule: Schedule,
}

/// List the schedules of what is published, by workflow, environment and trigger.
#[utoipa::path(
    get, path = "/api/v1/schedules", tag = "schedules", operation_id = "list_schedules", params(ScheduleQuery),
    responses((status = 200, description = "a page", body = Page<ScheduleItem>), (status = 404, description = "unknown workflow"))
)]
pub async fn list(app: App, Asked(query): Asked<ScheduleQuery>) -> Result<Json<Page<ScheduleItem>>, Problem> {
    let count = preview::count(query.next).map_err(malformed)?;
    let workflows = match &query.workflow {
        Some(which) => vec![app.workflow(which)?],
        None => app.catalog.workflows(&app.workspace),
    };
    let is_meant = |environment: &Name| query.environment.as_ref().is_none_or(|meant| *meant == environment.as_str());
    let published = workflows.iter().flat_map(|kept| {
        let (app, name) = (&app, Name::new(&kept.key.name).ok());
        let environments = kept.spec.published.keys().filter(|environment| is_meant(environment));
        environments
            .filter_map(move |environment| app.catalog.published_here(&app.workspace, name.as_ref()?, environment))
    });
    let rows: Vec<Row> = published.flat_map(rows).collect();
    // Between the parts of a cursor stands what comes before whatever names are made of, so that it sorts as they do.
    let cursor = |row: &Row| format!("{},{},{}", row.published.revision.workflow, row.published.environment, row.key);
    let page = PageQuery { limit: query.limit, after: query.after.clone() };
    let Json(Page { items, next }) = page.page(rows, cursor, Row::clone)?;
    let mut shown = Vec::with_capacity(items.len());
    for row in items {
        shown.push(show(&app, row, count).await?);
    }
    Ok(Json(Page { items: shown, next }))
}

/// Tell when a schedule would be due. Nothing is made of it.
#[utoipa::path(
    get, path = "/api/v1/schedules/preview", tag = "schedules", operation_id = "preview_schedule", params(PreviewQuery),
    responses((status = 200, description = "its next times; fewer than asked for where it ends", body = Preview))
)]
pub async fn preview(app: App, Asked(query): Asked<PreviewQuery>) -> Result<Json<Preview>, Problem> {
    let next = preview::preview(&query, app.clock.now()).map_err(malformed)?;
    Ok(Json(Preview { next }))
}

fn malformed(detail: String) -> Problem {
    Problem::new(Fault::Malformed, detail)
}

/// The schedules of a published revision, by key.
fn rows(published: Arc<Published>) -> Vec<Row> {
    let triggers = published.workflow.triggers.iter();
    let schedules = trigger_keys(&published.workflow.triggers).into_iter().zip(triggers);
    let mut rows: Vec<_> = schedules
        .filter_map(|(key, trigger)| match trigger {
            Trigger::Schedule(schedule) => {
                let enabled = published.triggers().any(|(on, _)| *on == key);
                Some(Row { published: published.clone(), key, enabled, schedule: (**schedule).clone() })
            }
            _ => None,
        })
        .collect();
    rows.sort_by(|a, b| a.key.cmp(&b.key));
    rows
}

async fn show(app: &App, row: Row, count: usize) -> Result<ScheduleItem, Problem> {
    let Row { published, key, enabled, schedule } = row;
    let place = Place {
        workspace: published.workspace.clone(),
        workflow: published.revision.workflow_id,
        environment: published.environment.clone(),
        trigger: key,
    };
    let last = match app.schedules.last(&place) {
        Some(fired) => Some(firing(app, &fired).await?),
        None => former(app, &place).await?,
    };
    let tally = app.tallies.of(&place.workspace, place.workflow, &place.environment, &place.trigger);
    let (cron, at, every) = match &schedule.timing {
        Timing::Cron(pattern) => (Some(pattern.as_str().to_owned()), None, None),
        Timing::At(wall) => (None, Some(wall.to_string()), None),
        Timing::Every(interval) => (None, None, Some(humantime::format_duration(*interval).to_string())),
    };
    Ok(ScheduleItem {
        workflow: published.revision.workflow.to_string(),
        workflow_id: published.revision.workflow_id.to_string(),
        environment: published.environment.to_string(),
        trigger: place.trigger.to_string(),
        enabled,
        cron,
        at,
        every,
        timezone: schedule.zone.name().to_owned(),
        gap: match schedule.gap {
            Gap::Next => "next",
            Gap::Skip => "skip",
        },
        fold: match schedule.fold {
            Fold::First => "first",
            Fold::Both => "both",
        },
        missed: match schedule.missed {
            Missed::Latest => "latest",
            Missed::All(_) => "all",
            Missed::Skip => "skip",
        },
        overlap: match schedule.overlap {
            Overlap::Skip => "skip",
            Overlap::Queue => "queue",
            Overlap::Allow => "allow",
            Overlap::CancelPrevious => "cancel_previous",
        },
        integration: schedule.integration.as_ref().map(Name::to_string),
        jitter_s: schedule.jitter.as_secs_f64(),
        next: if enabled { preview::fire_times(&schedule, app.clock.now(), count) } else { Vec::new() },
        last,
        failed: tally.failed,
        last_failures: FailureView::all(tally),
    })
}

async fn firing(app: &App, fired: &Fired) -> Result<FiringView, StoreError> {
    let status = match fired.execution {
        Some(id) => app.store.summary(id).await?.map(|summary| summary.status.as_str()),
        None => None,
    };
    Ok(FiringView {
        due: fired.due.to_string(),
        at: fired.at.to_string(),
        became: fired.became.as_str(),
        execution_id: fired.execution.map(|id| id.to_string()),
        status,
        why: fired.why.clone(),
    })
}

/// The last firing that a former server started, where it is among the workflow's latest executions.
async fn former(app: &App, place: &Place) -> Result<Option<FiringView>, StoreError> {
    let (workspace, workflow) = (Some(place.workspace.clone()), Some(place.workflow));
    let query = SummaryQuery { workspace, workflow, limit: LOOKED_AT, ..SummaryQuery::default() };
    let page = app.store.summaries(query).await?;
    let is_here = |summary: &&Summary| summary.repeats.is_none() && summary.environment == place.environment;
    Ok(page.iter().filter(is_here).find_map(|summary| match &summary.trigger {
        TriggerSource::Schedule { key, due } if *key == place.trigger => Some(FiringView {
            due: due.to_string(),
            at: summary.accepted_at.to_string(),
            became: "started",
            execution_id: Some(summary.id.to_string()),
            status: Some(summary.status.as_str()),
            why: None,
        }),
        _ => None,
    }))
}
