//! What the token of a workflow may do with it.

use camshaft_model::ids::ResourceId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One of the things that a workflow's token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Start the workflow, and tell its executions something: an event, an answer, to stop, to run again.
    Trigger,
    /// Look at its executions.
    Read,
    /// Enable and disable its triggers.
    Manage,
}

impl Right {
    /// Every right, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Trigger, Self::Read, Self::Manage];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Read => "read",
            Self::Manage => "manage",
        }
    }
}

/// Rights, each once or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Right>", into = "Vec<Right>")]
pub struct Rights(u8);

impl Rights {
    /// What a token has whose maker does not say: to trigger and to read.
    pub const USUAL: Self = Self(1 << Right::Trigger as u8 | 1 << Right::Read as u8);

    /// Whether this right is among them.
    pub fn has(self, right: Right) -> bool {
        self.0 & 1 << right as u8 != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.has(*right))
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().fold(0, |all, right| all | 1 << right as u8))
    }
}

impl From<Vec<Right>> for Rights {
    fn from(rights: Vec<Right>) -> Self {
        rights.into_iter().collect()
    }
}

impl From<Rights> for Vec<Right> {
    fn from(rights: Rights) -> Self {
        rights.iter().collect()
    }
}

/// A workflow, and what may be done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct OfWorkflow {
    /// Its id.
    pub id: ResourceId,
    /// What may be done.
    pub rights: Rights,
}

/// As tokens have it that were made before there were rights, and as they have it now.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Plain(ResourceId),
    WithRights { id: ResourceId, rights: Rights },
}

impl From<Stored> for OfWorkflow {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Plain(id) => Self { id, rights: Rights::USUAL },
            Stored::WithRights { id, rights } => Self { id, rights },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Scope;

    #[test]
    fn a_token_that_was_made_before_there_were_rights_triggers_and_reads() {
        let id = ResourceId::from_bytes([1; 16]);
        let stored = format!(r#"{{"workflow":"{id}"}}"#);
        let scope: Scope = serde_json::from_str(&stored).unwrap();
        assert_eq!(scope, Scope::Workflow(OfWorkflow { id, rights: Rights::USUAL }));
        assert_eq!(Rights::USUAL.iter().collect::<Vec<_>>(), [Right::Trigger, Right::Read]);
    }

    #[test]
    fn rights_are_read_as_they_were_written() {
        let id = ResourceId::from_bytes([1; 16]);
        for rights in [vec![], vec![Right::Manage], vec![Right::Trigger, Right::Read, Right::Manage]] {
            let scope = Scope::Workflow(OfWorkflow { id, rights: rights.clone().into() });
            let written = serde_json::to_string(&scope).unwrap();
            assert_eq!(serde_json::from_str::<Scope>(&written).unwrap(), scope, "{written}");
            assert_eq!(Vec::from(Rights::from(rights.clone())), rights);
        }
        let unknown = format!(r#"{{"workflow":{{"id":"{id}","rights":["fly"]}}}}"#);
        assert!(serde_json::from_str::<Scope>(&unknown).is_err(), "a right of a later release is no right of ours");
    }
}
