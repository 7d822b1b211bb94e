//! The adapter `meta`: webhooks of Facebook, Instagram, WhatsApp and Messenger. A delivery is a batch: an event for each change.
//!
//! Source: <https://developers.facebook.com/docs/graph-api/webhooks/getting-started>.

use camshaft_sdk::adapter::NoConfig;
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::Signed;

const SIGNED: Signed = Signed::sha256("X-Hub-Signature-256").prefix("sha256=");
/// The secret of the handshake, which people make up.
const VERIFY_TOKEN: &str = "verify_token";
/// Fields of a messaging event that say who and when; the one beside them says what.
const WHO_AND_WHEN: [&str; 3] = ["sender", "recipient", "timestamp"];
/// Times before this number are seconds: as milliseconds they would be before 1973.
const MILLISECONDS_FROM: u64 = 100_000_000_000;
const EVENTS: &[(&str, &str, &str)] = &[
    (
        "whatsapp_business_account.messages",
        "a WhatsApp message or its status",
        include_str!("../samples/whatsapp.json"),
    ),
    ("page.feed", "something happened on a page", include_str!("../samples/feed.json")),
    ("page.message", "somebody wrote to a page in Messenger", include_str!("../samples/messenger.json")),
];

/// Meta's webhooks.
pub struct Meta;

#[adapter]
impl Adapter for Meta {
    fn describe() -> Description {
        Description::new("Meta", "Takes webhooks of Facebook, Instagram, WhatsApp and Messenger.")
            .docs("https://developers.facebook.com/docs/graph-api/webhooks")
            .signing_secret("The app's App Secret: App Dashboard, App settings, Basic.")
            .secret(Secret::required(
                VERIFY_TOKEN,
                "A text that you make up, and type in as Verify Token where you subscribe.",
            ))
            .events(EVENTS)
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        if request.method == "GET" {
            return handshake(request, &integration.required_secret(VERIFY_TOKEN)?);
        }
        request.only("POST")?;
        SIGNED.verify(request, integration, &[&request.body])?;
        let Body { object, entry } = request.json()?;
        Ok(entry.into_iter().flat_map(|entry| entry.events(&object)).collect::<Vec<_>>().into())
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        let sample =
            sample.with_id_at("entry.0.changes.0.value.messages.0.id").with_id_at("entry.0.messaging.0.message.mid");
        SIGNED.sign(sample.delivery(&[]), integration, &[&sample.body])
    }
}

fn handshake(request: &Request, accepted: &[&str]) -> Result<Receipt, Rejection> {
    verify::token(&request.parameter("hub.verify_token").unwrap_or_default(), accepted)?;
    match (request.parameter("hub.mode").as_deref(), request.parameter("hub.challenge")) {
        (Some("subscribe"), Some(challenge)) => Ok(Response::text(200, challenge).into()),
        _ => Err(Rejection::Malformed("`hub.mode` is not `subscribe`, or there is no `hub.challenge`".to_owned())),
    }
}

#[derive(Deserialize)]
struct Body {
    object: String,
    entry: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    id: Value,
    time: Option<u64>,
    #[serde(default)]
    changes: Vec<Value>,
    #[serde(default)]
    messaging: Vec<Value>,
}

impl Entry {
    fn events(self, object: &str) -> Vec<Event> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let subject = text(&self.id);
        let event = |what: &str, id: Option<String>, time: Option<u64>, body: Value| Event {
            id,
            source: Some(object.to_owned()),
            subject: subject.clone(),
            time_ms: time.map(|time| if time < MILLISECONDS_FROM { time.saturating_mul(1000) } else { time }),
            body: Some(body),
            ..Event::new(format!("{object}.{what}"))
        };
        let changes = self.changes.into_iter().map(|change| {
            let what = change["field"].as_str().unwrap_or("change").to_owned();
            event(&what, text(&change["value"]["messages"][0]["id"]), self.time, change)
        });
        let messaging = self.messaging.into_iter().map(|item| {
            let mut keys = item.as_object().into_iter().flat_map(|item| item.keys());
            let what =
                keys.find(|key| !WHO_AND_WHEN.contains(&key.as_str())).map_or("messaging", String::as_str).to_owned();
            event(&what, text(&item[&what]["mid"]), item["timestamp"].as_u64().or(self.time), item)
        });
        changes.chain(messaging).collect()
    }
}

#[cfg(test)]
mod tests;
