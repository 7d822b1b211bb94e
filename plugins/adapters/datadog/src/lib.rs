//! The adapter `datadog`: webhooks of Datadog monitors, whose header or URL carries a token.
//!
//! Source: <https://docs.datadoghq.com/integrations/webhooks/>.

use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::{SharedToken, Unit};

/// The type of an event whose payload, which people may write themselves, names none.
const TYPE_DEFAULT: &str = "webhook";
const EVENTS: &[(&str, &str, &str)] = &[
    (
        "metric_alert_monitor",
        "a monitor of a metric alerts or recovers",
        include_str!("../samples/metric_alert_monitor.json"),
    ),
    (TYPE_DEFAULT, "whatever you made of the payload", include_str!("../samples/custom.json")),
];

/// Datadog's webhooks.
pub struct Datadog;

#[adapter]
impl Adapter for Datadog {
    type Config = SharedToken;

    fn describe() -> Description {
        Description::new("Datadog", "Takes webhooks of monitors and events, which carry a token that you make up.")
            .docs("https://docs.datadoghq.com/integrations/webhooks/")
            .secret(SharedToken::secret())
            .events(EVENTS)
    }

    fn receive(request: &Request, integration: &Integration<SharedToken>) -> Result<Receipt, Rejection> {
        request.only("POST")?;
        integration.config.verify(request, integration)?;
        let [kind, id, source, subject, updated] =
            request.texts(["event_type", "id", "org.id", "alert_id", "last_updated"])?;
        let kind = kind.unwrap_or_else(|| TYPE_DEFAULT.to_owned());
        let time_ms = updated.and_then(|time| Unit::Milliseconds.ms(&time));
        Ok(Event { id, source, subject, time_ms, ..Event::new(kind) }.into())
    }

    fn sign(sample: Sample, integration: &Integration<SharedToken>) -> Result<Request, Rejection> {
        integration.config.sign(sample.with_id_at("id").delivery(&[]), integration)
    }
}

#[cfg(test)]
mod tests;
