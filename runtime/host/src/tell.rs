//! What adapters say goes to the server's own log: there is no execution yet that could keep it. The same line again is told once
//! a minute, so that an adapter with something to say about every delivery does not fill the log.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use camshaft_model::Value;
use camshaft_model::outcome::{LogLevel, LogLine};
use camshaft_model::seams::Integration;

/// For how long the same line is not told again.
const AGAIN: Duration = Duration::from_secs(60);
/// Lines that are remembered; beyond that, all are forgotten and told once more.
const REMEMBERED: usize = 1_024;

/// Lines that were told lately, by what they say and of whom.
#[derive(Default)]
pub(crate) struct Told(Mutex<HashMap<u64, Lately>>);

struct Lately {
    at: Instant,
    /// How often it came since.
    held_back: u64,
}

impl Told {
    /// Tells a line, unless it was told lately.
    pub(crate) fn tell(&self, integration: &Integration, line: &LogLine) {
        let LogLine { message, fields, level, .. } = line;
        let Some(held_back) =
            self.is_due((&integration.workspace, &integration.name, *level as u8, message), Instant::now())
        else {
            return;
        };
        let (workspace, integration) = (integration.workspace.as_str(), integration.name.as_str());
        let fields = if fields.is_empty() { String::new() } else { Value::Object(fields.clone()).to_string() };
        match level {
            LogLevel::Error => tracing::error!(workspace, integration, fields, held_back, "{message}"),
            LogLevel::Warn => tracing::warn!(workspace, integration, fields, held_back, "{message}"),
            LogLevel::Info => tracing::info!(workspace, integration, fields, held_back, "{message}"),
            LogLevel::Debug => tracing::debug!(workspace, integration, fields, held_back, "{message}"),
            LogLevel::Trace => tracing::trace!(workspace, integration, fields, held_back, "{message}"),
        }
    }

    /// How often a line was held back before this, if it may be told now.
    fn is_due(&self, line: impl Hash, now: Instant) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        line.hash(&mut hasher);
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lately) = told.get_mut(&hasher.finish()) {
            if now.duration_since(lately.at) < AGAIN {
                lately.held_back += 1;
                return None;
            }
            return Some(std::mem::replace(lately, Lately { at: now, held_back: 0 }).held_back);
        }
        if told.len() >= REMEMBERED {
            told.clear();
        }
        told.insert(hasher.finish(), Lately { at: now, held_back: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_line_is_told_once_a_minute_and_says_how_often_it_came() {
        let (told, begin) = (Told::default(), Instant::now());
        let line = |of, after| told.is_due((of, "not verified"), begin + Duration::from_secs(after));
        assert_eq!(line("a", 0), Some(0));
        assert_eq!([line("a", 1), line("a", 59)], [None, None]);
        assert_eq!(line("b", 59), Some(0), "another integration's");
        assert_eq!(line("a", 60), Some(2));
        assert_eq!([line("a", 119), line("a", 120)], [None, Some(1)]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (told, now) = (Told::default(), Instant::now());
        for line in 0..REMEMBERED * 3 {
            assert_eq!(told.is_due(line, now), Some(0));
        }
        assert!(told.0.lock().unwrap().len() <= REMEMBERED);
    }
}
