//! Connections: a user of an app, connected to one of its integrations.
//!
//! What workflows see of one is fixed when an execution is accepted. Its credentials are not here: they are looked up where a
//! task is called, as secrets are.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ids::{Name, ResourceId, UserId};
use crate::time::Timestamp;

/// Which connection: a user has one to an integration, or none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConnectionRef {
    /// The user.
    pub user: UserId,
    /// The integration's name.
    pub integration: Name,
}

impl ConnectionRef {
    /// Whose a `$.connection` is; none where it is null.
    pub fn of(value: &Value) -> Option<Self> {
        let text = |key: &str| value.get(key)?.as_str();
        Some(Self { user: UserId::new(text("user")?).ok()?, integration: Name::new(text("integration")?).ok()? })
    }
}

impl std::fmt::Display for ConnectionRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the connection of user `{}` to `{}`", self.user, self.integration)
    }
}

/// A connection that is set up, ready for workflows to run with.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    /// Its id; connecting anew makes another one.
    pub id: ResourceId,
    /// Whose, and to what.
    pub of: ConnectionRef,
    /// The workflows that its user has enabled, and since when.
    pub enabled: BTreeMap<ResourceId, Timestamp>,
    /// `$.connection`: `{user, metadata, integration, settings}`.
    pub value: Arc<Value>,
}

impl Connection {
    /// A connection with what workflows see of it.
    pub fn new(
        id: ResourceId,
        of: ConnectionRef,
        enabled: BTreeMap<ResourceId, Timestamp>,
        (metadata, settings): (&Value, &Value),
    ) -> Self {
        let value = json!({
            "user": of.user,
            "metadata": metadata,
            "integration": of.integration,
            "settings": settings,
        });
        Self { id, of, enabled, value: Arc::new(value) }
    }

    /// Whether its user has this workflow enabled.
    pub fn enables(&self, workflow: ResourceId) -> bool {
        self.enabled.contains_key(&workflow)
    }
}
