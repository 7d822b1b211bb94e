//! Plugins as everybody but the host sees them: releases, what they say of themselves, what they are granted.

use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{Digest, Name};

/// What a component exports decides what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginKind {
    /// `camshaft:plugin/task`
    Task,
    /// `camshaft:plugin/adapter`
    Adapter,
}

impl PluginKind {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Adapter => "adapter",
        }
    }
}

/// One release, as a revision pins it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginPin {
    /// `http-request`
    pub name: Name,
    /// `1.2.0`
    pub version: Version,
    /// The component's bytes.
    pub digest: Digest,
    /// Whether its calls can be seen from outside; read off its imports.
    pub observable: bool,
}

/// What is known of a release: read off the component and told by its `describe`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PluginRelease {
    /// `http-request`
    pub name: Name,
    /// `1.2.0`
    pub version: Version,
    /// The component's bytes.
    pub digest: Digest,
    /// Task or adapter.
    pub kind: PluginKind,
    /// Size of the component, bytes.
    pub size_bytes: u64,
    /// Whether its calls can be seen from outside.
    pub observable: bool,
    /// Interfaces that it imports: `wasi:http/outgoing-handler@0.2.3`.
    pub imports: Vec<String>,
    /// Interfaces that it exports.
    pub exports: Vec<String>,
    /// True for those that the binary carries.
    pub shipped: bool,
    /// What it says of itself.
    pub descriptor: Descriptor,
}

impl PluginRelease {
    /// The pin of this release.
    pub fn pin(&self) -> PluginPin {
        PluginPin {
            name: self.name.clone(),
            version: self.version.clone(),
            digest: self.digest,
            observable: self.observable,
        }
    }

    /// Whether it wants to reach other hosts.
    pub fn wants_http(&self) -> bool {
        self.imports.iter().any(|import| import.starts_with("wasi:http/outgoing-handler"))
    }

    /// Whether it is an adapter that can sign samples.
    pub fn signs(&self) -> bool {
        self.exports.iter().any(|export| export.starts_with("camshaft:plugin/signer"))
    }

    /// Whether it wants to read secrets of the workspace.
    pub fn wants_secrets(&self) -> bool {
        self.imports.iter().any(|import| import.starts_with("camshaft:plugin/secrets"))
    }
}

/// What a plugin says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "of")]
pub enum Descriptor {
    /// A task's.
    Task(TaskDescriptor),
    /// An adapter's.
    Adapter(AdapterDescriptor),
}

impl Descriptor {
    /// One sentence for people.
    pub fn summary(&self) -> &str {
        match self {
            Self::Task(task) => &task.summary,
            Self::Adapter(adapter) => &adapter.summary,
        }
    }
}

/// What a task says of itself; `camshaft:plugin/task.descriptor`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskDescriptor {
    /// One sentence.
    pub summary: String,
    /// JSON Schema of the input.
    pub input_schema: Value,
    /// JSON Schema of the output.
    pub output_schema: Value,
    /// Worked examples.
    #[serde(default)]
    pub examples: Vec<Example>,
    /// Outbound hosts that it wants.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Secrets that it wants.
    #[serde(default)]
    pub secrets: Vec<String>,
}

/// A worked example of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// What it shows.
    pub name: String,
    /// The input.
    pub input: Value,
    /// The output, where it does not depend on the world.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
}

/// What an adapter says of itself; `camshaft:plugin/adapter.descriptor`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdapterDescriptor {
    /// The vendor, as people write it.
    pub vendor: String,
    /// One sentence.
    pub summary: String,
    /// JSON Schema of the configuration. Its `x-secrets` may hold, by name, one for the values of a secret.
    pub config_schema: Value,
    /// Secrets of an integration.
    #[serde(default)]
    pub secrets: Vec<SecretField>,
    /// Events that the vendor sends.
    #[serde(default)]
    pub events: Vec<EventType>,
    /// The vendor's documentation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// Outbound hosts that it wants.
    #[serde(default)]
    pub hosts: Vec<String>,
}

/// A secret of an integration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecretField {
    /// `signing_secret`
    pub name: String,
    /// Whether the adapter needs it.
    pub required: bool,
    /// Where to find it at the vendor.
    pub summary: String,
}

/// A type of event that a vendor sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventType {
    /// As in `$.event.type`.
    pub name: String,
    /// When it is sent.
    pub summary: String,
    /// A sample of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Value>,
}

/// What an operator allows a plugin, all its releases alike. Without one a plugin reaches nothing outside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Origins that outbound HTTP may go to: `https://api.example.com`, `http://127.0.0.1:9000`, any subdomain with
    /// `https://*.example.com`, any one name in a place with `https://api.*.example.com`; `*` is every public host over https
    /// or http.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Whether the hosts above may resolve to private, loopback or link-local addresses. Metadata services never.
    #[serde(default)]
    pub private_addresses: bool,
    /// Names of secrets that it may read.
    #[serde(default)]
    pub secrets: Vec<String>,
}
