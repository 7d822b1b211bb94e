//! The task `fibonacci`: computes a number the slow way, as often as it is asked to.

use std::hint::black_box;

use camshaft_sdk::prelude::*;

/// What to compute.
#[derive(Deserialize, JsonSchema)]
pub struct Question {
    /// Which number.
    n: u32,
    /// How often; once where it is left out.
    #[serde(default = "once")]
    times: u32,
}

/// What came of it.
#[derive(Serialize, JsonSchema)]
pub struct Number {
    /// The number.
    value: u64,
}

fn once() -> u32 {
    1
}

fn fibonacci(n: u32) -> u64 {
    if n < 2 { n.into() } else { fibonacci(n - 1) + fibonacci(n - 2) }
}

/// Computes a Fibonacci number by its definition.
#[task(example("the tenth", input = { "n": 10 }))]
pub fn compute(input: Question) -> Result<Number, Failure> {
    let value = (0..input.times).fold(0, |_, _| fibonacci(black_box(input.n)));
    Ok(Number { value })
}

#[cfg(test)]
mod tests {
    use super::fibonacci;

    #[test]
    fn the_tenth_is_fifty_five() {
        assert_eq!(fibonacci(10), 55);
    }
}
