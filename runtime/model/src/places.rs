//! Places for those who may do something at once, and the line of those who wait for one. It is fair: workspaces take turns,
//! and within each its workflows, so that a crowd of one holds up nobody but itself.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::oneshot;

use crate::ids::{Name, ResourceId};

/// A number of places.
pub struct Places(Mutex<Line>);

/// A place; given to the next when it is dropped.
pub struct Place(Option<Arc<Places>>);

struct Line {
    free: usize,
    waiting: Turns<Name, Turns<ResourceId, VecDeque<oneshot::Sender<Place>>>>,
}

/// Lines that take turns, in the order of their keys.
struct Turns<K, T> {
    lines: BTreeMap<K, T>,
    last: Option<K>,
}

impl<K, T> Default for Turns<K, T> {
    fn default() -> Self {
        Self { lines: BTreeMap::new(), last: None }
    }
}

impl<K: Ord + Clone, T> Turns<K, T> {
    /// Whose turn it is; nobody's where there is no line.
    fn next(&mut self) -> Option<(K, &mut T)> {
        let behind = self.last.as_ref().and_then(|last| self.lines.range((Excluded(last), Unbounded)).next());
        let (key, _) = behind.or_else(|| self.lines.first_key_value())?;
        let key = key.clone();
        self.last = Some(key.clone());
        self.lines.get_mut(&key).map(|line| (key, line))
    }
}

impl Line {
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        let (workspace, workflows) = self.waiting.next()?;
        let (workflow, line) = workflows.next()?;
        let next = line.pop_front();
        if line.is_empty() {
            workflows.lines.remove(&workflow);
        }
        if workflows.lines.is_empty() {
            self.waiting.lines.remove(&workspace);
        }
        next
    }
}

impl Places {
    /// So many; at least one.
    pub fn new(count: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Line { free: count.max(1), waiting: Turns::default() })))
    }

    /// A place, if one is free.
    pub fn try_take(self: &Arc<Self>) -> Option<Place> {
        let mut line = self.line();
        line.free = line.free.checked_sub(1)?;
        Some(Place(Some(self.clone())))
    }

    /// A place for an evaluation of a workflow, when it is its turn.
    pub async fn take(self: &Arc<Self>, workspace: &Name, workflow: ResourceId) -> Place {
        let place = {
            let mut line = self.line();
            if line.free > 0 {
                line.free -= 1;
                return Place(Some(self.clone()));
            }
            let (sender, place) = oneshot::channel();
            let workflows = line.waiting.lines.entry(workspace.clone()).or_default();
            workflows.lines.entry(workflow).or_default().push_back(sender);
            place
        };
        // Whoever stands in the line is sent a place: what the line is in outlives this call.
        place.await.unwrap_or(Place(None))
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Nothing panics while holding it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(places) = self.0.take() else { return };
        let mut place = Self(Some(places.clone()));
        loop {
            let next = {
                let mut line = places.line();
                let next = line.next();
                if next.is_none() {
                    line.free += 1;
                    place.0 = None;
                }
                next
            };
            match next.map(|next| next.send(place)) {
                // It is of somebody who waits no more.
                Some(Err(back)) => place = back,
                Some(Ok(())) | None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use futures::FutureExt;
    use futures::future::BoxFuture;

    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    /// Waits in the line of a workflow of a workspace.
    fn waits(places: &Arc<Places>, workspace: &str, workflow: u128) -> Pin<Box<BoxFuture<'static, Place>>> {
        let (places, workspace) = (places.clone(), name(workspace));
        let mut place = Box::pin(async move { places.take(&workspace, id(workflow)).await }.boxed());
        assert!(place.as_mut().now_or_never().is_none(), "there is none");
        place
    }

    fn id(number: u128) -> ResourceId {
        ResourceId(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn as_many_as_there_are_and_the_next_when_one_is_given_back() {
        let places = Places::new(2);
        let first = places.try_take().unwrap();
        let _second = places.take(&name("a"), id(1)).now_or_never().unwrap();
        assert!(places.try_take().is_none());
        let mut third = waits(&places, "a", 1);
        drop(first);
        assert!(places.try_take().is_none(), "it is the third's");
        drop(third.as_mut().now_or_never().unwrap());
        assert!(places.try_take().is_some());
    }

    #[test]
    fn workspaces_take_turns_and_within_each_its_workflows() {
        let places = Places::new(1);
        let mut held = places.try_take().unwrap();
        let lines = [("a", 1), ("a", 1), ("a", 1), ("a", 2), ("b", 3), ("b", 3), ("c", 4)];
        let mut all: Vec<_> = lines.into_iter().map(|line| Some((line, waits(&places, line.0, line.1)))).collect();
        let mut order = Vec::new();
        while all.iter().any(Option::is_some) {
            drop(held);
            let (line, place) = all
                .iter_mut()
                .find_map(|waiting| {
                    let (line, place) = waiting.as_mut()?;
                    let place = place.as_mut().now_or_never()?;
                    let line = *line;
                    *waiting = None;
                    Some((line, place))
                })
                .expect("a place that is given back is somebody's");
            order.push(line);
            held = place;
        }
        assert_eq!(order, [("a", 1), ("b", 3), ("c", 4), ("a", 2), ("b", 3), ("a", 1), ("a", 1)]);
    }

    #[test]
    fn who_waits_no_more_loses_nobody_a_place() {
        let places = Places::new(1);
        let held = places.try_take().unwrap();
        let gone = waits(&places, "a", 1);
        let given_and_gone = waits(&places, "b", 1);
        let mut last = waits(&places, "c", 1);
        drop(gone);
        drop(held);
        drop(given_and_gone);
        drop(last.as_mut().now_or_never().unwrap());
        assert!(places.try_take().is_some());
    }
}
