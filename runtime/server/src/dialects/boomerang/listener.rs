//! Boomerang's listener: events from outside, for a workflow or for a step that waits. Whoever is heard gets the event back,
//! as Boomerang made it: a CloudEvent.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use camshaft_model::ids::{Digest, ExecutionId, Name, ResourceId};
use camshaft_model::invocation::{DeliveryKey, SeenDelivery, TriggerSource};
use camshaft_model::matching::{self, Evaluator};
use camshaft_model::outcome::Failure;
use camshaft_model::summary::Summary;
use camshaft_model::workflow::{Trigger, TriggerKey};
use camshaft_model::{Map, Value, json};

use super::refused::Refused;
use super::webhook::read;
use super::{meant, presented, start};
use crate::api::problem::{Fault, Problem};
use crate::api::publish::production;
use crate::api::start::{How, Started, start_within};
use crate::api::tell::{EventBody, message};
use crate::api::{App, Instance};
use crate::catalog::specs::{Kept, WorkflowSpec};
use crate::dialects::{asked, with_room};
use crate::tokens::{Caller, Right};

const CLOUD_EVENT: &str = "application/cloudevents+json";
const SOURCE: &str = "/listener";
const TYPE_PREFIX: &str = "io.boomerang.eventing.";

/// POST `/listener/webhook`
pub(super) async fn webhook(State(instance): State<Arc<Instance>>, request: Request) -> Result<Response, Refused> {
    let (head, bytes, body) = read(&instance, request).await?;
    let kind = wanted(&head, "type")?;
    let word = match kind.as_str() {
        "generic" => "webhook",
        "slack" | "dockerhub" => &kind,
        _ => return Err(Refused::malformed(format!("`type` is `{kind}`: it is generic, slack or dockerhub."))),
    };
    let named = asked(&head.uri, "workflowId");
    let (app, caller) = presented(&instance, &Map::new(), &head, named.as_deref())?;
    let which = wanted(&head, "workflowId")?;
    let workflow = meant(&app, &caller, Some(&which))?;
    if kind == "slack" {
        match (body.get("type").and_then(Value::as_str), body.get("challenge")) {
            (Some("url_verification"), Some(challenge)) => {
                return Ok(axum::Json(json!({"challenge": challenge})).into_response());
            }
            (Some("shortcut" | "event_callback"), _) => {}
            _ => return Err(Refused::malformed("This is no event of Slack.")),
        }
    }
    let mut event = cloud_event(&app, word, &format!("/{which}"), "success", Value::Object(body.clone()));
    let started = start(&app, &workflow, &head, &bytes, for_workflow(&event), &body).await?;
    event["activityid"] = json!(started.execution);
    Ok(with_room(heard(&event), started.room))
}

/// GET, POST `/listener/webhook/wfe`: an event for a step that waits; one that comes before its step is kept for it.
pub(super) async fn wait_for_event(
    State(instance): State<Arc<Instance>>,
    request: Request,
) -> Result<Response, Refused> {
    let (head, _, body) = read(&instance, request).await?;
    let named = asked(&head.uri, "workflowId");
    let (app, caller) = presented(&instance, &Map::new(), &head, named.as_deref())?;
    let (which, activity) = (wanted(&head, "workflowId")?, wanted(&head, "workflowActivityId")?);
    let topic = wanted(&head, "topic")?;
    let workflow = meant(&app, &caller, Some(&which))?;
    let status = status_of(asked(&head.uri, "status").as_deref());
    let event = cloud_event(&app, "wfe", &format!("/{which}/{activity}/{topic}"), status, Value::Object(body));
    tell(&app, &caller, workflow.id, &activity, &topic, &event).await?;
    Ok(heard(&event))
}

/// PUT `/listener/event`: a CloudEvent whose subject is `/{workflow}/{topic}` or `/{workflow}/{activity}/{topic}`.
pub(super) async fn event(State(instance): State<Arc<Instance>>, request: Request) -> Result<Response, Refused> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case(CLOUD_EVENT) {
        return Err(Refused::unsupported(format!("Content-Type is `{media_type}`: it is {CLOUD_EVENT}.")));
    }
    let (head, _, body) = read(&instance, request).await?;
    let subject = body.get("subject").and_then(Value::as_str).unwrap_or_default();
    let Some(rest) = subject.strip_prefix('/') else {
        return Err(Refused::malformed(format!("`subject` is `{subject}`: it begins with `/`.")));
    };
    let Some(data) = body.get("data").filter(|data| !data.is_null()) else {
        return Err(Refused::malformed("`data` is missing."));
    };
    let status = status_of(body.get("status").and_then(Value::as_str));
    let mut pieces = rest.splitn(3, '/');
    let (which, second, third) = (pieces.next().unwrap_or_default(), pieces.next(), pieces.next());
    let (app, caller) = presented(&instance, &Map::new(), &head, Some(which))?;
    let workflow = meant(&app, &caller, Some(which))?;
    let (mut event, mut room) = (cloud_event(&app, "custom", subject, status, data.clone()), None);
    match (second, third) {
        (Some(activity), Some(topic)) => tell(&app, &caller, workflow.id, activity, topic, &event).await?,
        (Some(topic), None) => {
            if let Some(started) = begin(&app, &workflow, topic, &body).await? {
                event["activityid"] = json!(started.execution);
                room = started.room;
            }
        }
        (None, _) => return Err(Refused::malformed(format!("`subject` is `{subject}`: it names no topic."))),
    }
    Ok(with_room(heard(&event), room))
}

/// Starts a workflow by its `event` trigger for a topic, if it has one for such an event.
async fn begin(
    app: &App,
    workflow: &Kept<WorkflowSpec>,
    topic: &str,
    sent: &Map<String, Value>,
) -> Result<Option<Started>, Refused> {
    let name = Name::new(&workflow.key.name).map_err(Problem::from)?;
    let Some(published) = app.catalog.published_here(&app.workspace, &name, &production()) else { return Ok(None) };
    let text = |field: &str| sent.get(field).and_then(Value::as_str);
    let event_type = text("type").map_or_else(|| format!("{TYPE_PREFIX}custom"), str::to_owned);
    let source = text("source").unwrap_or(SOURCE).to_owned();
    let given = EventBody {
        topic: topic.to_owned(),
        r#type: Some(event_type.clone()),
        id: text("id").map(str::to_owned),
        source: Some(source.clone()),
        subject: text("subject").map(str::to_owned),
        data: sent.get("data").cloned().unwrap_or_default(),
    };
    let (id, message) = message(app, given)?;
    let faulty = |by: &TriggerKey, failure: &Failure| app.triggers.tell_faulty(&published, by, Some(&id), failure);
    let evaluator = Evaluator { jq: &*app.triggers.jq, places: &app.triggers.places, faulty: &faulty };
    let matched = matching::matched_event(&published, &message.event, evaluator).await;
    let matched = matched.map_err(|failure| Problem::new(Fault::Unavailable, failure.message))?;
    // One that takes any topic is not what is meant here: Boomerang's has one.
    let names_it = |by: &TriggerKey| {
        let named = |trigger: &Trigger| matches!(trigger, Trigger::Event { topic: Some(_), .. });
        published.triggers().any(|(key, trigger)| key == by && named(trigger))
    };
    let Some(matched) = matched.filter(|matched| names_it(&matched.by)) else { return Ok(None) };
    let key = DeliveryKey::of_event(&app.workspace, &production(), &source, &id);
    let delivery = SeenDelivery { key, body: Digest([0; 32]), at: app.clock.now(), executions: Vec::new() };
    let start = matched.start(TriggerSource::Event { event_type, source, depth: 0 }, &message.event);
    let start = start.map_err(|faults| Refused::malformed(faults.join("; ")))?;
    let how = How { delivery: Some(delivery), ..How::default() };
    Ok(Some(start_within(app, start, how).await?))
}

/// Hands an event to one execution of a workflow.
async fn tell(
    app: &App,
    caller: &Caller,
    workflow: ResourceId,
    activity: &str,
    topic: &str,
    event: &Value,
) -> Result<(), Refused> {
    let unknown = || Refused::unknown_activity(activity);
    let id: ExecutionId = activity.parse().map_err(|_| unknown())?;
    let summary = app.store.summary(id).await.map_err(Problem::from)?;
    let is_its = |summary: &Summary| {
        summary.workspace == caller.workspace
            && summary.revision.workflow_id == workflow
            && caller.may(Right::Trigger, workflow)
    };
    summary.filter(is_its).ok_or_else(unknown)?;
    let text = |field: &str| event[field].as_str().map(str::to_owned);
    let (_, message) = message(
        app,
        EventBody {
            topic: topic.to_owned(),
            r#type: text("type"),
            id: text("id"),
            source: text("source"),
            subject: text("subject"),
            data: json!({"status": event["status"], "payload": event["data"]}),
        },
    )?;
    app.dispatch.send_to(id, message).await.map_err(Problem::from)?;
    Ok(())
}

fn wanted(head: &Parts, name: &str) -> Result<String, Refused> {
    let found = asked(&head.uri, name).filter(|text| !text.is_empty());
    found.ok_or_else(|| Refused::malformed(format!("Required parameter `{name}` is not present.")))
}

fn status_of(text: Option<&str>) -> &'static str {
    if text == Some("failure") { "failure" } else { "success" }
}

fn cloud_event(app: &App, word: &str, subject: &str, status: &str, data: Value) -> Value {
    json!({
        "specversion": "0.3",
        "id": app.ids.resource(),
        "source": SOURCE,
        "type": format!("{TYPE_PREFIX}{word}"),
        "subject": subject,
        "time": app.clock.now().to_string(),
        "datacontenttype": "application/json",
        "status": status,
        "data": data,
    })
}

/// `$.event` of what such an event starts: the words that every event has, the payload as `body`.
fn for_workflow(event: &Value) -> Value {
    json!({
        "id": event["id"],
        "type": event["type"],
        "source": event["source"],
        "subject": event["subject"],
        "time": event["time"],
        "body": event["data"],
    })
}

fn heard(event: &Value) -> Response {
    ([(header::CONTENT_TYPE, CLOUD_EVENT)], event.to_string()).into_response()
}
