//! Workflows that one workspace lends another.

use std::sync::{Arc, PoisonError};

use camshaft_model::ids::{Name, ResourceId};
use camshaft_model::seams::Published;
use serde::{Deserialize, Serialize};

use super::Catalog;
use super::specs::Kept;

/// A share: an offer, and what came of it. It lives where the workflow does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareSpec {
    /// The workflow.
    pub workflow: ResourceId,
    /// The workspace that it is for, whether or not there is such a one.
    pub to: Name,
    /// The workflow's id there, once it was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<ResourceId>,
}

/// Where a workflow comes from that is another workspace's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedFrom {
    /// Whose it is.
    pub workspace: Name,
    /// Its id there.
    pub workflow_id: ResourceId,
    /// Its name there.
    pub workflow: Name,
    /// It is shared no more: nothing is started, and what has run is kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
    /// Why what is published there now does not run here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<String>,
}

/// What the key of a share says: the workflow and the workspace.
pub fn key_name(workflow: ResourceId, to: &Name) -> String {
    format!("{workflow}/{to}")
}

impl Catalog {
    /// Shares of a workflow, by workspace.
    pub fn shares_of(&self, workspace: &Name, workflow: ResourceId) -> Vec<Arc<Kept<ShareSpec>>> {
        let of = |kept: &&Arc<Kept<ShareSpec>>| kept.spec.workflow == workflow;
        self.read(workspace, |shelf| shelf.shares.values().filter(of).cloned().collect()).unwrap_or_default()
    }

    /// What other workspaces offer to a workspace, or have lent it; oldest first.
    pub fn shares_to(&self, workspace: &Name) -> Vec<Arc<Kept<ShareSpec>>> {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        let all = shelves.values().flat_map(|shelf| shelf.shares.values());
        let mut shares: Vec<_> = all.filter(|kept| kept.spec.to == *workspace).cloned().collect();
        shares.sort_by_key(|kept| kept.id);
        shares
    }

    /// What is published of a workflow, by its id, that a workspace has lent another.
    pub(super) fn lent_by(&self, by: &Name, workflow: ResourceId, environment: &Name) -> Option<Arc<Published>> {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        shelves.values().find_map(|shelf| {
            let name = shelf.workflow_names.get(&workflow)?;
            let from = shelf.workflows.get(name)?.spec.shared_from.as_ref()?;
            if from.ended || from.workspace != *by {
                return None;
            }
            shelf.published(name, environment)
        })
    }
}
