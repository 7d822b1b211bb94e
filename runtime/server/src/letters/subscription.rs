//! A subscription as it is stored, and what it wants to be told.

use std::collections::{BTreeMap, BTreeSet};

use camshaft_model::ids::Name;
use camshaft_model::summary::Summary;
use camshaft_model::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::letter::Milestone;
use crate::vault::{NotOpened, Sealed, Vault};

/// A subscription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscriptionSpec {
    /// Where its letters go.
    pub url: String,
    /// Which state changes.
    pub on: BTreeSet<Milestone>,
    /// Of these workflows; empty is any.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub workflows: BTreeSet<Name>,
    /// In these environments; empty is any.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub environments: BTreeSet<Name>,
    /// Of executions with all of these labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether tests count.
    #[serde(default)]
    pub tests: bool,
    /// False where nothing is made and nothing is sent.
    pub enabled: bool,
    /// Why Camshaft switched it off itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switched_off: Option<String>,
    /// What signs its letters, sealed.
    pub secret: Sealed,
    /// What signs beside it, until a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former_secret: Option<(Sealed, Timestamp)>,
}

/// What a subscription's secrets are sealed for.
pub fn place(workspace: &Name, subscription: &str) -> String {
    format!("subscription {workspace} {subscription}")
}

impl SubscriptionSpec {
    /// Whether it is told of an execution's state changes, of those that it names.
    pub fn wants(&self, of: &Summary) -> bool {
        self.enabled
            && (self.tests || !of.test)
            && (self.workflows.is_empty() || self.workflows.contains(&of.revision.workflow))
            && (self.environments.is_empty() || self.environments.contains(&of.environment))
            && self.labels.iter().all(|(label, value)| of.labels.get(label) == Some(value))
    }

    /// What its letters are signed with now, the newest first.
    pub fn secrets(&self, vault: &Vault, place: &str, now: Timestamp) -> Result<Vec<String>, NotOpened> {
        let former = self.former_secret.as_ref().filter(|(_, until)| now < *until).map(|(sealed, _)| sealed);
        [&self.secret].into_iter().chain(former).map(|sealed| vault.unseal(place, sealed)).collect()
    }
}
