//! Lines that were told lately, for logs that strangers can make longer: the same line again is told once a minute, with how often it was
//! held back.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::time::Timestamp;

/// For how long the same line is not told again.
const AGAIN: Duration = Duration::from_secs(60);
/// Lines that are remembered; beyond that, all are forgotten and told once more.
const REMEMBERED: usize = 1_024;

/// Lines that were told lately, by whatever makes them the same.
#[derive(Debug, Default)]
pub struct Lately(Mutex<HashMap<u64, Line>>);

#[derive(Debug)]
struct Line {
    at: Timestamp,
    /// How often it came since.
    held_back: u64,
}

impl Lately {
    /// How often a line was held back before this, if it may be told now.
    pub fn is_due(&self, line: impl Hash, now: Timestamp) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        line.hash(&mut hasher);
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = told.get_mut(&hasher.finish()) {
            if now.since(line.at) < AGAIN {
                line.held_back += 1;
                return None;
            }
            return Some(std::mem::replace(line, Line { at: now, held_back: 0 }).held_back);
        }
        if told.len() >= REMEMBERED {
            told.clear();
        }
        told.insert(hasher.finish(), Line { at: now, held_back: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_line_is_told_once_a_minute_and_says_how_often_it_came() {
        let lately = Lately::default();
        let line = |of, after: u64| lately.is_due((of, "not verified"), Timestamp(after * 1_000_000));
        assert_eq!(line("a", 0), Some(0));
        assert_eq!([line("a", 1), line("a", 59)], [None, None]);
        assert_eq!(line("b", 59), Some(0), "another integration's");
        assert_eq!(line("a", 60), Some(2));
        assert_eq!([line("a", 119), line("a", 120)], [None, Some(1)]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let lately = Lately::default();
        for line in 0..REMEMBERED * 3 {
            assert_eq!(lately.is_due(line, Timestamp(0)), Some(0));
        }
        assert!(lately.0.lock().unwrap().len() <= REMEMBERED);
    }
}
