//! A task that asks for more and more memory: it meets the bound on memory.

use camshaft_sdk::prelude::*;
use std::hint::black_box;

/// Keeps a mebibyte, and another, and another.
#[task(name = "allocate")]
pub fn allocate(_input: Value) -> Result<usize, Failure> {
    let mut kept = Vec::new();
    while black_box(true) {
        kept.push(vec![1_u8; 1024 * 1024]);
    }
    Ok(kept.len())
}
