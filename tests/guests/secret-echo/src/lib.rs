//! A task that tells a secret in every way there is: in a log line, its fields, its output, a failure and a panic.

use camshaft_sdk::prelude::*;

/// Which secret, and how to tell it.
#[derive(Deserialize, JsonSchema)]
pub struct Tell {
    /// The secret's name.
    pub name: String,
    /// How; as output if left out.
    #[serde(default)]
    pub how: How,
}

/// How to tell it. It is logged in any case.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// As output.
    #[default]
    Output,
    /// In a failure's message and details.
    Failure,
    /// In a panic's message.
    Panic,
}

/// Gets a secret and tells it.
#[task(name = "secret-echo", secrets = ["told"])]
pub fn tell(input: Tell) -> Result<Value, Failure> {
    let secret = secrets::get(&input.name)?;
    log::info!({ "secret": secret }, "the secret is {secret}");
    match input.how {
        How::Output => Ok(json!({ "secret": secret, "inside": format!("<{secret}>") })),
        How::Failure => Err(Failure::failed(format!("the secret is {secret}")).details(json!({ "secret": secret }))),
        How::Panic => panic!("the secret is {secret}"),
    }
}
