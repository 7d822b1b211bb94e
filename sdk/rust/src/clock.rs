//! Time, from the host on every target (`std`'s clock is a stub on some of them).

use std::time::Duration;

/// The wall clock, in milliseconds since 1970-01-01T00:00:00Z.
pub fn now_ms() -> u64 {
    crate::host::now_ms()
}

/// A clock that only goes forward. Differences mean something, the value does not.
pub fn monotonic() -> Duration {
    crate::host::monotonic()
}

/// Waits. The time counts against the call's deadline; a workflow's `wait` step costs nothing and is usually better.
pub fn sleep(duration: Duration) {
    crate::host::sleep(duration);
}
