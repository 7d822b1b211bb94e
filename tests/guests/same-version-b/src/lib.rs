//! One of two tasks that claim the same name and version and are not the same.

use camshaft_sdk::prelude::*;

/// Says which of the two it is.
#[task(name = "same-version", version = "1.0.0")]
pub fn which(_input: Value) -> Result<Value, Failure> {
    Ok(json!({ "from": "b" }))
}
