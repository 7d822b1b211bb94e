//! A message: its fields, which of them are signed and how, and the event that it is.

use camshaft_sdk::adapter;
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::{Algorithm, Certificate, Encoding};
use serde_json::Map;

/// A signature is as long as its key: 256 bytes at AWS.
const SIGNATURE_BYTES_MAX: usize = 1024;
/// A published text that is JSON nested deeper stays a text: a step could not put it out.
const DEPTH_MAX: usize = 64;

/// What came.
#[derive(Debug)]
pub(crate) struct Message {
    kind: String,
    id: String,
    pub(crate) topic: String,
    subject: Option<String>,
    text: String,
    timestamp: String,
    version: String,
    signature: String,
    pub(crate) certificate: String,
    pub(crate) subscribe: Option<String>,
    token: Option<String>,
    attributes: Option<Value>,
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

impl Proof {
    /// Holds it against a certificate.
    pub(crate) fn verify(&self, certificate: &Certificate) -> Result<(), Rejection> {
        let (signed, signature) = (self.signed.as_bytes(), self.signature.as_slice());
        match self.hash {
            Hash::Sha1 => certificate.verify(Algorithm::Sha1, signed, signature),
            Hash::Sha256 => certificate.verify(Algorithm::Sha256, signed, signature),
        }
    }
}

impl Message {
    /// Reads the body of a delivery.
    pub(crate) fn read(request: &Request) -> Result<Self, Rejection> {
        let mut fields = request.fields()?;
        let mut optional = |name: &str| match fields.get_mut(name).map(Value::take) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Rejection::Malformed(format!("`{name}` is no text"))),
        };
        let (subject, subscribe, token) = (optional("Subject")?, optional("SubscribeURL")?, optional("Token")?);
        let mut text = |name: &str| optional(name)?.ok_or_else(|| Rejection::missing(name));
        Ok(Self {
            kind: text("Type")?,
            id: text("MessageId")?,
            topic: text("TopicArn")?,
            subject,
            text: text("Message")?,
            timestamp: text("Timestamp")?,
            version: text("SignatureVersion")?,
            signature: text("Signature")?,
            certificate: text("SigningCertURL")?,
            subscribe,
            token,
            attributes: fields.get_mut("MessageAttributes").map(Value::take).filter(|value| !value.is_null()),
        })
    }

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
        if self.attributes.as_ref().is_some_and(|attributes| !attributes.is_object() || depth(attributes) > 2) {
            return Err(Rejection::Malformed("`MessageAttributes` are not as Amazon SNS sends them".to_owned()));
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
        let hash = match self.version.as_str() {
            "1" => Hash::Sha1,
            "2" => Hash::Sha256,
            other => {
                return Err(Rejection::Unsupported(format!("`SignatureVersion` is `{other}`; 1 and 2 are known")));
            }
        };
        let signature = Some(&self.signature).filter(|text| text.len() <= SIGNATURE_BYTES_MAX * 4 / 3);
        let signature = signature.and_then(|text| Encoding::Base64.decode(text));
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
        put("Type", Value::String(self.kind.clone()));
        put("MessageId", Value::String(self.id.clone()));
        put("TopicArn", Value::String(self.topic.clone()));
        let mut subject = None;
        if kind == Kind::Notification {
            subject = self.subject;
            subject.as_ref().map(|subject| put("Subject", Value::String(subject.clone())));
            put("Message", published(self.text));
            self.attributes.map(|attributes| put("MessageAttributes", attributes));
        } else {
            put("Message", Value::String(self.text));
            put("SubscribeURL", self.subscribe.map_or(Value::Null, Value::String));
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
