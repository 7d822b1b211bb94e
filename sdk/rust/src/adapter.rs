//! Adapters: one vendor's webhooks in, events out.

mod cloudevents;
mod description;
mod encoding;
mod once;
mod pick;
mod request;
mod sample;
mod schema;
mod time;
mod xml;

pub use cloudevents::{binary_cloudevent, cloudevent};
pub use description::{Description, EventType, Secret};
pub use request::Request;
pub use sample::Sample;
pub use schema::{made_schema, written_schema};
pub use time::{rfc3339, rfc3339_of};
pub use xml::Element;

use crate::http::HttpError;
use crate::json;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// One vendor's webhooks. Write `#[adapter]` over the `impl`: it gives the adapter its name and version and exports it.
pub trait Adapter {
    /// Configuration of an integration; [`NoConfig`] where there is none.
    type Config: DeserializeOwned + JsonSchema + 'static;

    /// What the adapter says of itself.
    fn describe() -> Description;

    /// JSON Schema of the configuration, made from its type. Written out as a file beside the type (`written_schema`), it spares
    /// the component the 50 KB that make it; a test then holds it against [`made_schema`].
    fn config_schema() -> Value {
        schema::of::<Self::Config>()
    }

    /// Verifies one delivery and turns it into events.
    ///
    /// # Errors
    /// A rejection, whose message the caller is shown.
    fn receive(request: &Request, integration: &Integration<Self::Config>) -> Result<Receipt, Rejection>;

    /// Makes the delivery that the vendor would send, signed with the first value of the secret, so that people can try an
    /// integration out. Left out where only the vendor can sign.
    ///
    /// # Errors
    /// A rejection: there is no secret, or it is a key that only verifies.
    fn sign(sample: Sample, integration: &Integration<Self::Config>) -> Result<Request, Rejection> {
        let _ = sample;
        Err(Rejection::Unsupported(format!("the adapter of integration `{}` cannot sign", integration.name)))
    }
}

/// An adapter's name and version, which `#[adapter]` takes from the crate.
pub trait Named {
    /// `[a-z0-9][a-z0-9-]{0,62}`
    const NAME: &'static str;
    /// A semantic version.
    const VERSION: &'static str;
}

/// The configuration of an adapter that has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// The integration that a delivery was sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Integration<C> {
    /// Its name.
    pub name: String,
    /// Its configuration.
    pub config: C,
    /// Each secret field with its values: one, or several while rotating.
    pub secrets: Vec<(String, Vec<String>)>,
}

impl<C> Integration<C> {
    /// Every value of a secret; none where it is not set. Empty values do not count: an empty key verifies anything.
    pub fn secret(&self, name: &str) -> Vec<&str> {
        let fields = self.secrets.iter().filter(|(field, _)| field == name);
        fields.flat_map(|(_, values)| values).map(String::as_str).filter(|value| !value.is_empty()).collect()
    }

    /// Every value of a secret that the adapter cannot do without.
    ///
    /// # Errors
    /// `unauthorized` where it is not set: what cannot be verified is not taken.
    pub fn required_secret(&self, name: &str) -> Result<Vec<&str>, Rejection> {
        let values = self.secret(name);
        if values.is_empty() {
            return Err(Rejection::Unauthorized(format!(
                "integration `{}` has no secret `{name}`, so nothing can be verified",
                self.name
            )));
        }
        Ok(values)
    }

    /// The value of a secret that samples are signed with.
    ///
    /// # Errors
    /// `unauthorized` where it is not set.
    pub fn first_secret(&self, name: &str) -> Result<&str, Rejection> {
        Ok(self.required_secret(name)?[0])
    }
}

/// Something that happened at the vendor.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// The vendor's id of the delivery or event; the same id again starts nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The type, in the vendor's words: `push`, `issues.opened`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What it happened to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it happened, in milliseconds since 1970; the time of receipt where the vendor does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<u64>,
    /// The body where it is not the request's: one of a batch, or decoded by the adapter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

impl Event {
    /// An event of a type; set the rest with `..Event::new("push")` or by field.
    pub fn new(kind: impl Into<String>) -> Self {
        Self { kind: kind.into(), ..Self::default() }
    }
}

/// An HTTP answer of the adapter's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// A JSON answer.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::with_type(status, "application/json", json::text(body))
    }

    /// A plain text answer.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self::with_type(status, "text/plain; charset=utf-8", body.into())
    }

    fn with_type(status: u16, content_type: &str, body: String) -> Self {
        Self { status, headers: vec![("content-type".to_owned(), content_type.to_owned())], body: body.into_bytes() }
    }
}

/// What becomes of a delivery that was accepted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Receipt {
    /// Events to start workflows with; none for a handshake.
    pub events: Vec<Event>,
    /// An answer of the adapter's own, sent in place of the runtime's.
    pub respond: Option<Response>,
}

impl From<Event> for Receipt {
    fn from(event: Event) -> Self {
        Self { events: vec![event], respond: None }
    }
}

impl From<Vec<Event>> for Receipt {
    fn from(events: Vec<Event>) -> Self {
        Self { events, respond: None }
    }
}

impl From<Response> for Receipt {
    fn from(response: Response) -> Self {
        Self { events: Vec::new(), respond: Some(response) }
    }
}

/// Why a delivery was not accepted. The caller is shown the message, so it never holds a secret or the right signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// The signature or token is missing, wrong or too old.
    Unauthorized(String),
    /// The delivery is not what the vendor sends.
    Malformed(String),
    /// The adapter does not take this method or kind of delivery.
    Unsupported(String),
    /// Something that verifying needs is not there now; the same delivery may be taken later.
    Unavailable(String),
}

impl Rejection {
    /// `malformed`: the body has no text at a path where every delivery has one.
    pub fn missing(path: &str) -> Self {
        Self::Malformed(format!("the body has no text at `{path}`"))
    }

    /// The message.
    pub fn message(&self) -> &str {
        match self {
            Self::Unauthorized(message)
            | Self::Malformed(message)
            | Self::Unsupported(message)
            | Self::Unavailable(message) => message,
        }
    }
}

/// What could not be asked may be there later; the vendor sends the delivery again.
impl From<HttpError> for Rejection {
    fn from(error: HttpError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Rejection {}

/// Hands a delivery to an adapter with the configuration as JSON text, exactly as the runtime does.
///
/// # Errors
/// The adapter's rejection; `unsupported` naming the field where the configuration is not the adapter's.
pub fn receive<A: Adapter>(request: &Request, integration: Integration<String>) -> Result<Receipt, Rejection> {
    let mut receipt = A::receive(request, &configured::<A>(integration)?)?;
    // The runtime sees the body as it came. Where that is compressed, the adapter's events carry what is in it.
    if request.is_encoded() {
        for event in receipt.events.iter_mut().filter(|event| event.body.is_none()) {
            event.body = request.json().ok();
        }
    }
    Ok(receipt)
}

/// Has an adapter sign a sample, with the configuration as JSON text, exactly as the runtime does.
///
/// # Errors
/// As [`receive`].
pub fn sign<A: Adapter>(sample: Sample, integration: Integration<String>) -> Result<Request, Rejection> {
    A::sign(sample, &configured::<A>(integration)?)
}

/// Once in a component, though two exports want it.
#[inline(never)]
fn configured<A: Adapter>(integration: Integration<String>) -> Result<Integration<A::Config>, Rejection> {
    let Integration { name, config, secrets } = integration;
    let text = match config.trim() {
        "" | "null" => "{}",
        text => text,
    };
    let config = json::parse_unlocated::<A::Config>(text).map_err(|fault| {
        Rejection::Unsupported(format!("the configuration of integration `{name}` is not valid: {fault}"))
    })?;
    Ok(Integration { name, config, secrets })
}
