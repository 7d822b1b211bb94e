//! A task that calls itself without end: it meets the end of the stack.

use camshaft_sdk::prelude::*;
use std::hint::black_box;

/// Goes down and down.
#[task(name = "recurse")]
pub fn recurse(_input: Value) -> Result<u64, Failure> {
    Ok(down(0))
}

#[allow(unconditional_recursion)]
fn down(level: u64) -> u64 {
    black_box(down(black_box(level) + 1)) + 1
}
