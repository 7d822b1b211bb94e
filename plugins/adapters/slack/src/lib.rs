//! The adapter `slack`: events, slash commands and interactions of a Slack app.
//!
//! Source: <https://docs.slack.dev/authentication/verifying-requests-from-slack>.

use camshaft_sdk::adapter::NoConfig;
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::{Signed, Unit};
use std::time::Duration;

const SIGNED: Signed = Signed::sha256("X-Slack-Signature").prefix("v0=");
const TOLERANCE: Duration = Duration::from_secs(5 * 60);
const EVENTS: &[(&str, &str, &str)] = &[
    ("message", "somebody wrote a message", include_str!("../samples/message.json")),
    ("app_mention", "somebody mentioned the app", include_str!("../samples/app_mention.json")),
    ("reaction_added", "somebody reacted to a message", include_str!("../samples/reaction_added.json")),
];

/// Slack's requests to an app.
pub struct Slack;

#[adapter]
impl Adapter for Slack {
    fn describe() -> Description {
        Description::new("Slack", "Takes events, slash commands and interactions of a Slack app.")
            .docs("https://docs.slack.dev/apis/events-api")
            .signing_secret("The app's Signing Secret: Basic Information, App Credentials.")
            .events(EVENTS)
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        request.only("POST")?;
        let time = verify::stamped(request, "X-Slack-Request-Timestamp", Unit::Seconds, TOLERANCE)?;
        SIGNED.verify(request, integration, &[b"v0:", time.as_bytes(), b":", &request.body])?;
        if request.is("application/x-www-form-urlencoded") { of_form(request) } else { of_json(request) }
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        let sample = sample.with_id_at("event_id");
        let time = sample.seconds();
        let delivery = sample.delivery(&[("X-Slack-Request-Timestamp", &time)]);
        SIGNED.sign(delivery, integration, &[b"v0:", time.as_bytes(), b":", &sample.body])
    }
}

fn of_json(request: &Request) -> Result<Receipt, Rejection> {
    let [kind, inner, challenge] = request.texts(["type", "event.type", "challenge"])?;
    let kind = kind.ok_or_else(|| Rejection::missing("type"))?;
    if kind == "url_verification" {
        let challenge = challenge.ok_or_else(|| Rejection::missing("challenge"))?;
        return Ok(Response::text(200, challenge).into());
    }
    let [id, source, subject, seconds] = request.texts(["event_id", "team_id", "event.channel", "event_time"])?;
    let time_ms = seconds.and_then(|seconds| Unit::Seconds.ms(&seconds));
    Ok(Event { id, source, subject, time_ms, ..Event::new(inner.unwrap_or(kind)) }.into())
}

/// A slash command is a form; an interaction is JSON in the form's field `payload`. Now and then Slack only looks at the certificate.
fn of_form(request: &Request) -> Result<Receipt, Rejection> {
    let form = request.content()?;
    let field = |name: &str| Request::form_field(&form, name).and_then(|text| String::from_utf8(text).ok());
    if field("ssl_check").as_deref() == Some("1") {
        return Ok(Response::text(200, "").into());
    }
    let Some(payload) = field("payload") else {
        let subject = Some(field("command").ok_or_else(|| Rejection::missing("command"))?);
        let (id, source) = (field("trigger_id"), field("team_id"));
        return Ok(Event { id, source, subject, ..Event::new("slash_command") }.into());
    };
    let payload = Request { body: payload.into_bytes(), ..Request::default() };
    let [id, source, subject] = payload.texts(["trigger_id", "team.id", "callback_id"])?;
    let body = Some(payload.json()?);
    Ok(Event { id, source, subject, body, ..Event::new(payload.text("type")?) }.into())
}

#[cfg(test)]
mod tests;
