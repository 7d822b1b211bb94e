//! The task `{{ name }}`.

use camshaft_sdk::prelude::*;

/// What it is given.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Who is greeted.
    name: String,
}

/// What it gives.
#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// The greeting.
    text: String,
}

/// Greets somebody by name.
#[task(example("by name", input = { "name": "Ada" }, output = { "text": "Hello, Ada!" }))]
pub fn run(_context: &Context, input: Input) -> Result<Output, Failure> {
    if input.name.trim().is_empty() {
        return Err(Failure::invalid_input("`name` is empty"));
    }
    log::info!("greeting {}", input.name);
    Ok(Output { text: format!("Hello, {}!", input.name) })
}

#[cfg(test)]
mod tests;
