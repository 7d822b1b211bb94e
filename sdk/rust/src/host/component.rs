//! The component's imports: logging, secrets, clocks, randomness.

use crate::bindings::task::camshaft::plugin::{log as log_import, secrets as secrets_import};
use crate::log::Level;
use crate::secrets::SecretError;
use std::time::Duration;
use wasip2::clocks::{monotonic_clock, wall_clock};

pub(crate) fn log(level: Level, message: &str, fields: &str) {
    let level = match level {
        Level::Trace => log_import::Level::Trace,
        Level::Debug => log_import::Level::Debug,
        Level::Info => log_import::Level::Info,
        Level::Warn => log_import::Level::Warn,
        Level::Error => log_import::Level::Error,
    };
    log_import::write(level, message, fields);
}

pub(crate) fn secret(name: &str) -> Result<String, SecretError> {
    secrets_import::get(name).map_err(|error| match error {
        secrets_import::SecretError::Denied => SecretError::Denied(name.to_owned()),
        secrets_import::SecretError::Missing => SecretError::Missing(name.to_owned()),
    })
}

pub(crate) fn now_ms() -> u64 {
    let now = wall_clock::now();
    now.seconds * 1000 + u64::from(now.nanoseconds / 1_000_000)
}

pub(crate) fn monotonic() -> Duration {
    Duration::from_nanos(monotonic_clock::now())
}

pub(crate) fn sleep(duration: Duration) {
    monotonic_clock::subscribe_duration(nanoseconds(duration)).block();
}

pub(crate) fn random(count: usize) -> Vec<u8> {
    wasip2::random::random::get_random_bytes(count as u64)
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
