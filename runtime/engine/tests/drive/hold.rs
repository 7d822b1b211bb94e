//! Calls of a plugin and evaluations that end when a test says so, and which know how many are under way.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};

use camshaft_model::Value;
use camshaft_model::outcome::{Failure, FailureKind};
use camshaft_model::seams::TaskCall;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{oneshot, watch};

type Done = Result<Value, Failure>;

/// Calls by the text of their input.
#[derive(Default)]
pub struct Hold(Mutex<Held>);

#[derive(Default)]
struct Held {
    under_way: BTreeMap<String, oneshot::Sender<Done>>,
    most: usize,
    dropped: Vec<String>,
}

/// Notes when a call is dropped before its end.
struct Guard {
    hold: Arc<Hold>,
    key: String,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut held = self.hold.0.lock().unwrap();
        if held.under_way.remove(&self.key).is_some() {
            held.dropped.push(self.key.clone());
        }
    }
}

impl Hold {
    pub fn enter(self: &Arc<Self>, call: &TaskCall) -> BoxFuture<'static, Done> {
        let key = call.input.value.as_str().map_or_else(|| call.input.value.to_string(), str::to_owned);
        let (sender, done) = oneshot::channel();
        let mut held = self.0.lock().unwrap();
        assert!(held.under_way.insert(key.clone(), sender).is_none(), "`{key}` is under way already");
        held.most = held.most.max(held.under_way.len());
        drop(held);
        let guard = Guard { hold: self.clone(), key };
        async move {
            let done = done.await.expect("whoever ends a call says how");
            drop(guard);
            done
        }
        .boxed()
    }

    fn end(&self, key: &str, done: Done) {
        let sender = self.0.lock().unwrap().under_way.remove(key);
        sender.unwrap_or_else(|| panic!("`{key}` is not under way")).send(done).unwrap();
    }

    /// Ends a call well, with its input as its output.
    pub fn open(&self, key: &str) {
        self.end(key, Ok(key.into()));
    }

    /// Ends a call with a failure.
    pub fn fail(&self, key: &str) {
        self.end(key, Err(Failure::new(FailureKind::Failed, format!("{key} failed"))));
    }

    pub fn under_way(&self) -> Vec<String> {
        self.0.lock().unwrap().under_way.keys().cloned().collect()
    }

    /// Most that were under way at once.
    pub fn most(&self) -> usize {
        self.0.lock().unwrap().most
    }

    /// Calls that were dropped before their end, in their order.
    pub fn dropped(&self) -> Vec<String> {
        self.0.lock().unwrap().dropped.clone()
    }
}

/// Evaluations that end when a test says so.
#[derive(Default)]
pub struct Crowd {
    inside: watch::Sender<Vec<Value>>,
    /// How many may end.
    may_end: Mutex<usize>,
    over: Condvar,
}

impl Crowd {
    /// An evaluation, which takes its time as the sandbox does: beside the other work of its thread.
    pub fn enter(&self, context: &str) {
        let context: Value = serde_json::from_str(context).unwrap();
        self.inside.send_modify(|inside| inside.push(context["event"]["body"].clone()));
        tokio::task::block_in_place(|| {
            let mut may_end = self.over.wait_while(self.may_end.lock().unwrap(), |may_end| *may_end == 0).unwrap();
            *may_end -= 1;
        });
    }

    /// What `$.event.body` is of those that have begun.
    pub fn inside(&self) -> watch::Receiver<Vec<Value>> {
        self.inside.subscribe()
    }

    /// One ends.
    pub fn end_one(&self) {
        *self.may_end.lock().unwrap() += 1;
        self.over.notify_one();
    }

    /// All end, those to come too.
    pub fn end(&self) {
        *self.may_end.lock().unwrap() = usize::MAX;
        self.over.notify_all();
    }
}
