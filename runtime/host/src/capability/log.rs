//! `camshaft:plugin/log`: lines for the people who inspect an execution.
//!
//! Always there. Bounded in bytes for each call; one byte past the bound ends the call, so that a guest that logs without
//! end stops at its first line too many.

use camshaft_model::outcome::{LogLevel, LogLine};
use camshaft_model::{Map, Value};
use wasmtime::{Result, format_err};

use crate::bindings::task::camshaft::plugin::log::{Host, Level};
use crate::budget::Breach;
use crate::state::CallState;

/// What a line costs besides its text, so that empty lines are bounded too.
pub(super) const LINE_BYTES: usize = 16;

impl CallState {
    /// Keeps a line, without secrets.
    pub(crate) fn write_log(
        &mut self,
        level: LogLevel,
        message: String,
        fields: Map<String, Value>,
        bytes: usize,
    ) -> Result<()> {
        let (message, fields) = (self.mask.text(message), self.mask.fields(fields));
        self.keep_line(level, message, fields, bytes)
    }

    /// Keeps a line that has been masked. The one that goes over the bound is cut: after its masking, so that no part of a
    /// secret is left over.
    pub(super) fn keep_line(
        &mut self,
        level: LogLevel,
        message: String,
        fields: Map<String, Value>,
        bytes: usize,
    ) -> Result<()> {
        self.log_bytes = self.log_bytes.saturating_add(bytes);
        let after_us = self.begun.elapsed().as_micros() as u64;
        if self.log_bytes > self.budget.log_bytes {
            let (limit, used) = (self.budget.log_bytes as u64, self.log_bytes as u64);
            self.meter.broke(Breach { bound: "log", limit, used, unit: "bytes" });
            let room = self.budget.log_bytes.saturating_sub(self.log_bytes - bytes);
            let kept = &message[..message.floor_char_boundary(room.saturating_sub(LINE_BYTES))];
            if !kept.is_empty() {
                self.log.push(LogLine { after_us, level, message: format!("{kept}…"), fields: Map::new() });
            }
            return Err(format_err!("the log is full"));
        }
        self.log.push(LogLine { after_us, level, message, fields });
        Ok(())
    }
}

impl Host for CallState {
    fn write(&mut self, level: Level, message: String, fields: String) -> Result<()> {
        let level = match level {
            Level::Trace => LogLevel::Trace,
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        let bytes = message.len() + fields.len() + LINE_BYTES;
        let fields = match serde_json::from_str(&fields) {
            Ok(Value::Object(fields)) => fields,
            _ if fields.is_empty() => Map::new(),
            _ => Map::from_iter([("fields".to_owned(), Value::String(fields))]),
        };
        self.write_log(level, message, fields, bytes)
    }
}
