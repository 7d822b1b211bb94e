//! The state of an execution: what its entries, applied in order, add up to.
//!
//! The same [`State::apply`] runs live, after a crash and for the timeline; so an entry carries everything that its
//! application needs, and an entry that does not follow from those before it is refused, never guessed at.

mod frames;
mod open;
mod scope;
mod take;
mod told;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value};

pub use self::open::{
    Forked, Frame, Inbox, Leaving, Looping, Open, Passed, Received, Repeating, Stage, TryPart, Trying,
};
use self::scope::Turn;
use crate::entry::{At, Entry, FrameId, IllegalEntry, Sequence};
use crate::invocation::Invocation;
use crate::outcome::Outcome;
use crate::program::ROOT;
use crate::time::Timestamp;

/// An execution, folded from its journal.
#[derive(Debug, Clone)]
pub struct State {
    /// What was accepted.
    pub invocation: Arc<Invocation>,
    /// When.
    pub accepted_at: Timestamp,
    /// When it stood in line.
    pub queued_at: Option<Timestamp>,
    /// When it began to run.
    pub started_at: Option<Timestamp>,
    /// When the latest entry was written.
    pub updated_at: Timestamp,
    /// Number of entries applied; the sequence of the next one.
    pub next_sequence: Sequence,
    /// Open activations of blocks.
    pub frames: BTreeMap<FrameId, Frame>,
    /// Steps that have begun and not ended.
    pub open: BTreeMap<At, Open>,
    /// `$.vars`: an object.
    pub variables: Value,
    /// Events that came for it.
    pub inbox: Inbox,
    /// Who asked for the end.
    pub cancel: Option<String>,
    /// How it ended.
    pub outcome: Option<Arc<Outcome>>,
    /// Memory that it keeps, bytes, roughly: outputs, variables, what loops go over and collect, what open steps hold, events.
    pub kept_bytes: usize,
    turns: HashMap<FrameId, Turn>,
    execution: Value,
    frames_made: u32,
}

impl State {
    /// The state after the first entry, which must be `accepted`.
    pub fn begin(entry: &Entry) -> Result<Self, IllegalEntry> {
        let Entry::Accepted { time, invocation } = entry else {
            return Err(illegal(0, entry, "the first entry of a journal is `accepted`"));
        };
        let root = Frame {
            block: ROOT,
            owner: None,
            next: 0,
            last: Arc::new(Value::Null),
            wrote: Vec::new(),
            wrote_before: 0,
            leaving: None,
            scope: FrameId::ROOT,
            error: None,
        };
        Ok(Self {
            accepted_at: *time,
            queued_at: None,
            started_at: None,
            updated_at: *time,
            next_sequence: 1,
            frames: BTreeMap::from([(FrameId::ROOT, root)]),
            open: BTreeMap::new(),
            variables: Value::Object(Map::new()),
            inbox: Inbox::default(),
            cancel: None,
            outcome: None,
            kept_bytes: 0,
            turns: HashMap::from([(FrameId::ROOT, Turn::root())]),
            execution: Value::Null,
            frames_made: 1,
            invocation: invocation.clone(),
        })
    }

    /// Folds a whole journal.
    pub fn fold<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Result<Option<Self>, IllegalEntry> {
        let mut entries = entries.into_iter();
        let Some(first) = entries.next() else {
            return Ok(None);
        };
        let mut state = Self::begin(first)?;
        entries.try_for_each(|entry| state.apply(entry))?;
        Ok(Some(state))
    }

    /// Takes the next entry in. On error the state is as it was.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), IllegalEntry> {
        let sequence = self.next_sequence;
        self.take(entry).map_err(|why| illegal(sequence, entry, why))?;
        self.updated_at = entry.time();
        self.next_sequence += 1;
        Ok(())
    }
}

/// How a block that is over, or left, has passed.
pub fn passed(frame: &Frame) -> Passed {
    match &frame.leaving {
        None => Passed::Ended(frame.last.clone()),
        Some(leaving) => Passed::Left(leaving.clone()),
    }
}

fn refuse<T>(why: &str) -> Result<T, String> {
    Err(why.to_owned())
}

fn illegal(sequence: Sequence, entry: &Entry, why: impl Into<String>) -> IllegalEntry {
    IllegalEntry { sequence, word: entry.word(), why: why.into() }
}
