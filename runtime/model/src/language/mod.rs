//! The workflow document: text in, a checked workflow and its program out, or every fault at once.
//!
//! ```text
//!   text ─► document (tree with places) ─► head, triggers, steps ─► Workflow, Program, pins
//!                                             │  expressions ─► native, or filter (jq)
//!                                             └► faults ─► diagnostics, in the order of the document
//! ```

pub mod diagnose;
pub mod expression;
pub mod template;

mod compile;
mod document;
mod faults;
mod filter;
mod head;
mod holes;
mod native;
mod scalars;
mod schedules;
mod schema;
mod steps;
mod triggers;
mod visible;

use std::collections::BTreeMap;

use semver::{Version, VersionReq};

use crate::ids::Name;
use crate::plugin::PluginPin;
use crate::program::Program;
use crate::workflow::Workflow;

pub use compile::compile;
pub use faults::nearest;
pub use schema::schema;

/// A document that is in order.
#[derive(Debug)]
pub struct Compiled {
    /// What it says.
    pub workflow: Workflow,
    /// Its steps.
    pub program: Program,
    /// Each reference to a task as it is written (`http-request@1`), and the release that it means.
    pub pins: BTreeMap<String, PluginPin>,
    /// Secrets that it names.
    pub secrets: Vec<crate::ids::SecretName>,
}

/// Finds task plugins for a document.
pub trait FindTask {
    /// The newest release of a task within a range.
    fn find(&self, name: &Name, range: &VersionReq) -> Result<PluginPin, TaskMissing>;
    /// The names of all tasks, for suggestions.
    fn names(&self) -> Vec<String>;
}

/// Why a task was not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskMissing {
    /// Nothing has this name.
    NoSuchPlugin,
    /// It is an adapter.
    NotATask,
    /// These are there, and none is within the range.
    NoSuchVersion(Vec<Version>),
}

/// Finds exactly what a revision has pinned, so that it compiles to the same program for ever.
pub struct Pins<'a>(pub &'a BTreeMap<String, PluginPin>);

impl FindTask for Pins<'_> {
    fn find(&self, name: &Name, range: &VersionReq) -> Result<PluginPin, TaskMissing> {
        let own = self.0.iter().filter(|(_, pin)| pin.name == *name);
        own.map(|(_, pin)| pin)
            .filter(|pin| range.matches(&pin.version))
            .max_by(|a, b| a.version.cmp(&b.version))
            .cloned()
            .ok_or(TaskMissing::NoSuchPlugin)
    }

    fn names(&self) -> Vec<String> {
        self.0.values().map(|pin| pin.name.to_string()).collect()
    }
}
