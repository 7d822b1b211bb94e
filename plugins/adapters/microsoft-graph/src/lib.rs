//! The adapter `microsoft-graph`: change notifications of Microsoft Graph. A delivery is a batch: an event for each.
//!
//! Source: <https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks>.

use camshaft_sdk::adapter::NoConfig;
use camshaft_sdk::prelude::*;

/// The secret that every notification carries; Microsoft does not sign them.
const SECRET: &str = "client_state";
const EVENTS: &[(&str, &str, &str)] = &[
    ("created", "something was created; the subject says what", include_str!("../samples/created.json")),
    ("updated", "something was changed", include_str!("../samples/updated.json")),
    ("reauthorizationRequired", "a subscription has to be renewed", include_str!("../samples/lifecycle.json")),
];

/// Change notifications of Microsoft Graph.
pub struct MicrosoftGraph;

#[adapter]
impl Adapter for MicrosoftGraph {
    fn describe() -> Description {
        Description::new("Microsoft Graph", "Takes change notifications of mail, calendars, files, users and all else.")
            .docs("https://learn.microsoft.com/en-us/graph/change-notifications-overview")
            .secret(Secret::required(SECRET, "The `clientState` that you give the subscription when you make it."))
            .events(EVENTS)
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        request.only("POST")?;
        // Who asks has made the token up itself: giving it back as plain text tells nobody anything.
        if let Some(token) = request.parameter("validationToken") {
            return Ok(Response::text(200, token).into());
        }
        let accepted = integration.required_secret(SECRET)?;
        let Batch { value } = request.json()?;
        let event = |body: Value| {
            verify::token(body["clientState"].as_str().unwrap_or_default(), &accepted)?;
            let text = |name: &str| body[name].as_str().map(str::to_owned);
            let kind = text("lifecycleEvent").or_else(|| text("changeType"));
            let kind = kind.ok_or_else(|| Rejection::missing("value.changeType"))?;
            let (id, source, subject) = (text("id"), text("tenantId"), text("resource"));
            Ok(Event { id, source, subject, body: Some(without_state(body)), ..Event::new(kind) })
        };
        value.into_iter().map(event).collect::<Result<Vec<_>, _>>().map(Receipt::from)
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        let state = integration.first_secret(SECRET)?;
        let Some(mut batch) = sample.json::<Value>() else { return Ok(sample.delivery(&[])) };
        let notifications = batch.get_mut("value").and_then(Value::as_array_mut).into_iter().flatten();
        for (number, notification) in notifications.filter_map(Value::as_object_mut).enumerate() {
            if let Some(id) = notification.get_mut("id") {
                *id = json!(format!("{}.{number}", sample.id));
            }
            notification.insert("clientState".to_owned(), json!(state));
        }
        Ok(sample.with_json(&batch).delivery(&[]))
    }
}

/// What proves the notification is no part of what happened.
fn without_state(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.shift_remove("clientState");
    }
    body
}

#[derive(Deserialize)]
struct Batch {
    value: Vec<Value>,
}

#[cfg(test)]
mod tests;
