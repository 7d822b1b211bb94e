//! The task `echo`: gives its input back, byte for byte.

use camshaft_sdk::prelude::*;
use serde_json::value::RawValue;

/// Gives its input back unchanged.
#[task(example(file = "cases/object.json"))]
pub fn echo(input: Box<RawValue>) -> Result<Box<RawValue>, Failure> {
    Ok(input)
}

#[cfg(test)]
mod tests {
    use super::*;
    use camshaft_sdk::testing;

    #[test]
    fn golden_cases_hold() {
        testing::task_cases::<echo>("cases");
    }

    #[test]
    fn numbers_and_spaces_stay_as_they_were_written() {
        let output = camshaft_sdk::task::call::<echo>(&testing::context(), r#"{"a" : 1.10, "b":1e400}"#);
        assert_eq!(output.unwrap(), r#"{"a" : 1.10, "b":1e400}"#);
    }
}
