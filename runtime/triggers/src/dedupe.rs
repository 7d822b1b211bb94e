//! The identity of deliveries: for one that came before, the first answer is given again and nothing starts.
//!
//! The truth is the engine's append, which refuses a key that was seen. The look here comes first so that a repeated
//! delivery spends nothing of the workspace's rate.

use camshaft_model::ids::{Digest, Name};
use camshaft_model::invocation::{DeliveryKey, SeenDelivery};
use camshaft_model::limits;
use camshaft_model::seams::{Store, StoreError};
use camshaft_model::time::Timestamp;

/// Longest id that is stored as it came, bytes. A longer one is stored as its digest, so that two never fall together.
const ID_BYTES_MAX: usize = 255;

/// Stands for the body's digest where the body does not matter. A vendor's id names the delivery whatever its bytes: a
/// second attempt may well differ (a retry counter, a new timestamp) and is the same delivery. A caller who chose a key
/// and then sends something else under it has made a mistake, and is told so.
const ANY_BODY: Digest = Digest([0; 32]);

/// Where ids are unique: an integration, or one of a workflow's two URLs under it, in an environment. The URL is part of
/// it because the answer is: one who asked for an outcome is not helped by an earlier caller's id.
#[derive(Debug)]
pub(crate) struct DeliveryScope<'a> {
    pub(crate) workspace: &'a Name,
    pub(crate) integration: &'a Name,
    /// Whose integration it is, where it is not the workspace's own.
    pub(crate) lent_by: Option<&'a Name>,
    pub(crate) workflow: Option<&'a Name>,
    pub(crate) waits: bool,
    pub(crate) environment: &'a Name,
}

impl DeliveryScope<'_> {
    /// The identity of an event that its vendor gave an id.
    pub(crate) fn vendor(&self, id: &str, at: Timestamp) -> SeenDelivery {
        self.seen("", id, ANY_BODY, at)
    }

    /// The identity of a delivery whose caller sent an `Idempotency-Key`. Kept apart from the vendors' ids: the two are
    /// chosen by different parties and may be equal by accident.
    pub(crate) fn caller(&self, key: &str, body: &[u8], at: Timestamp) -> SeenDelivery {
        self.seen("idempotency-key/", key, Digest(*blake3::hash(body).as_bytes()), at)
    }

    fn seen(&self, of: &str, id: &str, body: Digest, at: Timestamp) -> SeenDelivery {
        let mut scope = format!("{of}integration/{}", self.integration);
        if let Some(lender) = self.lent_by {
            scope.push_str("/of/");
            scope.push_str(lender.as_str());
        }
        if let Some(workflow) = self.workflow {
            scope.push_str("/workflow/");
            scope.push_str(workflow.as_str());
        }
        if self.waits {
            scope.push_str("/sync");
        }
        scope.push_str("/environment/");
        scope.push_str(self.environment.as_str());
        let id = if id.len() <= ID_BYTES_MAX {
            id.to_owned()
        } else {
            format!("blake3:{}", blake3::hash(id.as_bytes()).to_hex())
        };
        let key = DeliveryKey { workspace: self.workspace.clone(), scope, id };
        SeenDelivery { key, body, at, executions: Vec::new() }
    }
}

/// The delivery as it was seen within the window before, if it was.
pub(crate) async fn seen_before(
    store: &dyn Store,
    delivery: &SeenDelivery,
) -> Result<Option<SeenDelivery>, StoreError> {
    let window = u64::try_from(limits::DEDUPE_WINDOW.as_micros()).unwrap_or(u64::MAX);
    store.delivery(&delivery.key, Timestamp(delivery.at.0.saturating_sub(window))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_unique_within_its_url_and_environment_and_by_who_chose_it() {
        let name = |text| Name::new(text).unwrap();
        let (workspace, integration, workflow) = (name("default"), name("github"), name("triage"));
        let (production, staging) = (name("production"), name("staging"));
        let all = DeliveryScope {
            workspace: &workspace,
            integration: &integration,
            lent_by: None,
            workflow: None,
            waits: false,
            environment: &production,
        };
        let one = DeliveryScope { workflow: Some(&workflow), ..all };
        let scopes = [
            all.vendor("1", Timestamp(0)),
            all.caller("1", b"", Timestamp(0)),
            one.vendor("1", Timestamp(0)),
            DeliveryScope { waits: true, ..one }.vendor("1", Timestamp(0)),
            DeliveryScope { environment: &staging, ..all }.vendor("1", Timestamp(0)),
        ]
        .map(|seen| seen.key.scope);
        for (n, scope) in scopes.iter().enumerate() {
            assert!(!scopes[..n].contains(scope), "{scope}");
        }
    }

    #[test]
    fn ids_too_long_to_store_stay_apart() {
        let name = |text| Name::new(text).unwrap();
        let (workspace, integration, environment) = (name("default"), name("github"), name("production"));
        let scope = DeliveryScope {
            workspace: &workspace,
            integration: &integration,
            lent_by: None,
            workflow: None,
            waits: false,
            environment: &environment,
        };
        let id = |end: &str, length| scope.vendor(&format!("{}{end}", "x".repeat(length)), Timestamp(0)).key.id;
        assert_eq!(id("a", 254), format!("{}a", "x".repeat(254)));
        assert!(id("a", 255).len() <= ID_BYTES_MAX);
        assert_ne!(id("a", 255), id("b", 255));
    }
}
