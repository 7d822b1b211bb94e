//! Bearer tokens: how they are made, how a text that somebody presents is recognised.
//!
//! A token reads `cst_<id>_<secret>`. Only the digest of the secret is kept; it has 192 random bits, so a plain fast
//! digest is enough. The id is no secret: it finds the record, and the digests are compared in constant time.
//!
//! When each was presented last is known in memory at once, and written down now and then for all of them together
//! ([`crate::catalog::Catalog::write_uses`]): a busy token costs no commit.

mod access;
mod rights;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Result;
use camshaft_model::ids::{Digest, Name, ResourceId};
use camshaft_model::time::Timestamp;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use tokio::sync::watch;
use uuid::Uuid;

pub use access::Access;
use access::Presented;
pub use rights::{OfWorkflow, Right, Rights};

use crate::vault::random;

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything, in every workspace.
    Operator,
    /// Everything in its workspace.
    Admin,
    /// Look at everything in its workspace, change nothing.
    Read,
    /// Send events to its workspace, and nothing else.
    Events,
    /// Some of what can be done with this workflow.
    Workflow(OfWorkflow),
}

impl Scope {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Read => "read",
            Self::Events => "events",
            Self::Workflow(_) => "workflow",
        }
    }

    /// The words for what it may do: `operator`, `admin`, `read`, `events`, or the rights with a workflow.
    pub fn words(self) -> Vec<&'static str> {
        match self {
            Self::Workflow(own) => own.rights.iter().map(Right::as_str).collect(),
            wide => vec![wide.as_str()],
        }
    }
}

/// A token as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenSpec {
    /// What people call it.
    pub label: String,
    /// What it may do.
    pub scope: Scope,
    /// Digest of its secret.
    pub digest: Digest,
    /// When it stops being valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was presented last, as of when that was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
}

/// A token that was just made; its text is shown once and kept nowhere.
pub struct Minted {
    /// What the caller presents.
    pub text: String,
    /// What is stored.
    pub digest: Digest,
}

/// Makes a token for an id.
pub fn mint(id: ResourceId) -> Result<Minted> {
    let secret = hex::encode(random::<24>()?);
    Ok(Minted { text: format!("cst_{}_{secret}", id.0.as_simple()), digest: digest(&secret) })
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Label of the token, for logs and journals.
    pub label: Arc<str>,
    /// Whose resources it reaches; for an operator, which ones it wants to reach now.
    pub workspace: Name,
    /// Whether its token is of the operators' own workspace, whose metrics are the instance's.
    pub is_home: bool,
    /// What it may do.
    pub scope: Scope,
    /// Its id; the operator's own has none.
    pub token: Option<ResourceId>,
    /// When it stops being valid.
    pub expires_at: Option<Timestamp>,
}

/// The tokens that are valid now.
pub struct Tokens {
    known: RwLock<HashMap<ResourceId, Known>>,
    operator: Option<Digest>,
    /// The operators' own workspace.
    home: Name,
    /// Access tokens are made with it.
    key: [u8; 32],
    /// Told when a token is revoked.
    revoked: watch::Sender<()>,
}

struct Known {
    caller: Caller,
    digest: Digest,
    /// Microseconds since 1970; 0 is never.
    last_used: AtomicU64,
    /// What of that is written down.
    written: u64,
}

impl Tokens {
    /// No tokens but, where one is given, the operator's own (`CAMSHAFT_ADMIN_TOKEN`), which may have any text. `home` is the
    /// workspace that operators reach where they name none.
    pub fn new(operator: Option<&str>, home: &Name) -> Self {
        Self {
            known: RwLock::default(),
            operator: operator.map(digest),
            home: home.clone(),
            key: [0; 32],
            revoked: watch::Sender::new(()),
        }
    }

    /// With the key that access tokens are made with.
    #[must_use]
    pub fn with_key(self, key: [u8; 32]) -> Self {
        Self { key, ..self }
    }

    /// The operators' own workspace.
    pub fn home(&self) -> &Name {
        &self.home
    }

    /// Makes a token valid.
    pub fn put(&self, id: ResourceId, workspace: &Name, spec: &TokenSpec) {
        let caller = Caller {
            label: spec.label.as_str().into(),
            workspace: workspace.clone(),
            is_home: *workspace == self.home,
            scope: spec.scope,
            token: Some(id),
            expires_at: spec.expires_at,
        };
        let written = spec.last_used_at.map_or(0, |at| at.0);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.get(&id).map_or(0, |known| known.last_used.load(Ordering::Relaxed));
        let last_used = AtomicU64::new(before.max(written));
        known.insert(id, Known { caller, digest: spec.digest, last_used, written });
    }

    /// Makes a token invalid, at once, and every access token that was made for it.
    pub fn remove(&self, id: ResourceId) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.revoked.send_replace(());
    }

    /// Returns when a token is revoked; at once where it is not known.
    pub async fn until_revoked(&self, id: ResourceId) {
        let mut revoked = self.revoked.subscribe();
        while self.known.read().unwrap_or_else(PoisonError::into_inner).contains_key(&id) {
            if revoked.changed().await.is_err() {
                return;
            }
        }
    }

    /// Who presents this text; none where it is no valid token.
    pub fn recognise(&self, text: &str, now: Timestamp) -> Option<Caller> {
        if let Some(operator) = &self.operator
            && bool::from(operator.0.ct_eq(&digest(text).0))
        {
            return Some(Caller {
                label: "operator".into(),
                workspace: self.home.clone(),
                is_home: true,
                scope: Scope::Operator,
                token: None,
                expires_at: None,
            });
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let (known, expires_at) = if let Some(presented) = Presented::read(text) {
            let known = known.get(&presented.id)?;
            let is_real = presented.is_real(&self.key, &known.digest);
            (is_real.then_some(known)?, Some(presented.end))
        } else {
            let (id, secret) = text.strip_prefix("cst_")?.split_once('_')?;
            let known = known.get(&ResourceId(Uuid::try_parse(id).ok()?))?;
            (known.has(secret).then_some(known)?, known.caller.expires_at)
        };
        if [known.caller.expires_at, expires_at].into_iter().flatten().any(|end| end <= now) {
            return None;
        }
        known.last_used.fetch_max(now.0, Ordering::Relaxed);
        Some(Caller { expires_at, ..known.caller.clone() })
    }

    /// An access token for a token's id and its secret, which may be the token's whole text; none where they belong to no
    /// valid token.
    pub fn access(&self, id: &str, secret: &str, now: Timestamp) -> Option<Access> {
        let id = ResourceId(Uuid::try_parse(id).ok()?);
        let secret = secret.strip_prefix(&format!("cst_{}_", id.0.as_simple())).unwrap_or(secret);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(&id)?;
        let end = known.caller.expires_at;
        if !known.has(secret) || end.is_some_and(|end| end <= now) {
            return None;
        }
        known.last_used.fetch_max(now.0, Ordering::Relaxed);
        Some(Access::new(&self.key, id, &known.digest, end, now))
    }

    /// When a token was presented last.
    pub fn last_used(&self, id: ResourceId) -> Option<Timestamp> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let at = known.get(&id)?.last_used.load(Ordering::Relaxed);
        (at != 0).then_some(Timestamp(at))
    }

    /// The tokens that were presented since that was written down, each with its workspace and when.
    pub fn unwritten(&self) -> Vec<(Name, ResourceId, Timestamp)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let used = known.iter().filter_map(|(id, known)| {
            let last_used = known.last_used.load(Ordering::Relaxed);
            (last_used > known.written).then(|| (known.caller.workspace.clone(), *id, Timestamp(last_used)))
        });
        used.collect()
    }
}

impl Known {
    fn has(&self, secret: &str) -> bool {
        self.digest.0.ct_eq(&digest(secret).0).into()
    }
}

fn digest(secret: &str) -> Digest {
    Digest(*blake3::hash(secret.as_bytes()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> Name {
        Name::new("default").unwrap()
    }

    fn spec(minted: &Minted, expires_at: Option<Timestamp>) -> TokenSpec {
        TokenSpec { label: "ci".into(), scope: Scope::Read, digest: minted.digest, expires_at, last_used_at: None }
    }

    #[test]
    fn a_token_is_valid_until_it_expires_or_is_revoked() {
        let id = ResourceId(Uuid::now_v7());
        let minted = mint(id).unwrap();
        let tokens = Tokens::new(None, &workspace());
        assert!(tokens.recognise(&minted.text, Timestamp(1)).is_none(), "not known yet");
        tokens.put(id, &workspace(), &spec(&minted, Some(Timestamp(100))));
        assert_eq!(tokens.last_used(id), None);
        let caller = tokens.recognise(&minted.text, Timestamp(99)).unwrap();
        assert_eq!((&*caller.label, caller.scope), ("ci", Scope::Read));
        assert_eq!(tokens.last_used(id), Some(Timestamp(99)));
        assert!(tokens.recognise(&minted.text, Timestamp(100)).is_none(), "expired");
        tokens.remove(id);
        assert!(tokens.recognise(&minted.text, Timestamp(99)).is_none(), "revoked");
    }

    #[test]
    fn an_access_token_is_as_good_as_its_token_until_either_ends() {
        let hour = 3_600_000_000;
        let id = ResourceId(Uuid::now_v7());
        let minted = mint(id).unwrap();
        let tokens = Tokens::new(None, &workspace()).with_key([7; 32]);
        tokens.put(id, &workspace(), &spec(&minted, None));
        let secret = minted.text.rsplit('_').next().unwrap();
        let now = Timestamp(hour);
        for secret in [secret, &minted.text] {
            let access = tokens.access(&id.to_string(), secret, now).unwrap().text;
            let caller = tokens.recognise(&access, Timestamp(2 * hour - 1)).unwrap();
            assert_eq!((caller.token, caller.scope), (Some(id), Scope::Read));
            assert_eq!(caller.expires_at, Some(Timestamp(2 * hour)));
            assert!(tokens.recognise(&access, Timestamp(2 * hour)).is_none(), "over");
            assert!(!access.contains(secret));
        }
        let other = ResourceId(Uuid::now_v7());
        for (id, secret) in [(id, ""), (id, &secret[1..]), (other, secret)] {
            assert!(tokens.access(&id.to_string(), secret, now).is_none(), "{id}");
        }
        let access = tokens.access(&id.to_string(), secret, now).unwrap().text;
        let foreign = Tokens::new(None, &workspace()).with_key([8; 32]);
        foreign.put(id, &workspace(), &spec(&minted, None));
        assert!(foreign.recognise(&access, now).is_none(), "made with another key");
        tokens.remove(id);
        assert!(tokens.recognise(&access, now).is_none(), "its token is revoked");
    }

    #[test]
    fn what_was_presented_is_told_until_it_is_written_down() {
        let id = ResourceId(Uuid::now_v7());
        let minted = mint(id).unwrap();
        let tokens = Tokens::new(None, &workspace());
        tokens.put(id, &workspace(), &spec(&minted, None));
        assert!(tokens.unwritten().is_empty());
        assert!(tokens.recognise(&minted.text, Timestamp(5)).is_some());
        assert_eq!(tokens.unwritten(), [(workspace(), id, Timestamp(5))]);
        assert!(tokens.recognise(&minted.text, Timestamp(7)).is_some());
        let written = TokenSpec { last_used_at: Some(Timestamp(5)), ..spec(&minted, None) };
        tokens.put(id, &workspace(), &written);
        assert_eq!(tokens.unwritten(), [(workspace(), id, Timestamp(7))], "it was presented meanwhile");
        tokens.put(id, &workspace(), &TokenSpec { last_used_at: Some(Timestamp(7)), ..written });
        assert!(tokens.unwritten().is_empty());
        assert_eq!(tokens.last_used(id), Some(Timestamp(7)));
    }

    #[tokio::test]
    async fn whoever_waits_for_it_hears_of_the_token_s_end() {
        let (id, other) = (ResourceId(Uuid::now_v7()), ResourceId(Uuid::now_v7()));
        let tokens = Tokens::new(None, &workspace());
        for id in [id, other] {
            tokens.put(id, &workspace(), &spec(&mint(id).unwrap(), None));
        }
        let mut waits = std::pin::pin!(tokens.until_revoked(id));
        assert!(futures::poll!(&mut waits).is_pending());
        tokens.remove(other);
        assert!(futures::poll!(&mut waits).is_pending(), "another one was revoked");
        tokens.remove(id);
        assert!(futures::poll!(&mut waits).is_ready());
        tokens.until_revoked(id).await;
    }

    #[test]
    fn only_the_whole_text_is_the_token() {
        let id = ResourceId(Uuid::now_v7());
        let minted = mint(id).unwrap();
        let tokens = Tokens::new(None, &workspace());
        tokens.put(id, &workspace(), &spec(&minted, None));
        let other = mint(id).unwrap().text;
        let shorter = &minted.text[..minted.text.len() - 1];
        let longer = format!("{}0", minted.text);
        for wrong in ["", "cst_", "cst__", "csa_", &other, shorter, &longer, &minted.text.replace("cst_", "xst_")] {
            assert!(tokens.recognise(wrong, Timestamp(1)).is_none(), "{wrong}");
        }
        assert!(
            !serde_json::to_string(&spec(&minted, None)).unwrap().contains(minted.text.rsplit('_').next().unwrap())
        );
    }

    #[test]
    fn the_operator_s_token_may_have_any_text() {
        let tokens = Tokens::new(Some("open sesame"), &workspace());
        assert_eq!(tokens.recognise("open sesame", Timestamp(1)).unwrap().scope, Scope::Operator);
        assert!(tokens.recognise("open sesam", Timestamp(1)).is_none());
        assert!(Tokens::new(None, &workspace()).recognise("", Timestamp(1)).is_none());
    }
}
