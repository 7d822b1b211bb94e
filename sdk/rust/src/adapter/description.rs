//! What an adapter says of itself.

/// What an adapter says of itself; its name and version come from `#[adapter]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The vendor, as people write it.
    pub vendor: String,
    /// One sentence for people.
    pub summary: String,
    /// Secrets of an integration.
    pub secrets: Vec<Secret>,
    /// Events that the vendor sends.
    pub events: Vec<EventType>,
    /// The vendor's own documentation.
    pub docs: Option<String>,
    /// Hosts that it calls.
    pub hosts: Vec<String>,
}

impl Description {
    /// A vendor and one sentence.
    pub fn new(vendor: &str, summary: &str) -> Self {
        Self {
            vendor: vendor.to_owned(),
            summary: summary.to_owned(),
            secrets: Vec::new(),
            events: Vec::new(),
            docs: None,
            hosts: Vec::new(),
        }
    }

    /// The vendor's own documentation.
    pub fn docs(mut self, url: &str) -> Self {
        self.docs = Some(url.to_owned());
        self
    }

    /// Adds a host that the adapter calls, as an origin: `https://api.example.com`. An operator has to grant it.
    pub fn host(mut self, origin: &str) -> Self {
        self.hosts.push(origin.to_owned());
        self
    }

    /// Adds a secret.
    pub fn secret(mut self, secret: Secret) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Adds an event type.
    pub fn event(mut self, event: EventType) -> Self {
        self.events.push(event);
        self
    }

    /// Adds event types: name, when they come, a sample of the body.
    pub fn events(mut self, events: &[(&str, &str, &str)]) -> Self {
        self.events.extend(events.iter().map(|(name, summary, sample)| EventType::new(name, summary).sample(sample)));
        self
    }

    /// Adds the secret that a vendor signs with, and where to find it there.
    pub fn signing_secret(self, summary: &str) -> Self {
        self.secret(Secret::required(Secret::SIGNING, summary))
    }
}

/// A secret that an integration holds for the adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// `signing_secret` where the vendor signs.
    pub name: String,
    /// False where the adapter works without.
    pub required: bool,
    /// Where to find it at the vendor.
    pub summary: String,
}

impl Secret {
    /// The name of the secret that a vendor signs with.
    pub const SIGNING: &str = "signing_secret";

    /// One that the adapter cannot do without.
    pub fn required(name: &str, summary: &str) -> Self {
        Self { name: name.to_owned(), required: true, summary: summary.to_owned() }
    }

    /// One that some configurations need.
    pub fn optional(name: &str, summary: &str) -> Self {
        Self { name: name.to_owned(), required: false, summary: summary.to_owned() }
    }
}

/// A type of event that the vendor sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventType {
    /// As in `$.event.type`.
    pub name: String,
    /// When the vendor sends it.
    pub summary: String,
    /// A sample of the body, as JSON text.
    pub sample: Option<String>,
}

impl EventType {
    /// A type and when it comes.
    pub fn new(name: &str, summary: &str) -> Self {
        Self { name: name.to_owned(), summary: summary.to_owned(), sample: None }
    }

    /// A sample of the body: `include_str!` of a JSON file.
    pub fn sample(mut self, json: &str) -> Self {
        self.sample = Some(json.trim().to_owned());
        self
    }
}
