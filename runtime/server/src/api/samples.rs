//! Trying an integration out: its adapter signs a sample of one of its events as the vendor would, and the sample goes the way of
//! every delivery.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use camshaft_model::Value;
use camshaft_model::ids::{IdOrName, Name};
use camshaft_model::plugin::{AdapterDescriptor, Descriptor};
use camshaft_model::seams::{Directory, Integration, Refusal, Sample, WebhookRequest};
use camshaft_triggers::http::{Answered, SentRequestIds, deliver};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::JsonBody;
use super::delivery::{RequestView, Secrets};
use super::integrations::integration;
use super::problem::{Fault, Problem, nearest_of};
use super::{App, name_in_url};

/// What to send.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleBody {
    /// The event's type, as the adapter describes it.
    pub event: String,
    /// In place of the adapter's own sample: JSON, or a text that is sent as it is.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub body: Option<Value>,
    /// Where the workflows are published: `production` where it is left out.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub environment: Option<Name>,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SampleDelivered {
    /// The integration.
    pub integration: String,
    /// The event's type.
    pub event: String,
    /// What was sent, with what is secret hidden.
    pub sent: RequestView,
    /// What it was answered with.
    pub answer: AnswerView,
    /// What it started.
    pub executions: Vec<SampleExecution>,
    /// Why it started nothing, where it did not.
    pub notes: Vec<String>,
}

/// An answer to a delivery.
#[derive(Debug, Serialize, ToSchema)]
pub struct AnswerView {
    /// The status.
    pub status: u16,
    /// Names and values, in their order.
    pub headers: Vec<(String, String)>,
    /// The beginning of the body, as text.
    pub body: String,
}

/// An execution that a sample started.
#[derive(Debug, Serialize, ToSchema)]
pub struct SampleExecution {
    /// Its workflow.
    pub workflow: String,
    /// Its id.
    pub execution_id: String,
    /// Where to look at it.
    pub url: String,
}

/// Try an integration out: send a signed sample of an event through the whole path of a delivery.
#[utoipa::path(
    post, path = "/api/v1/integrations/{integration}/test", tag = "integrations", operation_id = "test_integration",
    params(("integration" = String, Path, description = "its name")),
    request_body = SampleBody,
    responses(
        (status = 200, description = "what was sent, what it was answered with, and what it started", body = SampleDelivered),
        (status = 404, description = "unknown"),
        (status = 422, description = "no such event, no body to send, or an adapter that cannot sign"),
    )
)]
pub async fn send(
    app: App,
    Path(which): Path<String>,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<SampleBody>,
) -> Result<Json<SampleDelivered>, Problem> {
    let name = name_in_url("integration name", &which)?;
    let kept = integration(&app, &name)?;
    if let Some(environment) = &wanted.environment {
        app.check_environment(environment)?;
    }
    let found = app.catalog.integration(&app.workspace, &IdOrName::Name(name.clone()));
    let found = found.ok_or_else(|| Problem::not_found("integration", &name))?;
    let body = match wanted.body {
        Some(Value::String(text)) => text.into_bytes(),
        Some(value) => value.to_string().into_bytes(),
        None => own_sample(&descriptor(&app, &found)?, &found, &wanted.event)?,
    };

    let query = wanted.environment.as_ref().map(|environment| format!("?environment={environment}"));
    let sample = Sample {
        event: wanted.event.clone(),
        body: body.into(),
        id: app.ids.resource().to_string(),
        sent_at: app.clock.now(),
        public_url: format!("{}/v1/webhooks/{name}{}", app.url(), query.unwrap_or_default()),
    };
    let sent = app.triggers.plugins.sign(&found, sample).await.map_err(|refusal| not_signed(&found, &refusal))?;
    let request = request(&app, &found, &sent, headers.get("x-request-id"))?;
    let Answered { response, executions } = deliver(&app.triggers, &app.workspace, &name, request).await;

    let secrets = Secrets::of(&found);
    let (head, body) = response.into_parts();
    // It is in memory already.
    let answered = axum::body::to_bytes(body, usize::MAX).await.map_err(Problem::internal)?;
    let api = &app.public_url;
    let executions: Vec<_> = executions
        .into_iter()
        .map(|(workflow, execution)| SampleExecution {
            workflow: workflow.to_string(),
            execution_id: execution.to_string(),
            url: format!("{api}/api/v1/executions/{execution}"),
        })
        .collect();
    let environment = wanted.environment.unwrap_or_else(super::publish::production);
    let notes = if executions.is_empty() {
        vec![why_nothing(&app, &found, &environment, &wanted.event, head.status)]
    } else {
        Vec::new()
    };
    Ok(Json(SampleDelivered {
        integration: kept.key.name.clone(),
        event: wanted.event,
        sent: RequestView::of(&found, &sent),
        answer: AnswerView {
            status: head.status.as_u16(),
            headers: head.headers.iter().map(|(name, value)| secrets.header(name.as_str(), value.as_bytes())).collect(),
            body: secrets.beginning(&answered),
        },
        executions,
        notes,
    }))
}

/// What the integration's adapter says of itself.
fn descriptor(app: &App, integration: &Integration) -> Result<AdapterDescriptor, Problem> {
    let pin = &integration.adapter;
    match app.catalog.release(&app.workspace, &pin.name, &pin.version).map(|kept| kept.spec.descriptor.clone()) {
        Some(Descriptor::Adapter(descriptor)) => Ok(descriptor),
        _ => Err(Problem::internal(format!("adapter `{}` {} has no adapter's descriptor", pin.name, pin.version))),
    }
}

/// The sample that an adapter describes an event with.
fn own_sample(descriptor: &AdapterDescriptor, integration: &Integration, event: &str) -> Result<Vec<u8>, Problem> {
    let adapter = &integration.adapter.name;
    let names = || descriptor.events.iter().map(|event| event.name.as_str());
    let Some(described) = descriptor.events.iter().find(|described| described.name == event) else {
        let all: Vec<_> = names().map(|name| format!("`{name}`")).collect();
        let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
        let meant = nearest_of(event, names());
        let detail = format!(
            "adapter `{adapter}` describes no event `{event}`, and another one needs a `body`; it describes {all}{meant}"
        );
        return Err(Problem::new(Fault::Invalid, detail));
    };
    let sample = described.sample.as_ref().ok_or_else(|| {
        let detail = format!("adapter `{adapter}` has no sample of `{event}`; send a `body`");
        Problem::new(Fault::Invalid, detail)
    })?;
    Ok(sample.to_string().into_bytes())
}

fn not_signed(integration: &Integration, refusal: &Refusal) -> Problem {
    let why = match refusal {
        Refusal::Unauthorized(why)
        | Refusal::Malformed(why)
        | Refusal::Unsupported(why)
        | Refusal::Unavailable(why) => why.clone(),
        Refusal::Broken(failure) => format!("adapter `{}` failed to sign: {failure}", integration.adapter.name),
    };
    Problem::new(Fault::Invalid, why)
}

/// What the adapter has signed, as it would come over the network.
fn request(
    app: &App,
    integration: &Integration,
    signed: &WebhookRequest,
    request_id: Option<&HeaderValue>,
) -> Result<Request<Body>, Problem> {
    let path = app.url().strip_prefix(&app.public_url).unwrap_or_default().to_owned();
    let query = if signed.query.is_empty() { String::new() } else { format!("?{}", signed.query) };
    let mut request = Request::builder()
        .method(signed.method.as_str())
        .uri(format!("{path}/v1/webhooks/{}{query}", integration.name))
        .header(header::CONTENT_LENGTH, signed.body.len());
    let outside: Option<Uri> = app.public_url.parse().ok();
    if let Some(host) = outside.as_ref().and_then(Uri::authority) {
        request = request.header(header::HOST, host.as_str());
    }
    for (name, value) in &signed.headers {
        request = request.header(name, value.as_slice());
    }
    let mut request = request.body(Body::from(signed.body.clone())).map_err(|error| {
        let adapter = &integration.adapter.name;
        Problem::new(Fault::Invalid, format!("adapter `{adapter}` signed what HTTP does not allow: {error}"))
    })?;
    // The id of the request that asks for the test is for the log; the vendor has not sent it.
    let sent = request.headers().get_all("x-request-id").iter().cloned().collect();
    request.extensions_mut().insert(SentRequestIds(sent));
    if let Some(id) = request_id {
        request.headers_mut().insert("x-request-id", id.clone());
    }
    Ok(request)
}

/// Why a sample started nothing.
fn why_nothing(
    app: &App,
    integration: &Arc<Integration>,
    environment: &Name,
    event: &str,
    status: StatusCode,
) -> String {
    let name = &integration.name;
    if !status.is_success() {
        return format!("it was refused; `camshaft integration doctor {name}` tells more");
    }
    if app.catalog.subscribers(&app.workspace, name, environment).is_empty() {
        return format!(
            "no workflow that is published in `{environment}` has a trigger that is switched on for `{name}`"
        );
    }
    format!("no trigger's `when` holds for this `{event}`, or the adapter has answered it by itself")
}
