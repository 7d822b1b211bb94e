//! Lines for the people who inspect an execution.
//!
//! ```
//! use camshaft_sdk::log;
//! let orders = 3;
//! log::info!("took {orders} orders");
//! log::warn!({ "orders": orders, "shop": "north" }, "the shop is closed");
//! ```

use crate::json;
use serde_json::Value;
use std::fmt;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every detail.
    Trace,
    /// For whoever looks for a fault.
    Debug,
    /// What happened.
    Info,
    /// What somebody should look at.
    Warn,
    /// What went wrong.
    Error,
}

/// Writes one line. The macros of this module are shorter.
pub fn write(level: Level, message: impl fmt::Display) {
    crate::host::log(level, &message.to_string(), "");
}

/// Writes one line with structured fields, a JSON object.
pub fn write_with(level: Level, fields: &Value, message: impl fmt::Display) {
    crate::host::log(level, &message.to_string(), &json::text(fields));
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:ident, { $($fields:tt)* }, $($message:tt)+) => {
        $crate::log::write_with($crate::log::Level::$level, &$crate::private::json!({ $($fields)* }), format_args!($($message)+))
    };
    ($level:ident, $($message:tt)+) => {
        $crate::log::write($crate::log::Level::$level, format_args!($($message)+))
    };
}

macro_rules! levels {
    ($dollar:tt $($name:ident $exported:ident $level:ident $doc:literal;)*) => {$(
        #[doc = $doc]
        #[macro_export]
        #[doc(hidden)]
        macro_rules! $exported {
            ($dollar($dollar arguments:tt)+) => { $crate::__log!($level, $dollar($dollar arguments)+) };
        }
        #[doc = $doc]
        pub use $exported as $name;
    )*};
}

levels! {$
    trace __log_trace Trace "Logs at level trace: a format string, after an optional `{ \"key\": value }` of fields.";
    debug __log_debug Debug "Logs at level debug: a format string, after an optional `{ \"key\": value }` of fields.";
    info __log_info Info "Logs at level info: a format string, after an optional `{ \"key\": value }` of fields.";
    warn __log_warn Warn "Logs at level warn: a format string, after an optional `{ \"key\": value }` of fields.";
    error __log_error Error "Logs at level error: a format string, after an optional `{ \"key\": value }` of fields.";
}
