//! A task that counts its calls in a static: always 1 where every call has a fresh instance.

use camshaft_sdk::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

static CALLS: AtomicU32 = AtomicU32::new(0);

/// Gives the number of calls that this instance has had.
#[task(name = "counter")]
pub fn count(_input: Value) -> Result<Value, Failure> {
    Ok(json!({ "calls": CALLS.fetch_add(1, Ordering::Relaxed) + 1 }))
}
