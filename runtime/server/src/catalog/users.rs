//! The users of a workspace, their connections, and the keys that tokens of theirs are verified with. A part of the shelf.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use camshaft_model::Value;
use camshaft_model::connection::{Connection, ConnectionRef};
use camshaft_model::ids::{Name, ResourceId, UserId};
use camshaft_model::resource::{Resource, ResourceKey, ResourceKind};
use camshaft_model::seams::StoreError;

use super::specs::{self, ConnectionSpec, Kept, SigningKeySpec, UserSpec};
use crate::signing_keys::SigningKey;
use crate::vault::Vault;

/// A connection as it is stored, and ready for workflows once it is set up.
type Connected = (Arc<Kept<ConnectionSpec>>, Option<Arc<Connection>>);

/// Users, connections, signing keys.
#[derive(Default)]
pub(super) struct Users {
    pub(super) users: BTreeMap<UserId, Arc<Kept<UserSpec>>>,
    /// By user, then integration.
    pub(super) connections: BTreeMap<UserId, BTreeMap<Name, Connected>>,
    /// Whose each stored connection is, by its key's name.
    places: HashMap<String, ConnectionRef>,
    /// The connections that are set up and have a workflow enabled.
    enabling: HashMap<ResourceId, BTreeSet<(UserId, Name)>>,
    /// How many connections there are to an integration.
    counts: HashMap<Name, usize>,
    pub(super) signing_keys: BTreeMap<String, (Arc<Kept<SigningKeySpec>>, Arc<SigningKey>)>,
}

impl Users {
    pub(super) fn take(&mut self, resource: &Resource, vault: &Vault) -> Result<(), StoreError> {
        let ResourceKey { kind, name, .. } = &resource.key;
        let damaged = |why: String| StoreError::Damaged(format!("{} `{name}`: {why}", kind.as_str()));
        match kind {
            ResourceKind::User => {
                let user = UserId::new(name).map_err(|error| damaged(error.to_string()))?;
                self.users.insert(user.clone(), Arc::new(Kept::read(resource)?));
                // What workflows see of a connection holds what the app says of its user.
                let of_user = self.connections.get(&user).into_iter().flat_map(BTreeMap::values);
                for kept in of_user.map(|(kept, _)| kept.clone()).collect::<Vec<_>>() {
                    self.connect(kept);
                }
            }
            ResourceKind::Connection => {
                let kept: Kept<ConnectionSpec> = Kept::read(resource)?;
                // Found out now, not in the middle of an execution.
                for (credential, sealed) in &kept.spec.credentials {
                    let opened = vault.unseal(&specs::credential_place(&kept.key, credential), sealed);
                    opened.map_err(|error| damaged(error.to_string()))?;
                }
                self.connect(Arc::new(kept));
            }
            ResourceKind::SigningKey => {
                let kept: Kept<SigningKeySpec> = Kept::read(resource)?;
                let key = SigningKey::read(&kept.spec.pem).map_err(|error| damaged(error.to_string()))?;
                self.signing_keys.insert(name.clone(), (Arc::new(kept), Arc::new(key)));
            }
            _ => {}
        }
        Ok(())
    }

    fn connect(&mut self, kept: Arc<Kept<ConnectionSpec>>) {
        let of = kept.spec.of.clone();
        self.disconnect(&of);
        let metadata = self.users.get(&of.user).map(|user| Value::Object(user.spec.metadata.clone()));
        let settings = Value::Object(kept.spec.settings.clone());
        let ready = kept.spec.connected_at.map(|_| {
            let seen = (&metadata.unwrap_or_default(), &settings);
            Arc::new(Connection::new(kept.id, of.clone(), kept.spec.enabled.clone(), seen))
        });
        for workflow in ready.iter().flat_map(|ready| ready.enabled.keys()) {
            self.enabling.entry(*workflow).or_default().insert((of.user.clone(), of.integration.clone()));
        }
        self.places.insert(kept.key.name.clone(), of.clone());
        *self.counts.entry(of.integration.clone()).or_default() += 1;
        self.connections.entry(of.user).or_default().insert(of.integration, (kept, ready));
    }

    fn disconnect(&mut self, of: &ConnectionRef) {
        let Some(of_user) = self.connections.get_mut(&of.user) else { return };
        let Some((kept, _)) = of_user.remove(&of.integration) else { return };
        if of_user.is_empty() {
            self.connections.remove(&of.user);
        }
        let place = (of.user.clone(), of.integration.clone());
        for workflow in kept.spec.enabled.keys() {
            if let Some(enabling) = self.enabling.get_mut(workflow) {
                enabling.remove(&place);
                if enabling.is_empty() {
                    self.enabling.remove(workflow);
                }
            }
        }
        if let Some(count) = self.counts.get_mut(&of.integration) {
            *count -= 1;
        }
    }

    pub(super) fn forget(&mut self, key: &ResourceKey) {
        match key.kind {
            ResourceKind::User => {
                if let Ok(user) = UserId::new(&key.name) {
                    self.users.remove(&user);
                }
            }
            ResourceKind::Connection => {
                if let Some(of) = self.places.remove(&key.name) {
                    self.disconnect(&of);
                }
            }
            ResourceKind::SigningKey => {
                self.signing_keys.remove(&key.name);
            }
            _ => {}
        }
    }

    /// A connection.
    pub(super) fn connection(&self, of: &ConnectionRef) -> Option<&Connected> {
        self.connections.get(&of.user)?.get(&of.integration)
    }

    /// How many connections there are to an integration.
    pub(super) fn count(&self, integration: &Name) -> usize {
        self.counts.get(integration).copied().unwrap_or_default()
    }

    /// The connections of a user that are set up, by integration.
    pub(super) fn ready(&self, user: &UserId) -> Vec<Arc<Connection>> {
        let all = self.connections.get(user).into_iter().flat_map(BTreeMap::values);
        all.filter_map(|(_, ready)| ready.clone()).collect()
    }

    /// The connections to an integration that are set up and have a workflow enabled, by user.
    pub(super) fn enabling(&self, integration: &Name, workflow: ResourceId) -> Vec<Arc<Connection>> {
        let Some(enabling) = self.enabling.get(&workflow) else { return Vec::new() };
        let here = enabling.iter().filter(|(_, to)| to == integration);
        here.filter_map(|(user, to)| self.connections.get(user)?.get(to)?.1.clone()).collect()
    }
}
