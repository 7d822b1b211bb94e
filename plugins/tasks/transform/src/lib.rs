//! The task `transform`: runs a jq filter on a value and gives the filter's first output.

use camshaft_jq::Fault;
use camshaft_sdk::prelude::*;
use serde_json::value::RawValue;

/// A value and what to make of it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transform {
    /// The value that the filter gets as `.`; null if left out.
    #[serde(default)]
    pub input: Option<Box<RawValue>>,
    /// A jq filter, such as `map(select(.open)) | length`.
    pub filter: String,
}

/// Runs a jq filter on a value and gives the filter's first output.
#[task(example(file = "cases/filter.json"), example(file = "cases/csv.json"))]
pub fn transform(input: Transform) -> Result<Box<RawValue>, Failure> {
    let value = input.input.as_deref().map_or("null", RawValue::get);
    let output = camshaft_jq::evaluate(&input.filter, value).map_err(|fault| match fault {
        Fault::Filter(message) => Failure::invalid_input(format!("`filter`: {message}")),
        Fault::Input(message) => Failure::invalid_input(format!("`input`: {message}")),
        Fault::Run(message) => Failure::failed(message),
    })?;
    RawValue::from_string(output).map_err(|error| Failure::failed(format!("the output is no JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use camshaft_sdk::testing;

    #[test]
    fn golden_cases_hold() {
        testing::task_cases::<transform>("cases");
    }

    #[test]
    fn numbers_keep_their_digits() {
        let call = |input| camshaft_sdk::task::call::<transform>(&testing::context(), input);
        let output = call(r#"{"input":{"a":1.10,"b":123456789012345678901},"filter":"[.b, .a]"}"#);
        assert_eq!(output.unwrap(), "[123456789012345678901,1.10]");
    }
}
