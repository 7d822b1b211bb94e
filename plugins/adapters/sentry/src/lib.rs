//! The adapter `sentry`: webhooks of a Sentry integration.
//!
//! Source: <https://docs.sentry.io/organization/integrations/integration-platform/webhooks/>.

use camshaft_sdk::adapter::NoConfig;
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::{Signed, Unit};

const SIGNED: Signed = Signed::sha256("Sentry-Hook-Signature");
const EVENTS: &[(&str, &str, &str)] = &[
    ("issue.created", "a new issue", include_str!("../samples/issue.created.json")),
    ("issue.resolved", "an issue was resolved", include_str!("../samples/issue.resolved.json")),
    ("event_alert.triggered", "an alert of an issue fired", include_str!("../samples/event_alert.triggered.json")),
];

/// Sentry's webhooks.
pub struct Sentry;

#[adapter]
impl Adapter for Sentry {
    fn describe() -> Description {
        Description::new("Sentry", "Takes webhooks of a Sentry integration: issues, alerts, comments, installations.")
            .docs("https://docs.sentry.io/organization/integrations/integration-platform/webhooks/")
            .signing_secret("The integration's Client Secret: Settings, Custom Integrations, the integration.")
            .events(EVENTS)
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        request.only("POST")?;
        SIGNED.verify(request, integration, &[&request.body])?;
        let resource = request.word("Sentry-Hook-Resource")?;
        let id = request.header("Request-ID")?.map(str::to_owned);
        let time_ms = request.header("Sentry-Hook-Timestamp")?.and_then(|time| Unit::Seconds.ms(time));
        let [action, source, issue, of_event] =
            request.texts(["action", "installation.uuid", "data.issue.id", "data.event.issue_id"])?;
        let kind = action.map_or_else(|| resource.to_owned(), |action| format!("{resource}.{action}"));
        Ok(Event { id, source, subject: issue.or(of_event), time_ms, ..Event::new(kind) }.into())
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        let resource = sample.kind.split('.').next().unwrap_or_default();
        let headers = [
            ("Sentry-Hook-Resource", resource),
            ("Sentry-Hook-Timestamp", &sample.seconds()),
            ("Request-ID", &sample.id),
        ];
        SIGNED.sign(sample.delivery(&headers), integration, &[&sample.body])
    }
}

#[cfg(test)]
mod tests;
