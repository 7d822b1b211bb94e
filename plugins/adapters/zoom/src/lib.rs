//! The adapter `zoom`: Zoom's webhooks.
//!
//! Source: <https://developers.zoom.us/docs/api/webhooks/>.

use camshaft_sdk::adapter::NoConfig;
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::{self, Algorithm, Encoding, Signed, Unit};
use std::time::Duration;

const SIGNED: Signed = Signed::sha256("x-zm-signature").prefix("v0=");
const TOLERANCE: Duration = Duration::from_secs(5 * 60);
const EVENTS: &[(&str, &str, &str)] = &[
    ("meeting.started", "a meeting began", include_str!("../samples/meeting.started.json")),
    ("meeting.ended", "a meeting ended", include_str!("../samples/meeting.ended.json")),
    ("recording.completed", "a recording can be fetched", include_str!("../samples/recording.completed.json")),
];

/// Zoom's webhooks.
pub struct Zoom;

#[adapter]
impl Adapter for Zoom {
    fn describe() -> Description {
        Description::new("Zoom", "Takes Zoom's webhooks, and answers the validation of the URL.")
            .docs("https://developers.zoom.us/docs/api/webhooks/")
            .signing_secret("The app's Secret Token: App Marketplace, the app, Feature, Event Subscriptions.")
            .events(EVENTS)
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        request.only("POST")?;
        let keys = integration.required_secret("signing_secret")?;
        let time = verify::stamped(request, "x-zm-request-timestamp", Unit::Seconds, TOLERANCE)?;
        let signature = verify::signature(verify::header(request, "x-zm-signature")?, "v0=", Encoding::Hex)?;
        let signed: &[&[u8]] = &[b"v0:", time.as_bytes(), b":", &request.body];
        verify::hmac(Algorithm::Sha256, &keys, signed, &signature)?;

        let kind = request.text("event")?;
        if kind == "endpoint.url_validation" {
            let fits = |key: &&&str| verify::hmac(Algorithm::Sha256, &[**key], signed, &signature).is_ok();
            let key = keys.iter().find(fits).expect("one of the keys has just fitted");
            let plain = request.text("payload.plainToken")?;
            let encrypted =
                Encoding::Hex.encode(&verify::hmac_of(Algorithm::Sha256, key.as_bytes(), &[plain.as_bytes()]));
            return Ok(Response::json(200, &json!({ "plainToken": plain, "encryptedToken": encrypted })).into());
        }
        let [source, subject, time] = request.texts(["payload.account_id", "payload.object.id", "event_ts"])?;
        let time_ms = time.and_then(|time| Unit::Milliseconds.ms(&time));
        Ok(Event { source, subject, time_ms, ..Event::new(kind) }.into())
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        let time = sample.seconds();
        let delivery = sample.delivery(&[("x-zm-request-timestamp", &time)]);
        SIGNED.sign(delivery, integration, &[b"v0:", time.as_bytes(), b":", &sample.body])
    }
}

#[cfg(test)]
mod tests;
