//! Who is told of executions' state changes.

use std::sync::Arc;

use camshaft_model::ids::{Name, ResourceId};

use super::Catalog;
use super::specs::Kept;
use crate::letters::subscription::SubscriptionSpec;

impl Catalog {
    /// Whether a workspace has any subscription.
    pub fn is_subscribed(&self, workspace: &Name) -> bool {
        self.read(workspace, |shelf| !shelf.subscriptions.is_empty()).unwrap_or_default()
    }

    /// Every subscription, by name.
    pub fn subscriptions(&self, workspace: &Name) -> Vec<Arc<Kept<SubscriptionSpec>>> {
        self.read(workspace, |shelf| shelf.subscriptions.values().cloned().collect()).unwrap_or_default()
    }

    /// A subscription by its name.
    pub fn subscription(&self, workspace: &Name, name: &Name) -> Option<Arc<Kept<SubscriptionSpec>>> {
        self.read(workspace, |shelf| shelf.subscriptions.get(name).cloned()).flatten()
    }

    /// A subscription by its id.
    pub fn subscription_of(&self, workspace: &Name, id: ResourceId) -> Option<Arc<Kept<SubscriptionSpec>>> {
        self.read(workspace, |shelf| shelf.subscriptions.values().find(|kept| kept.id == id).cloned()).flatten()
    }
}
