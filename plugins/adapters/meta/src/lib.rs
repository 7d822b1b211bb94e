//! The adapter `meta`: webhooks of Facebook, Instagram, WhatsApp and Messenger. A delivery is a batch: an event for each change.
//!
//! Source: <https://developers.facebook.com/docs/graph-api/webhooks/getting-started>.

use camshaft_sdk::adapter::NoConfig;
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::{Encoding, Signed};

const SIGNED: Signed = Signed::sha256("X-Hub-Signature-256").prefix("sha256=");
/// The secret of the handshake, which people make up.
const VERIFY_TOKEN: &str = "verify_token";
/// Fields of a messaging event that say who and when; the one beside them says what.
const WHO_AND_WHEN: [&str; 3] = ["sender", "recipient", "timestamp"];
/// Times before this number are seconds: as milliseconds they would be before 1973.
const MILLISECONDS_FROM: u64 = 100_000_000_000;
/// Longer ids, of many messages together, are hashed.
const ID_BYTES_MAX: usize = 200;
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
        let mut events: Vec<_> = entry.into_iter().flat_map(|entry| events(entry, &object)).collect();
        // What has no id of its own is known by its place in this very delivery: only the same bytes are a repetition.
        let delivery = digest(&request.body);
        for (number, event) in events.iter_mut().enumerate() {
            event.id.get_or_insert_with(|| format!("{delivery}.{number}"));
        }
        Ok(events.into())
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        let time = sample.time_ms.to_string();
        let sample = ["changes.0.value.messages.0.id", "changes.0.value.post_id", "messaging.0.message.mid"]
            .iter()
            .fold(sample, |sample, path| sample.with_id_at(&format!("entry.0.{path}")))
            .with("entry.0.time", &time);
        SIGNED.sign(sample.delivery(&[]), integration, &[&sample.body])
    }
}

fn handshake(request: &Request, accepted: &[&str]) -> Result<Receipt, Rejection> {
    verify::token(&verify::parameter(request, "hub.verify_token")?, accepted)?;
    match (request.parameter("hub.mode").as_deref(), request.parameter("hub.challenge")) {
        (Some("subscribe"), Some(challenge)) => Ok(Response::text(200, challenge).into()),
        _ => Err(Rejection::Malformed("`hub.mode` is not `subscribe`, or there is no `hub.challenge`".to_owned())),
    }
}

#[derive(Deserialize)]
struct Body {
    object: String,
    entry: Vec<Value>,
}

/// An event for each change and each message of an entry; for an entry that has neither, one of its own.
fn events(mut entry: Value, object: &str) -> Vec<Event> {
    let mut list =
        |name: &str| entry.get_mut(name).and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
    let (changes, messaging, standby) = (list("changes"), list("messaging"), list("standby"));
    let subject = text(&entry["id"]);
    let sent = entry["time"].as_u64();
    let event = |what: &str, id: Option<String>, time: Option<u64>, body: Value| Event {
        id,
        source: Some(object.to_owned()),
        subject: subject.clone(),
        time_ms: time.map(|time| if time < MILLISECONDS_FROM { time.saturating_mul(1000) } else { time }),
        body: Some(body),
        ..Event::new(format!("{object}.{what}"))
    };
    let mut events = Vec::new();
    for change in changes {
        let what = change["field"].as_str().unwrap_or("change").to_owned();
        events.push(event(&what, id_of_change(&change["value"]), sent, change));
    }
    let messaging = messaging.into_iter().map(|item| ("", item));
    // Another app has the conversation; this one is only told of it.
    for (role, item) in messaging.chain(standby.into_iter().map(|item| ("standby.", item))) {
        let mut keys = item.as_object().into_iter().flat_map(|item| item.keys());
        let what = keys.find(|key| !WHO_AND_WHEN.contains(&key.as_str())).map_or("messaging", String::as_str);
        let (kind, id) = (format!("{role}{what}"), id_of_message(what, &item[what]));
        events.push(event(&kind, id, item["timestamp"].as_u64().or(sent), item));
    }
    if events.is_empty() {
        events.push(event("entry", None, sent, entry));
    }
    events
}

/// Of WhatsApp: every message and every status that the change holds. One of them may come again in the company of another.
fn id_of_change(value: &Value) -> Option<String> {
    let parts = |name: &str, parts: &[&str]| {
        let items = value[name].as_array().into_iter().flatten();
        let id = |item: &Value| text(&item["id"]).map(|_| parts.iter().filter_map(|part| text(&item[part])).collect());
        items.map(id).collect::<Option<Vec<Vec<String>>>>()
    };
    let mut ids = parts("messages", &["id"])?;
    ids.extend(parts("statuses", &["id", "status", "timestamp", "recipient_id"])?);
    let id = ids.iter().map(|parts| parts.join(".")).collect::<Vec<_>>().join(" ");
    match id.len() {
        0 => None,
        1..=ID_BYTES_MAX => Some(id),
        _ => Some(digest(id.as_bytes())),
    }
}

/// Of Messenger and Instagram. A reaction, an edit, a deletion have the id of the message that they are about.
fn id_of_message(what: &str, item: &Value) -> Option<String> {
    let is_its_own = ["message", "postback"].contains(&what) && item["is_deleted"] != json!(true);
    text(&item["mid"]).filter(|_| is_its_own)
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn digest(bytes: &[u8]) -> String {
    Encoding::Hex.encode(&verify::sha256(bytes))
}

#[cfg(test)]
mod tests;
