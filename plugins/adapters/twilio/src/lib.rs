//! The adapter `twilio`: calls, messages and event streams of Twilio.
//!
//! Source: <https://www.twilio.com/docs/usage/webhooks/webhooks-security>.

mod signature;

use camshaft_sdk::adapter::{self, NoConfig};
use camshaft_sdk::prelude::*;

const TOKEN: &str = "I-Twilio-Idempotency-Token";
/// Types of events that come as forms.
const FORMS: [&str; 2] = ["call", "message"];
const EVENTS: &[(&str, &str, &str)] = &[
    (
        "call",
        "a call came in, or its status changed: the body has the form's fields",
        include_str!("../samples/call.json"),
    ),
    ("message", "a message came in, or its status changed", include_str!("../samples/message.json")),
    (
        "com.twilio.messaging.message.delivered",
        "an event of a stream: each of a batch starts workflows of its own",
        include_str!("../samples/stream.json"),
    ),
];

/// Twilio's webhooks.
pub struct Twilio;

#[adapter]
impl Adapter for Twilio {
    fn describe() -> Description {
        Description::new("Twilio", "Takes webhooks of calls and messages, and event streams.")
            .docs("https://www.twilio.com/docs/usage/webhooks")
            .signing_secret("The account's Auth Token: Console, Account Info; or the shared key that it signs with.")
            .events(EVENTS)
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        if !["POST", "GET"].contains(&request.method.as_str()) {
            return Err(Rejection::Unsupported(format!("deliveries come by POST or GET, not by {}", request.method)));
        }
        signature::verify(request, &integration.required_secret("signing_secret")?)?;
        let token = request.header(TOKEN)?.map(str::to_owned);
        if signature::is_form(request) { of_form(request, token) } else { of_json(request, token) }
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        let key = integration.first_secret(Secret::SIGNING)?;
        match sample.json() {
            // Calls and messages are described by their fields.
            Some(Value::Object(fields)) if FORMS.contains(&sample.kind.as_str()) => {
                Ok(signature::sign_form(sample.delivery(&[(TOKEN, &sample.id)]), fields, key))
            }
            Some(Value::Array(events)) => Ok(signature::sign(with_ids(sample, events).delivery(&[]), key)),
            _ => Ok(signature::sign(sample.delivery(&[(TOKEN, &sample.id)]), key)),
        }
    }
}

/// A call's id stays the same through all that happens to it, so it is what happened to, and not the id of the delivery.
fn of_form(request: &Request, id: Option<String>) -> Result<Receipt, Rejection> {
    let form = if request.method == "GET" { signature::query(request) } else { request.body.as_slice() };
    let field = |name: &str| Request::form_field(form, name).and_then(|text| String::from_utf8(text).ok());
    let source = field("AccountSid");
    if let Some(call) = field("CallSid") {
        // A status callback tells each status once. What a call asks for on its way, such as what to do with the digits that were
        // pressed, and what it hears piece by piece, comes many times in one status.
        let is_callback = field("CallbackSource").is_some_and(|source| source == "call-progress-events");
        let own = || Some(format!("{call}.{}", field("CallStatus")?));
        let id = id.or_else(|| own().filter(|_| is_callback));
        return Ok(Event { id, source, subject: Some(call), ..Event::new("call") }.into());
    }
    let message = field("MessageSid").or_else(|| field("SmsSid"));
    let kind = if message.is_some() { "message" } else { "webhook" };
    // A message has each status once.
    let own = || Some(format!("{}.{}", message.as_ref()?, field("MessageStatus").or_else(|| field("SmsStatus"))?));
    Ok(Event { id: id.or_else(own), source, subject: message.clone(), ..Event::new(kind) }.into())
}

/// Event streams send a list of CloudEvents; other products one object.
fn of_json(request: &Request, id: Option<String>) -> Result<Receipt, Rejection> {
    let Value::Array(events) = request.json()? else {
        let [kind] = request.texts(["type"])?;
        return Ok(Event { id, ..Event::new(kind.unwrap_or_else(|| "webhook".to_owned())) }.into());
    };
    events.into_iter().map(adapter::cloudevent).collect::<Result<Vec<_>, _>>().map(Receipt::from)
}

/// Each event of a stream with an id of its own.
fn with_ids(sample: Sample, mut events: Vec<Value>) -> Sample {
    for (number, event) in events.iter_mut().filter_map(Value::as_object_mut).enumerate() {
        event.insert("id".to_owned(), json!(format!("{}.{number}", sample.id)));
    }
    sample.with_json(&Value::Array(events))
}

#[cfg(test)]
mod tests;
