//! A task that never ends: it meets the bound on CPU time.

use camshaft_sdk::prelude::*;
use std::hint::black_box;

/// Turns round and round.
#[task(name = "loop")]
pub fn spin(_input: Value) -> Result<u64, Failure> {
    let mut turns: u64 = 0;
    while black_box(true) {
        turns = black_box(turns.wrapping_add(1));
    }
    Ok(turns)
}
