//! A message: its fields, which of them are signed and how, and the event that it is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use camshaft_sdk::adapter;
use camshaft_sdk::prelude::*;
use serde_json::Map;

/// A signature is as long as its key: 256 bytes at AWS.
const SIGNATURE_BYTES_MAX: usize = 1024;
/// A published text that is JSON nested deeper stays a text: a step could not put it out.
const DEPTH_MAX: usize = 64;

/// What came. A key that comes twice makes it malformed: which of them was signed?
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Message {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "MessageId")]
    id: String,
    #[serde(rename = "TopicArn")]
    pub(crate) topic: String,
    subject: Option<String>,
    #[serde(rename = "Message")]
    text: String,
    timestamp: String,
    signature_version: String,
    signature: String,
    #[serde(rename = "SigningCertURL")]
    pub(crate) certificate: String,
    #[serde(rename = "SubscribeURL")]
    pub(crate) subscribe: Option<String>,
    token: Option<String>,
    #[serde(rename = "MessageAttributes")]
    attributes: Option<Map<String, Value>>,
}

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Notification,
    SubscriptionConfirmation,
    UnsubscribeConfirmation,
}

/// How a message is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha1,
    Sha256,
}

/// What proves a message.
#[derive(Debug)]
pub(crate) struct Proof {
    pub(crate) hash: Hash,
    /// The text that was signed.
    pub(crate) signed: String,
    pub(crate) signature: Vec<u8>,
}

impl Message {
    /// What it is for. Everything but the published text is of one line: what is signed is lines, and the text could otherwise
    /// be read as fields.
    pub(crate) fn check(&self) -> Result<Kind, Rejection> {
        let fields =
            [("Type", &self.kind), ("MessageId", &self.id), ("TopicArn", &self.topic), ("Timestamp", &self.timestamp)];
        let optional = [("Subject", &self.subject), ("SubscribeURL", &self.subscribe), ("Token", &self.token)];
        let optional = optional.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let broken = fields.into_iter().chain(optional).find(|(_, value)| value.chars().any(char::is_control));
        if let Some((name, _)) = broken {
            return Err(Rejection::Malformed(format!("`{name}` is not of one line")));
        }
        if self.attributes.as_ref().is_some_and(|attributes| attributes.values().any(|value| depth(value) > 1)) {
            return Err(Rejection::Malformed(
                "`MessageAttributes` are nested deeper than Amazon SNS sends them".to_owned(),
            ));
        }
        match self.kind.as_str() {
            "Notification" => Ok(Kind::Notification),
            "SubscriptionConfirmation" => Ok(Kind::SubscriptionConfirmation),
            "UnsubscribeConfirmation" => Ok(Kind::UnsubscribeConfirmation),
            other => Err(Rejection::Unsupported(format!("messages of the type `{other}` are not known"))),
        }
    }

    /// When it was sent, in milliseconds since 1970.
    pub(crate) fn sent_ms(&self) -> Result<u64, Rejection> {
        adapter::rfc3339(&self.timestamp)
            .ok_or_else(|| Rejection::Malformed(format!("`Timestamp` is `{}`, which is no time", self.timestamp)))
    }

    /// What proves it.
    pub(crate) fn proof(&self, kind: Kind) -> Result<Proof, Rejection> {
        let hash = match self.signature_version.as_str() {
            "1" => Hash::Sha1,
            "2" => Hash::Sha256,
            other => {
                return Err(Rejection::Unsupported(format!("`SignatureVersion` is `{other}`; 1 and 2 are known")));
            }
        };
        let signature = Some(&self.signature).filter(|text| text.len() <= SIGNATURE_BYTES_MAX * 4 / 3);
        let signature = signature.and_then(|text| STANDARD.decode(text).ok());
        let signature =
            signature.ok_or_else(|| Rejection::Unauthorized("`Signature` is no signature in base64".to_owned()))?;
        Ok(Proof { hash, signed: self.signed(kind)?, signature })
    }

    /// The text that AWS signs: each field's name and value, on a line of its own.
    fn signed(&self, kind: Kind) -> Result<String, Rejection> {
        let mut fields = vec![("Message", self.text.as_str()), ("MessageId", &self.id)];
        if kind == Kind::Notification {
            fields.extend(self.subject.as_deref().map(|subject| ("Subject", subject)));
            fields.push(("Timestamp", &self.timestamp));
        } else {
            let link = self.subscribe.as_deref().ok_or_else(|| Rejection::missing("SubscribeURL"))?;
            let token = self.token.as_deref().ok_or_else(|| Rejection::missing("Token"))?;
            fields.extend([("SubscribeURL", link), ("Timestamp", &self.timestamp), ("Token", token)]);
        }
        fields.extend([("TopicArn", self.topic.as_str()), ("Type", &self.kind)]);
        Ok(fields.into_iter().flat_map(|(name, value)| [name, "\n", value, "\n"]).collect())
    }

    /// The event: what is signed of it, and the attributes, which AWS does not sign. Left out are the proof, and the link that ends
    /// the subscription for whoever has it.
    pub(crate) fn event(self, kind: Kind, sent_ms: u64) -> Event {
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
        put("Type", json!(self.kind));
        put("MessageId", json!(self.id));
        put("TopicArn", json!(self.topic));
        let mut subject = None;
        if kind == Kind::Notification {
            subject = self.subject;
            subject.as_ref().map(|subject| put("Subject", json!(subject)));
            put("Message", published(self.text));
            self.attributes.map(|attributes| put("MessageAttributes", Value::Object(attributes)));
        } else {
            put("Message", Value::String(self.text));
            put("SubscribeURL", json!(self.subscribe));
        }
        put("Timestamp", Value::String(self.timestamp));
        Event {
            id: Some(self.id),
            source: Some(self.topic),
            subject,
            time_ms: Some(sent_ms),
            body: Some(Value::Object(body)),
            ..Event::new(self.kind)
        }
    }
}

/// What was published: the object or list where the text is one, else the text.
fn published(text: String) -> Value {
    let value = serde_json::from_slice(text.as_bytes()).ok();
    let structured = value.filter(|value: &Value| value.is_object() || value.is_array());
    structured.filter(|value| depth(value) <= DEPTH_MAX).unwrap_or(Value::String(text))
}

/// How deep a value is nested.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
