//! What the management API reads of users, connections and signing keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use camshaft_model::connection::{Connection, ConnectionRef};
use camshaft_model::ids::{Name, UserId};
use camshaft_model::matching::{self, Match};

use super::Catalog;
use super::specs::{ConnectionSpec, Kept, SigningKeySpec, UserSpec};
use crate::signing_keys::SigningKey;

impl Catalog {
    /// A user.
    pub fn user(&self, workspace: &Name, id: &UserId) -> Option<Arc<Kept<UserSpec>>> {
        self.read(workspace, |shelf| shelf.users.users.get(id).cloned()).flatten()
    }

    /// Users behind one, by id, at most so many.
    pub fn users(&self, workspace: &Name, after: Option<&str>, limit: usize) -> Vec<Arc<Kept<UserSpec>>> {
        let behind = |kept: &&Arc<Kept<UserSpec>>| after.is_none_or(|after| kept.key.name.as_str() > after);
        self.read(workspace, |shelf| shelf.users.users.values().filter(behind).take(limit).cloned().collect())
            .unwrap_or_default()
    }

    /// How many users there are.
    pub fn user_count(&self, workspace: &Name) -> usize {
        self.read(workspace, |shelf| shelf.users.users.len()).unwrap_or_default()
    }

    /// A connection as it is stored.
    pub fn connection(&self, workspace: &Name, of: &ConnectionRef) -> Option<Arc<Kept<ConnectionSpec>>> {
        self.read(workspace, |shelf| shelf.users.connection(of).map(|(kept, _)| kept.clone())).flatten()
    }

    /// A connection that is set up, as workflows see it.
    pub fn connection_ready(&self, workspace: &Name, of: &ConnectionRef) -> Option<Arc<Connection>> {
        self.read(workspace, |shelf| shelf.users.connection(of).and_then(|(_, ready)| ready.clone())).flatten()
    }

    /// Every connection of a user, by integration.
    pub fn connections_of(&self, workspace: &Name, user: &UserId) -> Vec<Arc<Kept<ConnectionSpec>>> {
        self.read(workspace, |shelf| {
            let all = shelf.users.connections.get(user).into_iter().flat_map(BTreeMap::values);
            all.map(|(kept, _)| kept.clone()).collect()
        })
        .unwrap_or_default()
    }

    /// Every connection that `wanted` picks, by user and integration, behind one of these, at most so many.
    pub fn connections_where(
        &self,
        workspace: &Name,
        after: Option<&ConnectionRef>,
        limit: usize,
        wanted: impl Fn(&ConnectionSpec) -> bool,
    ) -> Vec<Arc<Kept<ConnectionSpec>>> {
        self.read(workspace, |shelf| {
            let from = after.map(|after| after.user.clone());
            let users = match &from {
                Some(user) => shelf.users.connections.range(user.clone()..),
                None => shelf.users.connections.range::<UserId, _>(..),
            };
            let all = users.flat_map(|(_, of_user)| of_user.values()).map(|(kept, _)| kept);
            let behind = all.filter(|kept| after.is_none_or(|after| kept.spec.of > *after));
            behind.filter(|kept| wanted(&kept.spec)).take(limit).cloned().collect()
        })
        .unwrap_or_default()
    }

    /// How many connections there are to an integration.
    pub fn connection_count(&self, workspace: &Name, integration: &Name) -> usize {
        self.read(workspace, |shelf| shelf.users.count(integration)).unwrap_or_default()
    }

    /// What a user who has connected starts, wherever it is published.
    pub fn told_of(&self, workspace: &Name, connection: &Connection) -> Vec<Match> {
        let all = self.read(workspace, |shelf| shelf.all_published()).unwrap_or_default();
        all.iter().filter_map(|published| matching::matched_connected(published, connection)).collect()
    }

    /// The keys that tokens of users are verified with, by label.
    pub fn signing_keys(&self, workspace: &Name) -> Vec<(Arc<Kept<SigningKeySpec>>, Arc<SigningKey>)> {
        self.read(workspace, |shelf| shelf.users.signing_keys.values().cloned().collect()).unwrap_or_default()
    }
}
