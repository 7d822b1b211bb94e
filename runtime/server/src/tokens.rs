//! Bearer tokens: how they are made, how a text that somebody presents is recognised.
//!
//! A token reads `cst_<id>_<secret>`. Only the digest of the secret is kept; it has 192 random bits, so a plain fast
//! digest is enough. The id is no secret: it finds the record, and the digests are compared in constant time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Result;
use camshaft_model::ids::{Digest, Name, ResourceId};
use camshaft_model::time::Timestamp;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use uuid::Uuid;

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
    /// Trigger this workflow, and see and cancel its executions.
    Workflow(ResourceId),
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
}

/// The tokens that are valid now.
pub struct Tokens {
    known: RwLock<HashMap<ResourceId, Known>>,
    operator: Option<Digest>,
    /// The operators' own workspace.
    home: Name,
}

struct Known {
    caller: Caller,
    digest: Digest,
    expires_at: Option<Timestamp>,
    last_used: AtomicU64,
}

impl Tokens {
    /// No tokens but, where one is given, the operator's own (`CAMSHAFT_ADMIN_TOKEN`), which may have any text. `home` is the
    /// workspace that operators reach where they name none.
    pub fn new(operator: Option<&str>, home: &Name) -> Self {
        Self { known: RwLock::default(), operator: operator.map(digest), home: home.clone() }
    }

    /// The operators' own workspace.
    pub fn home(&self) -> &Name {
        &self.home
    }

    /// Makes a token valid.
    pub fn put(&self, id: ResourceId, workspace: &Name, spec: &TokenSpec) {
        let known = Known {
            caller: Caller {
                label: spec.label.as_str().into(),
                workspace: workspace.clone(),
                is_home: *workspace == self.home,
                scope: spec.scope,
            },
            digest: spec.digest,
            expires_at: spec.expires_at,
            last_used: AtomicU64::new(0),
        };
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(id, known);
    }

    /// Makes a token invalid, at once.
    pub fn remove(&self, id: ResourceId) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// Who presents this text; none where it is no valid token.
    pub fn recognise(&self, text: &str, now: Timestamp) -> Option<Caller> {
        if let Some(operator) = &self.operator
            && bool::from(operator.0.ct_eq(&digest(text).0))
        {
            let workspace = self.home.clone();
            return Some(Caller { label: "operator".into(), workspace, is_home: true, scope: Scope::Operator });
        }
        let (id, secret) = text.strip_prefix("cst_")?.split_once('_')?;
        let id = ResourceId(Uuid::try_parse(id).ok()?);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(&id)?;
        let same = bool::from(known.digest.0.ct_eq(&digest(secret).0));
        if !same || known.expires_at.is_some_and(|end| end <= now) {
            return None;
        }
        known.last_used.store(now.0, Ordering::Relaxed);
        Some(known.caller.clone())
    }

    /// When a token was presented last, since this server started.
    pub fn last_used(&self, id: ResourceId) -> Option<Timestamp> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let at = known.get(&id)?.last_used.load(Ordering::Relaxed);
        (at != 0).then_some(Timestamp(at))
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
        TokenSpec { label: "ci".into(), scope: Scope::Read, digest: minted.digest, expires_at }
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
    fn only_the_whole_text_is_the_token() {
        let id = ResourceId(Uuid::now_v7());
        let minted = mint(id).unwrap();
        let tokens = Tokens::new(None, &workspace());
        tokens.put(id, &workspace(), &spec(&minted, None));
        let other = mint(id).unwrap().text;
        let shorter = &minted.text[..minted.text.len() - 1];
        let longer = format!("{}0", minted.text);
        for wrong in ["", "cst_", "cst__", &other, shorter, &longer, &minted.text.replace("cst_", "xst_")] {
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
