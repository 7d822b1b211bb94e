//! How many executions of each workspace are under way, for the quotas that bound it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use camshaft_model::ids::Name;
use camshaft_model::seams::{Limited, Quota};

/// The executions under way, by workspace.
#[derive(Default)]
pub(crate) struct Seats(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    all: u32,
    of: HashMap<Name, u32>,
}

/// An execution is under way for as long as there is this.
pub(crate) struct Seat {
    seats: Arc<Seats>,
    workspace: Name,
}

impl Seats {
    /// One more, whatever the quotas: it was let in before, or belongs to one that was.
    pub(crate) fn sit(self: &Arc<Self>, workspace: &Name) -> Seat {
        self.lock().sit(workspace);
        Seat { seats: self.clone(), workspace: workspace.clone() }
    }

    /// One more, if every quota has room. Errors with the one that has none.
    pub(crate) fn try_sit<'a>(
        self: &Arc<Self>,
        workspace: &Name,
        quotas: &'a [Quota],
    ) -> Result<Seat, (&'a Quota, u32)> {
        let mut taken = self.lock();
        for quota in quotas {
            let Some(limit) = quota.at_once else { continue };
            let under_way = match quota.of {
                Limited::Instance => taken.all,
                _ => taken.of.get(workspace).copied().unwrap_or(0),
            };
            if under_way >= limit {
                return Err((quota, limit));
            }
        }
        taken.sit(workspace);
        Ok(Seat { seats: self.clone(), workspace: workspace.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Nothing panics while holding it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn sit(&mut self, workspace: &Name) {
        self.all += 1;
        match self.of.get_mut(workspace) {
            Some(count) => *count += 1,
            None => drop(self.of.insert(workspace.clone(), 1)),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        taken.all -= 1;
        if let Some(count) = taken.of.get_mut(&self.workspace) {
            *count -= 1;
            if *count == 0 {
                taken.of.remove(&self.workspace);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use camshaft_model::ids::ResourceId;

    #[test]
    fn each_workspace_and_the_instance_have_as_many_seats_as_they_may() {
        let (seats, acme, blue) = (Arc::new(Seats::default()), Name::new("acme").unwrap(), Name::new("blue").unwrap());
        let quota = |of, limit| Quota {
            of,
            owner: ResourceId::from_bytes([0; 16]),
            at_once: Some(limit),
            per_day: None,
            per_month: None,
            execution_time: None,
        };
        let quotas = |name: &Name| [quota(Limited::Workspace(name.clone()), 2), quota(Limited::Instance, 3)];
        let (of_acme, of_blue) = (quotas(&acme), quotas(&blue));
        let first = seats.try_sit(&acme, &of_acme).ok().unwrap();
        let _second = seats.try_sit(&acme, &of_acme).ok().unwrap();
        assert_eq!(seats.try_sit(&acme, &of_acme).err(), Some((&of_acme[0], 2)));
        let third = seats.try_sit(&blue, &of_blue).ok().unwrap();
        assert_eq!(seats.try_sit(&blue, &of_blue).err(), Some((&of_blue[1], 3)));
        drop(third);
        drop(first);
        let _child = seats.sit(&acme);
        assert!(seats.try_sit(&acme, &of_acme).is_err(), "one that is let in counts");
        assert!(seats.try_sit(&blue, &of_blue).is_ok());
        assert!(seats.try_sit(&acme, &[]).is_ok());
    }
}
