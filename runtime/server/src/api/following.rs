//! Following an execution: its entries, those that are there, then each as it becomes durable, from any position on.
//!
//! ```text
//!   subscribe to notices ─► read a page of the journal ─► hand it out ─┐
//!             ▲                     ▲                                  │ nothing more
//!             └─ a notice of this execution, or too many missed ◄──────┘
//! ```
//! A notice only says where to look. What is handed out comes out of the store, so nothing is told that is not durable, and a
//! listener that lags behind loses nothing. One page at a time is in memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use camshaft_engine::Appended;
use camshaft_model::entry::{At, Entry, Sequence};
use camshaft_model::ids::{ExecutionId, ResourceId};
use camshaft_model::program::Program;
use camshaft_model::seams::Directory;
use camshaft_model::summary::{Status, Summary};
use camshaft_model::time::Timestamp;
use camshaft_model::{Value, json};
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::App;
use crate::tokens::Caller;

/// Entries that are read at once.
const PAGE: usize = 32;
/// How long one stream lasts. Its client comes again and goes on where it was, and its token is looked at anew.
const LASTS: Duration = Duration::from_secs(15 * 60);

/// Whoever follows an execution.
pub struct Following {
    app: App,
    id: ExecutionId,
    /// Its steps; none where its revision cannot be read any more.
    pub program: Option<Arc<Program>>,
    /// Whose revocation ends it.
    token: Option<ResourceId>,
    /// Position of the first entry that is not handed out yet.
    next: Sequence,
    /// Entries from there on.
    read: VecDeque<Entry>,
    notices: Receiver<Appended>,
    until: Timestamp,
    stage: Stage,
}

enum Stage {
    Reading,
    /// The last entry is handed out.
    Ended(Status),
    Over,
}

/// What is told of an execution.
pub enum Told {
    /// An entry and its position.
    Entry(Sequence, Box<Entry>),
    /// Nothing follows.
    End(Status),
}

impl Following {
    /// Follows an execution from a position on. The notices began before the summary was read: an append is either read or
    /// told of.
    pub async fn new(
        app: App,
        caller: &Caller,
        summary: &Summary,
        next: Sequence,
        notices: Receiver<Appended>,
    ) -> Self {
        let until = caller.expires_at.unwrap_or(Timestamp(u64::MAX)).min(app.clock.now().plus(LASTS));
        let revision = app.catalog.revision(&summary.workspace, &summary.revision, &summary.environment).await;
        let program = revision.ok().map(|published| published.program.clone());
        let read = VecDeque::new();
        Self { app, id: summary.id, program, token: caller.token, next, read, notices, until, stage: Stage::Reading }
    }

    /// What comes next; none where there is nothing more to be told now: behind the end, or because the server stops, the
    /// token ends or the time is over.
    pub async fn next(&mut self) -> Option<Told> {
        let mut is_told = false;
        loop {
            if let Some(entry) = self.read.pop_front() {
                let at = self.next;
                self.next += 1;
                if let Entry::Ended { outcome, .. } = &entry {
                    self.stage = Stage::Ended(outcome.ending.into());
                }
                return Some(Told::Entry(at, Box::new(entry)));
            }
            match self.stage {
                Stage::Reading => {}
                Stage::Ended(status) => {
                    self.stage = Stage::Over;
                    return Some(Told::End(status));
                }
                Stage::Over => return None,
            }
            match self.app.store.entries(self.id, self.next, PAGE).await {
                Ok(entries) if entries.is_empty() => {
                    // It may be forgotten by now.
                    if is_told && !matches!(self.app.store.summary(self.id).await, Ok(Some(_))) {
                        return None;
                    }
                }
                Ok(entries) => {
                    self.read = entries.into();
                    continue;
                }
                Err(error) => {
                    tracing::warn!(execution = %self.id, %error, "a stream is closed: its journal cannot be read");
                    return None;
                }
            }
            if !self.is_told_of_more().await {
                return None;
            }
            is_told = true;
        }
    }

    /// An entry as the journal shows it, and the path of the step that it is about.
    pub fn shown(&self, entry: &Entry) -> Value {
        let mut shown = json!(entry);
        let inside = shown.get_mut(entry.word()).and_then(Value::as_object_mut);
        if let (Some(inside), Some(program)) = (inside, &self.program)
            && let Some(At(_, step)) = inside.get("at").and_then(|at| At::deserialize(at).ok())
        {
            let path = program.steps.get(step.0 as usize).map(|step| step.path.clone());
            inside.insert("step".to_owned(), json!(path));
        }
        shown
    }

    /// Waits for a notice of what is not read yet. False where the stream has to close.
    async fn is_told_of_more(&mut self) -> bool {
        let Self { app, id, token, next, notices, until, .. } = self;
        let over = app.clock.sleep_until(*until);
        let stopping = app.readiness.until_stopping();
        let revoked = async {
            match token {
                Some(token) => app.catalog.tokens().until_revoked(*token).await,
                None => std::future::pending().await,
            }
        };
        let told = async {
            loop {
                match notices.recv().await {
                    Ok(appended) if appended.execution == *id && appended.next > *next => return true,
                    Ok(_) => {}
                    // Among those missed may be one of ours.
                    Err(RecvError::Lagged(_)) => return true,
                    Err(RecvError::Closed) => return false,
                }
            }
        };
        tokio::select! { told = told => told, () = over => false, () = stopping => false, () = revoked => false }
    }
}
