//! What adapters say goes to the server's own log: there is no execution yet that could keep it. The same line again is told once
//! a minute, so that an adapter with something to say about every delivery does not fill the log.

use std::time::Instant;

use camshaft_model::Value;
use camshaft_model::lately::Lately;
use camshaft_model::outcome::{LogLevel, LogLine};
use camshaft_model::seams::Integration;
use camshaft_model::time::Timestamp;

/// Lines that were told lately, by what they say and of whom.
pub(crate) struct Told {
    lately: Lately,
    since: Instant,
}

impl Default for Told {
    fn default() -> Self {
        Self { lately: Lately::default(), since: Instant::now() }
    }
}

impl Told {
    /// Tells a line, unless it was told lately.
    pub(crate) fn tell(&self, integration: &Integration, line: &LogLine) {
        let LogLine { message, fields, level, .. } = line;
        let now = Timestamp(0).plus(self.since.elapsed());
        let of = (&integration.workspace, &integration.name, *level as u8, message);
        let Some(held_back) = self.lately.is_due(of, now) else { return };
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
}
