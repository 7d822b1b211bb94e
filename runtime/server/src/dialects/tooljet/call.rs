//! Starting a workflow as ToolJet does.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use camshaft_engine::Appended;
use camshaft_model::ids::{ExecutionId, Name};
use camshaft_model::invocation::{RevisionRef, TriggerSource};
use camshaft_model::outcome::Outcome;
use camshaft_model::program::StepKind;
use camshaft_model::seams::{CountKey, Directory, LimitReached, Limited, Published, Start};
use camshaft_model::summary::Status;
use camshaft_model::time::Period;
use camshaft_model::workflow::{ParamKind, TriggerKey};
use camshaft_model::{Map, Value, json};
use camshaft_triggers::http::reply;
use tokio::sync::broadcast::Receiver;

use super::execution::word;
use super::refused::Refused;
use super::{Called, Door};
use crate::api::body;
use crate::api::problem::Problem;
use crate::api::publish::production;
use crate::api::start::{Started, start_for};
use crate::dialects::{Which, asked, named, request_trigger, with_room};
use crate::tokens::Right;

/// POST `…/trigger`
pub(super) async fn trigger(
    State(door): State<Arc<Door>>,
    which: Which<String>,
    request: Request,
) -> Result<Response, Refused> {
    let begun = begin(&door, which, request, true).await?;
    let Begun { called, started, outcome } = begun;
    let answer = match outcome {
        Some(outcome) => told(started.execution, &outcome),
        None => {
            let summary = called.app.store.summary(started.execution).await.map_err(Problem::from)?;
            unanswered(started.execution, summary.map_or(Status::Running, |summary| summary.status))
        }
    };
    Ok(with_room(answer, started.room))
}

/// POST `…/trigger-async`
pub(super) async fn trigger_async(
    State(door): State<Arc<Door>>,
    which: Which<String>,
    request: Request,
) -> Result<Response, Refused> {
    let Begun { called, started, .. } = begin(&door, which, request, false).await?;
    let id = started.execution.to_string();
    let body = json!({
        "workflow_execution_id": id,
        "execution_id": id,
        "timestamp": called.app.clock.now().to_string(),
    });
    Ok(with_room((StatusCode::CREATED, axum::Json(body)), started.room))
}

struct Begun {
    called: Called,
    started: Started,
    outcome: Option<Arc<Outcome>>,
}

async fn begin(door: &Door, which: Which<String>, request: Request, waits: bool) -> Result<Begun, Refused> {
    let (head, body) = request.into_parts();
    let called = door.enter(&named(which), Right::Trigger, &head)?;
    let app = &called.app;
    let wanted = called.wanted(asked(&head.uri, "environment"), asked(&head.uri, "version")).await?;

    let request = Request::from_parts(head.clone(), body);
    let bytes = body::read(request, app.body_bytes()).await?;
    let given: Map<String, Value> = body::parse(&bytes)?;
    // As `typeof` says it.
    let admits = |kind: ParamKind, value: &Value| {
        kind.admits(value) || kind == ParamKind::Object && matches!(value, Value::Array(_) | Value::Null)
    };
    let bound = wanted.shown.workflow.bind(&given, admits).map_err(|faults| Refused::params(&faults));
    let (params, published) = match bound.and_then(|params| Ok((params, wanted.published?))) {
        Ok(both) => both,
        // Who may start no more is told so first.
        Err(why) => return Err(full(&called, &wanted.shown).await?.map_or(why, Refused::from)),
    };

    let asks = published.program.steps.iter().any(|step| matches!(step.kind, StepKind::Approval(_)));
    let notices = (app.appended)();
    let start = Start {
        published,
        trigger: TriggerSource::Request,
        by: Some(wanted.by),
        event: Arc::new(Value::Null),
        params: Arc::new(Value::Object(params)),
        connection: Arc::default(),
        test: false,
        repeats: None,
        seed: None,
    };
    // One that may come to a person is not waited for blindly: its caller is answered when it asks.
    let window = waits.then_some(app.sync_window);
    let started = start_for(app, &head.headers, &bytes, start, window.filter(|_| !asks)).await?;
    let outcome = match window.filter(|_| asks) {
        Some(window) => called.until_asked(started.execution, notices, window).await?,
        None => started.outcome.clone(),
    };
    Ok(Begun { called, started, outcome })
}

/// Which revision is wanted.
struct Wanted {
    /// The one that is to run; what is wrong with it is told after everything else.
    published: Result<Arc<Published>, Refused>,
    /// The one whose triggers and parameters count.
    shown: Arc<Published>,
    /// The trigger that starts it.
    by: TriggerKey,
}

impl Called {
    async fn wanted(&self, environment: Option<String>, version: Option<String>) -> Result<Wanted, Refused> {
        let (app, head) = (&self.app, &self.workflow);
        let name = Name::new(&head.key.name).map_err(Problem::from)?;
        let here = |environment: &Name| app.catalog.published_here(&app.workspace, &name, environment);
        let environment = environment.map_or_else(|| Some(production()), |text| Name::new(&text).ok());
        let found = environment.as_ref().and_then(here);
        let anywhere = || head.spec.published.keys().find_map(here);
        let Some(shown) = found.clone().or_else(anywhere) else { return Err(Refused::disabled_workflow()) };
        let (published, shown) = match (found, version) {
            (None, _) => (Err(Refused::unknown_environment()), shown),
            (Some(found), None) => (Ok(found.clone()), found),
            (Some(found), Some(version)) => match self.version(&found, &version).await? {
                Some(former) => (Ok(former.clone()), former),
                None => (Err(Refused::unknown_version(&version, name.as_str())), shown),
            },
        };
        let by = request_trigger(&shown).filter(|by| !head.spec.disabled_triggers.contains(by));
        Ok(Wanted { published, shown, by: by.ok_or_else(Refused::disabled_trigger)? })
    }

    /// The revision that is published, or one that was before it, by its number: `3`, `v3`. Any other is a draft, which nobody
    /// runs from outside.
    async fn version(&self, published: &Published, version: &str) -> Result<Option<Arc<Published>>, Refused> {
        let former = self.workflow.spec.former.get(&published.environment);
        let mut known = former.into_iter().flatten().chain([&published.revision.revision]);
        let number = version.strip_prefix('v').unwrap_or(version).parse::<u32>().ok();
        let Some(revision) = number.filter(|number| known.any(|known| known == number)) else { return Ok(None) };
        let wanted = RevisionRef { revision, ..published.revision.clone() };
        let app = &self.app;
        Ok(Some(app.catalog.revision(&app.workspace, &wanted, &published.environment).await.map_err(Problem::from)?))
    }

    /// Waits for an execution's end, or until it asks a person something.
    async fn until_asked(
        &self,
        id: ExecutionId,
        mut notices: Receiver<Appended>,
        window: Duration,
    ) -> Result<Option<Arc<Outcome>>, Refused> {
        let asks = async {
            loop {
                // An error is the other's to tell.
                if let Ok(Some(summary)) = self.app.store.summary(id).await
                    && (summary.status.is_final() || !summary.outlook.asked.is_empty())
                {
                    return summary.status.is_final();
                }
                // Whatever it is, also that we lagged behind: look again.
                while matches!(notices.recv().await, Ok(appended) if appended.execution != id) {}
            }
        };
        tokio::select! {
            biased;
            outcome = self.app.dispatch.outcome(id, window) => Ok(outcome.map_err(Problem::from)?),
            has_ended = asks => match has_ended {
                true => Ok(self.app.dispatch.outcome(id, window).await.map_err(Problem::from)?),
                false => Ok(None),
            },
        }
    }
}

/// The limit of a day or a month that a workflow stands at, its own or one around it.
async fn full(called: &Called, published: &Published) -> Result<Option<LimitReached>, Refused> {
    let (app, now) = (&called.app, called.app.clock.now());
    let RevisionRef { workflow_id, workflow, .. } = &published.revision;
    let own = &published.workflow.limits;
    let quotas = app.catalog.quotas(&app.workspace);
    let around = quotas.iter().map(|quota| (quota.of.clone(), quota.owner, quota.per_day, quota.per_month));
    for (of, owner, per_day, per_month) in
        [(Limited::Workflow, *workflow_id, own.per_day, own.per_month)].into_iter().chain(around)
    {
        for (limit, period, what) in
            [(per_day, Period::day(now), "executions a day"), (per_month, Period::month(now), "executions a month")]
        {
            let Some(limit) = limit else { continue };
            let retry_after_s = period.end().map_or(1, |end| end.since(now).as_secs() + 1);
            if app.store.count(&CountKey { period, owner }).await.map_err(Problem::from)? >= limit {
                return Ok(Some(LimitReached { of, workflow: workflow.clone(), what, limit, retry_after_s }));
            }
        }
    }
    Ok(None)
}

/// What a caller that waited is told of an outcome: the Exit step's answer or the last output, a text as a text.
fn told(id: ExecutionId, outcome: &Outcome) -> Response {
    let status = Status::from(outcome.ending);
    if outcome.exit.is_none() && status != Status::Succeeded {
        return unanswered(id, status);
    }
    let mut response = reply::outcome(id, outcome, None);
    let body = outcome.exit.as_ref().and_then(|_| outcome.output.get("body"));
    let is_typed = outcome.exit.as_ref().is_some_and(|exit| {
        exit.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(header::CONTENT_TYPE.as_str()))
    });
    if matches!(body, Some(Value::String(_))) && !is_typed && response.headers().contains_key(header::CONTENT_TYPE) {
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, text);
    }
    response
}

/// 201: the workflow gave no answer, or none yet.
fn unanswered(id: ExecutionId, status: Status) -> Response {
    let result = json!({"executionStatus": word(status), "executionId": id});
    (StatusCode::CREATED, axum::Json(json!({"result": result}))).into_response()
}
