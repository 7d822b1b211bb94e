//! The executions under way in this server, and the ways to talk to each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use camshaft_model::ids::ExecutionId;
use camshaft_model::invocation::SeenDelivery;
use camshaft_model::outcome::Outcome;
use camshaft_model::seams::StoreError;
use tokio::sync::{Notify, mpsc, oneshot, watch};

/// What an execution can be told while it is driven.
pub(crate) enum Command {
    /// Make durable what has been reached, then answer.
    Flush(oneshot::Sender<Result<(), StoreError>>),
    /// Note the wish to end, make it durable, then answer.
    Cancel(String, oneshot::Sender<Result<(), StoreError>>),
    /// Write down what has been reached and let go.
    Stop,
}

/// How the driving of an execution stands, for those who wait for it.
#[derive(Debug, Clone)]
pub(crate) enum Progress {
    /// It goes on.
    Going,
    /// It ended, durably.
    Ended(Arc<Outcome>),
    /// It never was: its delivery had come before.
    Duplicate(Box<SeenDelivery>),
    /// It never was: its first entries could not be made durable.
    NotDurable(String),
    /// This server let go of it; another start goes on with it.
    LetGo,
}

/// One execution under way.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    pub(crate) progress: watch::Receiver<Progress>,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Live {
    handles: Mutex<HashMap<ExecutionId, Handle>>,
    emptied: Notify,
}

impl Live {
    pub(crate) fn insert(&self, id: ExecutionId, handle: Handle) {
        self.lock().insert(id, handle);
    }

    pub(crate) fn remove(&self, id: ExecutionId) {
        let mut handles = self.lock();
        handles.remove(&id);
        if handles.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    pub(crate) fn get(&self, id: ExecutionId) -> Option<Handle> {
        self.lock().get(&id).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(crate) fn stop_all(&self) {
        for handle in self.lock().values() {
            // One that has just ended no longer listens, and needs not.
            let _ = handle.commands.send(Command::Stop);
        }
    }

    pub(crate) async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            if self.len() == 0 {
                return;
            }
            emptied.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ExecutionId, Handle>> {
        // Nothing panics while holding it; a poisoned map is still whole.
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
